"""The promises that every detector makes."""

from __future__ import annotations

from typing import Any

import pytest

from clipvet.detectors.testing import Check, FakeRuntime, detector_checks, parametrize_with_checks
from clipvet.plugins.unanswerable import Unanswerable
from clipvet.plugins.unanswerable._training import TrainConfig, train_heads
from clipvet.plugins.unanswerable._vectors import encode
from tests.plugins.unanswerable.conftest import samples


@parametrize_with_checks(Unanswerable)
def test_untrained(check: Check) -> None:
    check()


@pytest.mark.parametrize("head", ["pooled", "projection"])
def test_trained(head: str, tmp_path: Any) -> None:
    from dataclasses import replace

    import numpy as np

    runtime = FakeRuntime()
    rng = np.random.default_rng(0)
    own = [
        replace(
            sample,
            image=rng.standard_normal(32),
            texts=encode(sample.row.question, sample.row.choices, runtime.encode_text),
        )
        for sample in samples(12)
    ]
    config = TrainConfig(epochs=1, hidden=4, token_width=3)
    train_heads(own, runtime.info, config).save(tmp_path)
    checks = detector_checks(Unanswerable, options={"head": head}, artefact=tmp_path)
    assert checks
    for check in checks:
        check()
