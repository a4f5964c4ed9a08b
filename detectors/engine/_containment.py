"""One detector at arm's length: whatever it does costs its own scores and nothing else."""

from __future__ import annotations

import logging
import math
import threading
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from numbers import Real
from types import MappingProxyType
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from clipvet.detectors._counting import counted
from clipvet.detectors._detector import Batch, Detector, ImageGroup, ImageScores, Score
from clipvet.detectors.engine._capture import captured
from clipvet.detectors.errors import DetectorError, QueryMissing

__all__ = [
    "BENCH_AFTER",
    "Benched",
    "Failure",
    "GuardedDetector",
    "blame",
    "checked_answers",
    "checked_finding",
    "checked_score",
    "one_line",
    "pick",
    "read_only",
]

BENCH_AFTER = 5
"""So many batches in a row that fail throughout, and a detector sits out the rest of the run."""

log = logging.getLogger("clipvet.engine")


@dataclass(frozen=True)
class Failure:
    """Why there is no score."""

    status: Literal["not_applicable", "error"]
    message: str


class Benched(DetectorError):
    """A detector that is not asked again in this run."""


class GuardedDetector:
    """Calls one detector's ``score`` and checks what comes back.

    Contained are exceptions (``SystemExit`` too), wrong counts and shapes, numbers that are
    not finite, prints, and writes to the features, which are read-only. A batch that fails is
    tried again image by image, so that one image does not cost its neighbours their scores.

    Args:
        name: for messages and the log.
        detector: prepared.
    """

    def __init__(self, name: str, detector: Detector) -> None:
        self.name = name
        self.detector = detector
        self.benched: str | None = None
        self._failing = 0
        self._lock = threading.Lock()

    def score(self, batch: Batch, owners: Sequence[int]) -> list[list[Score] | Failure]:
        """Scores or a failure for each view; ``owners[i]`` is the image of view i."""
        results = self._attempt(batch)
        if isinstance(results, Failure):
            parts = [[i for i, _ in part] for _, part in groupby(enumerate(owners), lambda p: p[1])]
            if len(parts) > 1 and self.benched is None:
                results = [answer for part in parts for answer in self._image(pick(batch, part))]
            else:
                results = [results] * len(batch)
        self._count(results)
        return results

    def _image(self, batch: Batch) -> list[list[Score] | Failure]:
        results = self._attempt(batch)
        return [results] * len(batch) if isinstance(results, Failure) else results

    def _attempt(self, batch: Batch) -> list[list[Score] | Failure] | Failure:
        if self.benched is not None:
            return Failure("error", self.benched)
        try:
            with captured(self.name):
                return checked_answers(self.name, self.detector, batch)
        except KeyboardInterrupt:
            raise
        except Benched as error:
            self._bench(str(error))
            return Failure("error", str(error))
        except QueryMissing as error:
            return Failure("not_applicable", f"{self.name}: {one_line(error)}")
        except BaseException as error:
            log.debug("%s failed on a batch of %d", self.name, len(batch), exc_info=True)
            return Failure("error", blame(self.name, error))

    def _count(self, results: Sequence[list[Score] | Failure]) -> None:
        errors = [r for r in results if isinstance(r, Failure) and r.status == "error"]
        with self._lock:
            self._failing = self._failing + 1 if len(errors) == len(results) > 0 else 0
            if self._failing >= BENCH_AFTER and self.benched is None:
                self._bench(
                    f"{self.name}: benched after {BENCH_AFTER} failing batches in a row; "
                    f"the last said: {errors[-1].message}"
                )

    def _bench(self, why: str) -> None:
        self.benched = why
        log.warning("%s", why)


def checked_answers(
    name: str, detector: Detector, batch: Batch
) -> list[list[Score] | Failure] | Failure:
    """What a detector says about a batch: sound scores, or what is wrong with them."""
    answers = detector.score(batch)
    if not isinstance(answers, (list, tuple)) or len(answers) != len(batch):
        given, asked = _given(answers, "result"), counted(len(batch), "view")
        return Failure("error", f"{name}: returned {given} for {asked}")
    return [
        _checked(name, detector, answer, len(queries) if detector.queries else 1)
        for answer, queries in zip(answers, batch.queries, strict=True)
    ]


def pick(batch: Batch, views: Sequence[int]) -> Batch:
    """Some views of a batch, with their features read-only again."""
    chosen = list(views)
    return replace(
        batch,
        features=read_only({name: values[chosen] for name, values in batch.features.items()}),
        views=tuple(batch.views[i] for i in chosen),
        queries=tuple(batch.queries[i] for i in chosen),
    )


