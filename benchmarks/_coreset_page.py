"""The page of coreset.py."""

from __future__ import annotations

import os
import platform
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import numpy as np

__all__ = ["page"]

TOLERATED = 0.005  # of image AUROC


def page(
    args: Mapping[str, Any], rows: dict[str, Any], grown: dict[str, Any], searched: dict[str, float]
) -> str:
    """What goes to CORESET.md.

    Args:
        args: of the command line.
        rows: what ``accuracy`` found.
        grown: what ``memory`` found.
        searched: what ``search`` found.
    """
    label, whole = rows.pop("label"), rows["all"]
    total = sum(whole["vectors"].values())
    table = []
    for name, row in rows.items():
        vectors = sum(row["vectors"].values())
        cells = [name, f"{vectors:,}", f"{vectors / total:.2%}", f"{row['auroc']:.4f}"]
        if row is not whole:
            low, high = _interval(label, whole["scores"], row["scores"])
            cells += [f"{whole['auroc'] - row['auroc']:.4f} ({low:.4f} to {high:.4f})"]
        table.append(f"| {' | '.join([*cells, ''][:5])} |")
    close = [name for name, row in rows.items() if row["auroc"] >= whole["auroc"] - TOLERATED]
    reached = ", ".join(name for name in close if name != "all")
    seen, kept = sum(grown["seen"].values()), sum(grown["kept"].values())
    facts = {
        "date": f"{datetime.now(UTC):%Y-%m-%d}",
        "machine": f"{platform.machine()}, {len(os.sched_getaffinity(0))} cores",
        "rows": "\n".join(table),
        "reached": f"Reached by {reached}." if reached else "Reached by none of these.",
        "n": len(label),
        "shown": sum(label),
        "good": len(label) - sum(label),
        "share": f"{kept / seen:.2%}",
        "each": 1000 * grown["cpu_seconds_choosing"] / grown["images"],
    }
    return PAGE.format(**dict(args) | grown | searched | facts | {"seen": seen, "kept": kept})


def _interval(label: Sequence[bool], one: Sequence[float], other: Sequence[float]) -> list[float]:
    """95 % of the difference of two AUROCs on the same pictures, by 1000 stratified resamples."""
    from sklearn.metrics import roc_auc_score

    rng = np.random.default_rng(0)
    y, a, b = np.array(label), np.array(one), np.array(other)
    sides = [np.flatnonzero(y == side) for side in (False, True)]
    found = []
    for _ in range(1000):
        rows = np.concatenate([rng.choice(side, len(side)) for side in sides])
        found.append(roc_auc_score(y[rows], a[rows]) - roc_auc_score(y[rows], b[rows]))
    low, high = np.quantile(found, (0.025, 0.975))
    return [float(low), float(high)]


PAGE = """\
# A coreset against the full bank

{date}, {machine}, other work beside it (load {load:.0f}).
`python -m benchmarks.coreset` writes this page.

## Accuracy

One held-out program of the renderer on mini, {references} good references of 576 + 529 + 484
vectors, n = {n} other pictures ({good} good, {shown} defective). Asked: image AUROC at most 0.005
below that of the full bank, with at most 2 % of it. In parentheses 95 % of the difference over 1000
resamples of the pictures.

| `winclip.coreset` | vectors | share | image AUROC | below the full bank |
|---|---:|---:|---:|---:|
{rows}

{reached}

## Memory and time

`winclip.coreset={size}` on {images:,} images: {first} are the encoded references, the others are
these again with noise of length {jitter} on each unit vector: to render and encode so many takes
longer than all the rest.

| | measured | asked |
|---|---:|---:|
| vectors kept of {seen:,} | {kept:,} ({share}) | at most 2 % |
| peak growth of the process while it chooses | {grown_mb:.0f} MB | below 1000 MB |
| choosing, CPU time an image | {each:.0f} ms | |
| search of one view, least of n = {views} | {least:.0f} ms | at most 50 ms |
| search of one view, median and quartiles | {median:.0f} ms ({low:.0f} to {high:.0f}) | |
"""
