"""The page of coreset.py."""

from __future__ import annotations

import os
import platform
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["auroc", "page"]

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
    labels, whole = rows.pop("labels"), rows["all"]
    best = auroc(labels, whole["scores"])
    table = []
    for name, row in rows.items():
        each = [auroc([y], [x]) for y, x in zip(labels, row["scores"], strict=True)]
        row["auroc"] = auroc(labels, row["scores"])
        cells = [name, f"{row['vectors']:,}", *(f"{x:.3f}" for x in each), f"{row['auroc']:.4f}"]
        if row is not whole:
            low, high = _interval(labels, whole["scores"], row["scores"])
            cells += [f"{best - row['auroc']:.4f} ({low:.4f} to {high:.4f})"]
        table.append(f"| {' | '.join([*cells, ''][: 4 + len(each)])} |")
    close = [name for name, row in rows.items() if row["auroc"] >= best - TOLERATED]
    reached = ", ".join(name for name in close if name != "all")
    seen, kept = sum(grown["seen"].values()), sum(grown["kept"].values())
    facts = {
        "date": f"{datetime.now(UTC):%Y-%m-%d}",
        "machine": f"{platform.machine()}, {len(os.sched_getaffinity(0))} cores",
        "rows": "\n".join(table),
        "reached": f"Reached by {reached}." if reached else "Reached by none of these.",
        "n": sum(map(len, labels)),
        "shown": sum(map(sum, labels)),
        "good": sum(map(len, labels)) - sum(map(sum, labels)),
        "columns": " | ".join(str(place + 1) for place in range(len(labels))),
        "rules": "---:|" * len(labels),
        "share": f"{kept / seen:.2%}",
        "each": 1000 * grown["cpu_seconds_choosing"] / grown["images"],
    }
    return PAGE.format(**dict(args) | grown | searched | facts | {"seen": seen, "kept": kept})


def auroc(labels: Sequence[Sequence[bool]], scores: Sequence[Sequence[float]]) -> float:
    """The mean over programs: scores of different programs are not compared."""
    from sklearn.metrics import roc_auc_score

    pairs = zip(labels, scores, strict=True)
    return float(np.mean([roc_auc_score(label, score) for label, score in pairs]))


def _interval(
    labels: Sequence[Sequence[bool]],
    one: Sequence[Sequence[float]],
    other: Sequence[Sequence[float]],
) -> list[float]:
    """95 % of the difference of two mean AUROCs on the same pictures, by 1000 resamples.

    Pictures are drawn anew within each program, good and defective ones apart.
    """
    rng = np.random.default_rng(0)
    y, a, b = np.array(labels), np.array(one), np.array(other)
    found = []
    for _ in range(1000):
        rows = np.stack([_resampled(row, rng) for row in y])
        drawn = [np.take_along_axis(x, rows, axis=1).tolist() for x in (y, a, b)]
        found.append(auroc(drawn[0], drawn[1]) - auroc(drawn[0], drawn[2]))
    low, high = np.quantile(found, (0.025, 0.975))
    return [float(low), float(high)]


def _resampled(label: NDArray[np.bool_], rng: np.random.Generator) -> NDArray[np.intp]:
    sides = [np.flatnonzero(label == side) for side in (False, True)]
    return np.concatenate([rng.choice(side, len(side)) for side in sides])


PAGE = """\
# A coreset against the full bank

{date}, {machine}, other work beside it (load {load:.0f}).
`python -m benchmarks.coreset` writes this page.

## Accuracy

The first {programs} held-out programs of the renderer on mini, of each {references} good references
of 576 + 529 + 484 vectors; n = {n} other pictures ({good} good, {shown} defective). Asked: image
AUROC at most 0.005 below that of the full bank, with at most 2 % of it. In parentheses 95 % of the
difference of the means over 1000 resamples of the pictures. None of these programs was looked at
while the way to choose was chosen.

| share kept of each kind | vectors | {columns} | mean AUROC | below the full bank |
|---|---:|{rules}---:|---:|
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
