"""What verifying a bundle costs at a start: ``python -m benchmarks.verify``.

A bundle whose weights are as large as those of ViT-L/14 in half precision: the embedded one, with
its weight file made longer. Median and range of five starts, in memory already.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import statistics
import tempfile
import time
from pathlib import Path

import clipvet.detectors.clip
from clipvet.detectors.clip import Bundle

BYTES = 900_000_000
ROUNDS = 5


def main() -> None:
    """Print seconds for each way of starting."""
    with tempfile.TemporaryDirectory() as place:
        mini = Path(clipvet.detectors.clip.__file__).parent / "mini"
        large = _large(mini, Path(place) / "large")
        time.sleep(3)  # what was just written is not remembered
        for name, folder in (("mini", mini), (f"{BYTES / 1e6:.0f} MB", large)):
            print(
                f"{name}, first start: {_seconds(folder, [f'{place}/{i}' for i in range(ROUNDS)])}"
            )
            print(f"{name}, later ones: {_seconds(folder, [f'{place}/0'] * ROUNDS)}")


def _large(mini: Path, folder: Path) -> Path:
    shutil.copytree(mini, folder)
    weights = folder / "weights.bin"
    with weights.open("ab") as file:
        block = os.urandom(1 << 20)
        while file.tell() < BYTES:
            file.write(block)
    manifest = json.loads((folder / "manifest.json").read_text())
    with weights.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    manifest["files"]["weights.bin"] = {"bytes": weights.stat().st_size, "sha256": digest}
    (folder / "manifest.json").write_text(json.dumps(manifest))
    return folder


def _seconds(folder: Path, caches: list[str]) -> str:
    times = []
    for cache in caches:
        os.environ["CLIPVET_CACHE"] = f"{cache}-{folder.name}"
        start = time.perf_counter()
        Bundle.open(folder)
        times.append(time.perf_counter() - start)
    return f"{statistics.median(times):.4f} s ({min(times):.4f} to {max(times):.4f})"


if __name__ == "__main__":
    main()
