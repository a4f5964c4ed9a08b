from __future__ import annotations

import itertools

import numpy as np
import pytest

from training.contact_sheet import sheet
from training.defects import DEFECTS, possible
from training.parts import PARTS
from training.render import render
from training.scenes import SURFACES, make_program
from training.seeds import HELD_OUT_FAMILIES, SEEDS

FAMILIES = sorted(PARTS) + sorted(SURFACES)


def test_equal_arguments_give_equal_bytes() -> None:
    for seed in range(4):
        first = render(make_program(seed), 7, defect="any", size=(64, 96))
        again = render(make_program(seed), 7, defect="any", size=(64, 96))
        assert first.image.tobytes() == again.image.tobytes()
        assert first.mask.tobytes() == again.mask.tobytes()
        assert first.facts == again.facts


def test_instances_and_programs_differ() -> None:
    program = make_program(1)
    a, b = render(program, 0).image, render(program, 1).image
    assert not np.array_equal(a, b)
    assert make_program(1) != make_program(2)


@pytest.mark.parametrize("family", FAMILIES)
def test_every_family_renders_in_any_shape(family: str) -> None:
    shot = render(make_program(3, family=family), 0, size=(72, 56))
    assert shot.image.shape == (72, 56, 3)
    assert shot.image.dtype == np.uint8
    assert shot.image.std() > 0.5  # something is to be seen
    assert not shot.mask.any()
    assert shot.facts.name == family
    assert not shot.facts.defect


@pytest.mark.parametrize("kind", sorted(DEFECTS))
def test_the_mask_is_where_the_defect_changed_the_picture(kind: str) -> None:
    # Same instance with and without the defect: pose, light and noise are the same numbers.
    inside, outside, found = [], [], 0
    for seed in range(12):
        program = make_program(seed, family="label" if kind == "print error" else "plate")
        if kind not in possible(program.layers):
            continue
        hurt = render(program, 5, defect=kind)
        if not hurt.facts.defect or "jpeg corrupted" in hurt.facts.camera:
            continue
        clean = render(program, 5)
        change = np.abs(hurt.image.astype(int) - clean.image.astype(int)).max(axis=2)
        found += 1
        assert hurt.mask.any()
        inside.append(change[hurt.mask].mean())
        outside.append(change[~hurt.mask].mean())
    assert found >= 4
    assert np.mean(inside) > 12
    assert np.mean(outside) < 0.25 * np.mean(inside)


def test_a_defect_leaves_the_rest_of_the_part_alone() -> None:
    program = make_program(0, family="gear")
    hurt, clean = render(program, 2, defect="scratch"), render(program, 2)
    assert hurt.facts.defect == "scratch"
    far = np.ones_like(hurt.mask)
    rows, columns = np.nonzero(hurt.mask)
    far[
        max(0, rows.min() - 12) : rows.max() + 12, max(0, columns.min() - 12) : columns.max() + 12
    ] = 0
    assert np.array_equal(hurt.image[far], clean.image[far])


def test_seed_ranges_are_disjoint() -> None:
    ranges = sorted(SEEDS.values(), key=lambda r: r.start)
    for before, after in itertools.pairwise(ranges):
        assert before.stop <= after.start


def test_training_seeds_never_draw_a_held_out_family() -> None:
    assert set(FAMILIES) > HELD_OUT_FAMILIES
    trained = {make_program(s).name for s in range(400)}
    assert not trained & HELD_OUT_FAMILIES
    start = SEEDS["held_out"].start
    assert {make_program(s).name for s in range(start, start + 400)} & HELD_OUT_FAMILIES


def test_surfaces_have_no_structural_defects() -> None:
    surface, part = make_program(0, family="wood"), make_program(0, family="label")
    assert "missing part" not in possible(surface.layers)
    assert {"print error", "chip", "scratch"} <= set(possible(part.layers))


def test_contact_sheet_has_every_tile() -> None:
    picture = sheet(SEEDS["train"], defects=True, rows=1, columns=3, size=48)
    assert picture.shape == (48, 144, 3)
    assert all(picture[:, i * 48 : (i + 1) * 48].std() > 2 for i in range(3))
