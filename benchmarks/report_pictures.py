"""The pictures of docs/report.md: ``python -m benchmarks.report_pictures REPORT``.

REPORT is a page that ``detect report`` wrote of a run over sample_data (``make demo`` runs it).
"""

from __future__ import annotations

import argparse
import io
from pathlib import Path

from PIL import Image

from benchmarks._browser import open_browser

DOCS = Path(__file__).resolve().parents[1] / "docs"


def main() -> None:
    """Open the page, click, and save what is seen with 256 colours."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("report", type=Path)
    args = parser.parse_args()
    with open_browser(width=1200, height=1000) as chrome:
        chrome.get(args.report.absolute().as_uri())
        _save(chrome.get_screenshot_as_png(), "report.png")
        chrome.find_element("id", "theme").click()
        chrome.find_element("id", "search").send_keys("defect/")
        chrome.find_element("css selector", "#cards .card:first-child .open").click()
        _save(chrome.get_screenshot_as_png(), "report_image.png")


def _save(png: bytes, name: str) -> None:
    picture = Image.open(io.BytesIO(png)).convert("RGB")
    path = DOCS / name
    palette = picture.quantize(256, kmeans=3)
    picture.quantize(palette=palette, dither=Image.Dither.FLOYDSTEINBERG).save(path, optimize=True)
    print(f"{path}: {path.stat().st_size / 1000:.0f} kB")


if __name__ == "__main__":
    main()
