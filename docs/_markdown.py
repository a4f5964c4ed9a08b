"""From the project's docstrings (Google sections, RST roles) to Markdown."""

from __future__ import annotations

import re

__all__ = ["docstring", "prose"]

SECTIONS = {
    "Args:": "Arguments",
    "Attributes:": "Attributes",
    "Class attributes:": "Class attributes",
    "Raises:": "Raises",
    "Returns:": "Returns",
    "Yields:": "Yields",
}


def prose(text: str) -> str:
    """Roles and double backticks as code; angle brackets outside of code as themselves."""
    text = re.sub(r":(?:[a-z]+):`~?([^`]+)`", r"`\1`", text)
    text = re.sub(r"``([^`]+)``", r"`\1`", text)
    parts = re.split(r"(`[^`]+`)", text)
    return "".join(p if p.startswith("`") else _escaped(p) for p in parts)


def docstring(text: str) -> str:
    """A clean docstring, its sections as lists."""
    blocks: list[str] = []
    for block in re.split(r"\n\s*\n", text.strip()):
        head, _, rest = block.partition("\n")
        if head in SECTIONS:
            blocks.append(f"{SECTIONS[head]}:\n\n{_section(head, rest)}")
        elif block.startswith("    "):
            blocks.append(block)  # code
        else:
            blocks.append(prose(re.sub(r"::$", ":", block)))
    return "\n\n".join(blocks)


def _section(head: str, body: str) -> str:
    lines = body.splitlines()
    indent = min((len(line) - len(line.lstrip()) for line in lines if line.strip()), default=0)
    items: list[str] = []
    for line in lines:
        if head in ("Returns:", "Yields:"):
            items = [" ".join([*items, line.strip()])]
        elif line[indent : indent + 1].isspace() and items:
            items[-1] += f" {line.strip()}"
        else:
            items.append(line.strip())
    if head in ("Returns:", "Yields:"):
        return prose(items[0].strip() if items else "")
    return "\n".join(f"- {_item(item)}" for item in items)


def _item(item: str) -> str:
    name, colon, text = item.partition(": ")
    if not colon:
        return prose(item)
    names = ", ".join(f"`{part.strip()}`" for part in name.split(","))
    return f"{names}: {prose(text)}"


def _escaped(text: str) -> str:
    return re.sub(r"<(?=[A-Za-z/])", "&lt;", text)
