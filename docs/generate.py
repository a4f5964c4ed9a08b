"""Writes the pages of docs/reference that follow from the code: ``make docs-reference``.

``python -m docs.generate --check`` writes nothing and exits 1 if a page is not as it would be
written. Only what clipvet itself brings is described, whatever is installed beside it.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

from docs._api_pages import api_pages
from docs._cli_page import cli_page
from docs._options_page import options_page

__all__ = ["pages"]

FOLDER = Path(__file__).parent / "reference"
NOTE = "<!-- Written by `make docs-reference` from the code. Do not edit. -->\n\n"


def pages() -> dict[Path, str]:
    """Every generated page: path -> text."""
    os.environ["CLIPVET_PLUGINS"] = ""
    os.environ["CLIPVET_PLUGINS_DIR"] = os.devnull
    texts = {"cli.md": cli_page(), "options.md": options_page(), **api_pages()}
    return {FOLDER / name: NOTE + text.rstrip() + "\n" for name, text in texts.items()}


def main() -> int:
    """Write the pages, or compare."""
    check = sys.argv[1:] == ["--check"]
    stale = {p: t for p, t in pages().items() if not p.exists() or p.read_text("utf-8") != t}
    for path, text in stale.items():
        if not check:
            path.write_text(text, "utf-8")
        print(f"{path.name}: {'stale, run `make docs-reference`' if check else 'written'}")
    return 1 if check and stale else 0


if __name__ == "__main__":
    sys.exit(main())
