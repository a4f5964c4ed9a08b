"""``detect doctor``: what this installation can really do."""

from __future__ import annotations

from itertools import groupby
from typing import Annotated

import typer

__all__ = ["doctor"]

_MARKS = {"ok": "[green]ok[/]", "note": "[yellow]note[/]", "bad": "[red]bad[/]"}


def doctor(
    as_json: Annotated[bool, typer.Option("--json", help="Findings as JSON on stdout.")] = False,
) -> None:
    """Show versions, providers that really start, duplicate packages, caches, failed plugins."""
    import dataclasses
    import json

    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    from clipvet.detectors import Host, examine

    findings = examine(Host.load())
    if as_json:
        typer.echo(json.dumps([dataclasses.asdict(finding) for finding in findings], indent=1))
    else:
        console = Console()
        for section, group in groupby(findings, key=lambda finding: finding.section):
            table = Table(title=section, title_justify="left", show_header=False, box=None)
            for finding in group:
                value = f"{finding.value}\n{finding.advice}" if finding.advice else finding.value
                table.add_row(_MARKS[finding.state], finding.name, escape(value))
            console.print(table)
    if any(finding.state == "bad" for finding in findings):
        raise typer.Exit(4)
