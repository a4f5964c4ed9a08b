"""Curves as pictures: ROC, precision against recall, and per-region overlap."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from clipvet.detectors.errors import MissingDependency
from clipvet.detectors.evaluation._detectors import Curves
from clipvet.detectors.evaluation._maps import ALL
from clipvet.detectors.records._ids import file_stem

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["draw_curves"]

Value = TypeVar("Value")

_DPI = 120
_MOST_TYPES = 10  # as many as the colour cycle tells apart


def draw_curves(curves: Sequence[Curves], folder: Path) -> tuple[Path, ...]:
    """Write ``<detector>.png`` for each detector, over an earlier one.

    Raises:
        MissingDependency: matplotlib is not installed.
    """
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    except ImportError:
        raise MissingDependency("matplotlib", "drawing curves", "plots") from None
    folder.mkdir(parents=True, exist_ok=True)
    written = []
    for one in curves:
        if not one.images:
            continue
        panels = 3 if one.maps else 2
        figure = Figure(figsize=(4.6 * panels, 4.9), layout="constrained", dpi=_DPI)
        FigureCanvasAgg(figure)
        axes = figure.subplots(1, panels)
        _roc(axes[0], one)
        _precision_recall(axes[1], one)
        if one.maps:
            _overlap(axes[2], one)
        figure.suptitle(one.detector)
        path = folder / f"{file_stem(one.detector)}.png"
        figure.savefig(path)
        written.append(path)
    return tuple(written)


def _roc(axes: Axes, curves: Curves) -> None:
    for name, ranking in _shown(curves.images):
        x, y = np.append(0.0, ranking.false_alarm_rate), np.append(0.0, ranking.recall)
        axes.plot(x, y, label=f"{name}  {float(ranking.auroc()):.3f}", **_style(name))
    axes.plot([0, 1], [0, 1], color="0.7", linewidth=0.8, linestyle=":")
    _dress(axes, "images: ROC", "false alarm rate", "recall", "AUROC")


def _precision_recall(axes: Axes, curves: Curves) -> None:
    for name, ranking in _shown(curves.images):
        # Steps: average precision is the area under them.
        x, y = np.append(0.0, ranking.recall), np.append(ranking.precision[0], ranking.precision)
        label = f"{name}  {float(ranking.average_precision()):.3f}"
        axes.step(x, y, where="pre", label=label, **_style(name))
    base = curves.images[ALL]
    share = float(base.caught[-1] / (base.caught[-1] + base.alarms[-1]))
    axes.axhline(share, color="0.7", linewidth=0.8, linestyle=":")
    _dress(axes, "images: precision and recall", "recall", "precision", "AP")


def _overlap(axes: Axes, curves: Curves) -> None:
    for name, found in _shown(curves.maps):
        label = f"{name}  {found.metrics.aupro:.3f}"
        axes.plot(found.false_alarm_rate, found.overlap, label=label, **_style(name))
    _dress(axes, "pixels: per-region overlap", "false positive rate", "mean overlap", "AUPRO")
    axes.set_xlim(0, max(found.false_alarm_rate[-1] for found in curves.maps.values()))


def _shown(curves: Mapping[str, Value]) -> Iterator[tuple[str, Value]]:
    """Types first and all of them on top; of many types the first few, of one type only that."""
    types = [name for name in curves if name != ALL]
    if len(types) > 1:
        yield from ((name, curves[name]) for name in types[:_MOST_TYPES])
    yield ALL, curves[ALL]


def _style(name: str) -> dict[str, Any]:
    return {"color": "black", "linewidth": 1.8} if name == ALL else {"linewidth": 1.1}


def _dress(axes: Axes, title: str, x: str, y: str, legend: str) -> None:
    axes.set(title=title, xlabel=x, ylabel=y, xlim=(0, 1), ylim=(0, 1.02))
    axes.grid(color="0.9", linewidth=0.6)
    axes.legend(title=legend, fontsize="small", loc="best", framealpha=0.7)
