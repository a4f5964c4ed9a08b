"""The promises that every detector makes."""

from __future__ import annotations

from clipvet.detectors.testing import Check, parametrize_with_checks
from clipvet.plugins.patchcore import PatchCore


@parametrize_with_checks(PatchCore)
def test_by_default(check: Check) -> None:
    check()


@parametrize_with_checks(
    PatchCore,
    options={
        "spaces": ["hidden_2+hidden_3"],
        "neighbourhood": 3,
        "distance": "l2",
        "coreset": 0.1,
        "image_score": "reweighted",
        "smoothing": 1.0,
    },
)
def test_as_in_the_paper(check: Check) -> None:
    check()


@parametrize_with_checks(
    PatchCore, options={"spaces": ["hidden_4", "patch_embed"], "max_patches": 50}
)
def test_in_two_spaces(check: Check) -> None:
    check()
