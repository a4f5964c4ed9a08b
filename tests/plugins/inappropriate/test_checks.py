"""The promises that every detector makes."""

from __future__ import annotations

from clipvet.detectors.testing import Check, parametrize_with_checks
from clipvet.plugins.inappropriate import Inappropriate


@parametrize_with_checks(Inappropriate)
def test_pair(check: Check) -> None:
    check()


@parametrize_with_checks(Inappropriate, options={"prompts": "ensemble", "concepts": []})
def test_ensemble(check: Check) -> None:
    check()
