from __future__ import annotations

import inspect
import pickle
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from clipvet.detectors import FEATURES, Batch, Detector, DetectorOptions, Score
from clipvet.detectors.clip import Runtime
from clipvet.detectors.errors import UsageError
from clipvet.detectors.testing import (
    FakeRuntime,
    check_detector,
    detector_checks,
    host_with,
    parametrize_with_checks,
    run_checks,
    textures,
)
from clipvet.detectors.testing._checks import _begins_like_a_pickle

pytest_plugins = ["clipvet.detectors.testing.pytest_plugin"]

SIZES = {"V": 3, "W": 48, "E": 32, "N": 36, "1+N": 37, "n2": 25, "n3": 16}


def test_a_safetensors_file_is_no_pickle_however_long_its_header(tmp_path: Path) -> None:
    path = tmp_path / "artefact.safetensors"
    for length in (0x80, 0x280, 0x480):
        path.write_bytes(length.to_bytes(8, "little") + b"{" + b" " * (length - 2) + b"}")
        assert not _begins_like_a_pickle(path)
    for protocol in (2, 3, 4, 5):
        path.write_bytes(pickle.dumps([1.0] * 9, protocol=protocol))
        assert _begins_like_a_pickle(path)


class Spread(Detector):
    """Brightest minus darkest patch component: a detector that keeps every promise."""

    id = "spread"
    task = "quality"
    needs = frozenset({"patch_tokens"})

    def score(self, batch: Batch) -> list[list[Score]]:
        return [[self.one(tokens)] for tokens in batch.features["patch_tokens"]]

    def one(self, tokens: Any) -> Score:
        heatmap = tokens.std(axis=1).reshape(6, 6).astype(np.float32)
        return Score(value=float(heatmap.max()), heatmap=heatmap, details={"method": "spread"})


class Memory(Spread):
    """Distance to a remembered mean."""

    id = "memory"
    needs = frozenset({"cls_embed"})
    learns = True

    def fit(self, batches: Any) -> None:
        self.mean_ = np.concatenate([b.features["cls_embed"] for b in batches]).mean(axis=0)

    def save(self, folder: Path) -> None:
        (folder / "mean.bin").write_bytes(self.mean_.tobytes())

    def load(self, folder: Path) -> None:
        self.mean_ = np.frombuffer((folder / "mean.bin").read_bytes(), dtype=np.float32)

    def score(self, batch: Batch) -> list[list[Score]]:
        method = "distance" if hasattr(self, "mean_") else "norm"
        mean = getattr(self, "mean_", 0.0)
        return [
            [Score(value=float(np.linalg.norm(row - mean)), details={"method": method})]
            for row in batch.features["cls_embed"]
        ]


@parametrize_with_checks(Spread, Memory)
def test_sound_detectors_pass(check: Callable[[], None]) -> None:
    check()


@parametrize_with_checks(Spread, pair=(np.zeros((48, 48, 3), np.uint8), textures(1, seed=9)[0]))
def test_a_pair_adds_a_check(check: Callable[[], None]) -> None:
    check()


def failing(cls: type[Detector], **settings: Any) -> dict[str, str]:
    outcomes = run_checks(detector_checks(cls, **settings))
    return {outcome.name: outcome.message for outcome in outcomes if outcome.message is not None}


def spoiled(**methods: Any) -> type[Spread]:
    return type("Spoiled", (Spread,), methods)


class CountingSpread(Spread):
    """Scores depend on how often it was called."""

    calls = 0

    def one(self, tokens: Any) -> Score:
        type(self).calls += 1
        return Score(value=float(self.calls), details={"method": "count"})


class Bare(DetectorOptions):
    """An option without a description."""

    rate: float = 0.5


def centred(self: Any, batch: Batch) -> list[list[Score]]:
    values = batch.features["patch_tokens"].mean(axis=(1, 2))
    return [[Score(value=float(v), details={"method": "x"})] for v in values - values.mean()]


def greedy(self: Any, batch: Batch) -> list[list[Score]]:
    for array in batch.features.values():
        np.multiply(array, 2, out=array)
    return []


def eager(self: Any, options: Any = None) -> None:
    Spread.__init__(self, options)
    self.m_ = 1


class Poser(Memory):
    """Says that it measures a distance before it has anything to measure from."""

    @property
    def mean_(self) -> Any:
        return vars(self).get("mean", np.float32(0))

    @mean_.setter
    def mean_(self, value: Any) -> None:
        vars(self)["mean"] = value


class Twice(Memory):
    """Reads its images twice, and finds none the second time."""

    def fit(self, batches: Any) -> None:
        _ = len(list(batches))
        self.mean_ = 1 / len(list(batches))


class Pickler(Memory):
    """Saves what can run code."""

    def save(self, folder: Path) -> None:
        (folder / "m.bin").write_bytes(pickle.dumps(self.mean_))


def loud(self: Any, tokens: Any) -> Score:
    sys.stdout.write("hello\n")
    return Score(value=1.0, details={"method": "loud"})


def scored(**fields: Any) -> Any:
    return lambda _self, _tokens: Score(**{"value": 1.0, "details": {"method": "x"}, **fields})


