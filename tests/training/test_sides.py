"""What training shows and what measuring shows never meet."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest

from training.catalogue.parts import PARTS
from training.catalogue.surfaces import HELD_OUT_TEXTURES, SURFACES, TRAINED_TEXTURES
from training.catalogue.variants import Side, Variants
from training.defects import DEFECTS
from training.optics import AMBIENT, ELEVATION
from training.palette import MATERIALS
from training.scenes import make_program
from training.seeds import NEVER_TRAINED, SEEDS, side_of
from training.textures import TEXTURES

WAYS: dict[str, Variants[Any]] = {**PARTS, **{name: ways for name, (_, ways) in SURFACES.items()}}
OLD = {"bearing", "comb", "terrazzo", "scales"}


def seeds(which: str, count: int) -> range:
    start = SEEDS[which].start
    return range(start, start + count)


def test_seed_ranges_are_disjoint() -> None:
    ranges = sorted(SEEDS.values(), key=lambda r: r.start)
    for before, after in itertools.pairwise(ranges):
        assert before.stop <= after.start
    assert [side_of(SEEDS[k].start) for k in ("train", "held_out", "sample")] == [
        "train",
        "held_out",
        "held_out",
    ]


@pytest.mark.parametrize("name", sorted(WAYS))
def test_every_name_has_independent_ways_on_both_sides(name: str) -> None:
    ways = WAYS[name]
    if name in NEVER_TRAINED:
        assert not ways.trained
        assert len(ways.held_out) >= 3
    else:
        assert len(ways.trained) >= 2
        assert len(ways.held_out) >= 1
    assert len({*ways.trained, *ways.held_out}) == len(ways.trained) + len(ways.held_out)


@pytest.mark.parametrize("kind", sorted(DEFECTS))
def test_every_defect_has_independent_ways_on_both_sides(kind: str) -> None:
    ways = DEFECTS[kind]
    assert len(ways.trained) >= 2
    assert len(ways.held_out) >= 1
    assert not set(ways.trained) & set(ways.held_out)


def test_textures_of_the_sides_are_disjoint() -> None:
    assert not TRAINED_TEXTURES & HELD_OUT_TEXTURES
    assert set(TEXTURES) >= TRAINED_TEXTURES | HELD_OUT_TEXTURES
    assert {kind for kinds, _, _ in MATERIALS.values() for kind in kinds} <= TRAINED_TEXTURES
    for seed in seeds("train", 150):
        program = make_program(seed)
        seen = {program.ground.kind, *(x.texture.kind for x in program.layers)}
        assert seen <= TRAINED_TEXTURES


@pytest.mark.parametrize("ranges", [ELEVATION, AMBIENT])
def test_light_of_the_sides_is_disjoint(
    ranges: dict[Side, tuple[tuple[float, float], ...]],
) -> None:
    every = sorted((low, high, side) for side, all_ in ranges.items() for low, high in all_)
    for (_, high, _), (low, _, _) in itertools.pairwise(every):
        assert high < low
    for which, side in (("train", "train"), ("held_out", "held_out"), ("sample", "held_out")):
        for seed in seeds(which, 60):
            lamp = make_program(seed).lamp
            value = lamp.elevation if ranges is ELEVATION else lamp.ambient
            assert any(low <= value <= high for low, high in ranges[side])  # type: ignore[index]


def test_training_never_draws_what_is_never_trained() -> None:
    assert OLD <= NEVER_TRAINED < set(WAYS)
    assert not {make_program(s).name for s in seeds("train", 300)} & NEVER_TRAINED
    assert {make_program(s).name for s in seeds("held_out", 300)} & NEVER_TRAINED
    assert make_program(3, family="bearing").side == "held_out"


def test_every_framing_is_drawn() -> None:
    programs = [make_program(s) for s in seeds("train", 400)]
    parts = [p for p in programs if p.kind == "part"]
    assert 0.1 < np.mean([bool(p.copies) for p in parts]) < 0.3
    assert 0.1 < np.mean([p.fill > 1 for p in parts]) < 0.3
    assert any(p.kind == "surface" and p.layers for p in programs)
    assert {len(p.copies) for p in parts} == {0, 2, 3, 4}
