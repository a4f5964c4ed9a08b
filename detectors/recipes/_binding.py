"""A recipe belongs to the bundles it was fitted on."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from clipvet.detectors._counting import counted
from clipvet.detectors.clip import BundleInfo
from clipvet.detectors.errors import RecipeError

if TYPE_CHECKING:
    from clipvet.detectors.recipes._recipe import Recipe

__all__ = ["compare_bundles"]


def compare_bundles(recipe: Recipe, given: Sequence[BundleInfo], provider: str | None) -> list[str]:
    """Warnings of another provider; RecipeError for another bundle. See :meth:`Recipe.check`."""
    if len(given) < len(recipe.bundles):
        raise RecipeError(
            f"the recipe was fitted on {counted(len(recipe.bundles), 'bundle')}, this run has "
            f"{len(given)}"
        )
    for bound, info in zip(recipe.bundles, given, strict=False):
        if info.sha256 != bound.sha256:
            raise RecipeError(
                f"the recipe was fitted on bundle {bound.id} ({bound.sha256[:12]}), this is "
                f"{info.id} ({info.sha256[:12]}): use that bundle or fit again"
            )
        if info.preprocessing_sha256 != bound.preprocessing_sha256:
            raise RecipeError(
                f"bundle {info.id} preprocesses images in another way than when the recipe "
                "was fitted: use that bundle or fit again"
            )
    if provider is None or provider == recipe.provider:
        return []
    sentence = (
        f"the recipe was calibrated on {recipe.provider}, this is {provider}: scores can differ, "
        "with float32 on both in the last digits, else by more, and with them the verdict of an "
        "image near the threshold; detect doctor --recipe says by how much here"
    )
    return [sentence]