SPOILED: dict[str, tuple[type[Detector], str]] = {
    "class_is_sound": (spoiled(task="magic"), "task is 'magic'"),
    "constructor_only_stores": (spoiled(__init__=eager), "m_"),
    "options_round_trip": (
        spoiled(Options=type("Loose", (DetectorOptions,), {"model_config": {"extra": "ignore"}})),
        "unknown option is accepted",
    ),
    "options_are_described": (spoiled(Options=Bare), "rate"),
    "one_score_per_query": (spoiled(score=lambda _self, batch: [[]] * len(batch)), "0 scores"),
    "values_are_finite": (spoiled(one=scored(value=float("nan"))), "nan"),
    "heatmaps_are_maps": (spoiled(one=scored(heatmap=np.zeros((2, 2)))), "float64"),
    "details_name_the_method": (spoiled(one=scored(details={})), "method"),
    "deterministic": (CountingSpread, "other numbers"),
    "batch_equals_single": (spoiled(score=centred), "in a batch"),
    "order_does_not_matter": (CountingSpread, "order"),
    "inputs_stay_untouched": (spoiled(score=greedy), "read-only"),
    "empty_batch_is_fine": (
        spoiled(score=lambda self, batch: Spread.score(self, batch) or [[]]),
        "empty batch",
    ),
    "threads_agree": (CountingSpread, "threads"),
    "prints_nothing": (spoiled(one=loud), "hello"),
    "unfitted_says_so": (Poser, "'distance'"),
    "fit_streams_and_repeats": (Twice, "ZeroDivisionError"),
    "save_load_round_trip": (Pickler, "m.bin can run code"),
    "higher_is_worse": (Spread, "bad picture"),
}


@pytest.mark.parametrize("name", SPOILED)
def test_every_check_can_fail(name: str) -> None:
    cls, part = SPOILED[name]
    blank, busy = np.zeros((48, 48, 3), np.uint8), textures(1, seed=9)[0]
    settings = {"pair": (busy, blank)} if name == "higher_is_worse" else {}
    assert part in failing(cls, **settings)[name]


def test_every_check_is_spoiled_once() -> None:
    checks = detector_checks(Memory, pair=(textures(1, seed=1)[0],) * 2)
    assert [check.name for check in checks] == list(SPOILED)
    assert all(check.promise.endswith(".") for check in checks)


@parametrize_with_checks(
    CountingSpread,
    expected_failures=dict.fromkeys(
        ("deterministic", "batch_equals_single", "order_does_not_matter", "threads_agree"),
        "it counts",
    ),
)
def test_known_failures_are_declared(check: Callable[[], None]) -> None:
    check()


def test_check_detector_by_name() -> None:
    outcomes = check_detector(host_with(Spread), "spread")
    assert len(outcomes) == 15
    assert all(outcome.message is None for outcome in outcomes)
    with pytest.raises(UsageError, match="no detector 'spred'"):
        check_detector(host_with(Spread), "spred")


@pytest.mark.parametrize("name", FEATURES)
def test_fake_features_have_the_shapes_of_the_table(name: str) -> None:
    values = FakeRuntime(needs={name}).encode_views(textures(3, seed=5))
    assert set(values) == {name}
    assert values[name].dtype == np.float32
    assert values[name].shape == tuple(SIZES[symbol] for symbol in FEATURES[name].shape)
    assert np.isfinite(values[name]).all()
    assert FakeRuntime(needs={name}).encode_views([])[name].shape == (0, *values[name].shape[1:])


def test_fake_features_follow_the_pixels(fake_runtime: FakeRuntime) -> None:
    picture = np.full((48, 48, 3), 90, np.uint8)
    stained = picture.copy()
    stained[16:24, 8:16] = 250  # the patch in row 2, column 1
    plain, other = fake_runtime.encode_views([picture, stained])["patch_embed"]
    changed = np.abs(plain - other).max(axis=1).reshape(6, 6)
    assert changed.argmax() == 2 * 6 + 1
    assert np.count_nonzero(changed) == 1
    assert fake_runtime.encoder_calls == 2


def test_fake_features_do_not_depend_on_batch_mates(fake_runtime: FakeRuntime) -> None:
    pictures = textures(4, seed=6)
    together = fake_runtime.encode_views(pictures)
    for index, picture in enumerate(pictures):
        alone = fake_runtime.encode_views([picture])
        assert all(np.array_equal(alone[k][0], together[k][index]) for k in together)


def test_fake_text_follows_the_words(fake_runtime: FakeRuntime) -> None:
    near, same, far = fake_runtime.encode_text(
        ["a photo of a bottle", "a photo of a bottle", "cracked concrete surface"]
    )
    assert np.array_equal(near, same)
    assert not np.allclose(near, far)
    assert fake_runtime.encode_text([]).shape == (0, 32)


def test_image_folder_holds_good_and_bad_pictures(image_folder: Path) -> None:
    names = {path.relative_to(image_folder).as_posix() for path in image_folder.rglob("*.*")}
    assert {"good/0.png", "deep.png", "truncated.jpg", "text.jpg", "empty.png"} <= names


def test_the_fake_runtime_has_the_surface_of_the_real_one() -> None:
    surface = {name for name in vars(Runtime) if not name.startswith("_")}
    assert {name for name in surface if not hasattr(FakeRuntime, name)} == set()
    mine, real = (inspect.signature(cls).parameters for cls in (FakeRuntime, Runtime))
    assert set(real) - set(mine) == {"cache_folder"}  # nothing of the fake one is kept on disk
