"""``detect x vim-merge``: several artefacts into one, as if one pass had seen all their images."""

from __future__ import annotations

from functools import reduce
from pathlib import Path
from typing import Annotated

import typer

from clipvet.detectors import Artefact, UsageError, check_free, counted
from clipvet.plugins.vim._options import ID
from clipvet.plugins.vim._statistics import Statistics

__all__ = ["merge"]


def merge(
    shards: Annotated[
        list[Path], typer.Argument(metavar="DIR...", help="Artefacts of vim, two or more.")
    ],
    out: Annotated[Path, typer.Option(metavar="DIR", help="The artefact's folder: new or empty.")],
) -> None:
    """Merge what vim learned from parts of a set of good images."""
    check_free(out)
    if len(shards) < 2:
        raise UsageError("one artefact has nothing to be merged with: give two or more")
    stored = [Artefact.load(shard, detector=ID) for shard in shards]
    for other in stored[1:]:
        other.check(stored[0].bundle)
    merged = reduce(Statistics.merge, (Statistics.of(one) for one in stored))
    out.mkdir(parents=True, exist_ok=True)
    merged.artefact(stored[0].bundle).save(out)
    typer.echo(
        f"{out}: {counted(merged.count, 'good image')} from {counted(len(shards), 'artefact')}"
    )
