from __future__ import annotations

import inspect
import logging
import os
import pickle
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from pydantic import ConfigDict

from clipvet.detectors import (
    FEATURES,
    Batch,
    Detector,
    DetectorOptions,
    FrameError,
    Score,
    read_frame,
)
from clipvet.detectors.clip import Runtime
from clipvet.detectors.errors import UsageError
from clipvet.detectors.testing import (
    IMAGE_FOLDER,
    CheckOutcome,
    DetectOutcome,
    DetectProject,
    FakeRuntime,
    check_detector,
    detector_checks,
    host_with,
    no_leaks,
    parametrize_with_checks,
    run_checks,
    textures,
    write_image_folder,
)
from clipvet.detectors.testing._capability_checks import _begins_like_a_pickle

SIZES = {"V": 3, "W": 48, "E": 32, "N": 36, "1+N": 37, "n2": 25, "n3": 16}
SIZES |= {"N8": 144, "C8": 20, "N16": 36, "C16": 28}


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


def spoiled(**members: Any) -> type[Spread]:
    """A Spread with other members; importable by its name, so that it can be pickled."""
    name = f"Spoiled{len([key for key in globals() if key.startswith('Spoiled')])}"
    globals()[name] = type(name, (Spread,), {"__module__": __name__, **members})
    cls: type[Spread] = globals()[name]
    return cls


class Bare(DetectorOptions):
    """An option without a description."""

    rate: float = 0.5


class Loose(DetectorOptions):
    """Takes any key."""

    model_config = ConfigDict(extra="ignore")


def lucky(self: Any, context: Any) -> None:
    self.luck_ = np.random.default_rng().random()


def values_of(batch: Batch) -> Any:
    return batch.features["patch_tokens"].mean(axis=(1, 2))


def each(values: Any) -> list[list[Score]]:
    return [[Score(value=float(value), details={"method": "x"})] for value in values]


def below_the_highest(self: Any, batch: Batch) -> list[list[Score]]:
    values = values_of(batch)
    return each(values - values.max(initial=0))


def by_position(self: Any, batch: Batch) -> list[list[Score]]:
    return each(values_of(batch) + np.arange(len(batch)))


def unlocked(self: Any, batch: Batch) -> list[list[Score]]:
    self.values = values_of(batch)
    time.sleep(0.002)
    return each(self.values)


def opened(self: Any, batch: Batch) -> list[list[Score]]:
    for array in batch.features.values():
        array.flags.writeable = True
    return Spread.score(self, batch)


def eager(self: Any, options: Any = None) -> None:
    Spread.__init__(self, options)
    self.m_ = 1


def closed_over(self: Any, options: Any = None) -> None:
    Spread.__init__(self, options)
    self.function = lambda: 1


def turned(self: Any, tokens: Any) -> Score:
    score = Spread.one(self, tokens)
    return Score(value=score.value, heatmap=score.heatmap.T, details=score.details)  # type: ignore[union-attr]


class Poser(Memory):
    """Says that it measures a distance before it has anything to measure from."""

    @property
    def mean_(self) -> Any:
        return vars(self).get("mean", np.float32(0))

    @mean_.setter
    def mean_(self, value: Any) -> None:
        vars(self)["mean"] = value


class Wanderer(Memory):
    """Learns something else every time."""

    def fit(self, batches: Any) -> None:
        super().fit(batches)
        self.mean_ = self.mean_ + np.float32(np.random.default_rng().random())


class Pickler(Memory):
    """Saves what can run code."""

    def save(self, folder: Path) -> None:
        (folder / "m.bin").write_bytes(pickle.dumps(self.mean_))

    def load(self, folder: Path) -> None:
        self.mean_ = pickle.loads((folder / "m.bin").read_bytes())


def loud(self: Any, tokens: Any) -> Score:
    sys.stdout.write("hello\n")
    return Spread.one(self, tokens)


def leaky(self: Any, tokens: Any) -> Score:
    os.environ["CLIPVET_TEST_LEAK"] = "1"
    return Spread.one(self, tokens)


def scored(**fields: Any) -> Any:
    return lambda _self, _tokens: Score(**{"value": 1.0, "details": {"method": "x"}, **fields})


