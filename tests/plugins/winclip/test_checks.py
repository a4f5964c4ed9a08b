"""The promises that every detector makes."""

from __future__ import annotations

from clipvet.detectors.testing import Check, parametrize_with_checks
from clipvet.plugins.winclip import WinClip


@parametrize_with_checks(WinClip)
def test_as_in_the_paper(check: Check) -> None:
    check()


@parametrize_with_checks(WinClip, options={"variant": "anomalib", "scales": [2]})
def test_as_in_anomalib(check: Check) -> None:
    check()
