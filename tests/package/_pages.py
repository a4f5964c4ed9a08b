"""The pages that tell about clipvet, and the code that they show."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

__all__ = ["PAGES", "ROOT", "Block", "blocks", "command_lines", "inline_commands"]

ROOT = Path(__file__).parents[2]
GENERATED = ROOT / "docs" / "reference"
PAGES = [
    ROOT / "README.md",
    ROOT / "examples" / "clipvet-example" / "README.md",
    *sorted(path for path in (ROOT / "docs").rglob("*.md") if GENERATED not in path.parents),
]
FENCE = re.compile(
    r"^( *)```([a-z]*)(?: \{([^}]*)\})?[^\n]*\n(.*?)^\1```", re.DOTALL | re.MULTILINE
)


@dataclass(frozen=True, kw_only=True)
class Block:
    """One fenced block.

    Attributes:
        language: first word after the fence.
        marks: of ```` ```python {.slow .needs-network} ````, without the dots.
        line: of the page on which its code starts, from 1.
        code: what it holds.
    """

    language: str
    marks: frozenset[str]
    line: int
    code: str


def blocks(page: Path) -> Iterator[Block]:
    """The fenced blocks of a page, in order."""
    text = page.read_text("utf-8")
    for found in FENCE.finditer(text):
        yield Block(
            language=found[2],
            marks=frozenset(word.removeprefix(".") for word in (found[3] or "").split()),
            line=text.count("\n", 0, found.start(4)) + 1,
            code=found[4],
        )


def command_lines(page: Path) -> Iterator[list[str]]:
    """Every line of shell code that starts with `detect`, as words; assignments are left out."""
    text = page.read_text("utf-8")
    shell = [block.code for block in blocks(page) if block.language in ("sh", "console", "text")]
    indented = FENCE.sub("\n", text)
    shell.append("\n".join(line for line in indented.splitlines() if line.startswith("    ")))
    for line in "\n".join(shell).replace("\\\n", " ").splitlines():
        found = re.match(r"\s*(?:\$ )?(?:[A-Z_]+=\S* )*(detect .*)", line)
        if found and not found[1].startswith(("detect: ", "detect ==")):
            yield shlex.split(found[1].split(" && ")[0], comments=True)


def inline_commands(page: Path) -> Iterator[list[str]]:
    """Every `detect ...` in running text, as words."""
    text = FENCE.sub("\n", page.read_text("utf-8"))
    for found in re.findall(r"`(detect [^`]+)`", text):
        yield found.split()
