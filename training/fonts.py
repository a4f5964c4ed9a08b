"""Symbol fonts for pictograms, all openly licensed: ``python -m training.fonts`` fetches them.

They come from Debian packages, unpacked (not installed) into the git-ignored ``training/runs``.
Without them layouts show shapes alone. Neither the repository nor the bundle holds a font.
"""

from __future__ import annotations

import argparse
import logging
import subprocess
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from PIL import ImageFont

__all__ = ["FOLDER", "FONTS", "Font", "available", "fetch", "font", "main"]

FOLDER = Path(__file__).parent / "runs" / "fonts"
_LOG = logging.getLogger(__name__)


@dataclass(frozen=True)
class Font:
    """A font file of a Debian package.

    Attributes:
        package: Name of the package.
        path: The file below the package's root.
        covered_by: The line under "Files:" in the package's copyright file that covers the font.
        licence: The licence that this paragraph must name.
    """

    package: str
    path: str
    covered_by: str
    licence: str


_SHARE = "usr/share/fonts/truetype"
FONTS: dict[str, Font] = {
    "awesome": Font(
        "fonts-font-awesome",
        f"{_SHARE}/font-awesome/fontawesome-webfont.ttf",
        "fonts/*",
        "OFL-1.1",
    ),
    "elusive": Font(
        "fonts-elusive-icons",
        f"{_SHARE}/elusive-icons/elusiveicons-webfont.ttf",
        "fonts",
        "SIL-OFL-1.1",
    ),
    "material": Font(
        "fonts-material-design-icons-iconfont",
        f"{_SHARE}/material-design-icons-iconfont/MaterialIcons-Regular.ttf",
        "dist/fonts/*.ttf",
        "Apache-2.0",
    ),
    "symbols": Font(
        "fonts-noto-core", f"{_SHARE}/noto/NotoSansSymbols-Regular.ttf", "*", "OFL-1.1"
    ),
    "symbols2": Font(
        "fonts-noto-core", f"{_SHARE}/noto/NotoSansSymbols2-Regular.ttf", "*", "OFL-1.1"
    ),
}


@cache
def available() -> bool:
    """Whether all fonts were fetched; says once in the log what is lost without them."""
    there = all((FOLDER / f.path).is_file() for f in FONTS.values())
    if not there:
        _LOG.warning("no symbol fonts: layouts show shapes alone (python -m training.fonts)")
    return there


@cache
def font(name: str, size: int) -> ImageFont.FreeTypeFont:
    """A font of ``FONTS`` at a size in pixels."""
    return ImageFont.truetype(FOLDER / FONTS[name].path, size)


def fetch(folder: Path = FOLDER) -> None:
    """Download and unpack the packages, and check the licence that each states for its font.

    Raises:
        RuntimeError: A package states another licence, or lacks the font.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for package in sorted({f.package for f in FONTS.values()}):
        if not list(folder.glob(f"{package}_*.deb")):
            subprocess.run(["apt-get", "download", package], cwd=folder, check=True)  # noqa: S603, S607
        (archive,) = folder.glob(f"{package}_*.deb")
        subprocess.run(["dpkg", "-x", archive.name, "."], cwd=folder, check=True)  # noqa: S603, S607
    for name, entry in FONTS.items():
        stated = _licence(
            (folder / "usr/share/doc" / entry.package / "copyright").read_text("utf-8"),
            entry.covered_by,
        )
        if stated != entry.licence:
            raise RuntimeError(f"{entry.package} is under {stated!r}, not {entry.licence}")
        if not (folder / entry.path).is_file():
            raise RuntimeError(f"{entry.package} has no {entry.path}")
        print(f"{name}: {entry.package}, {stated}")


def _licence(copyright_text: str, covered_by: str) -> str:
    """The licence of the paragraph whose "Files:" lists the pattern; empty if there is none."""
    for paragraph in copyright_text.split("\n\n"):
        fields: dict[str, list[str]] = {}
        key = ""
        for line in paragraph.splitlines():
            if line[:1].isspace():
                fields.setdefault(key, []).append(line.strip())
            else:
                key, _, value = line.partition(":")
                fields[key] = value.split()
        if covered_by in fields.get("Files", []):
            return " ".join(fields.get("License", [])[:1])
    return ""


def main() -> None:
    """Fetch the fonts from the command line."""
    argparse.ArgumentParser(description=__doc__).parse_args()
    fetch()


if __name__ == "__main__":
    main()
