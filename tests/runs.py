"""Small detectors, pictures and hosts for the tests of runs."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from clipvet.detectors import (
    Batch,
    Context,
    Detector,
    DetectorEntry,
    DetectorOptions,
    Frame,
    Host,
    Query,
    Score,
    Task,
    read_frame,
)
from clipvet.detectors._detector import QueryKind
from clipvet.detectors.host._plugins import PluginSource

SOURCE = PluginSource(dist="tests", version="0", entry_point="runs")


class Energy(Detector):
    """Mean of the squared image embedding; the heatmap is that of the patches."""

    id: ClassVar[str] = "energy"
    task: ClassVar[Task] = "anomaly"
    needs = frozenset({"cls_embed", "patch_embed"})
    heatmap_range = (0.0, 4.0)

    def prepare(self, context: Context) -> None:
        self.grid_ = context.bundle.grid

    def score(self, batch: Batch) -> list[list[Score]]:
        return [[self._one(batch, index)] for index in range(len(batch))]

    def _one(self, batch: Batch, index: int) -> Score:
        patches = batch.features["patch_embed"][index]
        heatmap = np.mean(patches * patches, axis=-1).reshape(self.grid_)
        value = float(np.mean(batch.features["cls_embed"][index] ** 2))
        return Score(value=value, heatmap=heatmap, details={"method": "energy"})


Trouble = Literal[
    "raises",
    "exits",
    "nan",
    "nan_map",
    "few",
    "shape",
    "writes",
    "adds",
    "details",
    "type",
    "empties",
    "paints",
    "infinite",
    "torch",
]


class TroubleOptions(DetectorOptions):
    how: Trouble = "raises"
    brightest_only: bool = False
    """Trouble only for batches that hold a view of mean above 200."""


class Troubled(Energy):
    """Breaks its promises in the way that its option names."""

    id: ClassVar[str] = "troubled"
    Options = TroubleOptions
    options: TroubleOptions

    def score(self, batch: Batch) -> list[list[Score]]:
        good = super().score(batch)
        print("a detector prints")  # noqa: T201
        bright = [view.pixels.mean() > 200 for view in batch.views]
        if self.options.brightest_only and not any(bright):
            return good
        how = self.options.how
        if how == "raises":
            raise RuntimeError("no\nidea")
        if how == "exits":
            raise SystemExit(1)
        if how == "few":
            return good[:-1]
        if how == "writes":
            batch.features["cls_embed"].flags.writeable = True
            batch.features["cls_embed"][:] = 0
        if how == "adds":
            batch.features["cls_embed"] = np.zeros(3)  # type: ignore[index]
        if how == "empties":
            batch.views.clear()  # type: ignore[attr-defined]
        if how == "paints":
            batch.views[0].pixels[:] = 255
        if how == "torch":
            import torch  # noqa: F401
        return [[self._spoilt(scores[0], how)] for scores in good]

    def _spoilt(self, score: Score, how: str) -> Any:
        changes: dict[str, Any] = {
            "nan": {"value": float("nan")},
            "infinite": {"value": 10**400},
            "nan_map": {"heatmap": np.full((2, 2), np.inf, np.float32)},
            "shape": {"heatmap": np.zeros(3, np.float32)},
            "details": {"details": {"what": object()}},
        }
        if how == "type":
            return 0.5
        return Score(**{"value": score.value, "heatmap": score.heatmap, **changes.get(how, {})})


class Asker(Energy):
    """Needs classes; scores the number of classes."""

    id: ClassVar[str] = "asker"
    queries: ClassVar[frozenset[QueryKind]] = frozenset({"classes"})

    def score(self, batch: Batch) -> list[list[Score]]:
        return [[Score(value=len(q.classes)) for q in queries] for queries in batch.queries]


class Questioner(Energy):
    """Needs a question; scores its length."""

    id: ClassVar[str] = "questioner"
    queries: ClassVar[frozenset[QueryKind]] = frozenset({"question"})

    def score(self, batch: Batch) -> list[list[Score]]:
        return [[Score(value=len(q.question or "")) for q in asked] for asked in batch.queries]


class Learner(Energy):
    """Distance to the mean embedding of what it was fitted on."""

    id: ClassVar[str] = "learner"
    learns = True

    def fit(self, batches: Iterable[Batch]) -> None:
        self.mean_ = np.concatenate([b.features["cls_embed"] for b in batches]).mean(axis=0)

    def save(self, folder: Path) -> None:
        np.save(folder / "mean.npy", self.mean_)

    def load(self, folder: Path) -> None:
        self.mean_ = np.load(folder / "mean.npy")

    def score(self, batch: Batch) -> list[list[Score]]:
        offsets = batch.features["cls_embed"] - self.mean_
        return [[Score(value=float(np.abs(offset).max()))] for offset in offsets]


class BadStart(Energy):
    id: ClassVar[str] = "bad-start"

    def prepare(self, context: Context) -> None:
        raise ZeroDivisionError("in prepare")


def host(*classes: type[Detector]) -> Host:
    return Host(detectors={cls.id: DetectorEntry(cls=cls, source=SOURCE) for cls in classes})


EVERYTHING = host(Energy, Troubled, Asker, Questioner, Learner, BadStart)


def picture(seed: int, size: tuple[int, int] = (40, 30)) -> NDArray[np.uint8]:
    rng = np.random.default_rng(seed)
    small = rng.integers(0, 256, (5, 7, 3), dtype=np.uint8)
    return np.asarray(Image.fromarray(small).resize(size, Image.Resampling.BILINEAR))


def frame(seed: int, size: tuple[int, int] = (40, 30)) -> Frame:
    return read_frame(picture(seed, size))


def save_pictures(folder: Path, count: int, *, first: int = 0) -> Path:
    """``count`` readable pictures, one of them in a folder of its own."""
    folder.mkdir(parents=True, exist_ok=True)
    for seed in range(first, first + count):
        part = folder / "sub" if seed == first + 1 else folder
        part.mkdir(exist_ok=True)
        Image.fromarray(picture(seed)).save(part / f"{seed:03d}.png")
    return folder


def ask(query: Query | None = None) -> tuple[Query, ...]:
    return (query or Query(),)


def save_video(path: Path, count: int, *, fps: float = 10.0, codec: str = "mp4v") -> Path:
    """A video of pictures; ``picture(n, (64, 48))`` is its frame n, as far as the codec lets it."""
    import cv2

    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*codec), fps, (64, 48))
    for number in range(count):
        writer.write(np.ascontiguousarray(picture(number, (64, 48))[:, :, ::-1]))
    writer.release()
    return path
