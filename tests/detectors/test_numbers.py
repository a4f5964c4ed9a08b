"""Numbers that are not finite never become a verdict, and no score depends on how it was made."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from clipvet.detectors import (
    DetectorSpec,
    Engine,
    Host,
    Inspection,
    Inspector,
    Query,
    Score,
    read_frame,
)
from clipvet.detectors.engine._containment import GuardedDetector
from clipvet.detectors.engine._finite import finite_mean
from clipvet.detectors.errors import DetectorError
from clipvet.detectors.testing import FakeRuntime
from clipvet.plugins.winclip._text import log_probabilities
from clipvet.plugins.winclip._windows import Cover
from tests.runs import EVERYTHING, Energy, frame, host, picture

QUERY = Query(
    object="gear", classes=("gear", "nut"), question="What is it?", choices=("gear", "nut")
)
SETTINGS: dict[str, dict[str, Any]] = {"vim": {"method": "energy"}}


class Maximum(Energy):
    """Swallows NaN, as many a maximum does."""

    id = "maximum"

    def score(self, batch: Any) -> list[list[Score]]:
        values = np.nan_to_num(batch.features["cls_embed"], nan=0.0, posinf=0.0, neginf=0.0)
        return [[Score(value=float(row.max()))] for row in values]


class Spoilt(FakeRuntime):
    """Gives a number that is none for bright views."""

    wrong = float("nan")
    where = "cls_embed"

    def encode_views(self, views: Sequence[NDArray[np.uint8]]) -> dict[str, NDArray[np.float32]]:
        features = super().encode_views(views)
        for index, view in enumerate(views):
            if view.min() == 255:
                features[self.where].reshape(len(views), -1)[index, -1] = self.wrong
        return features


WHITE = np.full((40, 40, 3), 255, np.uint8)


@pytest.mark.parametrize("wrong", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("where", ["cls_embed", "patch_embed"])
def test_features_that_are_not_finite_are_an_error_that_names_them(
    wrong: float, where: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Spoilt, "wrong", wrong)
    monkeypatch.setattr(Spoilt, "where", where)
    plugins = host(Maximum, Energy)
    with Inspector(["maximum", "energy"], host=plugins, runtime_factory=Spoilt) as inspector:
        sound, broken, after = (
            one.record for one in inspector.map([picture(1), WHITE, picture(1)])
        )
        assert inspector(WHITE).detections == broken.detections
    assert broken.verdict not in {"pass", "flag"}
    for one in broken.detections:
        assert (one.status, one.score) == ("error", None)
        assert one.error is not None
        assert one.error.startswith(one.detector)
        assert f"not finite for this image (in {where})" in one.error
    assert [one.status for one in sound.detections] == ["ok", "ok"]
    assert [o.score for o in sound.detections] == [o.score for o in after.detections]


def test_nothing_is_learned_from_them() -> None:
    with (
        Engine([DetectorSpec(id="learner")], host=EVERYTHING, runtime_factory=Spoilt) as engine,
        pytest.raises(DetectorError, match="not finite"),
    ):
        engine.fit("learner", [frame(1), read_frame(WHITE)], Query())


def test_a_gate_that_gives_no_number_lets_nothing_pass() -> None:
    assert finite_mean([1.0, 3.0]) == 2.0
    assert finite_mean([1.0, float("nan")]) > 1e300
    assert finite_mean([float("-inf")]) > 1e300


def test_a_heatmap_that_float32_cannot_hold() -> None:
    class Huge(Energy):
        def score(self, batch: Any) -> list[list[Score]]:
            return [[Score(value=1.0, heatmap=np.full((2, 2), 1e300))] for _ in range(len(batch))]

    with Engine([DetectorSpec(id="energy")], host=host(Huge), runtime_factory=FakeRuntime) as one:
        (result,) = one.score([frame(1)], [()])[0]
    assert result.status == "error"
    assert "not finite" in (result.error or "")
    assert isinstance(one.slots[0].guarded, GuardedDetector)


@pytest.mark.parametrize("temperature", [0.01, 1e-4])
def test_harmonic_means_survive_what_float16_loses(temperature: float) -> None:
    """A cosine of -0.9 at 0.01 is a probability of e^-180: 0 in float32, 1/0 in the mean."""
    rng = np.random.default_rng(0)
    direction = rng.standard_normal(32).astype(np.float32)
    direction /= np.linalg.norm(direction)
    vectors = (-direction + 0.01 * rng.standard_normal((25, 32))).astype(np.float16)
    anomalous, normal = log_probabilities(vectors.astype(np.float32), direction, temperature)
    assert np.exp(anomalous.astype(np.float32)).max() < 6e-8  # float16 has nothing below
    cover = Cover.of((6, 6), 2)
    for logs in (anomalous, normal):
        mean = cover.spread(logs)
        assert np.isfinite(mean).all()
        assert logs.min() - 1e-9 <= mean.min()
        assert mean.max() <= logs.max() + 1e-9


@cache
def built_in() -> tuple[str, ...]:
    """All but those that need other images: good ones, or a folder of them."""
    found = Host.load().detectors.values()
    ids = {entry.id for entry in found if entry.dist == "clipvet"}
    return tuple(sorted(ids - {"mutual", "patchcore"}))


def specs() -> list[DetectorSpec]:
    return [DetectorSpec(id=name, options=SETTINGS.get(name, {})) for name in built_in()]


def essence(one: Inspection) -> Any:
    """All numbers, exactly."""
    scores = [
        (d.detector, d.query, d.status, d.score, d.domain, d.details) for d in one.record.detections
    ]
    return scores, {name: heatmap.grid.tobytes() for name, heatmap in one.heatmaps.items()}


@pytest.fixture(scope="module")
def pictures() -> list[NDArray[np.uint8]]:
    return [picture(seed, (96 + 8 * seed, 80)) for seed in range(7)]


@pytest.fixture(scope="module")
def serial(pictures: list[NDArray[np.uint8]]) -> list[Any]:
    """Every built-in detector on the embedded bundle, image by image."""
    with Inspector(specs(), query=QUERY, batch_size=1, threads=1) as inspector:
        found = [inspector.inspect(pixels) for pixels in pictures]
    for one in found:
        assert {d.detector: d.status for d in one.record.detections} == dict.fromkeys(
            built_in(), "ok"
        )
    return [essence(one) for one in found]


@pytest.mark.parametrize(("batch", "threads"), [(3, 1), (8, 2)])
def test_built_in_detectors_give_the_same_bits_in_any_batch_order_and_threads(
    batch: int, threads: int, pictures: list[NDArray[np.uint8]], serial: list[Any]
) -> None:
    with Inspector(specs(), query=QUERY, batch_size=batch, threads=threads) as inspector:
        forth = [essence(one) for one in inspector.map(pictures)]
        back = [essence(one) for one in inspector.map(pictures[::-1])]
    assert forth == serial
    assert back == serial[::-1]


def test_sixteen_threads_share_one_inspector(
    pictures: list[NDArray[np.uint8]], serial: list[Any]
) -> None:
    with (
        Inspector(specs(), query=QUERY, threads=1) as inspector,
        ThreadPoolExecutor(16) as pool,
    ):
        found = list(pool.map(inspector.inspect, pictures * 5))
    assert [essence(one) for one in found] == serial * 5
