"""What the public functions give is of the public types, and choices are the same everywhere."""

from __future__ import annotations

import json
from importlib.resources import files
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pytest

from clipvet.cli import _run_options
from clipvet.cli._arguments import specs_from
from clipvet.cli._options import DeviceName
from clipvet.detectors import (
    COMMON_WORDS,
    DEFAULT_DETECTORS,
    FEATURES,
    RECORD_SCHEMA,
    Artefact,
    Box,
    BundleIdentity,
    CommonWords,
    DetectorSpec,
    FeatureSpec,
    FitConfig,
    FitProgress,
    Heatmap,
    HeatmapMode,
    Host,
    ImageStatus,
    Inspection,
    Inspector,
    Judged,
    Judgement,
    OfflineError,
    PluginRecord,
    Query,
    Record,
    RegionBox,
    RunConfig,
    TableFormat,
    Threshold,
    UsageError,
    Verdict,
    WorstImage,
    check_free,
    default_detectors,
    describe_detector,
    find_regions,
    fit,
    hookimpl,
    judge,
    new_plugin,
    record_schema,
    run,
)
from clipvet.detectors.clip import Device, Manifest
from clipvet.detectors.clip.export import PullLock, find_weights
from clipvet.detectors.testing import FakeRuntime, host_with
from tests.detectors.test_testing import Spread
from tests.runs import EVERYTHING, save_pictures


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_pictures(tmp_path_factory.mktemp("types") / "good", 12)


def test_choices_of_the_command_line_are_those_of_the_library() -> None:
    assert {choice.value for choice in DeviceName} == set(get_args(Device))
    assert {choice.value for choice in _run_options.HeatmapMode} == set(get_args(HeatmapMode))
    assert {choice.value for choice in _run_options.TableForm} == set(get_args(TableFormat))


def test_the_schema_has_the_states_and_verdicts_of_the_types() -> None:
    schema = record_schema()
    assert schema["$id"] == RECORD_SCHEMA
    fields = schema["properties"]
    assert set(fields["status"]["enum"]) == set(get_args(ImageStatus))
    (choices,) = [one["enum"] for one in fields["verdict"]["anyOf"] if "enum" in one]
    assert set(choices) == set(get_args(Verdict))


def test_a_fit_tells_where_it_is_and_what_it_judges_with(pictures: Path, tmp_path: Path) -> None:
    told = []

    def note(doing: str, done: int, total: int) -> None:
        told.append((doing, done, total))

    progress: FitProgress = note
    specs = (DetectorSpec(id="energy"),)
    config = FitConfig(sources=(pictures,), out=tmp_path / "recipe", specs=specs)
    recipe = fit(config, host=EVERYTHING, progress=progress, runtime_factory=FakeRuntime).recipe
    assert {total for _, _, total in told} == {12}
    assert isinstance(recipe.thresholds["energy"], Threshold)
    with Inspector.load(
        tmp_path / "recipe", host=EVERYTHING, runtime_factory=FakeRuntime
    ) as inspector:
        inspection = inspector.inspect(min(pictures.rglob("*.png")))
    assert isinstance(inspection, Inspection)
    assert inspection.verdict in get_args(Verdict)
    judgement = judge((), recipe, status="refused", reason="too large")
    assert judgement == Judgement(verdict="error", reasons=("too large",))


def test_without_a_recipe_nothing_is_judged() -> None:
    assert judge((), None) == Judgement(verdict=None, reasons=(), detections=())
    assert Judged() == Judged(p_value=None, threshold=None, verdict=None)


def test_a_run_names_its_worst_images(pictures: Path, tmp_path: Path) -> None:
    config = RunConfig(sources=[pictures], out=tmp_path / "run", specs=[DetectorSpec(id="energy")])
    records: list[Record] = []
    summary = run(config, host=EVERYTHING, on_record=records.append, runtime_factory=FakeRuntime)
    worst = summary.tally.worst()["energy"]
    assert all(isinstance(one, WorstImage) for one in worst)
    scores = [record.detections[0].score or 0.0 for record in records]
    assert worst[0].score == max(scores)


