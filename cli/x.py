"""``detect x NAME``: commands that plugins register."""

from __future__ import annotations

from typing import ClassVar, Literal

import typer

from clipvet.cli._plugin_commands import PluginCommands

__all__ = ["app"]


class _Members(PluginCommands):
    kind: ClassVar[Literal["commands", "trainers"]] = "commands"


app = typer.Typer(
    name="x",
    cls=_Members,
    help="Commands of plugins.",
    no_args_is_help=True,
    add_completion=False,
)


@app.callback()
def x() -> None:
    """Run a command that a plugin brings."""
