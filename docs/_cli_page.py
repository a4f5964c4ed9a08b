"""The reference of the command line, from the Typer application itself."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from itertools import groupby
from typing import Any

import typer

from clipvet.cli._main import app
from docs._markdown import prose

__all__ = ["cli_page", "commands"]

INTRODUCTION = """\
# Command line

Every command with its arguments and options, as `--help` shows them. `detect PATHS...` means
`detect run PATHS...`. Exit codes: 0 nothing flagged, 1 something flagged, 2 usage, 3 some images or
detectors failed, 4 environment, 70 unexpected exception, 130 Ctrl-C, 141 closed stdout; what raises
them is told in [errors](../errors.md). Options of detectors, for `--set`, are in
[options](options.md).
"""


def commands() -> Iterator[tuple[str, Any, Any]]:
    """Every command: its words (``detect bundles pull``), itself, and a context for it."""
    root = typer.main.get_command(app)
    yield from _walk("detect", root, typer.Context(root, info_name="detect"))


def cli_page() -> str:
    """The whole page."""
    return "\n".join([INTRODUCTION, *(_section(*one) for one in commands())])


def _walk(words: str, command: Any, context: Any) -> Iterator[tuple[str, Any, Any]]:
    yield words, command, context
    if hasattr(command, "list_commands"):
        for name in command.list_commands(context):
            member = command.get_command(context, name)
            inner = typer.Context(member, info_name=name, parent=context)
            yield from _walk(f"{words} {name}", member, inner)


def _section(words: str, command: Any, context: Any) -> str:
    usage = " ".join([words, *command.collect_usage_pieces(context)])
    if hasattr(command, "list_commands"):
        usage += " COMMAND [ARGS]..." if "COMMAND" not in usage else ""
    lines = [f"## `{words}`\n", prose(inspect.cleandoc(command.help or "")), "", f"    {usage}", ""]
    shown = [p for p in command.params if p.get_help_record(context) is not None]
    for panel, params in groupby(sorted(shown, key=_order(shown)), key=_panel):
        lines += [f"{panel}:\n", *(_line(*param.get_help_record(context)) for param in params), ""]
    if hasattr(command, "list_commands"):
        members = {n: command.get_command(context, n) for n in command.list_commands(context)}
        lines += ["Commands:\n"]
        lines += [
            f"- [`{words} {name}`](#{'-'.join([*words.split(), name])}): "
            f"{prose(member.get_short_help_str(limit=300))}"
            for name, member in members.items()
        ]
        lines += [""]
    return "\n".join(lines)


def _panel(param: Any) -> str:
    usual = "Arguments" if param.param_type_name == "argument" else "Options"
    return str(param.rich_help_panel or usual)


def _order(params: list[Any]) -> Any:
    """Panels in the order in which the command first names them, options as declared."""
    panels = list(dict.fromkeys(map(_panel, params)))
    return lambda param: panels.index(_panel(param))


def _line(spelling: str, text: str) -> str:
    if not spelling.startswith("-"):  # an argument: Typer adds its Python type
        spelling = spelling.split(" <", maxsplit=1)[0]
    return f"- `{spelling}`: {prose(text)}"
