"""The bank: what it keeps of unlabelled images, and how images are compared with it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from clipvet.detectors import Artefact, DetectorError, RecipeError
from clipvet.plugins.mutual import Mutual, MutualOptions
from tests.plugins.mutual.conftest import batch_of, grid, kept_of, late
from tests.plugins.mutual.test_folder import bits, tokens


def fitted(make: Any, features: Any, views: Any = None, *, tiles: int = 1, **options: Any) -> Any:
    detector = make(**{"depths": (2,), **options})
    chosen = list(range(len(features["hidden_2"]))) if views is None else list(views)
    # In batches of three, as the host streams them.
    parts = [chosen[first : first + 3] for first in range(0, len(chosen), 3)]
    detector.fit(batch_of(features, part, tiles) for part in parts)
    return detector


def scores(detector: Mutual, features: Any, views: Any = None) -> Any:
    return [one for (one,) in detector.score(batch_of(features, views))]


def test_an_image_of_the_bank_is_not_compared_with_itself(make: Any) -> None:
    features = tokens(9)
    detector = fitted(make, features, range(8))
    found = scores(detector, features)
    assert [one.details["compared"] for one in found] == [7] * 8 + [8]
    assert [one.details["closest"] for one in found] == [2] * 9
    assert found[0].details["method"] == (
        "MuSc bank, 8 images (depths=2, top_share=0.01, no rescoring)"
    )
    # As if the bank had never held it.
    without = fitted(make, features, range(1, 8))
    assert bits(found[:1]) == bits(scores(without, features, [0]))


def test_batch_mates_change_no_bit(make: Any) -> None:
    features = tokens(12)
    detector = fitted(make, features, range(8), depths=(1, 3), neighbourhoods=(1, 3, 5))
    alone = [scores(detector, features, [view])[0] for view in range(12)]
    assert bits(scores(detector, features)) == bits(alone)
    assert bits(scores(detector, features, range(11, 3, -1))) == bits(alone[:3:-1])


def test_bank_and_folder_give_the_same_numbers(make: Any) -> None:
    features = tokens(8)
    options: Any = {"depths": (1, 4), "neighbourhoods": (1, 3), "radius": 2}
    folder = make(**options)
    together = late(folder, kept_of(folder, batch_of(features)))
    apart = scores(fitted(make, features, **options), features)
    for one, other in zip(together, apart, strict=True):
        assert one.value == pytest.approx(other.value, abs=1e-6)
        np.testing.assert_allclose(grid(one), grid(other), atol=1e-6)


def test_the_sample_does_not_depend_on_the_order(make: Any) -> None:
    features = tokens(20)
    options: Any = {"bank_size": 6}
    said: list[str] = []
    one = fitted(make, features, warn=said.append, **options)
    assert said[0] == (
        "mutual keeps a sample of 6 images of 20: raise mutual.bank_size to keep more"
    )
    other = fitted(make, features, range(19, -1, -1), **options)
    assert one.bank_.images == 6
    for name, values in one.bank_.artefact.tensors.items():
        np.testing.assert_array_equal(values, other.bank_.artefact.tensors[name])
    assert bits(scores(one, features)) == bits(scores(other, features))
    assert one.bank_.artefact.facts["offered"] == 20


def test_equal_images_count_once(make: Any) -> None:
    features = tokens(6)
    detector = fitted(make, features, [0, 1, 2, 3, 4, 4, 5, 0, 0])
    assert detector.bank_.images == 6
    with pytest.raises(DetectorError, match="4 different images to compare with: it takes at"):
        fitted(make, features, [0, 1, 2, 3, 3, 3])


def test_tiles_of_a_picture_of_the_bank_are_left_out_together(make: Any) -> None:
    features = tokens(12)
    detector = fitted(make, features, tiles=2)
    assert (detector.bank_.images, detector.bank_.views) == (6, 12)
    assert scores(detector, features, [5])[0].details["compared"] == 10


def test_what_was_saved_scores_the_same(make: Any, tmp_path: Path) -> None:
    features = tokens(9)
    detector = fitted(make, features, range(7), neighbourhoods=(3,))
    detector.save(tmp_path)
    loaded = Mutual(MutualOptions(depths=(2,), neighbourhoods=(3,)))
    loaded.load(tmp_path)
    said: list[str] = []
    loaded.prepare(replace(detector.context_, warn=said.append))
    assert bits(scores(loaded, features)) == bits(scores(detector, features))
    assert loaded.heatmap_range == detector.heatmap_range
    assert loaded.keeps == frozenset()
    (blind,) = said
    assert blind == (
        "mutual compares with 7 unlabelled images: a defect that most of them share looks normal "
        "to it"
    )


def test_a_bank_that_seems_mostly_defective_is_warned_of(make: Any) -> None:
    features = tokens(30, noise=0.1)
    features["hidden_2"][:18] = np.random.default_rng(1).standard_normal((18, 37, 8))
    said: list[str] = []
    fitted(make, features, warn=said.append)
    assert "the images it learned from: their scores fall into two groups" in said[1]
    said.clear()
    fitted(make, tokens(30), warn=said.append)
    assert len(said) == 1


def test_a_bank_does_not_rescore(make: Any) -> None:
    features = tokens(7)
    found = scores(fitted(make, features, rescoring=(1, 2, 3)), features)
    assert bits(found) == bits(scores(fitted(make, features), features))
    assert "no rescoring" in found[0].details["method"]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda t: t.pop("owners"), "the bank is damaged"),
        (lambda t: t.update(digests=t["digests"][:, :5]), "the bank is damaged"),
        (lambda t: t.update(hidden_2=t["hidden_2"].astype(np.float32)), "the bank is damaged"),
        (lambda t: t.update(hidden_2=t["hidden_2"][1:]), "the bank is damaged"),
        (lambda t: t.update(hidden_3=t.pop("hidden_2")), "the bank holds no hidden_2"),
    ],
)
def test_a_bank_that_does_not_serve_is_refused(
    make: Any, tmp_path: Path, change: Any, said: str
) -> None:
    made = fitted(make, tokens(6))
    tensors = dict(made.bank_.artefact.tensors)
    change(tensors)
    replace(made.bank_.artefact, tensors=tensors).save(tmp_path)
    detector = Mutual(MutualOptions(depths=(2,)))

    def take_up() -> None:
        detector.load(tmp_path)
        detector.prepare(made.context_)

    with pytest.raises(RecipeError, match=said):
        take_up()


@pytest.mark.parametrize(
    "change", [{"range": None}, {"range": [2, 1]}, {"range": ["a", 1]}, {"mostly_high": "no"}]
)
def test_a_bank_with_damaged_facts_is_refused(
    make: Any, tmp_path: Path, change: dict[str, Any]
) -> None:
    made = fitted(make, tokens(6))
    facts = {**made.bank_.artefact.facts, **change}
    replace(made.bank_.artefact, facts=facts).save(tmp_path)
    with pytest.raises(RecipeError, match="the bank is damaged"):
        Mutual(MutualOptions(depths=(2,))).load(tmp_path)


def test_a_bank_of_another_bundle_is_refused(make: Any, tmp_path: Path) -> None:
    made = fitted(make, tokens(6))
    bundle = replace(made.context_.bundle, sha256="0" * 64)
    replace(made.bank_.artefact, bundle=bundle).save(tmp_path)
    detector = Mutual(MutualOptions(depths=(2,)))
    detector.load(tmp_path)
    with pytest.raises(RecipeError, match="was learned on bundle fake"):
        detector.prepare(made.context_)
    assert Artefact.load(tmp_path, detector="mutual").tensors["hidden_2"].dtype == np.float16


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"depths": ()}, "there is nothing to compare"),
        ({"neighbourhoods": (2,)}, "a neighbourhood of 2 cells has no middle"),
        ({"neighbourhoods": ()}, "at least 1 item"),
        ({"rescoring": (0,)}, "counts of images are at least 1"),
        ({"bank_size": 4}, "greater than or equal to 5"),
    ],
)
def test_options_that_make_no_sense(options: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        MutualOptions(**options)


def test_the_method_names_every_setting_that_is_not_the_papers() -> None:
    paper = MutualOptions(top_share=0, rescoring=(1, 2, 3))
    assert paper.method("folder", 63) == "MuSc folder, 63 images (rescoring=1+2+3)"
    ours = MutualOptions(depths=(), features=("trunk_8",), radius=2, share=0.5)
    assert ours.method("bank", 64) == (
        "MuSc bank, 64 images (depths=none, features=trunk_8, share=0.5, radius=2, "
        "top_share=0.01, no rescoring)"
    )
