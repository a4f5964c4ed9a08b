from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from clipvet.detectors import Artefact, ArtefactMissing, Batch, DetectorError, RecipeError, View
from clipvet.plugins.patchcore import PatchCore, PatchCoreOptions
from clipvet.plugins.patchcore._memory import _FIXED

SPACE = "hidden_2+trunk_16"


@pytest.fixture
def saved(tmp_path: Path, make_detector: Any, make_batch: Any) -> tuple[PatchCore, Path]:
    detector = make_detector()
    detector.fit([make_batch([0, 1, 2])])
    detector.save(tmp_path)
    return detector, tmp_path


def values(detector: PatchCore, batch: Batch) -> list[float]:
    return [scores[0].value for scores in detector.score(batch)]


def test_saved_and_loaded_scores_are_identical(
    saved: Any, make_context: Any, make_batch: Any
) -> None:
    fitted, folder = saved
    files = ["artefact.json", "artefact.safetensors"]
    assert sorted(path.name for path in folder.iterdir()) == files
    loaded = PatchCore(fitted.options)
    loaded.load(folder)
    loaded.prepare(make_context())
    batch = make_batch(range(6))
    for one, other in zip(fitted.score(batch), loaded.score(batch), strict=True):
        assert one[0].value == other[0].value
        assert other[0].heatmap is not None
        assert one[0].heatmap.tobytes() == other[0].heatmap.tobytes()
        assert one[0].details == other[0].details


def test_saving_twice_gives_the_same_bytes(saved: Any, tmp_path_factory: Any) -> None:
    fitted, folder = saved
    again = tmp_path_factory.mktemp("again")
    fitted.save(again)
    for path in folder.iterdir():
        assert path.read_bytes() == (again / path.name).read_bytes()


def test_another_bundle_is_refused(saved: Any, make_context: Any) -> None:
    detector = PatchCore(saved[0].options)
    detector.load(saved[1])
    with pytest.raises(RecipeError, match=r"learned on bundle tiny-test .* train it again"):
        detector.prepare(make_context(sha256="b" * 64))


@pytest.mark.parametrize(
    "changes",
    [
        {"spaces": ("hidden_2",)},
        {"neighbourhood": (1,)},
        {"distance": "cosine"},
        {"coreset": 0.2},
        {"max_patches": 7},
    ],
)
def test_other_options_are_refused(saved: Any, make_context: Any, changes: dict[str, Any]) -> None:
    options = saved[0].options.model_copy(update=changes)
    detector = PatchCore(options)
    detector.load(saved[1])
    (name,) = changes
    with pytest.raises(RecipeError, match=rf"learned with patchcore\.{name}=.* or fit again"):
        detector.prepare(make_context())
    assert name in _FIXED


def test_what_the_memory_does_not_depend_on_may_differ(
    saved: Any, make_context: Any, make_batch: Any
) -> None:
    free = PatchCoreOptions.model_fields.keys() - set(_FIXED)
    changes = {"weights": (2.0,), "image_score": "maximum", "num_neighbours": 3, "top_share": 0.5}
    assert {*changes, "smoothing"} == free
    detector = PatchCore(saved[0].options.model_copy(update={**changes, "smoothing": 1.0}))
    detector.load(saved[1])
    detector.prepare(make_context())
    assert all(value > 0 for value in values(detector, make_batch([4, 5])))


@pytest.mark.parametrize("name", ["artefact.json", "artefact.safetensors"])
def test_missing_and_damaged_files(saved: Any, name: str) -> None:
    path = saved[1] / name
    whole = path.read_bytes()
    for damaged in (b"", whole[:-20], b"[]", whole[:50] + b"\xff" + whole[51:]):
        path.write_bytes(damaged)
        with pytest.raises(RecipeError, match=r"is damaged .* train it again"):
            PatchCore().load(saved[1])
    path.unlink()
    with pytest.raises(ArtefactMissing, match=f"{name} is missing"):
        PatchCore().load(saved[1])