ASKED = {"queries": frozenset({"object"})}
# Check -> a detector that breaks it, a part of the message, and what it cannot but break as well.
SPOILED: dict[str, tuple[type[Detector], str, set[str]]] = {
    "class_is_sound": (spoiled(task="magic"), "task is 'magic'", set()),
    "constructor_only_stores": (spoiled(__init__=eager), "m_", set()),
    "options_round_trip": (spoiled(Options=Loose), "unknown option is accepted", set()),
    "options_are_described": (spoiled(Options=Bare), "rate", set()),
    "leaves_nothing_behind": (spoiled(one=leaky), "variable CLIPVET_TEST_LEAK", set()),
    "one_score_per_query": (spoiled(**ASKED), "1 score, not 2", set()),
    "values_are_finite": (spoiled(one=scored(value=float("nan"))), "nan", set()),
    "heatmaps_are_maps": (spoiled(one=scored(heatmap=np.zeros((2, 2)))), "float64", set()),
    "heatmaps_lie_on_the_image": (spoiled(one=turned), "most in the lower left", set()),
    "details_name_the_method": (spoiled(one=scored(details={})), "method", set()),
    "deterministic": (
        spoiled(prepare=lucky, one=lambda self, _: scored(value=self.luck_)(self, _)),
        "second instance",
        {"survives_pickling"},
    ),
    "batch_equals_single": (spoiled(score=below_the_highest), "in a batch", set()),
    "order_does_not_matter": (spoiled(score=by_position), "order", {"batch_equals_single"}),
    "inputs_stay_untouched": (spoiled(score=opened), "made writable", set()),
    "empty_batch_is_fine": (
        spoiled(score=lambda self, batch: Spread.score(self, batch) or [[]]),
        "empty batch",
        set(),
    ),
    "threads_agree": (spoiled(score=unlocked), "threads", set()),
    "prints_nothing": (spoiled(one=loud), "hello", set()),
    "survives_pickling": (spoiled(__init__=closed_over), "pickle", set()),
    "unfitted_says_so": (Poser, "'distance'", set()),
    "fit_streams_and_repeats": (Wanderer, "fitting twice", {"deterministic", "survives_pickling"}),
    "save_load_round_trip": (Pickler, "m.bin can run code", set()),
    "higher_is_worse": (Spread, "bad picture", set()),
}


