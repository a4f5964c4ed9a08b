"""What the embedded bundle advises is what the detectors take, and binds nothing to an old hash."""

from __future__ import annotations

import shutil
from pathlib import Path

from clipvet.detectors.clip import Bundle
from clipvet.plugins.patchcore import PatchCoreOptions
from training.advise import ADVICE, advise

MINI = Path(__file__).resolve().parents[2] / "detectors/clip/mini"


def test_the_shipped_bundle_has_the_advice() -> None:
    options = Bundle.open(MINI).manifest.options
    assert {name: options.get(name) for name in ADVICE} == ADVICE
    assert "winclip" in options


def test_the_detector_takes_it() -> None:
    options = PatchCoreOptions(**ADVICE["patchcore"])
    assert options.sides == (3, 1, 1)
    needs = {name for space in options.spaces for name in space.split("+")}
    assert needs <= Bundle.open(MINI).info.features


def test_what_names_the_bundle_names_it_again(tmp_path: Path) -> None:
    bundle, bound = tmp_path / "mini", tmp_path / "bound"
    shutil.copytree(MINI, bundle)
    manifest = Bundle.open(bundle).manifest
    manifest.model_copy(update={"options": {"winclip": {"variant": "visual"}}}).write(bundle)
    before = Bundle.open(bundle).info.sha256
    bound.mkdir()
    (bound / "artefact.json").write_text(before)
    assert bound / "artefact.json" in advise(bundle, [bound])
    after = Bundle.open(bundle)
    assert (bound / "artefact.json").read_text() == after.info.sha256 != before
    assert after.manifest.options == {"winclip": {"variant": "visual"}, **ADVICE}
    assert advise(bundle, [bound]) == []
