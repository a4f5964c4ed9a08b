"""``detect x NAME``: commands that plugins register. Plugins are loaded only when one is asked."""

from __future__ import annotations

from functools import cached_property
from typing import Any

import typer
from typer.core import TyperGroup

__all__ = ["app"]


class PluginCommands(TyperGroup):
    """A group whose members are whatever the installed plugins bring."""

    @cached_property
    def plugin_commands(self) -> dict[str, Any]:
        """Name -> command, loaded at first use."""
        from clipvet.detectors import Host

        return {name: _command(name, app) for name, app in Host.load().commands.items()}

    def list_commands(self, ctx: Any) -> list[str]:
        """Names in order, for --help."""
        return sorted(self.plugin_commands)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """The command, or None if no plugin brings it."""
        return self.plugin_commands.get(cmd_name)


app = typer.Typer(
    name="x",
    cls=PluginCommands,
    help="Commands of plugins.",
    no_args_is_help=True,
    add_completion=False,
)


@app.callback()
def x() -> None:
    """Run a command that a plugin brings."""


def _command(name: str, registered: Any) -> Any:
    if not isinstance(registered, typer.Typer):
        function, registered = registered, typer.Typer(add_completion=False)
        registered.command(name)(function)
    command = typer.main.get_command(registered)
    command.name = name
    return command
