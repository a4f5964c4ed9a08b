"""Batches, bundles' facts, scores and groups as messages, and back."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import asdict, fields
from functools import cached_property
from itertools import chain
from typing import Any

import numpy as np
from numpy.typing import NDArray

from clipvet.detectors._detector import Batch, ImageGroup, Query, Score
from clipvet.detectors.clip import BundleInfo
from clipvet.detectors.engine._containment import Failure, read_only
from clipvet.detectors.frames._views import View
from clipvet.detectors.isolation._channel import Message

__all__ = [
    "answers_from",
    "answers_message",
    "batch_from",
    "batch_message",
    "bundle_facts",
    "bundle_from",
    "group_from",
    "group_message",
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
    heatmaps: list[NDArray[np.float32]] = []
    views: list[Any] = []
    for answer in answers:
        if isinstance(answer, Failure):
            views.append({"status": answer.status, "message": answer.message})
            continue
        views.append([[score.value, score.heatmap is not None, score.details] for score in answer])
        heatmaps += [score.heatmap for score in answer if score.heatmap is not None]
    return Message(kind="done", facts={"answers": views}, arrays=heatmaps)


def answers_from(message: Message) -> list[list[Score] | Failure]:
    """The other way round; raises ValueError, TypeError or KeyError for what is no answer."""
    heatmaps = iter(message.arrays)

    def score(value: Any, has_heatmap: Any, details: Any) -> Score:
        if not isinstance(details, dict):
            raise TypeError("details that are no mapping")
        heatmap = next(heatmaps, None) if has_heatmap else None
        if has_heatmap and heatmap is None:
            raise ValueError("a heatmap that was not sent")
        return Score(value=value, heatmap=heatmap, details=details)

    def answer(view: Any) -> list[Score] | Failure:
        if isinstance(view, dict):
            missing = view["status"] == "not_applicable"
            return Failure("not_applicable" if missing else "error", str(view["message"]))
        return [score(*one) for one in view]

    return [answer(view) for view in message.facts["answers"]]


def group_message(group: ImageGroup) -> Message:
    """One group of a set-level detector."""
    members = np.fromiter((int(place) for place in group.members), np.int64)
    facts = {"kind": group.kind, "details": dict(group.details)}
    return Message(kind="group", facts=facts, arrays=[members])


def group_from(message: Message) -> ImageGroup:
    """The other way round; raises as :func:`answers_from`."""
    kind, details = message.facts["kind"], message.facts["details"]
    (members,) = message.arrays
    if not (isinstance(kind, str) and isinstance(details, dict) and members.ndim == 1):
        raise TypeError("a group of the wrong form")
    return ImageGroup(kind=kind, members=members, details=details)


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
