"""``detect schema``: the JSON Schema of a record."""

from __future__ import annotations

import typer

__all__ = ["schema"]


def schema() -> None:
    """Print the JSON Schema of one record (one line of records.jsonl)."""
    import json

    from clipvet.detectors import record_schema

    typer.echo(json.dumps(record_schema(), indent=2))
