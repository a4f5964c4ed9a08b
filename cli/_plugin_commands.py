"""Command groups whose members plugins bring; plugins are loaded only when one is asked."""

from __future__ import annotations

from functools import cached_property
from typing import Any, ClassVar, Literal

import typer
from typer.core import TyperGroup

__all__ = ["PluginCommands"]


class PluginCommands(TyperGroup):
    """A group of whatever the installed plugins registered of one kind."""

    kind: ClassVar[Literal["commands", "trainers"]]

    @cached_property
    def plugin_commands(self) -> dict[str, Any]:
        """Name -> command, loaded at first use."""
        from clipvet.detectors import Host

        registered = getattr(Host.load(), self.kind)
        return {name: _command(name, app) for name, app in registered.items()}

    def list_commands(self, ctx: Any) -> list[str]:
        """Names in order, for --help."""
        return sorted(self.plugin_commands)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """The command, or None if no plugin brings it."""
        return self.plugin_commands.get(cmd_name)


def _command(name: str, registered: Any) -> Any:
    if not isinstance(registered, typer.Typer):
        function, registered = registered, typer.Typer(add_completion=False)
        registered.command(name)(function)
    command = typer.main.get_command(registered)
    command.name = name
    return command
