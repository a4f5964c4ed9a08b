"""A fit with detectors that the bundle's domain gate silences says so."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest

from clipvet.detectors import (
    DetectorSpec,
    FitConfig,
    FitSummary,
    Host,
    Inspector,
    RefitConfig,
    Task,
    fit,
    refit,
)
from clipvet.detectors.clip import DomainGate
from clipvet.detectors.testing import FakeRuntime
from tests.runs import Energy, host, save_pictures

GOOD = Path(__file__).parents[2] / "sample_data" / "parts" / "good"


class Knowing(Energy):
    id: ClassVar[str] = "knowing"
    task: ClassVar[Task] = "ood"


class Guarding(Energy):
    id: ClassVar[str] = "guarding"
    task: ClassVar[Task] = "safety"


BOTH = host(Energy, Knowing, Guarding)


class Gated(FakeRuntime):
    """The gate's score is the first number of the image embedding."""

    gate = DomainGate(
        features=("cls_embed",),
        mean=np.zeros(32),
        scale=np.ones(32),
        weight=np.eye(32)[0],
        bias=0.0,
        threshold=0.5,
        inside=0.45,
    )


def fitted(good: Path, out: Path, *names: str, **options: Any) -> FitSummary:
    specs = tuple(DetectorSpec(id=name) for name in names)
    config = FitConfig(sources=(good,), out=out, specs=specs, **options)
    return fit(config, host=BOTH, runtime_factory=Gated)


def worldly(warnings: tuple[str, ...]) -> list[str]:
    return [line for line in warnings if "world of bundle" in line]


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_pictures(tmp_path_factory.mktemp("world") / "good", 26)


def test_images_that_a_detector_abstains_from_are_counted(good: Path, tmp_path: Path) -> None:
    summary = fitted(good, tmp_path / "r", "energy", "knowing", "guarding")
    (line,) = worldly(summary.warnings)
    with Inspector(
        recipe=summary.recipe, host=BOTH, runtime_factory=Gated, warmup=False
    ) as inspector:
        records = [inspector(path) for path in sorted(good.rglob("*.png"))]
    silent = sum(record.verdict == "abstain" for record in records)
    assert 0 < silent < 26
    assert line == (
        f"on {silent} of 26 held-out good images guarding and knowing abstain, and with them the "
        "verdict, because they are not surely inside of the world of bundle fake: that comes on "
        "top of every promised rate; take a pretrained bundle, or leave guarding and knowing out"
    )


def test_detectors_that_a_recipe_judges_are_not_warned_of(good: Path, tmp_path: Path) -> None:
    assert worldly(fitted(good, tmp_path / "r", "energy").warnings) == []


def test_images_added_later_are_counted_by_themselves(good: Path, tmp_path: Path) -> None:
    fitted(good, tmp_path / "r", "knowing")
    more = save_pictures(tmp_path / "more", 10, first=40)
    config = RefitConfig(sources=(more,), recipe=tmp_path / "r", out=tmp_path / "s")
    (line,) = worldly(refit(config, host=BOTH, runtime_factory=Gated).warnings)
    assert "of 10 new good images knowing abstains, and with it the verdict" in line


def test_the_embedded_bundle_says_nothing_about_noise(tmp_path: Path) -> None:
    good = save_pictures(tmp_path / "good", 4)
    for path in sorted(GOOD.iterdir())[:10]:
        shutil.copy(path, good)
    plugins = Host.load(select="", plugins_dir=Path("none"))
    specs = (DetectorSpec(id="vim"),)
    config = FitConfig(sources=(good,), out=tmp_path / "r", specs=specs, shots=4)
    summary = fit(config, host=plugins)
    audit = summary.recipe.calibrations["vim"].audit
    assert audit is not None
    with Inspector.load(tmp_path / "r", host=plugins, warmup=False) as inspector:
        records = [inspector(tmp_path / image.id) for image in audit.held_out]
    silent = sum(record.verdict == "abstain" for record in records)
    assert 0 < silent < 10
    (line,) = worldly(summary.warnings)
    assert line.startswith(f"on {silent} of 10 held-out good images vim abstains")
    assert "bundle mini" in line
