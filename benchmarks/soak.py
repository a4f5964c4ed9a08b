"""Does anything grow? ``python -m benchmarks.soak --minutes 60``, or ``make soak MINUTES=60``.

All built-in detectors on the embedded bundle look at a mixed folder (good images, odd sizes,
files that are none) again and again through one Inspector, in this process. After each round
memory, open files and threads are noted. Growth is the median of the last quarter of the rounds
less that of the second quarter: the first one fills what is kept once.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import psutil
from PIL import Image

from benchmarks.kill import save_renders
from clipvet.detectors import DetectorSpec, Host, Inspector, Query
from clipvet.detectors.testing import write_image_folder

__all__ = ["Soaked", "mixed_images", "soak"]

MOST_GROWTH_MB = 20.0
QUERY = Query(
    object="gear", classes=("gear", "nut"), question="What is it?", choices=("gear", "nut")
)
SIZES = ((1, 1), (1, 900), (900, 1), (17, 311), (1200, 1600))


@dataclass(frozen=True, kw_only=True)
class Soaked:
    """A soak.

    Attributes:
        rounds, images: how many.
        statuses: of the images, in all.
        memory_mb, files, threads: growth from the second to the last quarter of the rounds.
    """

    rounds: int
    images: int
    statuses: Counter[str]
    memory_mb: float
    files: float
    threads: float

    @property
    def grew(self) -> bool:
        """True if something did."""
        return self.memory_mb > MOST_GROWTH_MB or self.files > 0 or self.threads > 0


def mixed_images(folder: Path) -> list[Path]:
    """Good images, odd sizes, and files that cannot be read; sorted."""
    save_renders(folder / "renders", 50)
    write_image_folder(folder / "folder")
    for height, width in SIZES:
        pixels = np.linspace(0, 255, height * width * 3).astype(np.uint8)
        Image.fromarray(pixels.reshape(height, width, 3)).save(folder / f"{height}x{width}.png")
    return sorted(path for path in folder.rglob("*") if path.is_file())


def soak(images: Sequence[Path], *, seconds: float) -> Soaked:
    """Inspect the images again and again; at least eight rounds."""
    found = (entry.id for entry in Host.load().detectors.values() if entry.dist == "clipvet")
    specs = [
        DetectorSpec(id=name, options={"method": "energy"} if name == "vim" else {})
        for name in sorted(found)
    ]
    process = psutil.Process()
    samples: list[tuple[float, int, int]] = []
    statuses: Counter[str] = Counter()
    end = time.monotonic() + seconds
    with Inspector(specs, query=QUERY) as inspector:
        while len(samples) < 8 or time.monotonic() < end:
            statuses.update(one.record.status for one in inspector.map(images))
            memory = process.memory_info().rss / 1e6
            samples.append((memory, process.num_fds(), _settled_threads(process)))
    quarter = len(samples) // 4
    early, late = samples[quarter : 2 * quarter], samples[-quarter:]
    memory_mb, files, threads = (
        statistics.median(one[kind] for one in late) - statistics.median(one[kind] for one in early)
        for kind in range(3)
    )
    return Soaked(
        rounds=len(samples), images=statuses.total(), statuses=statuses,
        memory_mb=memory_mb, files=files, threads=threads,
    )  # fmt: skip


def _settled_threads(process: psutil.Process) -> int:
    """How many stay: one that was joined may take a moment longer to be gone from the system."""
    counts = []
    for _ in range(10):
        counts.append(process.num_threads())
        time.sleep(0.02)
    return min(counts)


def main() -> int:
    """Print one line; 1 if something grew."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=60.0)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        found = soak(mixed_images(Path(name)), seconds=60 * options.minutes)
    print(
        f"{found.images} images in {found.rounds} rounds, {dict(found.statuses)}: memory "
        f"{found.memory_mb:+.1f} MB, open files {found.files:+.0f}, threads {found.threads:+.0f}"
    )
    return int(found.grew)


if __name__ == "__main__":
    sys.exit(main())
