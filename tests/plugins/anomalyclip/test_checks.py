"""The promises that every detector makes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from clipvet.detectors import unit_rows
from clipvet.detectors.testing import (
    Check,
    FakeRuntime,
    detector_checks,
    parametrize_with_checks,
)
from clipvet.plugins.anomalyclip import AnomalyClip
from clipvet.plugins.anomalyclip._learned import Learned

NAMES = [check.name for check in detector_checks(AnomalyClip, artefact=Path())]


@pytest.mark.parametrize("name", NAMES)
def test_with_learned_prompts(name: str, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    Learned(
        bundle=FakeRuntime.info,
        prototypes=unit_rows(rng.standard_normal((2, 32))).astype(np.float32),
        projection=rng.standard_normal((48, 32)).astype(np.float32),
        temperature=0.07,
        origin="random prompts",
        facts={},
    ).save(tmp_path)
    checks = {check.name: check for check in detector_checks(AnomalyClip, artefact=tmp_path)}
    checks[name]()


@parametrize_with_checks(AnomalyClip, options={"variant": "sdp"})
def test_sdp(check: Check) -> None:
    check()


@parametrize_with_checks(AnomalyClip, options={"variant": "clap", "pooling": "mean"})
def test_clap(check: Check) -> None:
    check()
