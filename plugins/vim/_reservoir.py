"""A uniform sample of a stream that does not depend on its order, its batches or its shards."""

from __future__ import annotations

from hashlib import blake2b

import numpy as np
from numpy.typing import NDArray

__all__ = ["Reservoir"]


class Reservoir:
    """The rows with the smallest hashes (bottom-k sampling).

    A hash is as good as a random number drawn for the row, and every shard draws the same one:
    merged shards hold exactly what one pass over all rows would have held.

    Args:
        capacity: the most rows that are kept.
        width: F, of a row.
    """

    def __init__(self, capacity: int, width: int) -> None:
        self.capacity = capacity
        self.width = width
        self._bound: int | None = None  # rows with a larger key cannot get in any more
        self._keys: list[NDArray[np.uint64]] = []
        self._rows: list[NDArray[np.float32]] = []
        self._waiting = 0

    @property
    def rows(self) -> NDArray[np.float32]:
        """The sample, float32 [at most capacity, F], in the order of its hashes."""
        return self._settled()[1]

    def offer(self, rows: NDArray[np.floating]) -> None:
        """Show it some rows [n, F]; it keeps copies, in float32, of those that get in."""
        narrow = np.ascontiguousarray(rows, dtype=np.float32)
        self._take(np.array([_key(row) for row in narrow], dtype=np.uint64), narrow)

    def merge(self, other: Reservoir) -> Reservoir:
        """The sample of both streams; of the smaller capacity."""
        merged = Reservoir(min(self.capacity, other.capacity), self.width)
        for part in (self, other):
            merged._take(*part._settled())
        return merged

    def _take(self, keys: NDArray[np.uint64], rows: NDArray[np.float32]) -> None:
        if self._bound is not None:
            inside = keys <= self._bound
            keys, rows = keys[inside], rows[inside]
        if len(keys):
            self._keys.append(keys)
            self._rows.append(np.array(rows))
            self._waiting += len(keys)
        if self._waiting > 2 * self.capacity:
            self._settled()

    def _settled(self) -> tuple[NDArray[np.uint64], NDArray[np.float32]]:
        keys = np.concatenate([np.zeros(0, np.uint64), *self._keys])
        rows = np.concatenate([np.zeros((0, self.width), np.float32), *self._rows])
        order = np.argsort(keys, kind="stable")[: self.capacity]
        keys, rows = keys[order], rows[order]
        if len(keys) == self.capacity:
            self._bound = int(keys[-1])
        self._keys, self._rows, self._waiting = [keys], [rows], len(keys)
        return keys, rows


def _key(row: NDArray[np.float32]) -> int:
    return int.from_bytes(blake2b(row.tobytes(), digest_size=8).digest(), "little")
