"""The detector: features of images in, how badly other images explain them out."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from clipvet.detectors import (
    Artefact,
    Batch,
    Context,
    Detector,
    DetectorError,
    ImageScores,
    RecipeError,
    Score,
    Task,
    counted,
    top_mean,
    unit_rows,
)
from clipvet.plugins.mutual._against import Vectors16, score_against
from clipvet.plugins.mutual._bank import Bank, Sample, digest_of
from clipvet.plugins.mutual._cells import Grid, centred, grid_of, local_vectors
from clipvet.plugins.mutual._folder import Compared, finest, score_each_other
from clipvet.plugins.mutual._modes import mostly_high
from clipvet.plugins.mutual._options import FEWEST, ID, MutualOptions
from clipvet.plugins.mutual._scores import Floats, closest_count, rescored

__all__ = ["Mutual"]

_EMBEDDING = "cls_embed"
_BLIND = "a defect that most of them share looks normal to it"
_MOSTLY = (
    "their scores fall into two groups, and the larger one scores higher: if most of these images "
    "are defective, good ones are what stands out"
)

Features = Mapping[str, NDArray[np.float32]]


class Mutual(Detector):
    """How badly other, unlabelled images explain each cell of an image (MuSc).

    With a bank that ``fit`` has filled, every image is compared with the bank. Without one, the
    images of a run are compared with each other after the last of them.

    Score: mean of the largest cells, 0..2, typically 0.2..1; after rescoring 0..1.
    Heatmap: float32 [rows, columns] of the finest grid among the features, 0..2.
    """

    id: ClassVar[str] = ID
    task: ClassVar[Task] = "anomaly"
    needs: frozenset[str] = frozenset({"hidden_1", "hidden_2", "hidden_3", "hidden_4"})
    Options: ClassVar[type[MutualOptions]] = MutualOptions
    learns: ClassVar[bool] = True
    keeps: frozenset[str] = frozenset({"digest"})
    options: MutualOptions

    def __init__(self, options: MutualOptions | None = None) -> None:
        super().__init__(options)
        self.bank_: Bank | None = None
        self.range_: tuple[float, float] | None = None
        further = {_EMBEDDING} if self.options.rescoring else set()
        self.needs = frozenset(self.options.names) | further

    @property
    def heatmap_range(self) -> tuple[float, float]:
        """For pictures without a recipe: from the usual cell to the oddest of the set."""
        return self.range_ or (0.0, 1.0)

    def prepare(self, context: Context) -> None:
        """Check that the bank, if any, belongs to this bundle and these options.

        Raises:
            RecipeError: it was fitted on another bundle or with other features.
        """
        self.context_ = context
        if self.bank_ is not None:
            self._check(self.bank_)
            self._take(self.bank_)

    def fit(self, batches: Iterable[Batch]) -> None:
        """Keep a sample of unlabelled images.

        Raises:
            DetectorError: there are too few of them.
        """
        sample = Sample(self.options.bank_size)
        digests: list[bytes] = []
        vectors: list[dict[str, NDArray[np.float16]]] = []
        for batch in batches:
            for place, view in enumerate(batch.views):
                if view.index == 0 and digests:  # a view 0 begins an image
                    sample.offer(digests, vectors)
                    digests, vectors = [], []
                digests.append(digest_of(view.pixels))
                vectors.append(self._vectors(batch.features, place))
        if digests:
            sample.offer(digests, vectors)
        if len(sample) <= FEWEST:
            raise DetectorError(
                f"{ID}: {counted(len(sample), 'different image')} to compare with: it takes at "
                f"least {FEWEST + 1}, and {self.options.bank_size} are better"
            )
        if sample.offered > len(sample) == self.options.bank_size:
            kept = counted(len(sample), "image")
            self.context_.warn(
                f"{ID} keeps a sample of {kept} of {sample.offered}: raise {ID}.bank_size to keep "
                "more"
            )
        self._take(self._filled(sample))

    def save(self, folder: Path) -> None:
        """Write the bank."""
        if self.bank_ is not None:
            self.bank_.artefact.save(folder)

    def load(self, folder: Path) -> None:
        """Read a bank; raises ArtefactMissing or RecipeError if that cannot be done."""
        self.bank_ = Bank.read(Artefact.load(folder, detector=ID))
        self.keeps = frozenset()

    def score(self, batch: Batch) -> list[list[Score]]:
        """One score and heatmap for each view, or what only the whole run can make one of."""
        places = range(len(batch))
        vectors = [self._vectors(batch.features, place) for place in places]
        digests = [digest_of(view.pixels) for view in batch.views]
        if self.bank_ is not None and len(batch):
            return [[score] for score in self._against(self.bank_, vectors, digests)]
        scores = []
        for place in places:
            spool: dict[str, NDArray[Any]] = dict(vectors[place])
            if self.options.rescoring:
                spool[_EMBEDDING] = batch.features[_EMBEDDING][place]
            details = {"method": "MuSc folder, pending", "digest": digests[place].hex()}
            scores.append([Score(value=0.0, details=details, spool=spool)])
        return scores

    def finish(self, store: Sequence[Mapping[str, Any]]) -> Iterator[ImageScores | str]:
        """Score the images of a run against each other; the order of the images changes nothing."""
        kept = [_views(image["digest"]) for image in store]
        views = [
            (place, view) for place, digests in enumerate(kept) for view in range(len(digests))
        ]
        # Sums of floats depend on their order, so it is that of the content.
        views.sort(key=lambda at: (kept[at[0]][at[1]], at))
        if not views:
            return
        compared = Compared([kept[p][v].encode() for p, v in views], [p for p, _ in views])
        if compared.fewest() < FEWEST:
            yield (
                f"{ID}: not scored: an image takes at least {FEWEST} others to compare with, and "
                f"here one has {compared.fewest()}: give more images"
            )
            return

        def load(number: int, name: str) -> NDArray[Any]:
            place, view = views[number]
            vectors: NDArray[Any] = _views(store[place][name])[view]
            return vectors

        grids = self._grids({name: load(0, name) for name in self.options.names})
        maps = score_each_other(load, grids, compared, self.options)
        plain = np.array([top_mean(one, self.options.top_share) for one in maps])
        values = plain
        if self.options.rescoring:
            units = unit_rows(np.stack([load(at, _EMBEDDING) for at in range(len(views))]))
            values = rescored(plain, units, self.options.rescoring)
        self.range_ = float(np.median(maps)), float(maps.max())
        target, scores = finest(grids.values()), {}
        for number, at in enumerate(views):
            others = int(compared.others(number).sum())
            details = self._details("folder", others, others)
            if self.options.rescoring:
                details["unrescored"] = float(np.float32(plain[number]))
            scores[at] = self._score(values[number], maps[number], target, details)
        for place, digests in enumerate(kept):
            of_image = [scores[place, view] for view in range(len(digests))]
            yield ImageScores(place=place, views=of_image)
        yield f"{ID} compared {counted(len(kept), 'image')} with each other: {_BLIND}"
        if mostly_high(plain):
            yield f"{ID}: {_MOSTLY}"

    def _against(
        self, bank: Bank, vectors: Sequence[Vectors16], digests: Sequence[bytes]
    ) -> Iterator[Score]:
        grids = self._grids(vectors[0])
        others = [bank.others(digest) for digest in digests]
        maps = score_against(bank, vectors, others, grids, self.options)
        for cells, chosen in zip(maps, others, strict=True):
            value = top_mean(cells, self.options.top_share)
            details = self._details("bank", bank.images, int(chosen.sum()))
            yield self._score(value, cells, finest(grids.values()), details)

    def _details(
        self, where: Literal["bank", "folder"], images: int, compared: int
    ) -> dict[str, Any]:
        return {
            "method": self.options.method(where, images),
            "compared": compared,
            "closest": closest_count(compared, self.options.share),
        }

    def _score(self, value: float, cells: Floats, grid: Grid, details: Mapping[str, Any]) -> Score:
        heatmap = cells.astype(np.float32).reshape(grid)
        return Score(value=float(np.float32(value)), heatmap=heatmap, details=details)

    def _vectors(self, features: Features, place: int) -> dict[str, NDArray[np.float16]]:
        return {
            name: centred(local_vectors(name, features[name][place])) for name in self.options.names
        }

    def _grids(self, vectors: Mapping[str, NDArray[Any]]) -> dict[str, Grid]:
        patches = self.context_.bundle.grid
        return {name: grid_of(name, len(values), patches) for name, values in vectors.items()}

    def _filled(self, sample: Sample) -> Bank:
        views = list(sample.views())
        stacked = {
            name: np.stack([vectors[name] for _, _, vectors in views])
            for name in self.options.names
        }
        facts: dict[str, Any] = {"images": len(sample), "offered": sample.offered}
        bank = Bank.of(
            stacked,
            [digest for _, digest, _ in views],
            [owner for owner, _, _ in views],
            bundle=self.context_.bundle,
            facts=facts,
        )
        # How the bank scores itself, by its last feature and its middle neighbourhood alone,
        # which tell as well whether it is mostly defective and take a fraction of the time.
        name, sides = self.options.names[-1], sorted(self.options.neighbourhoods)
        compared = Compared(bank.digests, bank.owners.tolist())
        if compared.fewest() < FEWEST:
            raise DetectorError(
                f"{ID}: some image of the bank has {compared.fewest()} others to compare with: "
                f"give at least {FEWEST + 1} different images"
            )
        maps = score_each_other(
            bank.vectors,
            self._grids({name: stacked[name][0]}),
            compared,
            self.options.model_copy(update={"neighbourhoods": (sides[len(sides) // 2],)}),
        )
        scores = np.array([top_mean(one, self.options.top_share) for one in maps])
        facts |= {
            "range": [float(np.median(maps)), float(maps.max())],
            "mostly_high": mostly_high(scores),
        }
        return Bank.of(
            stacked,
            bank.digests,
            bank.owners.tolist(),
            bundle=self.context_.bundle,
            facts=facts,
        )

    def _take(self, bank: Bank) -> None:
        """Score against this bank from now on, and say what it cannot see."""
        self.bank_ = bank
        self.keeps = frozenset()
        low, high = bank.artefact.facts["range"]
        self.range_ = float(low), float(high)
        size = counted(bank.images, "unlabelled image")
        self.context_.warn(f"{ID} compares with {size}: {_BLIND}")
        if bank.artefact.facts["mostly_high"]:
            self.context_.warn(f"{ID}, the images it learned from: {_MOSTLY}")

    def _check(self, bank: Bank) -> None:
        bank.artefact.check(self.context_.bundle)
        for name in self.options.names:
            if name not in bank.features:
                raise RecipeError(
                    f"{ID}: the bank holds no {name}: leave it out of {ID}.depths or "
                    f"{ID}.features, or fit again"
                )


def _views(value: Any) -> list[Any]:
    """Of each view of an image; a single one is kept as it is."""
    return value if isinstance(value, list) else [value]
