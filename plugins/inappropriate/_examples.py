"""The user's examples: image files of two kinds, each content once, as embeddings of a bundle."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from clipvet.detectors import (
    Batch,
    BundleIdentity,
    Context,
    Detector,
    DetectorError,
    DetectorSpec,
    Engine,
    Frame,
    FrameError,
    Host,
    Query,
    Score,
    Task,
    UsageError,
    find_images,
    read_frame,
    unit_rows,
)
from clipvet.plugins.inappropriate._options import InappropriateOptions
from clipvet.plugins.inappropriate._prompts import PAIRS
from clipvet.plugins.inappropriate._rule import ID

__all__ = ["Embedded", "Examples", "embed"]


@dataclass
class Examples:
    """Labelled image files.

    Attributes:
        files: path, and True for inappropriate.
        labels: of the images that were read so far.
        problems: sentences about files that take no part, so far.
    """

    files: list[tuple[Path, bool]]
    labels: list[bool] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)

    @classmethod
    def of(cls, good: Path, bad: Path) -> Examples:
        """All images below two folders, sorted; raises :class:`UsageError` if one has none."""
        return cls(
            [
                (path, label)
                for label, root in ((False, good), (True, bad))
                for path in find_images(root)
            ]
        )

    def frames(self) -> Iterator[Frame]:
        """Decoded images; what cannot be read, or was there before, is left out.

        Raises:
            UsageError: one content is in both folders.
        """
        seen: dict[str, tuple[Path, bool]] = {}
        for path, label in self.files:
            try:
                frame = read_frame(path)
            except FrameError as error:
                self.problems.append(f"left out: {error}")
                continue
            first, other = seen.setdefault(str(frame.sha256), (path, label))
            if other != label:
                raise UsageError(
                    f"{first} and {path} are the same image, once appropriate and once not: "
                    "remove one of them"
                )
            if first != path:
                self.problems.append(f"left out: {path} is the same image as {first}")
                continue
            self.labels.append(label)
            yield frame


@dataclass(frozen=True, kw_only=True, eq=False)
class Embedded:
    """What a bundle makes of some images.

    Attributes:
        features: unit image embeddings, float64 [n, E].
        text: embeddings of the two sentences that Q16 starts from, float32 [2, E]; None if the
            bundle's closed vocabulary does not know their words.
        bundle: whose they are.
    """

    features: NDArray[np.float64]
    text: NDArray[np.float32] | None
    bundle: BundleIdentity


def embed(frames: Iterable[Frame], *, host: Host, bundle: str | None, **engine: Any) -> Embedded:
    """Encode images just as a run does, each as one whole view.

    Args:
        frames: images, streamed.
        host: the plugins; this one is among them.
        bundle: name or folder; None is the embedded one.
        engine: passed on to :class:`Engine`.
    """
    entry = replace(host.detector(ID), cls=_Collector)
    with Engine(
        [DetectorSpec(id=ID)], host=replace(host, detectors={ID: entry}), bundle=bundle, **engine
    ) as encoder:
        collector = encoder.slots[0].detector
        if not isinstance(collector, _Collector):
            raise DetectorError(f"{ID}: the bundle could not encode the training sentences")
        encoder.fit(ID, frames, Query())
        return Embedded(
            features=unit_rows(np.concatenate(collector.rows_)),
            text=collector.text_,
            bundle=collector.bundle_,
        )


class _Collector(Detector):
    """Keeps the embeddings that it is shown."""

    id: ClassVar[str] = ID
    task: ClassVar[Task] = "safety"
    needs: frozenset[str] = frozenset({"cls_embed"})
    Options: ClassVar[type[InappropriateOptions]] = InappropriateOptions  # a bundle may advise some

    def prepare(self, context: Context) -> None:
        self.bundle_ = context.bundle
        self.rows_ = [np.empty((0, context.bundle.embed_dim), dtype=np.float32)]
        self.text_ = None
        if context.bundle.vocabulary == "open":
            self.text_ = context.encode_text(PAIRS["pair"][0])

    def fit(self, batches: Iterable[Batch]) -> None:
        self.rows_ += [batch.features["cls_embed"].copy() for batch in batches]

    def score(self, batch: Batch) -> list[list[Score]]:
        raise NotImplementedError("only collects")
