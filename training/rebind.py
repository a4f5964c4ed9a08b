"""Bind what was learned on a bundle to that bundle with a new manifest, where nothing else changed.

Artefacts, recipes and shipped text embeddings name their bundle by the hash of its manifest. If a
bundle gets something that none of them reads, they stay true, but for that hash. This writes the
new one, and the new hash of each file that holds it where another file names that, too: a recipe
lists its artefacts, and the code the text embeddings that were released.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np

from clipvet.detectors.clip import Bundle, Runtime
from clipvet.detectors.errors import UsageError
from training.gate import part

__all__ = ["rebind"]

_WITH_HASHES = {".json", ".py", ".safetensors", ".toml"}
_PARTS = 3


def rebind(before: Path, after: Path, folders: Iterable[Path]) -> list[Path]:
    """Replace the hash of a bundle by that of another one with the same features.

    Args:
        before: the bundle that everything is bound to.
        after: the bundle that replaces it.
        folders: whose files may name it, at any depth.

    Returns:
        the files that were written.

    Raises:
        UsageError: a feature or an embedding of ``before`` has other bits in ``after``.
    """
    old, new = Bundle.open(before), Bundle.open(after)
    _check_equal(old, new)
    files = sorted(
        path
        for folder in folders
        for path in folder.rglob("*")
        if path.suffix in _WITH_HASHES and path.is_file()
    )
    hashes = {old.info.sha256: new.info.sha256}
    written: dict[Path, None] = {}
    while changed := [path for path in files if _replace(path, hashes)]:
        written.update(dict.fromkeys(changed))
    return list(written)


def _replace(path: Path, hashes: dict[str, str]) -> bool:
    """Replace every known hash in a file, and remember the file's own; whether it changed."""
    content = path.read_bytes()
    replaced = content
    for old, new in hashes.items():
        replaced = replaced.replace(old.encode(), new.encode())
    if replaced == content:
        return False
    hashes[hashlib.sha256(content).hexdigest()] = hashlib.sha256(replaced).hexdigest()
    path.write_bytes(replaced)
    return True


def _check_equal(old: Bundle, new: Bundle) -> None:
    names = sorted(old.info.features)
    views = [part(seed, old.info.image_size) for seed in range(_PARTS)]
    wanted, found = (_encoded(bundle, names, views) for bundle in (old, new))
    for name, values in sorted(wanted.items()):
        if not np.array_equal(values, found[name]):
            raise UsageError(f"{name} of {new.folder} is not that of {old.folder}: learn again")


def _encoded(
    bundle: Bundle, names: Sequence[str], views: Sequence[np.ndarray]
) -> dict[str, np.ndarray]:
    if not set(names) <= bundle.info.features:
        raise UsageError(f"{bundle.folder} lacks a feature of the bundle that it replaces")
    with Runtime(bundle, needs=names, device="cpu") as runtime:
        texts = runtime.encode_text(["a photo of a part", "a photo of a damaged part"])
        return {**runtime.encode_views(views), "text": texts}
