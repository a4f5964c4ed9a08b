"""What a detector is: the class that a plugin author writes, and the values it meets."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict

from clipvet.detectors.frames._views import View

if TYPE_CHECKING:
    from clipvet.detectors.clip import BundleInfo

__all__ = [
    "Batch",
    "Context",
    "Detector",
    "DetectorOptions",
    "ImageGroup",
    "ImageScores",
    "Query",
    "QueryKind",
    "Score",
    "Task",
]

Task = Literal["anomaly", "ood", "safety", "vqa", "quality", "dataset"]
"""What kind of question a detector answers."""
QueryKind = Literal["object", "classes", "question", "caption"]
"""What a detector may be unable to do without: fields of :class:`Query`."""


class DetectorOptions(BaseModel):
    """Base of a detector's options: recipe keys, ``--set`` keys and docs come from its fields."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    def changed_settings(self, names: Iterable[str]) -> list[str]:
        """Those of the named options that are not at their default, as ``name=value``.

        For ``details.method``; own texts are counted, not quoted.
        """
        return [
            f"{name}={_brief(getattr(self, name))}" for name in names if not self.is_default(name)
        ]

    def is_default(self, name: str) -> bool:
        """Whether an option has the value that it has when nothing is given."""
        return bool(getattr(self, name) == type(self).model_fields[name].default)


@dataclass(frozen=True, kw_only=True)
class Query:
    """What is asked beside the pixels. One per image; all fields are optional.

    Attributes:
        object: name of the part in the picture ("bottle").
        classes: names of the classes that count as known.
        question: a question about the picture, with its ``choices``.
        choices: the offered answers, in order.
        caption: a text that claims to describe the picture.
    """

    object: str | None = None
    classes: tuple[str, ...] = ()
    question: str | None = None
    choices: tuple[str, ...] = ()
    caption: str | None = None

    def over(self, base: Query) -> Query:
        """This query, with what it leaves out taken from another one."""
        given = {name: value for name, value in vars(self).items() if value}
        return replace(base, **given)


@dataclass(frozen=True, kw_only=True)
class Batch:
    """Some views of some images, and what the shared pass computed for them.

    Attributes:
        features: name -> float32 array whose first axis is the view; read-only.
            Names and shapes: ``clipvet.detectors.FEATURES``.
        views: the V views; ``views[i].pixels`` is uint8 RGB [h, w, 3].
        queries: for each view, the queries of its image (often exactly one).
    """

    features: Mapping[str, NDArray[np.float32]]
    views: Sequence[View]
    queries: Sequence[Sequence[Query]]

    def __len__(self) -> int:
        return len(self.views)


@dataclass(frozen=True, kw_only=True)
class Score:
    """A detector's answer for one view and one query.

    Attributes:
        value: finite float, higher is worse; no fixed range.
        heatmap: float32 [gh, gw] over the view, higher is worse, or None.
        details: JSON-able facts; ``details["method"]`` names the variant that ran, and
            ``details["because"]``, if there is one, says in words what was found: it is shown
            in the reason of a verdict.
        spool: name -> array that :meth:`Detector.finish` reads of this view. A score that has
            some is *pending*: its value is not read, for only :meth:`Detector.finish` can tell
            it. Only for detectors without :attr:`Detector.queries`.
    """

    value: float
    heatmap: NDArray[np.float32] | None = None
    details: Mapping[str, Any] = field(default_factory=dict)
    spool: Mapping[str, NDArray[Any]] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class ImageGroup:
    """Some images of a run that belong together, in the eyes of a set-level detector.

    Attributes:
        kind: an adjective that the summary counts by: ``identical``.
        members: their places in the store that :meth:`Detector.finish` was given, from 0.
        details: JSON-able facts.
    """

    kind: str
    members: Sequence[int] | NDArray[np.intp]
    details: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class ImageScores:
    """What a set-level detector says about one image of a run whose score was pending.

    Attributes:
        place: of the image in the store that :meth:`Detector.finish` was given, from 0.
        views: a score for each view of the image, in order; none of them is pending.
    """

    place: int
    views: Sequence[Score]


