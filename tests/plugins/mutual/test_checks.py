"""The promises that every detector makes."""

from __future__ import annotations

from clipvet.detectors.testing import Check, parametrize_with_checks
from clipvet.plugins.mutual import Mutual


@parametrize_with_checks(Mutual)
def test_mutual(check: Check) -> None:
    check()


@parametrize_with_checks(
    Mutual,
    options={"depths": [], "features": ["patch_embed", "win2_embed"], "radius": 2, "top_share": 0},
)
def test_features_of_other_grids(check: Check) -> None:
    check()