@pytest.mark.parametrize(
    ("facts", "tensors"),
    [
        ({"units": {SPACE: 0.0}}, {}),
        ({"units": {SPACE: float("inf")}}, {}),
        ({"units": {}}, {}),
        ({"seen": {SPACE: 1}}, {}),
        ({"seen": None}, {}),
        ({}, {SPACE: np.zeros((0, 32), np.float32)}),
        ({}, {SPACE: np.full((5, 32), np.nan, np.float32)}),
        ({}, {SPACE: np.zeros((5, 32))}),
        ({}, {SPACE: np.zeros(5, np.float32)}),
        ({}, {f"{SPACE}.images": np.zeros(2, np.int32)}),
        ({}, {f"{SPACE}.images": np.zeros(5, np.float32)}),
    ],
)
def test_a_memory_that_cannot_be(
    make_context: Any, facts: dict[str, Any], tensors: dict[str, Any]
) -> None:
    options = PatchCoreOptions(spaces=(SPACE,))
    sound_facts = {
        **options.model_dump(mode="json", include=set(_FIXED)),
        "images": 1,
        "seen": {SPACE: 9},
        "units": {SPACE: 1.0},
    }
    sound = {SPACE: np.ones((5, 32), np.float32), f"{SPACE}.images": np.zeros(5, np.int32)}
    detector = PatchCore(options)
    bundle = make_context().bundle
    from clipvet.plugins.patchcore._memory import Memory

    for changed in (False, True):
        artefact = Artefact(
            detector="patchcore",
            bundle=bundle,
            facts={**sound_facts, **facts} if changed else sound_facts,
            tensors={**sound, **tensors} if changed else sound,
        )
        detector.memory_ = Memory(artefact)
        if not changed:
            detector.prepare(make_context())
            continue
        with pytest.raises(RecipeError, match=r"the memory is damaged \(.*\): fit it again"):
            detector.prepare(make_context())


def test_no_good_image_at_all(make_detector: Any) -> None:
    with pytest.raises(DetectorError, match="no good image to learn from"):
        make_detector().fit([])


def test_without_a_memory_it_says_what_it_needs(make_detector: Any, make_batch: Any) -> None:
    with pytest.raises(ArtefactMissing, match="patchcore needs good images: fit a recipe"):
        make_detector().score(make_batch([0]))


def test_tiles_of_one_image_are_one_image(make_detector: Any, make_batch: Any) -> None:
    batch = make_batch([0, 1, 2, 3])
    views = [View(pixels=v.pixels, box=v.box, index=i % 2) for i, v in enumerate(batch.views)]
    detector = make_detector(coreset=1.0)
    detector.fit([Batch(features=batch.features, views=views, queries=batch.queries)])
    assert detector.memory_.images == 2
    bank = detector.memory_.banks[SPACE]
    assert bank.owners.tolist() == [0] * 128 + [1] * 128


def test_it_learns_on(
    saved: Any, golden: Any, make_context: Any, make_batch: Any, make_detector: Any
) -> None:
    fitted, folder = saved
    batch = make_batch([4])
    detector = PatchCore(fitted.options)
    detector.load(folder)
    detector.prepare(make_context())
    before = values(detector, batch)
    detector.fit([make_batch([4])])
    assert detector.memory_ is not None
    assert detector.memory_.images == 4
    bank = detector.memory_.banks[SPACE]
    assert bank.seen == 4 * 64
    assert len(bank.vectors) == int(0.1 * 4 * 64)
    assert set(bank.owners.tolist()) == {0, 1, 2, 3}
    assert values(detector, batch) < before
    assert "4-shot" in detector.score(batch)[0][0].details["method"]
    # All patches kept: the same memory as one fit of all images.
    apart, together = make_detector(coreset=1.0), make_detector(coreset=1.0)
    apart.fit([make_batch([0, 1])])
    unit = apart.memory_.banks[SPACE].unit
    apart.fit([make_batch([2, 3])])
    together.fit([make_batch([0, 1, 2, 3])])
    one, other = (d.memory_.banks[SPACE] for d in (apart, together))
    np.testing.assert_array_equal(one.vectors, other.vectors)
    np.testing.assert_array_equal(one.owners, other.owners)
    # The unit is the mean of that of the old images and that of the new ones.
    patches, new = golden["patches"][:4].astype(np.float64), []
    for image in (2, 3):
        others = np.delete(patches, image, axis=0).reshape(-1, 32)
        new.append(np.linalg.norm(patches[image][:, None] - others, axis=-1).min(axis=1))
    assert one.unit == pytest.approx((unit + np.std(new)) / 2, rel=1e-4)


def test_the_header_says_what_it_was_learned_with(saved: Any) -> None:
    header = json.loads((saved[1] / "artefact.json").read_text())
    assert header["facts"]["spaces"] == [SPACE]
    assert header["facts"]["coreset"] == 0.1
    assert header["facts"]["images"] == 3
    assert header["facts"]["seen"] == {SPACE: 192}
    assert header["tensors"] == {SPACE: [19, 32], f"{SPACE}.images": [19]}
