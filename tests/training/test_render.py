from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from training.catalogue.parts import PARTS
from training.catalogue.surfaces import SURFACES
from training.catalogue.variants import Side
from training.contact_sheet import sheet
from training.copies import spread, spread_hurt
from training.defects import DEFECTS, Site, possible
from training.optics import Pose
from training.render import FAINTEST, LARGEST, SMALLEST, render, visible
from training.scenes import make_program
from training.seeds import SEEDS

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


def test_only_what_can_be_seen_is_a_defect() -> None:
    size = (96, 96)
    even = np.full((*size, 3), 0.5, np.float32)
    rough = even + np.random.default_rng(0).normal(0, 0.2, (*size, 1)).astype(np.float32)
    mask = np.zeros(size, bool)
    mask[40:52, 40:52] = True
    faint = np.where(mask, np.float32(0.08), np.float32(0))
    assert visible(mask, faint, even)
    assert not visible(mask, faint, rough)  # drowned by the texture
    assert not visible(mask, faint / 2, even)
    speck = np.zeros(size, bool)
    speck[40:43, 40:43] = True
    assert not visible(speck, faint, even)


def test_facts_tell_how_plain_a_defect_is() -> None:
    shots = [render(make_program(s), 1, defect="any", size=(64, 64)) for s in range(30)]
    found = [s for s in shots if s.facts.defect]
    assert len(found) > 24
    for shot in found:
        assert shot.facts.area == pytest.approx(shot.mask.mean())
        assert SMALLEST <= shot.facts.area < LARGEST
        assert shot.facts.contrast >= FAINTEST
    assert min(s.facts.contrast for s in found) < 0.15  # faint ones remain
    good = render(make_program(1), 1, size=(64, 64)).facts
    assert (good.area, good.contrast) == (0, 0)


@pytest.mark.parametrize("side", ["train", "held_out"])
@pytest.mark.parametrize("kind", sorted(DEFECTS))
def test_every_way_to_damage_shows_and_repeats(kind: str, side: Side) -> None:
    # Each way alone, on a part that every kind fits.
    drawn = (make_program(SEEDS[side][k], family="battery") for k in range(60))
    program = next(p for p in drawn if {"detail", "print", "body"} <= {x.role for x in p.layers})
    site = Site((0.1, 0.1), (0.5, 0.0), (1.0, 0.0), (0.5, 0.4, 0.3), "plastic")
    for way in DEFECTS[kind].of(side):
        layers = list(program.layers)
        first = way(layers, site, np.random.default_rng(5))
        again = way(layers, site, np.random.default_rng(5))
        assert layers == list(program.layers)  # what was given is left alone
        assert len(first) >= len(layers)
        assert [len(x.shapes) for x in first] == [len(x.shapes) for x in again]
        for one, two in zip(first, again, strict=True):
            assert one.texture == two.texture
            for a, b in zip(one.shapes, two.shapes, strict=True):
                assert np.array_equal(a, b)
                assert np.isfinite(a).all()


def test_only_one_of_several_copies_is_hurt() -> None:
    program = next(p for s in range(200) if len((p := make_program(s)).copies) == 2)
    hurt = [*program.layers[:-1], replace(program.layers[-1], relief=9.0), program.layers[0]]
    good = spread(program.layers, program.copies)
    placed = spread_hurt(program.layers, good, hurt, program.copies, 1)
    assert all(a is b for a, b in zip(placed[: len(good) - 1], good[:-1], strict=True))
    assert len(placed[-2].shapes) == 2 * len(program.layers[-1].shapes)
    assert len(placed[-1].shapes) == len(program.layers[0].shapes)
    x, y = program.copies[0].place(np.array([[0.3, -0.2]]))[0]
    assert program.copies[0].own(x, y) == pytest.approx((0.3, -0.2))


def test_a_leaning_pose_is_its_own_inverse() -> None:
    pose = Pose(0.7, 50.0, 60.0, 70.0, (0.001, -0.002))
    u, v = pose.canonical(128, 128)
    back = pose.pixels(np.stack([u[20, 30:90:7], v[20, 30:90:7]], axis=1).astype(float))
    assert np.allclose(back[:, 0], np.arange(30, 90, 7) + 0.5, atol=1e-3)
    assert np.allclose(back[:, 1], 20.5, atol=1e-3)


def test_surfaces_have_no_structural_defects() -> None:
    surface, part = make_program(0, family="wood"), make_program(0, family="label")
    assert "missing part" not in possible(surface.layers)
    assert {"print error", "chip", "scratch"} <= set(possible(part.layers))


def test_contact_sheet_has_every_tile() -> None:
    picture = sheet(["gear", "wood"], "train", columns=2, size=48)
    assert picture.shape == (96, 192, 3)
    tiles = [picture[r : r + 48, c : c + 48] for r in (0, 48) for c in range(0, 192, 48)]
    assert all(tile.std() > 2 for tile in tiles)
