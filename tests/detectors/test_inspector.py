from __future__ import annotations

import io
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from clipvet.detectors import (
    DetectorSpec,
    FitConfig,
    Inspector,
    Query,
    Recipe,
    Record,
    Region,
    RunConfig,
    Tiling,
    fit,
    read_records,
    run,
)
from clipvet.detectors.errors import RecipeError, UsageError
from clipvet.detectors.frames._frames import FrameSource
from clipvet.detectors.testing import FakeRuntime
from tests.runs import EVERYTHING, picture, save_pictures

FAKE: dict[str, Any] = {"host": EVERYTHING, "runtime_factory": FakeRuntime}


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_pictures(tmp_path_factory.mktemp("inspector") / "good", 30)


@pytest.fixture(scope="module")
def line3(pictures: Path) -> Path:
    mask = np.zeros((30, 40), dtype=bool)
    mask[2:28, 1:39] = True
    mask[2:6, 1:6] = False
    config = FitConfig(
        sources=(pictures,),
        out=pictures.parent / "line3",
        specs=(DetectorSpec(id="learner"), DetectorSpec(id="energy")),
        region=Region.from_mask(mask),
        tiling=Tiling(16, 5),
    )
    return fit(config, **FAKE).out


def essence(record: Record) -> Any:
    """Everything that was measured and decided, without names, places and times."""
    image = record.image.model_dump(exclude={"id", "sha256", "size", "mtime_ns"})
    detections = [
        one.model_dump(exclude={"heatmap": {"file", "overlay"}}) for one in record.detections
    ]
    runtime = None if record.runtime is None else record.runtime.model_dump(exclude={"batch"})
    return (image, record.status, record.verdict, record.reasons, detections, runtime)


def test_an_array_in_a_record_out() -> None:
    with Inspector(["energy"], object="nut", **FAKE) as inspector:
        record = inspector(picture(3))
    assert record.image.id == "array"
    assert (record.image.width, record.image.height) == (40, 30)
    assert record.verdict is None
    assert record.reasons == ()
    assert record.detections[0].score is not None
    assert record.runtime is not None
    assert record.runtime.bundle == "fake"
    assert Record.from_json(record.to_json()) == record


