"""``detect train ID``: trainings that detectors bring."""

from __future__ import annotations

from typing import ClassVar, Literal

import typer

from clipvet.cli._plugin_commands import PluginCommands

__all__ = ["app"]


class _Members(PluginCommands):
    kind: ClassVar[Literal["commands", "trainers"]] = "trainers"


app = typer.Typer(
    name="train",
    cls=_Members,
    help="Train a detector; most trainings need the export extra (torch).",
    no_args_is_help=True,
    add_completion=False,
)


@app.callback()
def train() -> None:
    """Train a detector: see detect train ID --help."""
