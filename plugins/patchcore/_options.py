"""The options of PatchCore, and the words that say which variant ran."""

from __future__ import annotations

from typing import Any, Final, Literal

from pydantic import Field, field_validator, model_validator

from clipvet.detectors import DetectorOptions, counted
from clipvet.plugins.patchcore._patches import check_space
from clipvet.plugins.patchcore._search import Distance

__all__ = ["PatchCoreOptions"]


# What the paper uses, where this detector's default differs or could; the rest is no part of the
# paper's method. The paper's own features are those of a network that no CLIP bundle has.
_PAPER: Final[dict[str, Any]] = {
    "neighbourhood": (3,),
    "distance": "l2",
    "coreset": 0.1,
    "image_score": "reweighted",
    "smoothing": 0.0,
}


class PatchCoreOptions(DetectorOptions):
    """Options of PatchCore; a bundle may advise others for its own features."""

    spaces: tuple[str, ...] = Field(
        default=("hidden_3", "hidden_4"),
        description="feature spaces, one memory each: features with a value for each patch, joined "
        'by "+" on the finest grid among them; distances in several spaces are averaged, each in '
        "units of their standard deviation between good images",
    )
    weights: tuple[float, ...] = Field(
        default=(), description="of the spaces in that average, one each; none means equal ones"
    )
    neighbourhood: tuple[Literal[1, 3], ...] = Field(
        default=(1,),
        description="side of the square of cells over which features are averaged, one number for "
        "all spaces or one each: 3 as in the paper, 1 takes each patch as it is",
    )
    distance: Distance = Field(
        default="l2", description="l2: Euclidean, as in the paper; cosine: 1 - cosine"
    )
    coreset: float = Field(
        default=1.0,
        gt=0,
        le=1,
        description="share of the patches of good images that is kept, chosen by greedy k-centre; "
        "0.1 as in the paper, 1 keeps all",
    )
    max_patches: int = Field(
        default=5000,
        ge=1,
        description="the most patches that are kept for each space, whatever the share: it bounds "
        "memory and search time",
    )
    image_score: Literal["reweighted", "maximum", "top_share"] = Field(
        default="top_share",
        description="reweighted: the largest distance of a patch times a weight, equation 7 of "
        "the paper; maximum: the largest distance; top_share: the mean of the largest ones",
    )
    num_neighbours: int = Field(
        default=9, ge=1, description="patches of the memory in the weight of reweighted"
    )
    top_share: float = Field(
        default=0.01,
        ge=0,
        le=1,
        description="share of the map's cells that top_share averages; at least one cell",
    )
    smoothing: float = Field(
        default=0.0,
        ge=0,
        le=16,
        description="standard deviation, in cells, of the Gaussian filter over the heatmap; scores "
        "are those of the map before it",
    )

    @field_validator("spaces")
    @classmethod
    def _name_patch_features(cls, spaces: tuple[str, ...]) -> tuple[str, ...]:
        if not spaces:
            raise ValueError("name at least one space")
        if len(set(spaces)) < len(spaces):
            raise ValueError("a space is named twice")
        for space in spaces:
            check_space(space)
        return spaces

    @field_validator("neighbourhood", mode="before")
    @classmethod
    def _one_for_all(cls, sides: Any) -> Any:
        return (sides,) if isinstance(sides, int) else sides

    @model_validator(mode="after")
    def _one_for_each_space(self) -> PatchCoreOptions:
        spaces = len(self.spaces)
        if self.weights and len(self.weights) != spaces:
            raise ValueError(
                f"{counted(len(self.weights), 'weight')} for {counted(spaces, 'space')}: give one "
                "each, or none"
            )
        if not all(0 < weight < float("inf") for weight in self.weights):
            raise ValueError("weights must be above 0")
        if len(self.neighbourhood) not in {1, spaces}:
            raise ValueError(
                f"{counted(len(self.neighbourhood), 'neighbourhood')} for "
                f"{counted(spaces, 'space')}: give one number for all, or one each"
            )
        return self

    @property
    def sides(self) -> tuple[int, ...]:
        """Side of the neighbourhood of each space."""
        sides = self.neighbourhood
        return sides * len(self.spaces) if len(sides) == 1 else sides

    @property
    def shares(self) -> tuple[float, ...]:
        """Weight of each space, together 1."""
        weights = self.weights or (1.0,) * len(self.spaces)
        return tuple(weight / sum(weights) for weight in weights)

    def method(self, images: int) -> str:
        """Name the method, its features, and every setting that is not the paper's."""
        settings = [f"spaces={_words(self.spaces)}"]
        if self.weights:
            settings.append(f"weights={_words(self.weights)}")
        for name, published in _PAPER.items():
            if (value := getattr(self, name)) != published:
                settings.append(f"{name}={_words(value)}")
        if self.image_score == "top_share":
            settings.append(f"top_share={_words(self.top_share)}")
        if self.image_score == "reweighted" and not self.is_default("num_neighbours"):
            settings.append(f"num_neighbours={self.num_neighbours}")
        return f"PatchCore {images}-shot ({'; '.join(settings)})"


def _words(value: Any) -> str:
    if isinstance(value, tuple):
        return ", ".join(map(_words, value))
    return f"{value:g}" if isinstance(value, float) else str(value)
