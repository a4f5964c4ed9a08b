"""What an image embedding is judged with: class vectors of an artefact, or pairs of sentences."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from clipvet.detectors import (
    Artefact,
    ArtefactMissing,
    BundleIdentity,
    Context,
    RecipeError,
    UsageError,
    counted,
    unit_rows,
)
from clipvet.plugins.inappropriate._options import InappropriateOptions
from clipvet.plugins.inappropriate._released import RELEASED
from clipvet.plugins.inappropriate._scores import SCALE, direction

__all__ = ["ID", "Rule", "write_vectors"]

ID = "inappropriate"
AS_PUBLISHED = "shortest"
"""How the images became square on which published vectors were tuned: short side, centre crop."""

TENSOR = "vectors"
"""Name of the float32 [2, E] array in an artefact."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Rule:
    """A linear rule in the joint space.

    Attributes:
        weights: float64 [E]; the product with a unit image embedding is the log-odds of
            inappropriate.
        method: what it is, in words that claim no more.
        facts: JSON-able, for the details of every score.
    """

    weights: NDArray[np.float64]
    method: str
    facts: dict[str, Any] = field(default_factory=dict)

    @classmethod
    def of_artefact(
        cls, artefact: Artefact, options: InappropriateOptions, context: Context
    ) -> Rule:
        """The rule of class vectors, tuned on this bundle or imported for it.

        Raises:
            RecipeError: they belong to another bundle, or the artefact lacks something.
        """
        artefact.check(context.bundle)
        vectors = artefact.tensors.get(TENSOR, np.empty(0))
        width = context.bundle.embed_dim
        try:
            if vectors.shape != (2, width) or not np.isfinite(vectors).all():
                raise ValueError(f"two finite vectors of width {width}")
            method, facts = _origin(artefact.facts)
        except (KeyError, TypeError, ValueError) as error:
            raise RecipeError(
                f"{ID}: the artefact lacks {error}: train or import it again"
            ) from error
        if "imported" in artefact.facts and context.bundle.resize != AS_PUBLISHED:
            method += f", resize={context.bundle.resize}"
        if options.logits != "cosine":
            method += f", logits={options.logits}"
        return cls(weights=direction(vectors, options.logits), method=method, facts=facts)

    @classmethod
    def of_prompts(cls, options: InappropriateOptions, context: Context) -> Rule:
        """The zero-training heuristic: the mean over pairs of 100 x the difference of cosines.

        Raises:
            UsageError: own prompts of one pair mean the same to the text tower.
            ArtefactMissing: the text tower does not know the words of the built-in ones.
        """
        bundle = context.bundle
        if bundle.vocabulary == "closed" and not options.own_pairs:
            raise ArtefactMissing(
                f"{ID} has no vectors, and the closed vocabulary of bundle {bundle.id} lacks the "
                f"words of its prompts: give --artefact {ID}=DIR (detect train {ID} --help), own "
                "prompts, or a pretrained bundle"
            )
        good, bad = (
            unit_rows(context.encode_text([pair[side] for pair in options.pairs]))
            for side in (0, 1)
        )
        for pair, gap in zip(options.pairs, np.abs(bad - good).max(axis=1), strict=True):
            if gap < 1e-6:
                raise UsageError(
                    f"{ID}: to bundle {bundle.id}, {pair[0]!r} and {pair[1]!r} are the same "
                    "prompt: use words that it knows"
                )
        context.warn(
            f"{ID} runs without class vectors: this is a prompt-pair heuristic and not Q16, which "
            f"takes --artefact {ID}=DIR (detect train {ID}, detect x import-{ID})"
        )
        pairs = counted(len(options.pairs), "own pair" if options.own_pairs else "pair")
        return cls(
            weights=np.asarray(SCALE * (bad - good).mean(axis=0)),
            method=f"prompt-pair heuristic (not Q16), {pairs}",
        )


def write_vectors(
    vectors: NDArray[np.float64], folder: Path, *, bundle: BundleIdentity, facts: dict[str, Any]
) -> None:
    """Write class vectors [2, E] as an artefact; what :meth:`Rule.of_artefact` reads."""
    folder.mkdir(parents=True, exist_ok=True)
    tensors = {TENSOR: vectors.astype(np.float32)}
    Artefact(detector=ID, bundle=bundle, facts=facts, tensors=tensors).save(folder)


def _origin(facts: Mapping[str, Any]) -> tuple[str, dict[str, Any]]:
    """The method's name, and facts for the details."""
    if "imported" in facts:
        name, sha256 = str(facts["imported"]), str(facts["file_sha256"])
        model = RELEASED.get(sha256)
        said = f"Q16 (released vectors, {model})" if model else f"Q16 rule, vectors of {name}"
        return said, {"vectors_sha256": sha256}
    good, bad = int(facts["appropriate"]), int(facts["inappropriate"])
    return f"Q16 re-trained ({good} appropriate, {counted(bad, 'inappropriate image')})", {}
