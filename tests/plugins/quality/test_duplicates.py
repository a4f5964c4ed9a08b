from __future__ import annotations

import time
import tracemalloc
from collections.abc import Iterable
from typing import Any

import cv2
import numpy as np
import pytest

from clipvet.detectors import ImageGroup
from clipvet.plugins.quality._duplicates import duplicate_groups
from clipvet.plugins.quality._hashes import fingerprint, perceptual_hash
from clipvet.plugins.quality._measures import shrunk
from training.render import render
from training.scenes import make_program
from training.seeds import SEEDS

Pixels = np.ndarray[Any, Any]


def kept(pixels: Pixels) -> dict[str, Any]:
    small = shrunk(pixels)
    return {"fingerprint": fingerprint(small), "hash": perceptual_hash(small)}


def found(store: Iterable[dict[str, Any]], near: int = 8) -> list[ImageGroup]:
    return list(duplicate_groups(store, near=near))


def members(groups: Iterable[ImageGroup]) -> list[list[int]]:
    return [[int(place) for place in group.members] for group in groups]


def hashed(row: np.ndarray[Any, Any], number: int) -> dict[str, Any]:
    return {"fingerprint": f"{number:016x}", "hash": np.packbits(row).tobytes().hex()}


@pytest.fixture(scope="module")
def parts() -> list[Pixels]:
    program = make_program(SEEDS["held_out"].start + 700_000)
    return [render(program, i, size=(192, 256)).image for i in range(8)]


def test_copies_are_found_and_other_parts_of_the_station_are_not(parts: list[Pixels]) -> None:
    first = parts[0]
    jpeg: Any = cv2.imdecode(cv2.imencode(".jpg", first, [cv2.IMWRITE_JPEG_QUALITY, 80])[1], 1)
    noise = np.random.default_rng(0).normal(0, 2, first.shape)
    pictures = [
        *parts,
        parts[3].copy(),
        jpeg,
        cv2.resize(first, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA),
        np.clip(first + noise, 0, 255).astype(np.uint8),
    ]
    groups = found([kept(x) for x in pictures])
    assert {group.kind: list(map(int, group.members)) for group in groups} == {
        "near-duplicate": [0, 9, 10, 11],
        "identical": [3, 8],
    }
    assert members(found([kept(x) for x in parts])) == []


def test_a_stuck_camera_is_a_long_streak(parts: list[Pixels]) -> None:
    pictures = [parts[1], parts[0], *[parts[2]] * 5, parts[4], parts[2]]
    (group,) = found([kept(x) for x in pictures])
    assert group.kind == "identical"
    assert list(group.members) == [2, 3, 4, 5, 6, 8]
    assert group.details == {"in_a_row": 5}


def test_one_changed_grey_level_is_no_identical_picture(parts: list[Pixels]) -> None:
    other = parts[0].copy()
    other[5, 5, 0] ^= 1
    (group,) = found([kept(parts[0]), kept(other)])
    assert group.kind == "near-duplicate"
    assert fingerprint(np.zeros((2, 6, 3), np.uint8)) != fingerprint(np.zeros((6, 2, 3), np.uint8))


@pytest.mark.parametrize("near", [0, 3, 8, 15])
def test_every_pair_up_to_the_limit_is_found_and_none_beyond(near: int) -> None:
    rng = np.random.default_rng(near)
    rows = rng.random((300, 256)) < 0.5
    store = [hashed(row, i) for i, row in enumerate(rows)]
    for i, row in enumerate(rows):
        for bits in (near, near + 1) if i % 2 else (near + 1,):
            other = row.copy()
            other[rng.choice(256, bits, replace=False)] ^= True
            store.append(hashed(other, len(store)))
    pairs = [group.members for group in found(store, near)]
    places = iter(range(300, len(store)))
    expected = []
    for i in range(300):
        if i % 2:
            expected.append({i, next(places)})
        next(places)
    assert [set(map(int, pair)) for pair in pairs] == expected


def test_linked_by_a_chain_is_one_group() -> None:
    row = np.zeros(256, bool)
    rows = [row.copy() for _ in range(4)]
    for i in range(4):
        rows[i][: 6 * i] = True
    assert members(found([hashed(x, i) for i, x in enumerate(rows)])) == [[0, 1, 2, 3]]


def test_tiles_are_compared_by_their_pixels_alone() -> None:
    one = {"fingerprint": ["a" * 16, "b" * 16], "hash": ["0" * 64, "0" * 64]}
    other = {"fingerprint": ["a" * 16, "c" * 16], "hash": ["0" * 64, "0" * 64]}
    (group,) = found([one, other, one])
    assert (group.kind, list(group.members)) == ("identical", [0, 2])


def test_many_images_take_seconds_and_little_memory() -> None:
    """As on a station: a quarter of the bits, the first bands among them, hardly ever differ."""
    count = 20_000
    rng = np.random.default_rng(0)
    usual = rng.integers(0, 256, 32, dtype=np.uint8)
    rows = rng.integers(0, 256, (count, 32), dtype=np.uint8)
    rows[:, :8] = usual[:8]
    rows[count // 2 : count // 2 + 500] = rows[:500]
    rows[count // 2 : count // 2 + 500, 31] ^= 7

    def store() -> Iterable[dict[str, Any]]:
        for number, row in enumerate(rows):
            yield {"fingerprint": f"{number:016x}", "hash": row.tobytes().hex()}

    start = time.process_time()
    groups = found(store())
    assert time.process_time() - start < 60  # all pairs would take many minutes
    assert len(groups) == 500
    assert all(len(group.members) == 2 for group in groups)
    tracemalloc.start()
    assert sum(1 for _ in duplicate_groups(store(), near=0)) == 0
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak / count < 180
