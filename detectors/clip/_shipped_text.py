"""Text embeddings that lie beside a bundle: its usual prompts, so that the first run is quick.

As with the cache: never needed, only quick. What is absent, damaged, another bundle's, or not the
file that this version of clipvet was released with is not read. The file is no part of the bundle,
whose hash does not change with it.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load, save_file

from clipvet.detectors._parsing import parse_json

__all__ = ["SHIPPED_SHA256", "SHIPPED_TEXT", "read_shipped_text", "write_shipped_text"]

SHIPPED_SHA256 = "6aca846f32269f6ab5026e2752b2a8e9df2b4c0a954a9da51d70dc3f3723c248"
"""Of the file beside the embedded bundle; ``python -m training.warm_text`` prints it."""

SHIPPED_TEXT = "text_cache.safetensors"
"""Name of the file in the folder of its bundle."""


def read_shipped_text(folder: Path, bundle_sha256: str) -> dict[str, NDArray[np.float32]]:
    """Prompt -> float32 [E], not normalised; empty if nothing is shipped.

    Args:
        folder: of the bundle.
        bundle_sha256: of the bundle; embeddings of another one are not read.
    """
    try:
        content = (folder / SHIPPED_TEXT).read_bytes()
        if hashlib.sha256(content).hexdigest() != SHIPPED_SHA256:
            return {}
        length = int.from_bytes(content[:8], "little")
        facts = parse_json(content[8 : 8 + length].decode("utf-8"))["__metadata__"]
        if facts["bundle_sha256"] != bundle_sha256:
            return {}
        rows = np.asarray(load(content)["embeddings"], dtype=np.float32)
        return dict(zip(parse_json(facts["prompts"]), rows, strict=True))
    except (OSError, SafetensorError, KeyError, ValueError):
        return {}


def write_shipped_text(
    folder: Path, bundle_sha256: str, embeddings: Mapping[str, NDArray[np.float32]]
) -> None:
    """Write what :func:`read_shipped_text` reads; at least one prompt."""
    facts = {"bundle_sha256": bundle_sha256, "prompts": json.dumps(list(embeddings))}
    rows = np.stack(list(embeddings.values())).astype(np.float32)
    save_file({"embeddings": rows}, folder / SHIPPED_TEXT, metadata=facts)
    (folder / SHIPPED_TEXT).chmod(0o644)  # safetensors leaves it to its owner alone