@dataclass(frozen=True, kw_only=True)
class Context:
    """What a detector may use while it prepares: the bundle's facts and its text tower.

    Attributes:
        bundle: facts of the bundle whose features this detector will read.
        encode_text: prompts -> float32 [len(prompts), E], not normalised; batched and cached.
        warn: takes one sentence for the run's log (say each thing once).
    """

    bundle: BundleInfo
    encode_text: Callable[[Sequence[str]], NDArray[np.float32]]
    warn: Callable[[str], None] = lambda _message: None


class Detector(ABC):
    """Base class of all detectors.

    A subclass says what it is with class attributes and implements :meth:`score`. The host
    calls ``__init__`` (which only stores), then :meth:`load` if an artefact exists, then
    :meth:`prepare`, then :meth:`score` any number of times, possibly from several threads.

    Class attributes:
        id: lower-case name, unique among all plugins.
        version: of the algorithm; raise it when scores change.
        task: what kind of question it answers.
        needs: names of the features it reads (``FEATURES``). May be narrowed per instance.
        queries: kinds of query it cannot do without; without them its result is
            ``not_applicable``.
        Options: pydantic model of its options.
        learns: True if :meth:`fit`, :meth:`save` and :meth:`load` are implemented.
        learns_on: True if :meth:`fit` adds to what :meth:`load` read, rather than replacing it.
        keeps: names of the details that :meth:`finish` reads of every image; a detector that
            has some is set-level. Every score has these details. They survive a kill, for they
            are in the records. May be narrowed per instance: without any it is not set-level.
    """

    id: ClassVar[str]
    version: ClassVar[str] = "1"
    task: ClassVar[Task]
    needs: frozenset[str] = frozenset()
    queries: ClassVar[frozenset[QueryKind]] = frozenset()
    Options: ClassVar[type[DetectorOptions]] = DetectorOptions
    learns: ClassVar[bool] = False
    learns_on: ClassVar[bool] = False
    keeps: frozenset[str] = frozenset()

    def __init__(self, options: DetectorOptions | None = None) -> None:
        self.options = self.Options() if options is None else options

    def prepare(self, context: Context) -> None:
        """Encode prompts or check artefacts; called once, before any score."""

    def fit(self, batches: Iterable[Batch]) -> None:
        """Learn from good images, streamed; called after :meth:`prepare`."""
        raise TypeError(f"detector {self.id!r} does not learn")

    def save(self, folder: Path) -> None:
        """Write what :meth:`fit` learned as files (safetensors, JSON) into an empty folder."""
        raise TypeError(f"detector {self.id!r} does not learn")

    def load(self, folder: Path) -> None:
        """Read what :meth:`save` wrote; never a pickle. Called before :meth:`prepare`."""
        raise TypeError(f"detector {self.id!r} does not learn")

    @abstractmethod
    def score(self, batch: Batch) -> list[list[Score]]:
        """Score each view for each of its queries.

        Returns:
            One list per view, with one :class:`Score` per query of that view; exactly one
            when the detector's :attr:`queries` is empty. Higher is worse. The result for a
            view must not depend on the other views in the batch.
        """

    def finish(
        self, store: Sequence[Mapping[str, Any]]
    ) -> Iterable[ImageGroup | ImageScores | str]:
        """Say what only all images of a run together can tell; called once, after the last.

        Args:
            store: for each image that has a score or a pending one, in the order of the records,
                its details named in :attr:`keeps` and the arrays of :attr:`Score.spool` (of an
                image in several views, a list of each). Those of a resumed run are among them.
                It can be read more than once and at any place, and is read from disk: what is
                kept of it in memory should be a few bytes an image.

        Returns:
            Groups of images, written to ``sets/<id>.jsonl`` of the run folder; they have no part
            in any verdict. The scores of images whose scores were pending, written into their
            records. Sentences for the summary; the last of them also says why images that are
            left without a score have none.
        """
        raise TypeError(f"detector {self.id!r} is not set-level")


def _brief(value: object) -> str:
    if not isinstance(value, tuple):
        return str(value)
    if any(isinstance(item, str) and not item.isidentifier() for item in value):
        return f"own({len(value)})"
    if value and all(isinstance(item, float) for item in value):
        return "..".join(f"{item:g}" for item in value)
    return "+".join(str(item) for item in value) or "none"