@pytest.mark.parametrize(
    ("known", "wanted"),
    [
        ({"query": Query()}, DEFAULT_DETECTORS),
        ({"query": Query(), "sources": ["parts", "more/*.png"]}, DEFAULT_DETECTORS),
        ({"query": Query(object="bolt")}, ("winclip",)),
        ({"query": Query(classes=("bolt", "nut"))}, ("winclip",)),
        ({"query": Query(), "arriving": True}, ("winclip",)),
        ({"query": Query(), "sources": ["camera:0"]}, ("winclip",)),
        ({"query": Query(object="bolt"), "references": True}, ("patchcore", "quality")),
    ],
)
def test_the_default_detectors_follow_from_what_is_known(
    known: dict[str, Any], wanted: tuple[str, ...]
) -> None:
    assert default_detectors(**known) == wanted
    assert [spec.id for spec in specs_from([], [], [], recipe=None, default=wanted)] == [*wanted]
    assert set(wanted) <= set(Host.load(select="", strict=False).detectors)


def test_a_region_is_a_box_of_the_image() -> None:
    grid = np.zeros((4, 4), np.float32)
    grid[1, 2] = 1.0
    heatmap = Heatmap(grid=grid, box=(0, 0, 40, 40), image_size=(40, 40))
    (region,) = find_regions(heatmap, 0.5)
    assert isinstance(region, RegionBox)
    box: Box = region.box
    x0, y0, x1, y1 = box
    assert x0 <= 25 < x1
    assert y0 <= 15 < y1


def test_a_bundle_says_who_it_is(tmp_path: Path) -> None:
    text = (files("clipvet.detectors.clip.mini") / "manifest.json").read_text("utf-8")
    manifest = Manifest.model_validate_json(text)
    assert manifest.name == "mini"
    assert set(manifest.features) <= set(FEATURES)
    identity: BundleIdentity = FakeRuntime.info
    artefact = Artefact(detector="d", bundle=identity, facts={}, tensors={"x": np.zeros(1)})
    check_free(tmp_path / "new")
    artefact.save(tmp_path)
    with pytest.raises(UsageError, match="not an empty folder"):
        check_free(tmp_path)
    Artefact.load(tmp_path, detector="d").check(identity)


def test_features_and_words_are_tables() -> None:
    assert all(isinstance(spec, FeatureSpec) for spec in FEATURES.values())
    assert {spec.shape[0] for spec in FEATURES.values()} == {"V"}
    for words in COMMON_WORDS.values():
        assert isinstance(words, CommonWords)
        assert len(set(words.nouns)) == len(words.nouns) > 100
    assert set(COMMON_WORDS) == {"open", "closed"}


def test_a_plugin_is_described() -> None:
    host = host_with(Spread)
    facts = describe_detector("spread", host.detector("spread"))
    assert json.loads(json.dumps(facts)) == facts
    assert (facts["id"], facts["dist"], facts["options"]) == ("spread", "testing", [])
    loaded = Host.load(select="", strict=False).plugins
    assert all(isinstance(plugin, PluginRecord) for plugin in loaded)
    assert "winclip" in {name for plugin in loaded for name in plugin.detectors}


def test_a_new_plugin_is_found_by_its_hooks(tmp_path: Path) -> None:
    paths = new_plugin(tmp_path / "clipvet-sound", learns=True)
    assert all(path.is_file() for path in paths)
    with pytest.raises(UsageError, match="a detector 'sound' already"):
        new_plugin(tmp_path / "sound", taken=["sound"])

    def clipvet_register_readers(register: object) -> None:
        """Nothing."""

    assert hookimpl(clipvet_register_readers) is clipvet_register_readers
    assert clipvet_register_readers.clipvet_impl  # type: ignore[attr-defined]


def test_offline_is_an_error_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path))
    with pytest.raises(OfflineError, match="--offline forbids to download it"):
        find_weights("hf-hub:nobody/nothing", None, PullLock(tmp_path), offline=True)
