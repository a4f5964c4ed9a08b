"""What WinCLIP+ remembers of good images, and how far a picture is from it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from clipvet.detectors import ArtefactMissing, RecipeError

__all__ = ["Memory", "MemoryHeader", "nearest_distance", "unit_rows"]

SCHEMA = "clipvet.winclip/1"
HEADER, TENSORS = "winclip.json", "winclip.safetensors"

# A cosine of 640 to 1024 float32 terms carries an error of up to about 3e-7, so half of one
# minus a cosine below this cannot be told from the distance of a picture to itself.
NO_DISTANCE = 1e-6

# 8192 x 225 similarities are 7 MB, whatever the number of references.
CHUNK = 8192


@dataclass(frozen=True, kw_only=True)
class MemoryHeader:
    """Where a memory comes from, and what it can be compared with.

    Attributes:
        bundle_sha256: the bundle whose features it holds.
        bundle_id: that bundle's name, for messages.
        grid: patches (rows, columns).
        patch_tokens: "raw" or "ln_post".
        shots: number of reference images.
    """

    bundle_sha256: str
    bundle_id: str
    grid: tuple[int, int]
    patch_tokens: str
    shots: int


@dataclass(frozen=True, kw_only=True, eq=False)
class Memory:
    """Unit vectors of all reference images: "patch" [R, W], "win2" and "win3" [R', E]."""

    header: MemoryHeader
    banks: Mapping[str, NDArray[np.float32]]

    def save(self, folder: Path) -> None:
        """Write the vectors and a JSON header that names the bundle."""
        from safetensors.numpy import save

        tensors = save({name: np.ascontiguousarray(bank) for name, bank in self.banks.items()})
        header = {
            "schema": SCHEMA,
            **vars(self.header),
            "banks": {name: list(bank.shape) for name, bank in sorted(self.banks.items())},
            "tensors_sha256": hashlib.sha256(tensors).hexdigest(),
        }
        (folder / TENSORS).write_bytes(tensors)
        text = json.dumps(header, indent=2, ensure_ascii=False)
        (folder / HEADER).write_text(text + "\n", encoding="utf-8")

    @classmethod
    def load(cls, folder: Path) -> Memory:
        """Read what :meth:`save` wrote.

        Raises:
            ArtefactMissing: a file is not there.
            RecipeError: a file is damaged.
        """
        from safetensors import SafetensorError
        from safetensors.numpy import load

        for name in (HEADER, TENSORS):
            if not (folder / name).is_file():
                raise ArtefactMissing(f"winclip: {folder / name} is missing: fit the recipe again")
        try:
            header = json.loads((folder / HEADER).read_text(encoding="utf-8"))
            tensors = (folder / TENSORS).read_bytes()
            if header["schema"] != SCHEMA:
                raise ValueError(f"its schema is {header['schema']!r}, not {SCHEMA!r}")
            if hashlib.sha256(tensors).hexdigest() != header["tensors_sha256"]:
                raise ValueError(f"{TENSORS} is not the file that it was written with")
            banks = load(tensors)
            if {name: list(bank.shape) for name, bank in banks.items()} != header["banks"]:
                raise ValueError("header and tensors differ in shape")
            return cls(header=_read_header(header), banks=banks)
        except (OSError, KeyError, TypeError, ValueError, SafetensorError) as error:
            message = f"winclip: the references in {folder} are damaged ({error}): fit them again"
            raise RecipeError(message) from error


def unit_rows(vectors: NDArray[np.float32]) -> NDArray[np.float32]:
    """Rows at unit length, float32 [n, D]; a row of zeros stays zero."""
    wide = vectors.astype(np.float64)
    length = np.linalg.norm(wide, axis=1, keepdims=True)
    unit = np.divide(wide, length, out=np.zeros_like(wide), where=length > 0)
    narrow: NDArray[np.float32] = unit.astype(np.float32)
    return narrow


def nearest_distance(
    vectors: NDArray[np.float32], bank: NDArray[np.float32]
) -> NDArray[np.float64]:
    """Half of one minus the largest cosine to any vector of a bank (equation 4).

    Args:
        vectors: unit rows [n, D].
        bank: unit rows [R, D].

    Returns:
        [n] in 0..1; what float32 cannot tell from 0 (below 1e-6) is 0.
    """
    largest = np.full(len(vectors), -1.0, dtype=np.float32)
    for start in range(0, len(bank), CHUNK):
        similarity = vectors @ bank[start : start + CHUNK].T
        np.maximum(largest, similarity.max(axis=1), out=largest)
    distance = (1.0 - largest.astype(np.float64)) / 2
    nearest: NDArray[np.float64] = np.where(distance < NO_DISTANCE, 0.0, np.minimum(distance, 1.0))
    return nearest


def _read_header(header: Mapping[str, Any]) -> MemoryHeader:
    rows, columns = header["grid"]
    return MemoryHeader(
        bundle_sha256=str(header["bundle_sha256"]),
        bundle_id=str(header["bundle_id"]),
        grid=(int(rows), int(columns)),
        patch_tokens=str(header["patch_tokens"]),
        shots=int(header["shots"]),
    )
