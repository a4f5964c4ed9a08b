"""Pictures in, verdicts out: a recipe of the embedded bundle for the sample parts."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

from clipvet.detectors import (
    DetectorSpec,
    FitConfig,
    FitSummary,
    Host,
    Inspector,
    RunConfig,
    fit,
    fit_like,
    read_records,
    run,
)

PARTS = Path(__file__).parents[3] / "sample_data" / "parts"
HOST = Host.load(select="", strict=False)


def good_parts(folder: Path, which: range) -> Path:
    folder.mkdir()
    for path in sorted((PARTS / "good").iterdir())[which.start : which.stop]:
        shutil.copy(path, folder)
    return folder


@pytest.fixture(scope="module")
def fitted(tmp_path_factory: pytest.TempPathFactory) -> FitSummary:
    folder = tmp_path_factory.mktemp("patchcore")
    good = good_parts(folder / "good", range(24))
    spec = DetectorSpec(id="patchcore")
    config = FitConfig(
        sources=(good,), out=folder / "recipe", specs=(spec,), shots=4, rate=0.1, device="cpu"
    )
    return fit(config, host=HOST)


def test_it_takes_what_the_bundle_advises(fitted: FitSummary) -> None:
    (spec,) = fitted.recipe.specs
    assert spec.options["spaces"] == ["trunk_8", "trunk_16", "hidden_4"]
    assert spec.options["neighbourhood"] == [3, 1, 1]
    assert any(note.startswith("patchcore runs with spaces=") for note in fitted.warnings)


def test_most_defects_are_flagged_and_most_good_parts_pass(
    fitted: FitSummary, tmp_path: Path
) -> None:
    images = tmp_path / "images"
    images.mkdir()
    shutil.copytree(PARTS / "defect", images / "defect")
    good_parts(images / "good", range(24, 44))
    config = RunConfig(
        sources=(images,), out=tmp_path / "run", recipe=fitted.out, device="cpu", heatmaps="none"
    )
    run(config, host=HOST)
    records = list(read_records(tmp_path / "run" / "records.jsonl"))
    flagged = {
        kind: [r.verdict == "flag" for r in records if f"/{kind}/" in r.image.id]
        for kind in ("defect", "good")
    }
    assert len(flagged["defect"]) == 16
    assert len(flagged["good"]) == 20
    # With winclip 4 of these 16 are found, with 15 good images to learn from.
    assert np.mean(flagged["defect"]) >= 0.5
    assert np.mean(flagged["good"]) <= 0.25
    (detection,) = records[0].detections
    assert detection.details["method"].startswith("PatchCore 4-shot (spaces=trunk_8, trunk_16")
    assert detection.heatmap is not None
    with Inspector.load(fitted.out, device="cpu", batch_size=1) as inspector:
        for record in records[::12]:
            alone = inspector(tmp_path / record.image.id)
            assert alone.detections[0].score == record.detections[0].score


def test_it_learns_on_from_a_recipe(fitted: FitSummary, tmp_path: Path) -> None:
    late = good_parts(tmp_path / "late", range(44, 57))
    config = fit_like(fitted.out, sources=(late,), out=tmp_path / "grown", shots=2, device="cpu")
    grown = fit(config, host=HOST)
    assert grown.references == 6
    assert grown.held_out == 11
    probe = grown.recipe.probes[0]
    with Inspector.load(grown.out, device="cpu") as inspector:
        record = inspector(probe.file)
        assert record.detections[0].score == probe.scores["patchcore"]
        assert "6-shot" in record.detections[0].details["method"]
        # What it knows, old or new, is near.
        learned = {one.id for one in grown.recipe.calibrations["patchcore"].audit.learned}  # type: ignore[union-attr]
        name = next(one for one in sorted(learned) if one.startswith("late/"))
        known = inspector(tmp_path / name)
        assert (known.detections[0].score or 0) < probe.scores["patchcore"]