def read_only(
    features: Mapping[str, NDArray[np.float32]],
) -> Mapping[str, NDArray[np.float32]]:
    """Features that one detector cannot change for the next."""
    for values in features.values():
        values.flags.writeable = False
    # Views of read-only arrays: their flag cannot be set back, an owner's could.
    return MappingProxyType({name: values.view() for name, values in features.items()})


def blame(name: str, error: BaseException) -> str:
    """One line that names the detector."""
    text = one_line(error)
    if isinstance(error, DetectorError):
        return text if text.startswith(name) else f"{name}: {text}"
    return f"{name}: {type(error).__name__}: {text}" if text else f"{name}: {type(error).__name__}"


def one_line(error: BaseException) -> str:
    """An exception's message on one line of at most 300 characters that UTF-8 can hold."""
    return _utf8(" ".join(str(error).split()))[:300]


def _utf8(text: str) -> str:
    """File names may hold bytes that are no text; a record cannot."""
    return text.encode("utf-8", "backslashreplace").decode()


def _given(answer: Any, noun: str) -> str:
    """How many there are; of something else, its type."""
    listed = isinstance(answer, (list, tuple))
    return counted(len(answer), noun) if listed else type(answer).__name__


def _checked(name: str, detector: Detector, answer: Any, expected: int) -> list[Score] | Failure:
    if isinstance(answer, Failure):  # of a worker, which has checked them itself
        return answer
    if not isinstance(answer, (list, tuple)) or len(answer) != expected:
        given, asked = _given(answer, "score"), counted(expected, "query", "queries")
        return Failure("error", f"{name}: returned {given} for {asked}")
    try:
        sound = [checked_score(score) for score in answer]
        if detector.queries and any(score.spool for score in sound):
            raise ValueError("its scores are pending, which takes a detector without queries")
        return sound
    except (TypeError, ValueError, OverflowError) as error:
        return Failure("error", f"{name}: {one_line(error)}")


def checked_score(score: Any) -> Score:
    """A score that can go into a record; raises TypeError or ValueError for anything else."""
    if not isinstance(score, Score):
        raise TypeError(f"returned {type(score).__name__} instead of Score")
    details = dict(_items(score.details))
    if score.spool:
        return Score(value=0.0, details=details, spool=dict(_arrays(score.spool)))
    value = float(score.value) if isinstance(score.value, (Real, np.generic)) else math.nan
    if not math.isfinite(value):
        raise ValueError(f"its score is {score.value!r}, not a finite number")
    heatmap = score.heatmap
    if heatmap is not None:
        heatmap = np.asarray(heatmap)
        if heatmap.ndim != 2 or heatmap.size == 0 or heatmap.dtype.kind != "f":
            shape = list(heatmap.shape)
            raise ValueError(f"its heatmap is {heatmap.dtype} {shape}, not float32 [gh, gw]")
        with np.errstate(over="ignore"):
            heatmap = np.array(heatmap, dtype=np.float32, order="C")
        if not np.isfinite(heatmap).all():  # after the cast: float64 holds more than float32
            raise ValueError("its heatmap holds numbers that are not finite")
    return Score(value=value, heatmap=heatmap, details=details)


def checked_finding(said: object) -> ImageGroup | ImageScores | str:
    """What a set-level detector may find; raises TypeError for anything else."""
    if isinstance(said, ImageGroup) and said.kind:
        return said
    if isinstance(said, str) and said:
        return _utf8(" ".join(said.split()))
    if isinstance(said, ImageScores):
        return said
    raise TypeError(f"finish gave {said!r}, not an ImageGroup with a kind")


def _arrays(spool: Mapping[str, Any]) -> Iterator[tuple[str, NDArray[Any]]]:
    for name, values in spool.items():
        array = np.asarray(values, order="C")
        if array.dtype.kind not in "biuf":
            raise TypeError(
                f"its spool holds {name}, which is {array.dtype} and no array of numbers"
            )
        if array.dtype.kind == "f" and not np.isfinite(array).all():
            raise ValueError(f"its spool holds {name}, whose numbers are not all finite")
        yield str(name), array


def _items(details: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    for key, value in details.items():
        yield _utf8(str(key)), _plain(value)


def _plain(value: Any) -> Any:
    """What JSON can hold; numbers that are not finite become null."""
    if isinstance(value, (np.generic, np.ndarray)):
        value = value.tolist()
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, str):
        return _utf8(value)
    if value is None or isinstance(value, int):
        return value
    if isinstance(value, Mapping):
        return dict(_items(value))
    if isinstance(value, (list, tuple, set, frozenset)):
        return [_plain(item) for item in value]
    raise TypeError(f"its details hold {type(value).__name__}, which JSON cannot: {value!r}")
