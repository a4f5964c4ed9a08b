"""The options of mutual scoring, and the words that say which variant ran."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field, field_validator, model_validator

from clipvet.detectors import DetectorOptions, counted

__all__ = ["FEWEST", "ID", "MutualOptions"]

ID = "mutual"

FEWEST = 4
"""Other images that an image must at least be compared with."""

# What the paper and its code do; ``rescoring`` as for MVTec.
_PAPER: dict[str, Any] = {
    "depths": (1, 2, 3, 4),
    "features": (),
    "neighbourhoods": (1, 3, 5),
    "share": 0.3,
    "radius": None,
    "top_share": 0.0,
}


class MutualOptions(DetectorOptions):
    """Options of mutual scoring; the defaults are the paper's, but for ``top_share``."""

    depths: tuple[Literal[1, 2, 3, 4], ...] = Field(
        default=(1, 2, 3, 4),
        description="quarters of the tower whose tokens (hidden_1 to hidden_4) are compared; none "
        "compares the features alone",
    )
    features: tuple[str, ...] = Field(
        default=(),
        description="further features of the bundle with a vector for each cell of a grid, which "
        "are compared in the same way",
    )
    neighbourhoods: tuple[int, ...] = Field(
        default=(1, 3, 5),
        min_length=1,
        description="odd sides, in cells, of the squares over which vectors are summed before "
        "they are compared; the mean over all sides counts",
    )
    share: float = Field(
        default=0.3,
        gt=0,
        le=1,
        description="how many of the other images count: this share of them, those that resemble "
        "a cell most",
    )
    radius: int | None = Field(
        default=None,
        ge=0,
        description="compare a cell with those at most so many cells away in another image, for "
        "aligned parts; left out: with all",
    )
    rescoring: tuple[int, ...] = Field(
        default=(),
        description="average the scores of images that look alike (RsCIN), over so many of them "
        "each, and over this list; a bank does not rescore; the paper: 1,2,3 or 1,8,9",
    )
    top_share: float = Field(
        default=0.01,
        ge=0,
        le=1,
        description="score of an image: the mean of this share of its cells, the largest ones; 0 "
        "is the single largest, as in the paper",
    )
    bank_size: int = Field(
        default=64,
        ge=FEWEST + 1,
        description="how many unlabelled images fit keeps: a sample that does not depend on their "
        "order",
    )

    @field_validator("depths", "features", "neighbourhoods", "rescoring")
    @classmethod
    def _each_once(cls, values: tuple[Any, ...]) -> tuple[Any, ...]:
        return tuple(dict.fromkeys(values))

    @field_validator("neighbourhoods")
    @classmethod
    def _sides_are_odd(cls, sides: tuple[int, ...]) -> tuple[int, ...]:
        for side in sides:
            if side < 1 or side % 2 == 0:
                raise ValueError(
                    f"a neighbourhood of {side} cells has no middle: give 1, 3, 5, ..."
                )
        return sides

    @field_validator("rescoring")
    @classmethod
    def _counts_are_positive(cls, counts: tuple[int, ...]) -> tuple[int, ...]:
        if any(count < 1 for count in counts):
            raise ValueError("counts of images are at least 1: 1 is the image alone")
        return counts

    @model_validator(mode="after")
    def _something_is_compared(self) -> MutualOptions:
        if not self.names:
            raise ValueError("there is nothing to compare: name depths, features or both")
        return self

    @property
    def names(self) -> tuple[str, ...]:
        """The features that are compared."""
        hidden = (f"hidden_{depth}" for depth in self.depths)
        return tuple(dict.fromkeys((*hidden, *self.features)))

    def method(self, where: Literal["bank", "folder"], images: int) -> str:
        """The variant in words: the method, and every effective setting that is not the paper's.

        Args:
            where: what images are compared with.
            images: how many.
        """
        settings = [
            f"{name}={_brief(getattr(self, name))}"
            for name, official in _PAPER.items()
            if getattr(self, name) != official
        ]
        again = self.rescoring if where == "folder" else ()
        settings.append(f"rescoring={_brief(again)}" if again else "no rescoring")
        return f"MuSc {where}, {counted(images, 'image')} ({', '.join(settings)})"


def _brief(value: object) -> str:
    return "+".join(map(str, value)) or "none" if isinstance(value, tuple) else str(value)
