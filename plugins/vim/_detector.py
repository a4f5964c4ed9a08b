"""The detector: image embeddings in, out-of-distribution scores out."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import ClassVar

from clipvet.detectors import (
    Artefact,
    ArtefactMissing,
    Batch,
    Context,
    Detector,
    DetectorError,
    Query,
    QueryMissing,
    Score,
    Task,
    unit_rows,
)
from clipvet.plugins.vim._fitting import fit_rule
from clipvet.plugins.vim._head import Head, distinct, text_head
from clipvet.plugins.vim._options import ID, TITLES, WITHOUT_IMAGES, VimOptions
from clipvet.plugins.vim._rule import Rule
from clipvet.plugins.vim._statistics import Statistics

__all__ = ["Vim"]


class Vim(Detector):
    """ViM and the scores that its paper compares: how little an image is like the good ones.

    Score: of the method, higher is worse; its range differs between methods. No heatmap.
    """

    id: ClassVar[str] = ID
    task: ClassVar[Task] = "ood"
    needs: frozenset[str] = frozenset({"cls_embed"})
    Options: ClassVar[type[VimOptions]] = VimOptions
    learns: ClassVar[bool] = True
    options: VimOptions

    def __init__(self, options: VimOptions | None = None) -> None:
        super().__init__(options)
        self.artefact_: Artefact | None = None
        self.statistics_: Statistics | None = None

    def prepare(self, context: Context) -> None:
        """Check what was loaded against the bundle.

        Raises:
            RecipeError: it was learned on another bundle, or is damaged.
        """
        self.context_ = context
        self._lock = threading.Lock()
        self._heads: dict[tuple[str, ...], Head | None] = {}
        self._rules: dict[tuple[str, ...], Rule] = {}
        if self.artefact_ is not None:
            self.artefact_.check(context.bundle)
            self.statistics_ = Statistics.of(self.artefact_)

    def fit(self, batches: Iterable[Batch]) -> None:
        """Take in the statistics of good images, in one pass; classes are those of the query.

        Raises:
            DetectorError: there is no good image.
        """
        if self.options.method in WITHOUT_IMAGES:
            return
        statistics: Statistics | None = None
        for batch in batches:
            if statistics is None:
                statistics = Statistics(
                    self.context_.bundle.embed_dim,
                    self._head(_classes(batch.queries[0])),
                    reservoir=self.options.reservoir,
                )
            statistics.update(unit_rows(batch.features["cls_embed"]))
        if statistics is None or not statistics.count:
            raise DetectorError(f"{ID}: there is no good image to learn from: give at least one")
        self.statistics_ = statistics
        self._rules.clear()

    def save(self, folder: Path) -> None:
        """Write the statistics; methods that need no images write nothing."""
        if self.statistics_ is not None:
            self.statistics_.artefact(self.context_.bundle).save(folder)

    def load(self, folder: Path) -> None:
        """Read statistics; raises ArtefactMissing or RecipeError if that cannot be done."""
        if self.options.method not in WITHOUT_IMAGES:
            self.artefact_ = Artefact.load(folder, detector=ID)

    def score(self, batch: Batch) -> list[list[Score]]:
        """One score for each view, from its own embedding alone."""
        return [
            [self._score(self._rule(_classes(queries)), batch, index)]
            for index, queries in enumerate(batch.queries)
        ]

    def _score(self, rule: Rule, batch: Batch, index: int) -> Score:
        x = unit_rows(batch.features["cls_embed"][index])
        return Score(value=rule.score(x), details={"method": rule.method, **rule.facts})

    def _rule(self, classes: tuple[str, ...]) -> Rule:
        with self._lock:
            if classes not in self._rules:
                self._rules[classes] = self._made(classes)
            return self._rules[classes]

    def _made(self, classes: tuple[str, ...]) -> Rule:
        title = TITLES[self.options.method]
        if self.statistics_ is None and self.options.method not in WITHOUT_IMAGES:
            raise ArtefactMissing(
                f"{ID}: {title} needs good images: fit a recipe (detect fit), give --references, "
                f"or set {ID}.method=energy, which needs class names alone"
            )
        head, statistics = self._head(classes), self.statistics_
        if statistics is not None:
            head = statistics.head if head is None else head
            statistics = statistics.for_head(head)
        try:
            rule = fit_rule(self.options, head, statistics)
        except ValueError:
            raise QueryMissing(f"{title} needs at least 2 classes: give --classes") from None
        for warning in rule.warnings:
            self.context_.warn(warning)
        return rule

    def _head(self, classes: tuple[str, ...]) -> Head | None:
        if len(classes) < 2:
            return None
        if classes not in self._heads:
            self._heads[classes] = text_head(
                classes,
                self.options.templates,
                encode_text=self.context_.encode_text,
                scale=self.context_.bundle.logit_scale,
            )
        return self._heads[classes]


def _classes(queries: Sequence[Query]) -> tuple[str, ...]:
    return distinct(next((query.classes for query in queries if query.classes), ()))
