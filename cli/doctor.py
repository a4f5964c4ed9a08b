"""``detect doctor``: what this installation can really do."""

from __future__ import annotations

from itertools import groupby
from pathlib import Path
from typing import Annotated

import typer

from clipvet.cli._options import Device, DeviceName

__all__ = ["doctor"]

_MARKS = {"ok": "[green]ok[/]", "note": "[yellow]note[/]", "bad": "[red]bad[/]"}


def doctor(
    recipe: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Score its probe images again, and compare."),
    ] = None,
    device: Device = DeviceName.auto,
    as_json: Annotated[bool, typer.Option("--json", help="Findings as JSON on stdout.")] = False,
) -> None:
    """Show versions, providers that really start, duplicate packages, caches, failed plugins.

    With --recipe, whether that recipe means the same on this machine. Exits 4 if something is bad.
    """  # fmt: skip
    import dataclasses
    import json

    from rich.console import Console
    from rich.table import Table

    from clipvet.cli._text import shown
    from clipvet.detectors import Host, examine, examine_recipe

    host = Host.load()
    findings = examine(host)
    if recipe is not None:
        findings += examine_recipe(recipe, host, device=device.value)
    if as_json:
        typer.echo(json.dumps([dataclasses.asdict(finding) for finding in findings], indent=1))
    else:
        console = Console()
        for section, group in groupby(findings, key=lambda finding: finding.section):
            table = Table(title=section, title_justify="left", show_header=False, box=None)
            for finding in group:
                value = "\n".join(map(shown, filter(None, [finding.value, finding.advice])))
                table.add_row(_MARKS[finding.state], shown(finding.name), value)
            console.print(table)
    if any(finding.state == "bad" for finding in findings):
        raise typer.Exit(4)
