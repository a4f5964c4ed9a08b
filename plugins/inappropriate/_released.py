"""Class vectors from the files that others publish, without running anything in them.

Two formats: ``.npy``, as LAION republished the vectors, and the ``prompts.p`` of the Q16
repository, a pickle of protocol 3 that holds one numpy array. A pickle is a program. This one is
compared with the only program that a numpy array of that age can be, instruction by instruction,
and the numbers are cut out of it; nothing in it is looked up, called or built.
"""

from __future__ import annotations

import hashlib
import io
import pickletools
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from clipvet.detectors import RecipeError, UsageError

__all__ = ["RELEASED", "VectorFile", "read_vector_file"]

RELEASED: Final = {
    "43b9c1308ae26f87f58a385bcbbe9a01f3532c825f15498613455f127fbdd43c": "ViT-B/16",
    "53cfd214d31115baf9f6bf28936edda062c2f75b5abf3600e25a93d01a97bdce": "ViT-B/32",
    "9b6c411824c2f64e0f847aa3c9f2b15b8e3a6c75e0efd82f2f672670c97ccad5": "ViT-L/14",
}
"""sha256 of data/<model>/prompts.p of ml-research/Q16 @33de788 -> OpenAI CLIP model."""

MAX_BYTES = 1 << 20  # two vectors of 1280 float64 are 20 kB

_DTYPES: Final[dict[str, np.dtype[Any]]] = {
    "f2": np.dtype("<f2"),
    "f4": np.dtype("<f4"),
    "f8": np.dtype("<f8"),
}
_MEMO = {"BINPUT", "LONG_BINPUT"}

# (opcode, the arguments that it may have; None: kept under the name that follows).
_PROGRAM: Final[tuple[tuple[str, tuple[Any, ...] | str], ...]] = (
    ("PROTO", (3,)),
    ("GLOBAL", ("numpy.core.multiarray _reconstruct", "numpy._core.multiarray _reconstruct")),
    ("GLOBAL", ("numpy ndarray",)),
    ("BININT1", (0,)),
    ("TUPLE1", (None,)),
    ("SHORT_BINBYTES", (b"b",)),
    ("TUPLE3", (None,)),
    ("REDUCE", (None,)),
    ("MARK", (None,)),
    ("BININT1", (1,)),
    ("BININT1", (2,)),
    ("BININT1|BININT2", "width"),
    ("TUPLE2", (None,)),
    ("GLOBAL", ("numpy dtype",)),
    ("BINUNICODE", "dtype"),
    ("NEWFALSE|BININT1", (None, 0)),
    ("NEWTRUE|BININT1", (None, 1)),
    ("TUPLE3", (None,)),
    ("REDUCE", (None,)),
    ("MARK", (None,)),
    ("BININT1", (3,)),
    ("BINUNICODE", ("<",)),
    ("NONE", (None,)),
    ("NONE", (None,)),
    ("NONE", (None,)),
    ("BININT", (-1,)),
    ("BININT", (-1,)),
    ("BININT1", (0,)),
    ("TUPLE", (None,)),
    ("BUILD", (None,)),
    ("NEWFALSE", (None,)),
    ("SHORT_BINBYTES|BINBYTES", "payload"),
    ("TUPLE", (None,)),
    ("BUILD", (None,)),
    ("STOP", (None,)),
)


@dataclass(frozen=True, kw_only=True, eq=False)
class VectorFile:
    """Class vectors as a file holds them.

    Attributes:
        vectors: float64 [2, E]; row 0 not inappropriate, row 1 inappropriate.
        sha256: of the file.
    """

    vectors: NDArray[np.float64]
    sha256: str

    @property
    def released_for(self) -> str | None:
        """The CLIP model of a file of the Q16 repository; None for any other file."""
        return RELEASED.get(self.sha256)


