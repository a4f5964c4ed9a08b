"""The promises that every detector makes."""

from __future__ import annotations

from clipvet.detectors.testing import Check, parametrize_with_checks, textures
from clipvet.plugins.quality import Quality

GOOD = textures(1, seed=9)[0]
DARK = GOOD // 5


@parametrize_with_checks(Quality, pair=(GOOD, DARK))
def test_all_checks(check: Check) -> None:
    check()


@parametrize_with_checks(Quality, options={"checks": ["dark", "blurry"]}, pair=(GOOD, DARK))
def test_some_checks(check: Check) -> None:
    check()
