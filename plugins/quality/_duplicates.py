"""Which pictures of a run are the same, or nearly, in bounded time and memory.

Hashes of 256 bits that differ in fewer than 16 of them agree in one of 16 bands of 16 bits. For
each band the hashes are sorted with that band first, and each is compared with the next few that
have the same band: 16 sorts instead of all pairs. In a band that very many pictures share, a pair
that is far apart in every order is missed.
"""

from __future__ import annotations

import hashlib
from array import array
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from clipvet.detectors import ImageGroup

__all__ = ["duplicate_groups"]

# A band has 16 bits, a word 64.
_BANDS, _AHEAD, _AT_ONCE = 16, 32, 1 << 14
_BITS = np.array([n.bit_count() for n in range(1 << 16)], np.uint8)

Ints = NDArray[np.intp]
Words = NDArray[np.uint64]


def duplicate_groups(store: Iterable[Mapping[str, Any]], *, near: int) -> Iterator[ImageGroup]:
    """Groups of two or more pictures, ``identical`` or ``near-duplicate``; none is in two.

    Args:
        store: ``fingerprint`` and ``hash`` of each picture. A picture in tiles has lists of them,
            and is compared by its fingerprints alone.
        near: bits of 256 that may differ, at most 15.
    """
    same, hashes = _distinct(store)
    labels = _linked(hashes, near)[same]
    grouped = np.flatnonzero(np.bincount(labels)[labels] > 1)
    order = grouped[np.argsort(labels[grouped], kind="stable")]
    for members in np.split(order, np.flatnonzero(np.diff(labels[order])) + 1):
        if len(members):
            alike = bool((same[members] == same[members[0]]).all())
            yield ImageGroup(
                kind="identical" if alike else "near-duplicate",
                members=members,
                details={"in_a_row": _longest_streak(members)},
            )


def _distinct(store: Iterable[Mapping[str, Any]]) -> tuple[Ints, Words]:
    """For each picture the row of its like, [n]; and the hashes of these rows, [m, 4]."""
    prints, hashes = array("Q"), bytearray()
    for kept in store:
        found, near = kept["fingerprint"], kept["hash"]
        if isinstance(found, list):
            digest = hashlib.blake2b("".join(found).encode(), digest_size=32).digest()
            found, near = digest[:8].hex(), digest.hex()  # as good as random: near to no other
        prints.append(int(found, 16))
        hashes += bytes.fromhex(near)
    _, first, same = np.unique(
        np.frombuffer(prints, np.uint64), return_index=True, return_inverse=True
    )
    return same, np.frombuffer(hashes, ">u8").reshape(-1, 4)[first].astype(np.uint64)


def _linked(hashes: Words, near: int) -> Ints:
    """A label for each of the hashes [m, 4], the same for those that a chain of pairs links."""
    labels = np.arange(len(hashes))
    for _ in range(_BANDS):
        order = np.lexsort(hashes.T[::-1])
        band = hashes[order, 0] >> np.uint64(48)
        for ahead in range(1, min(_AHEAD, len(order) - 1) + 1):
            mates = np.flatnonzero(band[:-ahead] == band[ahead:])
            if not len(mates):
                break
            one, other = order[mates], order[mates + ahead]
            apart = labels[one] != labels[other]
            one, other = one[apart], other[apart]
            close = _distances(hashes, one, other) <= near
            if close.any():
                labels = _merged(labels, one[close], other[close])
        _turn(hashes)
    return labels


def _turn(hashes: Words) -> None:
    """Turn all bits of each by one band, in place; that changes no distance."""
    first = hashes[:, 0] >> np.uint64(48)
    for place in range(4):
        carried = first if place == 3 else hashes[:, place + 1] >> np.uint64(48)
        hashes[:, place] = (hashes[:, place] << np.uint64(16)) | carried


def _distances(hashes: Words, one: Ints, other: Ints) -> NDArray[np.uint8]:
    """Bits that differ; 256 of them never meet here, for the pairs share a band."""
    found = np.empty(len(one), np.uint8)
    for first in range(0, len(one), _AT_ONCE):
        part = slice(first, first + _AT_ONCE)
        differ = (hashes[one[part]] ^ hashes[other[part]]).view(np.uint16)
        found[part] = _BITS[differ].sum(axis=1)
    return found


def _merged(labels: Ints, one: Ints, other: Ints) -> Ints:
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    links = np.ones(len(one), np.int8), (labels[one], labels[other])
    graph = coo_array(links, shape=(len(labels), len(labels)))
    component: Ints = connected_components(graph, directed=False)[1]
    return component[labels]


def _longest_streak(members: Ints) -> int:
    """Most members one after the other in the order of the run."""
    ends = np.flatnonzero(np.diff(members) != 1)
    return int(np.diff(np.concatenate([[-1], ends, [len(members) - 1]])).max())