@pytest.mark.parametrize("batch_size", [1, 7])
def test_a_recipe_scores_as_a_run_does(
    line3: Path, pictures: Path, tmp_path: Path, batch_size: int
) -> None:
    """Bit for bit: files, arrays and streams; non-square images, a mask, tiles; any batch."""
    save_pictures(tmp_path / "parts", 9, first=25)
    Image.fromarray(picture(1, (41, 30))).save(tmp_path / "parts" / "too wide.png")
    (tmp_path / "parts" / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    run(RunConfig(sources=[tmp_path / "parts"], out=tmp_path / "out", recipe=line3), **FAKE)
    records = {one.image.id: one for one in read_records(tmp_path / "out" / "records.jsonl")}
    assert len(records) == 11
    paths = [tmp_path / name for name in records]
    with Inspector.load(line3, batch_size=batch_size, **FAKE) as inspector:
        streamed = list(inspector.map(paths))
        for path, expected, inspection in zip(paths, records.values(), streamed, strict=True):
            assert essence(inspection.record) == essence(expected)
            assert essence(inspector(path)) == essence(expected)
            assert inspection.record.image.id == str(path)
            if expected.status != "ok":
                continue
            with Image.open(path) as image:
                array = np.asarray(image)
                from_image = inspector(image)
            for record in (inspector(array), inspector(path.read_bytes()), from_image):
                assert essence(record) == essence(expected)
            assert essence(inspector(array[:, :, ::-1], bgr=True)) == essence(expected)
    assert records["parts/too wide.png"].status == "refused"
    assert records["parts/broken.png"].verdict == "error"
    assert {r.verdict for r in records.values()} <= {"pass", "flag", "error"}


def test_the_promise_is_that_of_the_recipe(line3: Path, pictures: Path) -> None:
    recipe = Recipe.load(line3)
    with Inspector.load(line3, **FAKE) as inspector:
        for probe in recipe.probes:
            record = inspector(probe.file)
            assert {d.detector: d.score for d in record.detections} == probe.scores
        images = recipe.calibrations["energy"].images
        flagged = sum(
            one.verdict == "flag"
            for one in inspector.map(pictures.parent / name for name in images[-12:])
        )
    threshold = recipe.thresholds["energy"]
    # 30 pictures: 7 to learn from, 11 to standardise, 12 to calibrate the verdict at 10 %
    assert (threshold.n, threshold.rate) == (12, 0.1)
    assert flagged == 0  # ceil(13 * 0.9) = 12: the limit is the largest of the twelve


def test_an_inspection_has_the_arrays(line3: Path) -> None:
    with Inspector.load(line3, **FAKE) as inspector:
        inspection = inspector.inspect(picture(3))
    assert inspection.verdict == inspection.record.verdict
    assert inspection.score == inspection.record.detections[0].score
    assert list(inspection.heatmaps) == ["energy"]
    assert inspection.heatmap is inspection.heatmaps["energy"]
    assert inspection.heatmap is not None
    assert inspection.heatmap.resized().shape == (30, 40)
    facts = inspection.record.detections[1].heatmap
    assert facts is not None
    assert facts.range == Recipe.load(line3).heatmap_range("energy")
    overlay = inspection.overlay()
    assert overlay.dtype == np.uint8
    assert overlay.ndim == 3
    with pytest.raises(UsageError, match="no heatmap of learner"):
        inspection.overlay("learner")


def test_a_bad_image_gives_a_record_and_raises_nothing(tmp_path: Path) -> None:
    (tmp_path / "empty.png").write_bytes(b"")
    with Inspector(["energy"], **FAKE) as inspector:
        cases: list[tuple[FrameSource, str]] = [
            (tmp_path / "empty.png", "unreadable"),
            (tmp_path / "gone.png", "unreadable"),
            (b"no image", "unreadable"),
            (np.zeros((4, 4, 3)), "unsupported"),
            (np.zeros((4, 4), np.uint16), "refused"),
        ]
        for source, status in cases:
            inspection = inspector.inspect(source)
            assert inspection.record.status == status
            assert inspection.verdict == "error"
            assert inspection.record.reasons
            assert inspection.frame is None
            assert inspection.heatmap is None
            assert inspection.score is None
        assert inspector(np.full((4, 4), 99, np.uint16), white_level=4095).status == "ok"
        with pytest.raises(UsageError, match="bgr"):
            inspector(tmp_path / "empty.png", bgr=True)
        buffer = io.BytesIO()
        Image.fromarray(picture(1)).save(buffer, format="PNG")
        mixed = list(inspector.map([b"", buffer.getvalue(), picture(1)]))
        assert [one.record.status for one in mixed] == ["unreadable", "ok", "ok"]
        assert mixed[1].score == mixed[2].score


def test_threads_share_an_inspector(line3: Path) -> None:
    arrays = [picture(seed) for seed in range(12)]
    with Inspector.load(line3, **FAKE) as inspector:
        expected = [essence(inspector(array)) for array in arrays]
        with ThreadPoolExecutor(6) as pool:
            records = list(pool.map(inspector, arrays * 4))
    assert [essence(record) for record in records] == expected * 4


def test_references_are_learned_from_without_a_recipe(pictures: Path) -> None:
    good = sorted(pictures.glob("*.png"))[:5]
    with Inspector(["learner"], references=good, **FAKE) as inspector:
        score = inspector(good[0]).detections[0].score
        assert score is not None
    with Inspector(["learner"], references=[picture(0)], **FAKE) as inspector:
        assert inspector(picture(0)).detections[0].score == 0.0
    with Inspector(["learner"], **FAKE) as inspector:
        assert inspector(picture(0)).verdict == "error"


def test_the_query_reaches_the_detectors() -> None:
    with Inspector(["asker"], query=Query(classes=("a", "b")), **FAKE) as inspector:
        assert inspector(picture(0)).detections[0].score == 2.0
    with Inspector(["asker"], **FAKE) as inspector:
        assert inspector(picture(0)).detections[0].status == "not_applicable"


def test_questions_about_one_image() -> None:
    asked = [Query(classes=("a",)), Query(classes=("a", "b"))]
    with Inspector(["asker"], object="bolt", **FAKE) as inspector:
        found = inspector(picture(0), queries=asked).detections
        assert [one.score for one in found] == [1.0, 2.0]
        assert [one.query for one in found] == [
            {"object": "bolt", "classes": ("a",)},
            {"object": "bolt", "classes": ("a", "b")},
        ]
        assert inspector(picture(0)).detections[0].status == "not_applicable"


def test_settings_that_contradict_each_other(line3: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="a recipe fixes"):
        Inspector(["energy"], recipe=Recipe.load(line3), **FAKE)
    with pytest.raises(UsageError, match="not both"):
        Inspector(["energy"], object="a", query=Query(object="b"), **FAKE)
    with pytest.raises(RecipeError, match="not a recipe"):
        Inspector.load(tmp_path, **FAKE)


def test_another_bundle_than_the_recipes_is_refused(line3: Path, tmp_path: Path) -> None:
    recipe = Recipe.load(line3)
    bound = tuple(one.model_copy(update={"sha256": "0" * 64}) for one in recipe.bundles)
    with pytest.raises(RecipeError, match="use that bundle or fit again"):
        Inspector(recipe=replace(recipe, bundles=bound), **FAKE)
    with Inspector(recipe=replace(recipe, provider="OtherProvider"), **FAKE) as inspector:
        assert "calibrated on OtherProvider" in inspector.warnings[0]
