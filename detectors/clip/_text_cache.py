"""Text embeddings on disk, by bundle and prompt: encoded once per machine.

A cache is never needed, only quick: whatever is wrong with the file, prompts are encoded again.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import sqlite3
import threading
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

import numpy as np
import platformdirs
from numpy.typing import NDArray

__all__ = ["TextCache", "default_cache_folder"]


def default_cache_folder() -> Path:
    """``CLIPVET_CACHE``, or the user's cache folder for clipvet."""
    named = os.environ.get("CLIPVET_CACHE")
    return Path(named) if named else Path(platformdirs.user_cache_dir("clipvet"))


_DIGEST = 8
# Of SQLite's codes: perm, busy, locked, no memory, read-only, interrupted, full, cannot open.
_NOT_DAMAGED = frozenset({3, 5, 6, 7, 8, 9, 13, 14})


class TextCache:
    """Embeddings of one bundle in one SQLite file, which processes and threads may share.

    Args:
        folder: of all caches; made when first written to.
        bundle_sha256: of the bundle; another bundle never reads this one's rows.
        width: E, of each embedding.
    """

    def __init__(self, folder: Path, bundle_sha256: str, width: int) -> None:
        self._path = folder / "text" / f"{bundle_sha256[:32]}.sqlite"
        self._width = width
        self._lock = threading.Lock()

    def get(self, prompts: Iterable[str]) -> dict[str, NDArray[np.float32]]:
        """The prompts that are known, with their float32 [E] embeddings."""
        if not self._path.exists():
            return {}
        found = {}
        with self._lock, contextlib.suppress(sqlite3.Error, OSError), self._open() as db:
            for prompt in prompts:
                row = db.execute("SELECT value FROM text WHERE prompt = ?", (prompt,)).fetchone()
                value = None if row is None else self._unpacked(prompt, row[0])
                if value is not None:
                    found[prompt] = value
        return found

    def put(self, rows: Mapping[str, NDArray[np.float32]]) -> None:
        """Remember embeddings; a damaged file is thrown away first."""
        with self._lock, contextlib.suppress(sqlite3.Error, OSError):
            try:
                self._write(rows)
            except sqlite3.DatabaseError as error:
                if getattr(error, "sqlite_errorcode", None) in _NOT_DAMAGED:
                    raise
                self._path.unlink(missing_ok=True)
                self._write(rows)

    def _write(self, rows: Mapping[str, NDArray[np.float32]]) -> None:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        with self._open() as db:
            db.execute("CREATE TABLE IF NOT EXISTS text (prompt TEXT PRIMARY KEY, value BLOB)")
            db.executemany(
                "INSERT OR REPLACE INTO text (prompt, value) VALUES (?, ?)",
                [(prompt, _packed(prompt, value)) for prompt, value in rows.items()],
            )

    def _unpacked(self, prompt: str, blob: object) -> NDArray[np.float32] | None:
        """None for anything but what :func:`_packed` made of this prompt."""
        size = 4 * self._width
        if not isinstance(blob, bytes) or len(blob) != size + _DIGEST:
            return None
        value = np.frombuffer(blob[:size], dtype="<f4")
        return value if blob == _packed(prompt, value) and np.isfinite(value).all() else None

    @contextlib.contextmanager
    def _open(self) -> Iterator[sqlite3.Connection]:
        db = sqlite3.connect(self._path, timeout=10)
        try:
            with db:
                yield db
        finally:
            db.close()


def _packed(prompt: str, value: NDArray[np.float32]) -> bytes:
    """A value and its digest: SQLite does not notice a bit that a disk turned over."""
    data = value.astype("<f4").tobytes()
    return data + hashlib.blake2b(prompt.encode() + b"\0" + data, digest_size=_DIGEST).digest()
