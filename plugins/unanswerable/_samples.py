"""Rows of a file as embeddings of a bundle: what training, measuring and exporting read."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from clipvet.detectors import (
    Batch,
    Context,
    Detector,
    DetectorError,
    DetectorSpec,
    Engine,
    Frame,
    FrameError,
    Host,
    Query,
    QueryKind,
    Score,
    Task,
    UsageError,
    read_frame,
    unit_rows,
)
from clipvet.detectors.clip import BundleInfo
from clipvet.plugins.unanswerable._kinds import ID
from clipvet.plugins.unanswerable._options import UnanswerableOptions
from clipvet.plugins.unanswerable._rows import Row
from clipvet.plugins.unanswerable._vectors import Floats, Texts, encode, prompts

__all__ = ["Encoder", "Sample"]


@dataclass(frozen=True, eq=False)
class Sample:
    """One row.

    Attributes:
        row: as it was read.
        image: unit embedding, float64 [E].
        texts: of the question.
    """

    row: Row
    image: Floats
    texts: Texts


class Encoder:
    """A bundle's towers, used just as a run uses them; a context manager.

    Args:
        bundle: name or folder; None is the embedded one.
        host: the plugins, this one among them; None loads them.
        engine: passed on to :class:`Engine`.

    Attributes:
        problems: a sentence for each image that could not be read, so far.
    """

    def __init__(self, bundle: str | None, *, host: Host | None = None, **engine: Any) -> None:
        host = host or Host.load()
        entry = replace(host.detector(ID), cls=_Collector)
        host = replace(host, detectors={ID: entry})
        self._engine = Engine([DetectorSpec(id=ID)], host=host, bundle=bundle, **engine)
        collector = self._engine.slots[0].detector
        if not isinstance(collector, _Collector):
            self._engine.close()
            raise DetectorError(f"{ID}: the bundle could not be opened")
        self._collector = collector
        self.problems: list[str] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._engine.close()

    @property
    def bundle(self) -> BundleInfo:
        """Whose towers they are."""
        return self._collector.context_.bundle

    def encode_text(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Text embeddings float32 [n, E], not normalised."""
        return self._collector.context_.encode_text(texts)

    def images(self, paths: Mapping[str, Path]) -> dict[str, Floats]:
        """Unit embedding [E] of each file that could be read, by its name."""
        names: list[str] = []

        def frames() -> Iterator[Frame]:
            for name, path in paths.items():
                try:
                    frame = read_frame(path)
                except FrameError as error:
                    self.problems.append(f"left out: {error}")
                    continue
                names.append(name)
                yield frame

        self._collector.rows_ = []
        self._engine.fit(ID, frames(), Query())
        return dict(zip(names, unit_rows(np.array(self._collector.rows_)), strict=True))

    def samples(self, rows: Sequence[Row], folder: Path) -> list[Sample]:
        """Rows whose images could be read, in order; each image and text is encoded once.

        Args:
            rows: questions.
            folder: what the paths of their images are relative to.

        Raises:
            UsageError: not one image could be read.
        """
        found = self.images({row.image: folder / row.image for row in rows})
        if not found:
            raise UsageError(f"{folder}: no image could be read; the first one: {self.problems[0]}")
        wanted = list(dict.fromkeys(p for r in rows for p in prompts(r.question, r.choices)))
        vectors = dict(zip(wanted, self.encode_text(wanted), strict=True))

        def known(texts: Sequence[str]) -> NDArray[np.float32]:
            return np.stack([vectors[text] for text in texts])

        return [
            Sample(row, found[row.image], encode(row.question, row.choices, known))
            for row in rows
            if row.image in found
        ]


class _Collector(Detector):
    """Keeps the embeddings that it is shown."""

    id: ClassVar[str] = ID
    task: ClassVar[Task] = "vqa"
    needs: frozenset[str] = frozenset({"cls_embed"})
    queries: ClassVar[frozenset[QueryKind]] = frozenset({"question"})
    Options: ClassVar[type[UnanswerableOptions]] = UnanswerableOptions  # a bundle may advise some

    def prepare(self, context: Context) -> None:
        self.context_ = context
        self.rows_: list[NDArray[np.float32]] = []

    def fit(self, batches: Iterable[Batch]) -> None:
        for batch in batches:
            self.rows_ += [row.copy() for row in batch.features["cls_embed"]]

    def score(self, batch: Batch) -> list[list[Score]]:
        raise NotImplementedError("only collects")
