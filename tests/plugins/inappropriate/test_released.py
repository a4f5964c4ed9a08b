"""Files from elsewhere: the released pickle is read, nothing in any file is ever run."""

from __future__ import annotations

import builtins
import hashlib
import io
import os
import pickle
import pickletools
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from clipvet.detectors import RecipeError, UsageError
from clipvet.plugins.inappropriate._released import RELEASED, read_vector_file
from tests.plugins.inappropriate.conftest import MODELS, pickled

PREFIXES = {"vit_b_16": "43b9c1308ae2", "vit_b_32": "53cfd214d311", "vit_l_14": "9b6c411824c2"}
SIZES = {"vit_b_16": 2207, "vit_b_32": 2207, "vit_l_14": 3231}


@pytest.fixture
def read(tmp_path: Path) -> Any:
    def read(content: bytes) -> Any:
        path = tmp_path / "vectors"
        path.write_bytes(content)
        return read_vector_file(path)

    return read


@pytest.fixture(autouse=True)
def nothing_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    """Unpickling by any road is an error here."""

    def never(*_: Any, **__: Any) -> None:
        raise AssertionError("a pickle was run")

    for name in ("load", "loads", "Unpickler", "_load", "_loads", "_Unpickler"):
        monkeypatch.setattr(pickle, name, never)
    monkeypatch.setattr(os, "system", never)
    monkeypatch.setattr(builtins, "eval", never)


@pytest.mark.parametrize("model", MODELS)
def test_the_released_files(read: Any, released: Any, prompts: Any, model: str) -> None:
    content = released[model]
    assert len(content) == SIZES[model]
    assert hashlib.sha256(content).hexdigest().startswith(PREFIXES[model])
    file = read(content)
    np.testing.assert_array_equal(file.vectors, prompts[model])
    assert file.released_for == RELEASED[file.sha256]
    assert file.released_for.lower().replace("/", "_").replace("-", "_") == model


@pytest.mark.parametrize("dtype", ["<f2", "<f4", "<f8"])
@pytest.mark.parametrize("order", ["C", "F"])
def test_npy_of_every_precision(read: Any, prompts: Any, dtype: str, order: Any) -> None:
    stream = io.BytesIO()
    vectors = prompts["vit_b_32"].astype(dtype, order=order)
    np.save(stream, vectors)
    file = read(stream.getvalue())
    np.testing.assert_array_equal(file.vectors, vectors)
    assert file.released_for is None


def test_pickle_of_this_numpy(read: Any) -> None:
    vectors = np.random.default_rng(0).standard_normal((2, 64)).astype(np.float32)
    file = read(pickle.dumps(vectors, protocol=3))
    np.testing.assert_array_equal(file.vectors, vectors)


class Calls:
    """Pickles as a call of something."""

    def __init__(self, function: Any, *arguments: Any) -> None:
        self.call = function, arguments

    def __reduce__(self) -> Any:
        return self.call


def hostile() -> dict[str, bytes]:
    good = pickled(np.random.default_rng(1).standard_normal((2, 16)).astype("<f4"))
    call = b"cos\nsystem\n(X\x02\x00\x00\x00id\x85R0"
    return {
        "a call": pickle.dumps(Calls(os.system, "id"), protocol=3),
        "a call, protocol 4": pickle.dumps(Calls(os.system, "id"), protocol=4),
        "a call, protocol 0": pickle.dumps(Calls(os.system, "id"), protocol=0),
        "eval": pickle.dumps(Calls(eval, "1"), protocol=3),
        "a call before the array": good[:2] + call + good[2:],
        "a call after the array": good[:-1] + call + b".",
        "a call behind the end": good + pickle.dumps(Calls(os.system, "id"), protocol=3),
        "another function": good.replace(b"_reconstruct\n", b"_frombuffer\n"),
        "another module": good.replace(b"cnumpy.core.multiarray", b"cnumpy.evil.multiarray"),
        "another class": good.replace(b"cnumpy\nndarray", b"cnumpy\nmatrix"),
        "a global from the stack": good[:2] + b"\x8c\x02os\x8c\x06system\x93" + good[2:],
        "an extension": good[:2] + b"\x82\x01" + good[2:],
        "a persistent id": good[:2] + b"Pabc\n" + good[2:],
        "a state dict": good[:-1] + b"}b.",
        "an object array": pickle.dumps(np.array([[1, 2], [3, None]], object), protocol=3),
        "a list": pickle.dumps([[1.0, 2.0], [3.0, 4.0]], protocol=3),
        "protocol 2": pickle.dumps(np.ones((2, 4)), protocol=2),
        "protocol 5": pickle.dumps(np.ones((2, 4)), protocol=5),
        "big endian": good.replace(b"X\x01\x00\x00\x00<", b"X\x01\x00\x00\x00>"),
        "integers": good.replace(b"f4", b"i4"),
        "three rows": good.replace(b"K\x02M\x10\x00", b"K\x03M\x10\x00"),
        "no STOP": good[:-1],
        "cut in the numbers": good[:-40],
        "wide claim": good.replace(b"M\x10\x00", b"M\xff\xff"),
        "not a number": pickled(np.array([[1, 2], [np.nan, 3]], "<f4")),
        "huge length": b"\x80\x03B\xff\xff\xff\x7f" + good,
        "text": b"hello",
        "empty": b"",
        "one byte": b"\x80",
    }


