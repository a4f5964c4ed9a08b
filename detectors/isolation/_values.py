"""Batches, bundles' facts, scores and groups as messages, and back."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import asdict, fields
from functools import cached_property
from itertools import chain
from typing import Any

import numpy as np
from numpy.typing import NDArray

from clipvet.detectors._detector import Batch, ImageGroup, ImageScores, Query, Score
from clipvet.detectors.clip import BundleInfo
from clipvet.detectors.engine._containment import Failure, checked_score, read_only
from clipvet.detectors.frames._views import View
from clipvet.detectors.isolation._channel import Message

__all__ = [
    "answers_from",
    "answers_message",
    "batch_from",
    "batch_message",
    "bundle_facts",
    "bundle_from",
    "finding_from",
    "finding_message",
    "image_from",
    "image_message",
]


def batch_message(batch: Batch, needs: Collection[str], *, pixels: bool) -> Message:
    """A batch with the features that a detector needs; its pixels, or their promise.

    Args:
        batch: of features that are all there.
        needs: their names.
        pixels: send them; else the other side asks for those that are looked at.
    """
    names = sorted(set(needs) & set(batch.features))
    distinct = {query: n for n, query in enumerate(dict.fromkeys(chain(*batch.queries)))}
    facts = {
        "features": names,
        "views": [[list(view.box), view.index] for view in batch.views],
        "queries": [_query_facts(query) for query in distinct],
        "asked": [[distinct[query] for query in asked] for asked in batch.queries],
    }
    arrays: list[NDArray[Any]] = [batch.features[name] for name in names]
    if pixels:
        arrays += [view.pixels for view in batch.views]
    return Message(kind="batch", facts=facts, arrays=arrays)


def batch_from(message: Message, fetch: Callable[[int], NDArray[np.uint8]] | None) -> Batch:
    """The batch of a message; ``fetch`` gives the pixels of a view, where they were not sent."""
    names = message.facts["features"]
    sent = message.arrays[len(names) :]
    queries = [_query(facts) for facts in message.facts["queries"]]
    return Batch(
        features=read_only(dict(zip(names, message.arrays, strict=False))),
        views=tuple(
            View(pixels=sent[place], box=tuple(box), index=index)
            if fetch is None
            else _LazyView.of(fetch, place, tuple(box), index)
            for place, (box, index) in enumerate(message.facts["views"])
        ),
        queries=tuple(tuple(queries[n] for n in asked) for asked in message.facts["asked"]),
    )


def bundle_facts(info: BundleInfo) -> dict[str, Any]:
    """JSON-able."""
    return {**asdict(info), "grid": list(info.grid), "features": sorted(info.features)}


def bundle_from(facts: Mapping[str, Any]) -> BundleInfo:
    """The other way round."""
    known = {field.name: facts[field.name] for field in fields(BundleInfo)}
    grids = {name: tuple(grid) for name, grid in known["trunk_grids"].items()}
    known |= {"grid": tuple(known["grid"]), "features": frozenset(known["features"])}
    known["trunk_grids"] = grids
    return BundleInfo(**known)


def answers_message(answers: Sequence[Sequence[Score] | Failure]) -> Message:
    """Checked answers, one for each view."""
    arrays: list[NDArray[Any]] = []
    views: list[Any] = []
    for answer in answers:
        if isinstance(answer, Failure):
            views.append({"status": answer.status, "message": answer.message})
            continue
        views.append([_score_facts(score) for score in answer])
        for score in answer:
            arrays += _score_arrays(score)
    return Message(kind="done", facts={"answers": views}, arrays=arrays)


def answers_from(message: Message) -> list[list[Score] | Failure]:
    """The other way round; raises ValueError, TypeError or KeyError for what is no answer."""
    arrays = iter(message.arrays)

    def answer(view: Any) -> list[Score] | Failure:
        if isinstance(view, dict):
            missing = view["status"] == "not_applicable"
            return Failure("not_applicable" if missing else "error", str(view["message"]))
        return [_score_from(one, arrays) for one in view]

    return [answer(view) for view in message.facts["answers"]]


def _group_message(group: ImageGroup) -> Message:
    """One group of a set-level detector."""
    members = np.fromiter((int(place) for place in group.members), np.int64)
    facts = {"kind": group.kind, "details": dict(group.details)}
    return Message(kind="group", facts=facts, arrays=[members])


def _group_from(message: Message) -> ImageGroup:
    """The other way round; raises as :func:`answers_from`."""
    kind, details = message.facts["kind"], message.facts["details"]
    (members,) = message.arrays
    if not (isinstance(kind, str) and isinstance(details, dict) and members.ndim == 1):
        raise TypeError("a group of the wrong form")
    return ImageGroup(kind=kind, members=members, details=details)


def finding_message(said: ImageGroup | ImageScores | str) -> Message:
    """What a set-level detector found."""
    if isinstance(said, str):
        return Message(kind="note", facts={"text": said})
    if isinstance(said, ImageGroup):
        return _group_message(said)
    scores = [checked_score(score) for score in said.views]
    facts = {"place": int(said.place), "views": [_score_facts(score) for score in scores]}
    arrays = [array for score in scores for array in _score_arrays(score)]
    return Message(kind="scores", facts=facts, arrays=arrays)


def finding_from(message: Message) -> ImageGroup | ImageScores | str:
    """The other way round; raises as :func:`answers_from`."""
    if message.kind == "note":
        return str(message.facts["text"])
    if message.kind == "group":
        return _group_from(message)
    arrays = iter(message.arrays)
    views = [_score_from(one, arrays) for one in message.facts["views"]]
    return ImageScores(place=int(message.facts["place"]), views=views)


def image_message(kept: Mapping[str, Any], details: Collection[str]) -> Message:
    """The arrays that were kept of one image, those of several views one after the other."""
    names = sorted(kept.keys() - set(details))
    values = {name: kept[name] for name in names}
    views = {name: len(value) if isinstance(value, list) else 0 for name, value in values.items()}
    arrays = [
        array
        for value in values.values()
        for array in (value if isinstance(value, list) else [value])
    ]
    return Message(kind="image", facts={"views": views}, arrays=arrays)


def image_from(message: Message) -> dict[str, Any]:
    """The other way round."""
    arrays = iter(message.arrays)
    return {
        name: [next(arrays) for _ in range(count)] if count else next(arrays)
        for name, count in message.facts["views"].items()
    }


def _score_facts(score: Score) -> list[Any]:
    return [score.value, score.heatmap is not None, score.details, list(score.spool)]


def _score_arrays(score: Score) -> list[NDArray[Any]]:
    heatmap = [] if score.heatmap is None else [score.heatmap]
    return [*heatmap, *score.spool.values()]


def _score_from(facts: Sequence[Any], arrays: Iterator[NDArray[Any]]) -> Score:
    value, has_heatmap, details, names = facts
    if not isinstance(details, dict):
        raise TypeError("details that are no mapping")
    heatmap = next(arrays, None) if has_heatmap else None
    if has_heatmap and heatmap is None:
        raise ValueError("a heatmap that was not sent")
    spool = dict(zip(names, arrays, strict=False))
    if len(spool) != len(names):
        raise ValueError("an array that was not sent")
    return Score(value=value, heatmap=heatmap, details=details, spool=spool)


class _LazyView(View):
    """A view whose pixels come when somebody looks at them: most detectors never do."""

    _fetch: Callable[[int], NDArray[np.uint8]]
    _place: int

    @classmethod
    def of(
        cls, fetch: Callable[[int], NDArray[np.uint8]], place: int, box: Any, index: int
    ) -> View:
        view = cls.__new__(cls)
        vars(view).update(box=box, index=index, _fetch=fetch, _place=place)
        return view

    @cached_property
    def pixels(self) -> NDArray[np.uint8]:
        return self._fetch(self._place)


def _query_facts(query: Query) -> dict[str, Any]:
    return {name: value for name, value in vars(query).items() if value}


def _query(facts: Mapping[str, Any]) -> Query:
    values: dict[str, Any] = {n: tuple(v) if isinstance(v, list) else v for n, v in facts.items()}
    return Query(**values)
