from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from clipvet.detectors import RecipeError, unit_rows
from clipvet.plugins.winclip import WinClip, WinClipOptions
from clipvet.plugins.winclip._coreset import (
    PROJECTED,
    Coreset,
    _projected,
    greedy_k_centre,
)
from clipvet.plugins.winclip._memory import nearest_distance

Floats = NDArray[np.float32]


def clusters(count: int, width: int, *, seed: int = 0, kinds: int = 40) -> Floats:
    """Unit vectors around a few directions, some of which are rare."""
    rng = np.random.default_rng(seed)
    centres = np.random.default_rng(99).standard_normal((kinds, width))
    share = 1 / np.arange(1, kinds + 1) ** 1.5
    which = rng.choice(kinds, count, p=share / share.sum())
    return unit_rows(centres[which] + 0.15 * rng.standard_normal((count, width))).astype(np.float32)


def distances(points: Floats, chosen: Floats) -> NDArray[np.float64]:
    p, c = points.astype(np.float64), chosen.astype(np.float64)
    squared = (p**2).sum(axis=1)[:, None] + (c**2).sum(axis=1) - 2 * p @ c.T
    nearest: NDArray[np.float64] = np.sqrt(squared.clip(min=0)).min(axis=1)
    return nearest


def test_greedy_covers_within_its_radius_and_twice_the_best() -> None:
    rng = np.random.default_rng(5)
    points = rng.standard_normal((13, 2)).astype(np.float32)
    for size in (1, 2, 3, 4):
        chosen, radius = greedy_k_centre(points, size)
        assert len(set(chosen.tolist())) == size
        assert distances(points, points[chosen]).max() == pytest.approx(radius, abs=1e-5)
        best = min(
            distances(points, points[list(some)]).max()
            for some in itertools.combinations(range(13), size)
        )
        assert best - 1e-5 <= radius <= 2 * best + 1e-5


def test_greedy_takes_the_farthest_next() -> None:
    points = np.array([[0, 0], [1, 0], [9, 0], [5, 0], [8, 0]], dtype=np.float32)
    chosen, radius = greedy_k_centre(points, 3)
    assert chosen.tolist() == [0, 2, 3]
    assert radius == 1
    everything, radius = greedy_k_centre(points, 9)
    assert sorted(everything.tolist()) == [0, 1, 2, 3, 4]
    assert radius == 0
    copies, radius = greedy_k_centre(np.ones((4, 2), np.float32), 3)
    assert len(set(copies.tolist())) == 3
    assert radius == 0


def test_without_a_size_and_below_it_every_vector_stays_as_it_is() -> None:
    vectors = clusters(300, 24)
    for coreset in (Coreset(), Coreset(300)):
        for block in np.split(vectors, 6):
            coreset.offer(block)
        assert coreset.vectors.tobytes() == vectors.tobytes()
        assert (coreset.seen, coreset.radius) == (300, 0.0)


@pytest.mark.parametrize("width", [16, PROJECTED + 64])
def test_a_stream_is_covered_nearly_as_well_as_if_it_were_held_at_once(width: int) -> None:
    vectors = clusters(4_000, width)
    coreset = Coreset(80)
    most = 0
    for block in np.split(vectors, 40):
        coreset.offer(block)
        most = max(most, coreset._held)
    kept = coreset.vectors
    assert kept.shape == (80, width)
    assert coreset.seen == 4_000
    assert most <= 5 * 80  # memory does not grow with the stream
    rows = {row.tobytes() for row in vectors}
    assert all(row.tobytes() in rows for row in kept)  # vectors shown, not means of some
    points = _projected(vectors)
    _, at_once = greedy_k_centre(points, 80)
    streamed = distances(points, _projected(kept)).max()
    assert streamed <= 2 * at_once
    drawn = vectors[np.random.default_rng(1).choice(4_000, 80, replace=False)]
    assert streamed < distances(points, _projected(drawn)).max()


def test_projection_keeps_distances() -> None:
    vectors = clusters(400, 768, seed=3)
    points = _projected(vectors)
    assert points.shape == (400, PROJECTED)
    before = ((vectors[:200] - vectors[200:]) ** 2).sum(axis=1)
    ratio = ((points[:200] - points[200:]) ** 2).sum(axis=1) / before
    assert abs(ratio.mean() - 1) < 0.05
    assert ratio.std() < 1.3 * np.sqrt(2 / PROJECTED)


def test_the_same_images_in_the_same_order_give_the_same_bytes() -> None:
    images = np.split(clusters(1_600, 160), 40)

    def kept(order: list[int]) -> bytes:
        coreset = Coreset(60)
        for index in order:
            coreset.offer(images[index])
        return coreset.vectors.tobytes()

    order = list(range(40))
    assert kept(order) == kept(order)
    assert kept(order) != kept(order[::-1])  # as documented; a fit orders by content


def test_batches_do_not_matter_and_the_method_tells_the_size(
    make_detector: Any, make_batch: Any, make_context: Any, tmp_path: Path
) -> None:
    one, other = (make_detector(coreset=20) for _ in range(2))
    one.fit([make_batch(range(6))])
    other.fit([make_batch([0]), make_batch([1, 2, 3]), make_batch([4, 5])])
    for name, bank in one.memory_.banks.items():
        assert bank.shape[0] == 20
        assert bank.tobytes() == other.memory_.banks[name].tobytes()
    one.save(tmp_path)
    loaded = WinClip(WinClipOptions(coreset=20))
    loaded.load(tmp_path)
    loaded.prepare(make_context())
    assert loaded.memory_ is not None
    assert loaded.memory_.artefact.facts["coreset"] == {
        "size": 20,
        "seen": {"patch": 6 * 36, "win2": 6 * 25, "win3": 6 * 16},
    }
    batch = make_batch(range(6), "carpet")
    for ours, theirs in zip(loaded.score(batch), one.score(batch), strict=True):
        assert ours[0].value == theirs[0].value
        assert ours[0].details["method"] == "WinCLIP+ 6-shot (coreset=20)"
    plain = WinClip()
    plain.load(tmp_path)
    with pytest.raises(RecipeError, match=r"winclip.coreset=20, the options say 0"):
        plain.prepare(make_context())


def test_distances_to_a_coreset_are_not_below_those_to_all() -> None:
    vectors, queries = clusters(3_000, 32), clusters(50, 32, seed=8)
    coreset = Coreset(100)
    coreset.offer(vectors)
    whole = nearest_distance(queries, vectors)
    part = nearest_distance(queries, coreset.vectors)
    assert (part >= whole).all()
    # |a - c| <= |a - b| + |b - c|, and half of one minus a cosine is a quarter of |a - b|^2
    bound = (np.sqrt(4 * whole) + distances(vectors, coreset.vectors).max()) ** 2 / 4
    assert (part <= bound + 1e-6).all()


def test_zero_keeps_the_artefact_as_it_was(
    make_detector: Any, make_batch: Any, tmp_path: Path
) -> None:
    detector = make_detector()
    detector.fit([make_batch([0, 1])])
    assert set(detector.memory_.artefact.facts) == {"patch_tokens", "shots"}
    scored = detector.score(make_batch([2], "carpet"))[0][0]
    assert scored.details["method"] == "WinCLIP+ 2-shot"