@pytest.mark.parametrize("name", SPOILED)
def test_a_broken_promise_fails_its_check_and_no_other(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    cls, part, also = SPOILED[name]
    monkeypatch.setenv("CLIPVET_TEST_LEAK", "")
    blank, busy = np.zeros((48, 48, 3), np.uint8), textures(1, seed=9)[0]
    pair = {"pair": (busy, blank)} if name == "higher_is_worse" else {}
    messages = failing(cls, **pair)
    assert part in messages[name]
    assert set(messages) == {name, *also}


def test_every_check_is_spoiled_once() -> None:
    checks = detector_checks(Memory, pair=(textures(1, seed=1)[0],) * 2)
    assert [check.name for check in checks] == list(SPOILED)
    assert all(check.promise.endswith(".") for check in checks)


@parametrize_with_checks(
    Wanderer,
    expected_failures=dict.fromkeys(
        ("deterministic", "survives_pickling", "fit_streams_and_repeats"), "it is restless"
    ),
)
def test_known_failures_are_declared(check: Callable[[], None]) -> None:
    check()


@pytest.mark.parametrize(
    ("known", "part"),
    [({"determinstic": "x"}, "did you mean 'deterministic'"), ({"deterministic": " "}, "say why")],
)
def test_known_failures_are_of_a_check_and_have_a_reason(known: dict[str, str], part: str) -> None:
    with pytest.raises(UsageError, match=part):
        parametrize_with_checks(Spread, expected_failures=known)


def test_check_detector_by_name() -> None:
    outcomes = check_detector(host_with(Spread), "spread")
    assert all(isinstance(outcome, CheckOutcome) for outcome in outcomes)
    assert [outcome.name for outcome in outcomes] == list(SPOILED)[:18]
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


def status_of(path: Path) -> str:
    try:
        read_frame(path)
    except FrameError as error:
        return error.status
    return "ok"


def test_the_image_folder_is_what_it_says(image_folder: Path, tmp_path: Path) -> None:
    files = [path for path in image_folder.rglob("*") if path.is_file()]
    assert {path.relative_to(image_folder).as_posix() for path in files} == set(IMAGE_FOLDER)
    assert {name: status_of(image_folder / name) for name in IMAGE_FOLDER} == IMAGE_FOLDER
    assert read_frame(image_folder / "dark.png").pixels.max() < 32
    again = write_image_folder(tmp_path / "again")
    assert all((again / n).read_bytes() == (image_folder / n).read_bytes() for n in IMAGE_FOLDER)
    with Image.open(image_folder / "rotated.jpg") as stored:
        assert read_frame(image_folder / "rotated.jpg").pixels.shape[:2] == stored.size


def test_what_a_block_leaves_behind_is_named() -> None:
    handler = logging.NullHandler()

    def leak() -> None:
        with no_leaks():
            os.environ["CLIPVET_A"] = "1"
            logging.getLogger().addHandler(handler)

    with pytest.raises(AssertionError) as caught:
        leak()
    logging.getLogger().removeHandler(handler)
    expected = "left behind: handlers of the root logger, environment variable CLIPVET_A"
    assert str(caught.value) == expected
    assert "CLIPVET_A" not in os.environ
    with no_leaks():
        pass


PROJECT = {
    "plugins/bright.py": """
        from clipvet.detectors import Detector, Score, hookimpl

        class Bright(Detector):
            id, task, needs = "bright", "quality", frozenset()

            def score(self, batch):
                means = [view.pixels.mean() for view in batch.views]
                return [[Score(value=float(m), details={"method": "mean"})] for m in means]

        @hookimpl
        def clipvet_register_detectors(register):
            register(Bright)
        """,
    "images/dark.png": np.zeros((24, 24, 3), np.uint8),
    "images/light.png": np.full((24, 24, 3), 200, np.uint8),
    "images/text.jpg": "no picture",
}


def test_a_project_runs_detect(detect_project: Callable[..., DetectProject]) -> None:
    project = detect_project(PROJECT)
    outcome = project.run("images", "-d", "bright", "--out", "out", "--heatmaps", "none")
    assert isinstance(outcome, DetectOutcome)
    outcome.assert_failed(3)  # text.jpg
    outcome.assert_failed()
    outcome.assert_out(r"bright.*light\.png")
    scores = {name: record.detections for name, record in project.records().items()}
    assert scores["images/text.jpg"] == ()
    assert scores["images/light.png"][0].score == 200.0
    with pytest.raises(AssertionError, match=r"detect images .*: exit code 3, neither 0 nor 1"):
        outcome.assert_success()
    (project.folder / "images" / "text.jpg").unlink()
    project.run("images", "-d", "bright", "--out", "two", "--heatmaps", "none").assert_success()
    project.run("imagse").assert_err("neither a command nor an existing path")


USER_TESTS = """
import os, pytest
from clipvet.detectors.testing import IMAGE_FOLDER

def test_fixtures_are_there(fake_runtime, image_folder, detect_project):
    assert fake_runtime.encode_text(["a"]).shape == (1, 32)
    assert (image_folder / "empty.png").exists()
    assert detect_project().folder.is_dir()

@pytest.mark.usefixtures("leak_guard")
def test_leaks():
    os.environ["CLIPVET_LEFT"] = "1"

def test_is_not_guarded():
    os.environ["CLIPVET_LEFT"] = "1"
"""


def test_pytest_finds_the_fixtures_by_itself(tmp_path: Path) -> None:
    (tmp_path / "test_user.py").write_text(USER_TESTS, "utf-8")
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(tmp_path)]
    done = subprocess.run(
        [*command, "--rootdir", str(tmp_path), "-c", os.devnull],
        capture_output=True,
        text=True,
        check=False,
    )
    assert "3 passed, 1 error" in done.stdout, done.stdout + done.stderr
    assert "left behind: environment variable CLIPVET_LEFT" in done.stdout


def test_the_fake_runtime_has_the_surface_of_the_real_one() -> None:
    surface = {name for name in vars(Runtime) if not name.startswith("_")}
    assert {name for name in surface if not hasattr(FakeRuntime, name)} == set()
    mine, real = (inspect.signature(cls).parameters for cls in (FakeRuntime, Runtime))
    assert set(real) - set(mine) == {"cache_folder"}  # nothing of the fake one is kept on disk
