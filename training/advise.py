"""Write what a bundle advises for a detector, and bind what was learned on it again.

    python -m training.advise detectors/clip/mini

The advice is part of the manifest, whose hash names the bundle. Its numbers: training/NOTES.md.
"""

from __future__ import annotations

import argparse
import shutil
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Final

from clipvet.detectors.clip._manifest import Manifest
from training.rebind import rebind

__all__ = ["ADVICE", "advise"]

ADVICE: Final[dict[str, dict[str, Any]]] = {
    # 3x3 cells of the trunk at stride 8 see about what one at stride 16 does. 3,000 patches of
    # each space are searched in 17 to 21 ms on one core.
    "patchcore": {
        "spaces": ["trunk_8", "trunk_16", "hidden_4"],
        "neighbourhood": [3, 1, 1],
        "max_patches": 3000,
    },
    # Whole folders, no labels, image AUROC: aws_cookie .928 and elpv .870, all four depths of
    # the ViT .866 and .850, at a sixth of the comparisons.
    "mutual": {"depths": [], "features": ["trunk_16", "hidden_4"], "neighbourhoods": [1]},
}
"""What the trunk of ``mini`` is best used with, by detector."""

BOUND: Final = (Path("detectors/clip"), Path("plugins"), Path("sample_data/recipe"))
"""Folders with what is bound to ``mini`` by hash."""


def advise(bundle: Path, bound: Iterable[Path] = BOUND) -> list[Path]:
    """Put the advice into the manifest of a bundle, beside what it advises for other detectors.

    Args:
        bundle: its folder; ``manifest.json`` is replaced.
        bound: folders with what is bound to it by hash.

    Returns:
        the files that were bound again.
    """
    manifest = Manifest.read(bundle)
    advised = manifest.model_copy(update={"options": {**manifest.options, **ADVICE}})
    if advised == manifest:
        return []
    with tempfile.TemporaryDirectory() as scratch:
        before = Path(scratch) / bundle.name
        shutil.copytree(bundle, before)
        advised.write(bundle)
        return rebind(before, bundle, [bundle, *bound])


def main() -> None:
    """Advise from the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("bundle", type=Path)
    args = parser.parse_args()
    for path in advise(args.bundle):
        print(f"bound again: {path}")


if __name__ == "__main__":
    main()
