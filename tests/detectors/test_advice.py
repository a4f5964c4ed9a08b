"""What a bundle says of itself: advised options, and words that it does not know."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from clipvet.detectors import DetectorSpec, Engine, Host, Query, read_frame
from clipvet.detectors.clip import Bundle
from clipvet.detectors.errors import UsageError

MINI = Path(__file__).parents[2] / "detectors" / "clip" / "mini"


@pytest.fixture(scope="module")
def host() -> Host:
    return Host.load(select="", plugins_dir=Path("none"))


@pytest.fixture
def advising(tmp_path: Path) -> Path:
    """The embedded bundle, advising a temperature."""
    folder = tmp_path / "advising"
    shutil.copytree(MINI, folder)
    manifest = json.loads((folder / "manifest.json").read_text())
    manifest["options"] = {"winclip": {"temperature": 0.5}}
    (folder / "manifest.json").write_text(json.dumps(manifest))
    return folder


def options(host: Host, bundle: Path, **said: object) -> tuple[object, list[str]]:
    spec = DetectorSpec(id="winclip", options=said)
    with Engine([spec], host=host, bundle=bundle) as engine:
        return engine.slots[0].options.temperature, engine.warnings  # type: ignore[attr-defined]


def test_advice_fills_what_was_not_said_and_is_told(host: Host, advising: Path) -> None:
    temperature, warnings = options(host, advising)
    assert temperature == 0.5
    assert any("temperature=0.5, as bundle mini advises" in line for line in warnings)


def test_what_was_said_wins_silently(host: Host, advising: Path) -> None:
    temperature, warnings = options(host, advising, temperature=0.07)
    assert temperature == 0.07
    assert not any("advises" in line for line in warnings)


def test_the_embedded_bundle_advises_detectors_that_compare_patches(host: Host) -> None:
    advised = Bundle.open(MINI).manifest.options
    assert set(advised) == {"mutual", "patchcore", "winclip"}
    assert advised["winclip"] == {"variant": "visual", "top_share": 0.01}
    for name, settings in advised.items():
        host.detectors[name].cls.Options(**settings)


def test_advice_that_no_detector_takes_is_an_error(host: Host, advising: Path) -> None:
    manifest = json.loads((advising / "manifest.json").read_text())
    manifest["options"] = {"winclip": {"colour": "red"}}
    (advising / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(UsageError, match=r"winclip\.colour"):
        options(host, advising)


def test_an_unknown_object_name_is_a_warning_that_names_the_word(host: Host) -> None:
    specs = [DetectorSpec(id="winclip", options={"scales": []})]
    frame = read_frame(np.zeros((64, 64, 3), dtype=np.uint8))
    with Engine(specs, host=host, bundle=MINI) as engine:
        engine.score([frame], [[Query(object="bottle")]])
        assert not any("does not know" in line for line in engine.warnings)
        engine.score([frame], [[Query(object="flugelhorn bottle")]])
        engine.score([frame], [[Query(object="flugelhorn bottle")]])
        found = [line for line in engine.warnings if "does not know" in line]
    assert len(found) == 1
    assert "bundle mini does not know the word 'flugelhorn'" in found[0]
