"""The page of benchmarks/gpu.py."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

__all__ = ["FolderRate", "Row", "Table", "page"]

_OURS, _THEIRS = "clipvet", "torch compiled"
_TARGET = ("ViT-L-14-336", 32, 1.0, 0.5)


@dataclass(frozen=True)
class Row:
    """One arm: its name, seconds by round, smallest cosine with float32."""

    name: str
    seconds: Sequence[float]
    cosine: float

    @property
    def median(self) -> float:
        """Seconds."""
        return statistics.median(self.seconds)


@dataclass(frozen=True, kw_only=True)
class Table:
    """The arms on one model and batch size.

    Attributes:
        flops: of one batch.
        skipped: arm -> why.
        notes: of the sessions.
        steady: whether rows are equal bit for bit in another place of the batch.
    """

    model: str
    rows: int
    flops: int
    arms: Sequence[Row]
    skipped: Mapping[str, str]
    notes: Sequence[str]
    steady: bool

    def ratio(self) -> float | None:
        """Time of torch compiled over ours; None if that arm was skipped."""
        medians = {arm.name: arm.median for arm in self.arms}
        return medians[_THEIRS] / medians[_OURS] if _THEIRS in medians else None


@dataclass(frozen=True, kw_only=True)
class FolderRate:
    """Images a second from JPEG to record, in a run folder."""

    model: str
    rows: int
    images: int
    seconds: float


def page(
    tables: Sequence[Table | FolderRate],
    rates: Mapping[str, float],
    *,
    machine: str,
    device: str,
    mode: str,
) -> str:
    """Markdown; what was not measured on a GPU says so in its first line."""
    best = max(rates.values())
    measured = ", ".join(f"{name} {rate / 1e12:.3g}" for name, rate in rates.items())
    heading = (
        "# The image tower on a GPU" if device == "cuda" else "# DRY RUN ON THE CPU: no result"
    )
    rounds = max(len(row.seconds) for one in tables if isinstance(one, Table) for row in one.arms)
    conditions = (
        f"{machine}. n = {rounds} rounds. `python -m benchmarks.gpu` writes this page; its "
        "docstring says what is timed."
    )
    rate = f"float16 matrix rate, TFLOP/s: {measured}. torch.compile mode: {mode}."
    lines = [heading, "", conditions, rate, ""]
    for one in tables:
        lines += _table(one, best) if isinstance(one, Table) else _folder(one)
    if device == "cuda":
        lines += _verdict(tables, best)
    return "\n".join(lines).rstrip() + "\n"


def _table(table: Table, best: float) -> list[str]:
    theirs = {arm.name: arm.median for arm in table.arms}.get(_THEIRS)
    lines = [
        f"## {table.model}, batch {table.rows}",
        "",
        f"{table.flops / 1e9:.4g} GFLOP a batch.",
        "",
        "| arm | median ms (min to max) | images/s | of matrix rate | x torch compiled | cosine |",
        "|---|---:|---:|---:|---:|---:|",
    ]
    for arm in table.arms:
        low, high = 1000 * min(arm.seconds), 1000 * max(arm.seconds)
        ratio = "" if theirs is None else f"{theirs / arm.median:.2f}"
        lines.append(
            f"| {arm.name} | {1000 * arm.median:.2f} ({low:.2f} to {high:.2f}) "
            f"| {table.rows / arm.median:.0f} | {table.flops / arm.median / best:.2f} | {ratio} "
            f"| {arm.cosine:.6f} |"
        )
    lines += ["", *(f"- {name} was skipped: {why}" for name, why in table.skipped.items())]
    lines += [f"- {note}" for note in table.notes]
    if table.rows > 1:
        same = "equal bit for bit" if table.steady else "NOT equal bit for bit"
        lines.append(f"- clipvet: a view moved to another place of the batch is {same}.")
    return [*lines, ""]


def _folder(rate: FolderRate) -> list[str]:
    found = (
        f"{rate.images} JPEGs of 640 pixels, batch {rate.rows}, no heatmaps: "
        f"{rate.images / rate.seconds:.1f} images/s."
    )
    return [f"## {rate.model}, from JPEG to record", "", found, ""]


def _verdict(tables: Sequence[Table | FolderRate], best: float) -> list[str]:
    name, rows, asked, share = _TARGET
    for table in tables:
        if isinstance(table, Table) and (table.model, table.rows) == (name, rows):
            ours = next(arm for arm in table.arms if arm.name == _OURS)
            reached, ratio = table.flops / ours.median / best, table.ratio()
            lines = ["## Targets", ""]
            if ratio is None:
                lines.append(f"- {name}, batch {rows}, of torch compiled: not compared.")
            else:
                met = "met" if ratio >= asked else "missed"
                found = f"{ratio:.2f}, asked {asked}, {met}"
                lines.append(f"- {name}, batch {rows}, of torch compiled: {found}.")
            met = "met" if reached >= share else "missed"
            return [*lines, f"- Of the matrix rate: {reached:.2f}, asked {share}, {met}."]
    return []
