"""The options of the built-in detectors, from their pydantic models."""

from __future__ import annotations

import re

from clipvet.detectors import Host, describe_detector
from docs._markdown import prose

__all__ = ["options_page"]

INTRODUCTION = """\
# Options of detectors

Set one with `--set ID.OPTION=VALUE` (lists as JSON: `--set winclip.scales=[2]`), or in a recipe.
`detect plugins show ID` shows the same, also for detectors that other packages bring. What an
option does to the method is on the page of its detector.
"""


def options_page() -> str:
    """The whole page."""
    lines = [INTRODUCTION]
    for name, entry in sorted(Host.load().detectors.items()):
        facts = describe_detector(name, entry)
        lines += [f"## {name}\n", prose(facts["summary"]), ""]
        asked = "".join(f"; it cannot do without `{query}`" for query in facts["queries"])
        needs = ", ".join(f"`{feature}`" for feature in facts["needs"])
        lines += [f"Task `{facts['task']}`{asked}; it reads {needs}.\n"]
        for option in facts["options"]:
            default = "required" if option["required"] else _default(option["default"])
            kind = re.sub(r"Literal\[(.*?)\]", lambda m: m[1].replace("'", ""), option["type"])
            lines += [f"- `{option['key']}` (`{kind}`, {default}): {prose(option['description'])}"]
        lines += [""]
    return "\n".join(lines)


def _default(value: object) -> str:
    return 'default `""`' if value == "" else f"default `{value}`"
