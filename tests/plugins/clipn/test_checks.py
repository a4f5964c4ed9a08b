"""The promises that every detector makes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from clipvet.detectors.clip import Runtime
from clipvet.detectors.testing import Check, detector_checks, parametrize_with_checks
from clipvet.plugins.clipn import Clipn
from clipvet.plugins.clipn._import import import_checkpoint

NAMES = [check.name for check in detector_checks(Clipn, artefact=Path())]


@pytest.mark.parametrize("name", NAMES)
def test_with_a_no_tower(name: str, runtime: Runtime, checkpoint: Path, tmp_path: Path) -> None:
    folder = tmp_path / "no"
    import_checkpoint(checkpoint, runtime.bundle, out=folder)
    checks = {
        check.name: check for check in detector_checks(Clipn, artefact=folder, runtime=runtime)
    }
    checks[name]()


@parametrize_with_checks(Clipn, options={"method": "mcm"})
def test_mcm(check: Check) -> None:
    check()


@parametrize_with_checks(Clipn, options={"method": "gl_mcm"})
def test_gl_mcm(check: Check) -> None:
    check()


@parametrize_with_checks(Clipn, options={"method": "neglabel"})
def test_neglabel(check: Check) -> None:
    check()


def test_ctw_of_an_identical_tower_knows_nothing(
    runtime: Runtime, checkpoint_content: Any, tmp_path: Path
) -> None:
    """A no-tower that is the yes tower: every probability is one half."""
    import numpy as np
    import torch

    state = {k: v for k, v in checkpoint_content.items() if not k.endswith("prompt_no")}
    for key in list(state):
        stem, dot, rest = key.partition(".")
        if stem.endswith("_no"):
            state[key] = state[f"{stem.removesuffix('_no')}{dot}{rest}"]
    state["prompt_no"] = torch.zeros(1, 77, 64)
    torch.save(state, tmp_path / "same.pt")
    import_checkpoint(tmp_path / "same.pt", runtime.bundle, out=tmp_path / "no", precision="fp32")
    for check in detector_checks(Clipn, artefact=tmp_path / "no", runtime=runtime):
        if check.name == "values_are_finite":
            values = [score.value for score in check.subject.scores()]
            np.testing.assert_allclose(values, 0.5, atol=1e-5)
