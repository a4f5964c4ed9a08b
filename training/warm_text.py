"""The usual prompts of a bundle, encoded: ``python -m training.warm_text [BUNDLE]``.

Writes what every built-in detector encodes for "object" beside the bundle, so that the first run
on a machine makes no text session.
"""

from __future__ import annotations

import argparse
import os
import tempfile
from collections.abc import Sequence
from pathlib import Path
from unittest import mock

import numpy as np
from numpy.typing import NDArray

from clipvet.detectors import DetectorSpec, Host, Inspector
from clipvet.detectors._hashing import sha256_of
from clipvet.detectors.clip import Bundle
from clipvet.detectors.clip._shipped_text import SHIPPED_TEXT, write_shipped_text
from clipvet.detectors.clip._text import TextEncoder

__all__ = ["usual_prompts", "warm"]

DETECTORS = ("winclip", "anomalyclip", "inappropriate", "fooling", "unanswerable")


def usual_prompts(folder: Path, detectors: Sequence[str] = DETECTORS) -> list[str]:
    """What these detectors ask of the text tower for one picture of an "object"."""
    asked: dict[str, None] = {}

    def listen(encoder: TextEncoder, prompts: Sequence[str]) -> NDArray[np.float32]:
        asked.update(dict.fromkeys(prompts))
        return encode(encoder, prompts)

    encode = TextEncoder.__call__
    with mock.patch.object(TextEncoder, "__call__", listen):
        specs = [DetectorSpec(id=name) for name in detectors]
        with Inspector(specs, bundle=folder, host=Host.load(select="")) as inspector:
            inspector(np.zeros((64, 64, 3), dtype=np.uint8))
    return list(asked)


def warm(folder: Path) -> int:
    """Encode the usual prompts with a bundle's text tower and write them beside it."""
    (folder / SHIPPED_TEXT).unlink(missing_ok=True)
    with (
        tempfile.TemporaryDirectory() as scratch,
        mock.patch.dict(os.environ, CLIPVET_CACHE=scratch),
    ):
        prompts = usual_prompts(folder)
        bundle = Bundle.open(folder)
        with Inspector(["winclip"], bundle=folder, warmup=False) as inspector:
            (runtime,) = inspector.engine.runtimes.values()
            rows = runtime.encode_text(prompts)
    write_shipped_text(folder, bundle.info.sha256, dict(zip(prompts, rows, strict=True)))
    return len(prompts)


def main() -> None:
    """Write the file."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("bundle", type=Path, nargs="?", default=Path("detectors/clip/mini"))
    args = parser.parse_args()
    print(f"{args.bundle}: {warm(args.bundle)} prompts; put their hash into SHIPPED_SHA256:")
    print(sha256_of(args.bundle / SHIPPED_TEXT))


if __name__ == "__main__":
    main()
