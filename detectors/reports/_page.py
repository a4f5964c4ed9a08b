"""The page: template, style and scripts put together, and a policy that lets nothing else in."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterable, Iterator, Mapping
from importlib import resources
from typing import Any, Final

__all__ = ["page_pieces"]

# In this order: each uses what stands before it.
_SCRIPTS: Final = (
    "base.js", "heat.js", "chart.js", "state.js", "marks.js", "cards.js", "detail.js",
    "summary.js", "keys.js", "main.js",
)  # fmt: skip


def page_pieces(
    facts: Mapping[str, Any], entries: Iterable[Mapping[str, Any]], *, folder: bool
) -> Iterator[str]:
    """The page in pieces, as they are made.

    Args:
        facts: what the template asks for; functions in it are called after the last entry.
        entries: one for each image, in the order of the page.
        folder: pictures are files beside the page.
    """
    import jinja2

    environment = jinja2.Environment(
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.policies["json.dumps_kwargs"] = {"separators": (",", ":")}
    files = resources.files(__package__) / "page"
    style = (files / "page.css").read_text("utf-8")
    script = "".join((files / name).read_text("utf-8") for name in _SCRIPTS)
    script = f'"use strict";\n(() => {{\n{script}}})();\n'
    template = environment.from_string((files / "page.html").read_text("utf-8"))
    return template.generate(
        **facts,
        policy=_policy(style, script, folder=folder),
        style=_markup(style),
        script=_markup(script),
        entries=entries,
    )


def _policy(style: str, script: str, *, folder: bool) -> str:
    """Only this style and these scripts, by their hashes; pictures from the page itself."""
    pictures = "img-src 'self' file: data:" if folder else "img-src data:"
    return "; ".join(
        [
            "default-src 'none'",
            f"script-src {_hash(script)}",
            f"style-src {_hash(style)}",
            pictures,
            "base-uri 'none'",
            "form-action 'none'",
        ]
    )


def _hash(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


def _markup(text: str) -> Any:
    from markupsafe import Markup

    return Markup(text)  # noqa: S704 - files of this package
