"""The detector: image features and class names in, how foreign a picture is out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from clipvet.detectors import (
    ArtefactMissing,
    Batch,
    Context,
    Detector,
    QueryKind,
    Score,
    Task,
    UsageError,
    counted,
    unit_rows,
)
from clipvet.plugins.clipn._heads import (
    class_vectors,
    distinct_classes,
    negated,
    templates_for,
)
from clipvet.plugins.clipn._negatives import Candidates, Negatives
from clipvet.plugins.clipn._no_tower import HAND_CRAFTED, ID, NoTower
from clipvet.plugins.clipn._options import ClipnOptions
from clipvet.plugins.clipn._scores import (
    agree_to_differ,
    compete_to_win,
    concept_match,
    negative_mass,
)

__all__ = ["Clipn"]

_NAMES = {
    "atd": "CLIPN-ATD",
    "ctw": "CLIPN-CTW",
    "mcm": "MCM",
    "gl_mcm": "GL-MCM",
    "neglabel": "NegLabel",
}
# Lists of classes whose vectors stay in memory; mostly there is one for a whole run.
_LISTS = 16

Floats = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True, eq=False)
class _Heads:
    """What one list of classes is compared by.

    Attributes:
        classes: C names, each once.
        yes: unit rows [C, E].
        no: those of the "no" tower [C, E], or None.
        negatives: of NegLabel, or None.
    """

    classes: tuple[str, ...]
    yes: Floats
    no: Floats | None
    negatives: Negatives | None


class Clipn(Detector):
    """CLIPN (ATD, CTW), and with class names alone MCM, GL-MCM and NegLabel.

    Score: atd, ctw, neglabel: probability 0..1 that the picture shows none of the classes; mcm
    -1..0 and gl_mcm -(1 + local_weight)..0: minus the published score. Heatmap: none.
    """

    id: ClassVar[str] = ID
    task: ClassVar[Task] = "ood"
    needs: frozenset[str] = frozenset({"cls_embed"})
    queries: ClassVar[frozenset[QueryKind]] = frozenset({"classes"})
    Options: ClassVar[type[ClipnOptions]] = ClipnOptions
    options: ClipnOptions

    def __init__(self, options: ClipnOptions | None = None) -> None:
        super().__init__(options)
        self.no_tower_: NoTower | None = None
        if self.options.method == "gl_mcm":
            self.needs = frozenset({"cls_embed", "local_embed"})

    def prepare(self, context: Context) -> None:
        """Find the "no" tower, if the method is CLIPN's; classes are encoded when they are known.

        Raises:
            ArtefactMissing: there is no such tower for this bundle.
            RecipeError: the one that was given belongs to another bundle.
            UsageError: a list of words cannot be read.
        """
        bundle = context.bundle
        self.context_ = context
        self.closed_ = bundle.vocabulary == "closed"
        self.scale_ = self.options.logit_scale or bundle.logit_scale
        self.templates_ = templates_for(self.options, closed=self.closed_)
        if self.options.uses_no_tower:
            self.no_tower_ = self.no_tower_ or NoTower.for_bundle(bundle)
            if self.no_tower_ is None:
                raise ArtefactMissing(
                    f'{ID} has no "no" text tower for bundle {bundle.id}: train one (detect train '
                    f"{ID}), import a released one (detect x import-{ID}), or set {ID}.method=mcm, "
                    "which needs none"
                )
            self.no_tower_.check(bundle, embed_dim=bundle.embed_dim)
        if self.options.method == "neglabel":
            self.candidates_ = Candidates.of(self.options, closed=self.closed_)
        self.heads_ = lru_cache(maxsize=_LISTS)(self._encode)

    def save(self, folder: Path) -> None:
        """Write the "no" tower; the other methods write nothing."""
        if self.no_tower_ is not None:
            self.no_tower_.save(folder)

    def load(self, folder: Path) -> None:
        """Read a "no" tower; raises ArtefactMissing or RecipeError if that cannot be done."""
        self.no_tower_ = NoTower.load(folder)

    def score(self, batch: Batch) -> list[list[Score]]:
        """One score for each view and list of classes, each from its own numbers alone."""
        return [
            [self._score_view(batch.features, index, query.classes) for query in queries]
            for index, queries in enumerate(batch.queries)
        ]

    def _score_view(
        self, features: Mapping[str, NDArray[np.float32]], index: int, names: Sequence[str]
    ) -> Score:
        heads = self.heads_(tuple(names))
        image = unit_rows(features["cls_embed"][index])
        cosines = heads.yes @ image
        details: dict[str, Any] = {
            "method": self._method(heads),
            "class": heads.classes[int(np.argmax(cosines))],
            "classes": len(heads.classes),
        }
        match self.options.method:
            case "atd" | "ctw":
                assert heads.no is not None
                yes, no = self.scale_ * cosines, self.scale_ * (heads.no @ image)
                rejected = compete_to_win(yes, no)
                details["class_negated"] = rejected
                value = rejected if self.options.method == "ctw" else agree_to_differ(yes, no)
            case "neglabel":
                assert heads.negatives is not None
                against = heads.negatives.split(self.scale_ * (heads.negatives.vectors @ image))
                value = negative_mass(self.scale_ * cosines, against)
            case "mcm":
                value = -concept_match(cosines, self.options.temperature)
            case "gl_mcm":
                patches = unit_rows(features["local_embed"][index])
                parts = {
                    "global_match": concept_match(cosines, self.options.temperature),
                    "local_match": concept_match(patches @ heads.yes.T, self.options.temperature),
                }
                details |= parts
                local = self.options.local_weight * parts["local_match"]
                value = -(parts["global_match"] + local)
        return Score(value=float(np.float32(value)), details=details)

    def _encode(self, names: tuple[str, ...]) -> _Heads:
        classes = distinct_classes(names, self.options.method)
        encode = self.context_.encode_text
        yes = class_vectors(classes, self.templates_, encode)
        if len(classes) > 1 and not np.any(yes[1:] != yes[0]):
            raise UsageError(
                f"clipn: bundle {self.context_.bundle.id} gives all {len(classes)} classes one and "
                "the same vector, because it knows no word of their names: use names of its "
                "vocabulary, or a pretrained bundle"
            )
        no, negatives = None, None
        if self.no_tower_ is not None and self.options.uses_no_tower:
            no = class_vectors(classes, self._no_templates(), self.no_tower_.encode_text)
        if self.options.method == "neglabel":
            negatives = Negatives.mine(
                classes,
                yes,
                self.candidates_,
                self.options,
                noun_template=self.templates_[0],
                encode_text=encode,
            )
        return _Heads(classes=classes, yes=yes, no=no, negatives=negatives)

    def _no_templates(self) -> tuple[str, ...]:
        if self.options.no_templates:
            return self.options.no_templates
        assert self.no_tower_ is not None
        if self.no_tower_.prompt_kind == HAND_CRAFTED:
            return tuple(negated(template) for template in self.templates_)
        return self.templates_

    def _method(self, heads: _Heads) -> str:
        facts = []
        if self.options.uses_no_tower and self.no_tower_ is not None:
            facts.append(self.no_tower_.origin)
        if heads.negatives is not None:
            mined = heads.negatives
            facts.append(
                f"{len(mined.vectors)} of {mined.words} {mined.source} as negatives in "
                f"{counted(mined.groups, 'group')}"
            )
        facts += self.options.settings()
        name = _NAMES[self.options.method]
        return f"{name} ({', '.join(facts)})" if facts else name
