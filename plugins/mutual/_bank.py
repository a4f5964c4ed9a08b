"""The bank: vectors of unlabelled images that any image is compared with."""

from __future__ import annotations

import hashlib
import heapq
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from clipvet.detectors import Artefact, BundleIdentity, RecipeError
from clipvet.plugins.mutual._options import ID

__all__ = ["Bank", "Sample", "digest_of"]

_DIGESTS, _OWNERS = "digests", "owners"


def digest_of(pixels: NDArray[np.uint8]) -> bytes:
    """32 bytes that stand for the content of a view, uint8 [h, w, 3]."""
    digest = hashlib.sha256(repr(pixels.shape).encode())
    digest.update(np.ascontiguousarray(pixels).data)
    return digest.digest()


@dataclass(frozen=True, eq=False)
class Bank:
    """Unlabelled images, as an artefact.

    Tensors: for each feature float16 [views, N, W], centred; ``digests`` uint8 [views, 32];
    ``owners`` int64 [views], which image a view is of.
    """

    artefact: Artefact

    @classmethod
    def of(
        cls,
        views: Mapping[str, NDArray[np.float16]],
        digests: Sequence[bytes],
        owners: Sequence[int],
        *,
        bundle: BundleIdentity,
        facts: Mapping[str, Any],
    ) -> Self:
        """The bank of these views; see the class."""
        tensors: dict[str, NDArray[Any]] = {
            **views,
            _DIGESTS: np.frombuffer(b"".join(digests), np.uint8).reshape(len(digests), -1),
            _OWNERS: np.asarray(owners, np.int64),
        }
        return cls(Artefact(detector=ID, bundle=bundle, facts=dict(facts), tensors=tensors))

    @classmethod
    def read(cls, artefact: Artefact) -> Self:
        """The bank that an artefact holds.

        Raises:
            RecipeError: it is damaged.
        """
        tensors = artefact.tensors
        digests, owners = tensors.get(_DIGESTS), tensors.get(_OWNERS)
        sound = (
            digests is not None
            and owners is not None
            and digests.dtype == np.uint8
            and owners.dtype == np.int64
            and digests.shape == (len(owners), 32)
            and all(
                values.ndim == 3 and len(values) == len(owners) and values.dtype == np.float16
                for name, values in tensors.items()
                if name not in {_DIGESTS, _OWNERS}
            )
        )
        try:
            low, high = map(float, artefact.facts["range"])
            sound = sound and low <= high and isinstance(artefact.facts["mostly_high"], bool)
        except (KeyError, TypeError, ValueError):
            sound = False
        if not sound:
            raise RecipeError(f"{ID}: the bank is damaged: fit it again")
        return cls(artefact)

    @property
    def features(self) -> frozenset[str]:
        """Names of the features that it holds."""
        return frozenset(self.artefact.tensors) - {_DIGESTS, _OWNERS}

    @property
    def images(self) -> int:
        """How many images are in it."""
        return len(np.unique(self.artefact.tensors[_OWNERS]))

    @property
    def views(self) -> int:
        """How many views are in it."""
        return len(self.artefact.tensors[_OWNERS])

    @property
    def digests(self) -> list[bytes]:
        """Of the content of each view."""
        return [row.tobytes() for row in self.artefact.tensors[_DIGESTS]]

    @property
    def owners(self) -> NDArray[np.int64]:
        """The image that each view is of."""
        return self.artefact.tensors[_OWNERS]

    def vectors(self, view: int, name: str) -> NDArray[np.float16]:
        """Centred vectors of one view, float16 [N, W]."""
        vectors: NDArray[np.float16] = self.artefact.tensors[name][view]
        return vectors

    def others(self, digest: bytes) -> NDArray[np.bool_]:
        """True for the views that a view with this content is compared with.

        Left out is every image of the bank that shows it: an image would explain itself.
        """
        own = [found == digest for found in self.digests]
        others: NDArray[np.bool_] = ~np.isin(self.owners, self.owners[own])
        return others


@dataclass(frozen=True, eq=False)
class _Kept:
    """One image of the sample: its views in order."""

    digests: list[bytes]
    vectors: list[dict[str, NDArray[np.float16]]]


class Sample:
    """A sample of images that does not depend on their order; equal images count once.

    Those whose content has the smallest hashes are kept: a hash is as good as a draw.

    Args:
        size: the most images that are kept.
    """

    def __init__(self, size: int) -> None:
        self._size = size
        self._heap: list[tuple[int, int]] = []  # (minus the key, key)
        self._kept: dict[int, _Kept] = {}
        self.offered = 0

    def offer(self, digests: list[bytes], vectors: list[dict[str, NDArray[np.float16]]]) -> None:
        """Show it one image, by the content and the vectors of its views."""
        self.offered += 1
        key = int.from_bytes(hashlib.sha256(b"".join(digests)).digest(), "big")
        if key in self._kept:
            return
        self._kept[key] = _Kept(digests, vectors)
        heapq.heappush(self._heap, (-key, key))
        if len(self._heap) > self._size:
            del self._kept[heapq.heappop(self._heap)[1]]

    def __len__(self) -> int:
        return len(self._kept)

    def views(self) -> Iterator[tuple[int, bytes, dict[str, NDArray[np.float16]]]]:
        """Place of the image, content and vectors of each view kept, in the order of the hashes."""
        for place, key in enumerate(sorted(self._kept)):
            kept = self._kept[key]
            for digest, vectors in zip(kept.digests, kept.vectors, strict=True):
                yield place, digest, vectors
