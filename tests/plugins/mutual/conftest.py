from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from clipvet.detectors import Batch, Context, Query, Score, View
from clipvet.detectors.testing import FakeRuntime
from clipvet.plugins.mutual import Mutual, MutualOptions

GOLDEN = Path(__file__).parents[2] / "golden"
Arrays = Mapping[str, NDArray[Any]]


@pytest.fixture(scope="session")
def golden() -> Arrays:
    with np.load(GOLDEN / "musc.npz") as arrays:
        return dict(arrays)


@pytest.fixture(scope="session")
def make() -> Callable[..., Mutual]:
    """A prepared detector with these options, on the bundle of the fake runtime (6x6 patches)."""

    def made(warn: Callable[[str], None] = lambda _text: None, **options: Any) -> Mutual:
        detector = Mutual(MutualOptions(**options))
        runtime = FakeRuntime()
        detector.prepare(Context(bundle=runtime.info, encode_text=runtime.encode_text, warn=warn))
        return detector

    return made


def batch_of(features: Arrays, views: Sequence[int] | None = None, tiles: int = 1) -> Batch:
    """Some views of these features; ``tiles`` of them make an image. Pixels number the views."""
    count = len(next(iter(features.values())))
    chosen = list(range(count) if views is None else views)
    return Batch(
        features={name: values[chosen] for name, values in features.items()},
        views=[
            View(
                pixels=np.full((4, 4, 3), number, np.uint8), box=(0, 0, 4, 4), index=number % tiles
            )
            for number in chosen
        ],
        queries=[(Query(),)] * len(chosen),
    )


def kept_of(detector: Mutual, batch: Batch) -> list[dict[str, Any]]:
    """What a run would keep of each view for the end."""
    return [
        {"digest": score.details["digest"], **score.spool} for (score,) in detector.score(batch)
    ]


def late(detector: Mutual, store: Sequence[Mapping[str, Any]]) -> list[Score]:
    """The scores of a run of images in one view each, in order."""
    found = {one.place: one.views for one in detector.finish(store) if not isinstance(one, str)}
    assert sorted(found) == list(range(len(store)))
    assert all(len(views) == 1 for views in found.values())
    return [found[place][0] for place in range(len(store))]


def grid(score: Score) -> NDArray[np.float32]:
    """Its heatmap, which is there."""
    assert score.heatmap is not None
    return score.heatmap


def sentences(detector: Mutual, store: Sequence[Mapping[str, Any]]) -> list[str]:
    return [one for one in detector.finish(store) if isinstance(one, str)]