def read_vector_file(path: Path) -> VectorFile:
    """Read a ``.npy`` file or a released pickle; the content tells which, not the name.

    Raises:
        UsageError: there is no such file.
        RecipeError: it is neither, or holds something else than two class vectors.
    """
    try:
        with path.open("rb") as file:
            content = file.read(MAX_BYTES + 1)
    except OSError as error:
        raise UsageError(
            f"inappropriate: {path} cannot be read ({error.strerror}): check the path"
        ) from error
    try:
        if len(content) > MAX_BYTES:
            raise ValueError(f"it is larger than {MAX_BYTES} bytes")
        if content.startswith(b"\x93NUMPY"):
            vectors = _from_npy(content)
        elif content.startswith(b"\x80"):
            vectors = _from_pickle(content)
        else:
            raise ValueError("it is neither a .npy file nor a pickle")
        _check(vectors)
    except ValueError as error:
        raise RecipeError(
            f"inappropriate: {path} holds no class vectors ({error}): give a prompts.p of Q16, "
            "or a .npy file of two rows"
        ) from error
    return VectorFile(
        vectors=vectors.astype(np.float64), sha256=hashlib.sha256(content).hexdigest()
    )


def _from_npy(content: bytes) -> NDArray[Any]:
    # By hand, because numpy makes room for whatever shape the header claims before it reads.
    stream = io.BytesIO(content)
    version = np.lib.format.read_magic(stream)
    if version != (1, 0):
        raise ValueError(f"its format is {version[0]}.{version[1]}, not 1.0")
    try:
        shape, column_major, dtype = np.lib.format.read_array_header_1_0(stream)
    except Exception as error:  # numpy lets through what ast and tokenize raise
        raise ValueError("its header is damaged") from error
    if dtype not in _DTYPES.values():
        raise ValueError(f"its numbers are {dtype}, not float16, float32 or float64")
    return _array(content[stream.tell() :], dtype, shape, order="F" if column_major else "C")


def _from_pickle(content: bytes) -> NDArray[Any]:
    kept: dict[str, Any] = {}
    instructions = _instructions(content)
    for names, wanted in _PROGRAM:
        name, argument, position = next(instructions, ("nothing", None, len(content)))
        known = name in names.split("|")
        if known and isinstance(wanted, str):
            kept[wanted] = argument
        elif not known or argument not in wanted:
            shown = f"{name} {argument!r}"[:60] if argument is not None else name
            raise ValueError(
                f"a pickle of something else than one array, or of another protocol than 3: "
                f"{shown} at byte {position}; nothing in it was run"
            )
        if name == "STOP" and position + 1 != len(content):
            raise ValueError("there is more in the file after its pickle")
    if kept["dtype"] not in _DTYPES:
        raise ValueError(f"its numbers are {kept['dtype']!r}, not float16, float32 or float64")
    return _array(kept["payload"], _DTYPES[kept["dtype"]], (2, kept["width"]))


def _instructions(content: bytes) -> Iterator[tuple[str, Any, int]]:
    """Name, argument and position of each, without those that only number values for later."""
    for opcode, argument, position in pickletools.genops(content):
        if opcode.name not in _MEMO:
            yield opcode.name, argument, position or 0


def _array(
    payload: bytes, dtype: np.dtype[Any], shape: tuple[int, ...], order: str = "C"
) -> NDArray[Any]:
    if len(shape) != 2 or shape[0] != 2 or shape[1] < 1:
        raise ValueError(f"its shape is {shape}, not (2, E)")
    if len(payload) != 2 * shape[1] * dtype.itemsize:
        raise ValueError(f"it holds {len(payload)} bytes of numbers for shape {shape}: truncated?")
    flat = np.frombuffer(payload, dtype)
    return flat.reshape(shape[::-1]).T if order == "F" else flat.reshape(shape)


def _check(vectors: NDArray[Any]) -> None:
    if not np.isfinite(vectors).all():
        raise ValueError("it holds a value that is not finite")
    length = np.linalg.norm(vectors.astype(np.float64), axis=1)
    if not length.all():
        raise ValueError("one of its rows is zero")
    if np.array_equal(vectors[0] / length[0], vectors[1] / length[1]):
        raise ValueError("both rows are the same")