HOSTILE = hostile()


@pytest.mark.parametrize("name", sorted(HOSTILE))
def test_hostile_pickles_are_refused(read: Any, name: str) -> None:
    with pytest.raises(RecipeError) as raised:
        read(HOSTILE[name])
    message = str(raised.value)
    assert message.startswith("inappropriate: ")
    assert "holds no class vectors" in message
    assert message.endswith("give a prompts.p of Q16, or a .npy file of two rows")
    assert "\n" not in message


def test_the_message_names_the_instruction(read: Any) -> None:
    with pytest.raises(RecipeError, match=r"GLOBAL '\w+ system' at byte 2; nothing in it was run"):
        read(HOSTILE["a call"])


def test_any_changed_byte_is_read_or_refused_without_running(read: Any) -> None:
    """Every position, a few values each: the only ways out are vectors and a RecipeError."""
    good = pickled(np.random.default_rng(2).standard_normal((2, 16)).astype("<f2"))
    rng = np.random.default_rng(3)
    refused = 0
    for position in range(len(good)):
        for value in (*rng.integers(0, 256, 3), ord("c"), ord("R"), ord("i")):
            changed = bytearray(good)
            changed[position] = value
            try:
                assert read(bytes(changed)).vectors.shape == (2, 16)
            except RecipeError:
                refused += 1
    assert refused > 3 * (len(good) - 64 - 30)  # of what is neither numbers nor their labels


def test_all_opcodes_outside_of_the_program_are_refused(read: Any) -> None:
    good = pickled(np.random.default_rng(4).standard_normal((2, 16)).astype("<f2"))
    for opcode in pickletools.opcodes:
        if opcode.name in {"BINPUT", "LONG_BINPUT"}:
            continue
        with pytest.raises(RecipeError):
            read(good[:2] + opcode.code.encode("latin-1") + b"\x01\n\x00\x00\n" + good[2:])


def npy(header: str, payload: bytes = b"") -> bytes:
    text = header.encode().ljust(117) + b"\n"
    return b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text + payload


@pytest.mark.parametrize(
    "content",
    [
        npy("{'descr': '|O', 'fortran_order': False, 'shape': (2, 4)}", pickle.dumps([1])),
        npy("{'descr': '<f4', 'fortran_order': False, 'shape': (2, 1000000000000)}"),
        npy("{'descr': '<f4', 'fortran_order': False, 'shape': (4, 2)}", b"\0" * 32),
        npy("{'descr': '<f4', 'fortran_order': False, 'shape': (2, 4)}", b"\1" * 31),
        npy("{'descr': '<f4', 'fortran_order': False, 'shape': (2, 4)}", b"\0" * 32),
        npy("{'descr': '<f4', 'fortran_order': False, 'shape': (2, 4)}", b"\1" * 32),
        npy("{'descr': '>f4', 'fortran_order': False, 'shape': (2, 4)}", b"\1" * 32),
        npy("{'descr': '<i4', 'fortran_order': False, 'shape': (2, 4)}", b"\1" * 32),
        npy("{'descr': '<f4', 'fortran_order': False, 'shape': 8}", b"\1" * 32),
        npy("__import__('os').system('id')"),
        npy("(" * 100),
        b"\x93NUMPY\x03\x00",
        b"\x93NUMPY",
        b"\x93NUMPY\x01\x00" + b"\0" * (1 << 20),
    ],
)
def test_hostile_arrays_are_refused(read: Any, content: bytes) -> None:
    with pytest.raises(RecipeError, match="holds no class vectors"):
        read(content)


def test_no_such_file(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="cannot be read"):
        read_vector_file(tmp_path / "none.npy")
