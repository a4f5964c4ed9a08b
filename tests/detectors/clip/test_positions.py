"""Positions at other sizes, against torch and open_clip."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Literal

import numpy as np
import pytest
import torch
from open_clip.model import resize_pos_embed

from clipvet.detectors.clip.export import TokenizerFiles, interpolate_positions
from clipvet.detectors.errors import UsageError
from tests.tiny import tiny_bundle

GRIDS = [(7, 7), (7, 16), (14, 15), (24, 37), (16, 9), (14, 3), (6, 8), (5, 1)]
TABLES = {
    old: np.random.default_rng(old).standard_normal((1 + old * old, 24)).astype(np.float32)
    for old, _new in GRIDS
}


@pytest.mark.parametrize(("old", "new"), GRIDS)
@pytest.mark.parametrize("kind", ["bilinear", "bicubic"])
def test_equals_torch_without_antialiasing(
    old: int, new: int, kind: Literal["bilinear", "bicubic"]
) -> None:
    table = TABLES[old]
    # In float64: torch's own float32 coordinates are off by 1e-5 on large grids.
    square = torch.from_numpy(table[1:]).double().reshape(1, old, old, -1).permute(0, 3, 1, 2)
    wanted = torch.nn.functional.interpolate(square, (new, new), mode=kind, align_corners=False)
    wanted = wanted.permute(0, 2, 3, 1).reshape(new * new, -1)
    got = interpolate_positions(table, new, kind)
    np.testing.assert_allclose(got[1:], wanted.numpy(), rtol=0, atol=1e-6)
    np.testing.assert_array_equal(got[0], table[0])


@pytest.mark.parametrize(("old", "new"), GRIDS)
def test_antialiased_equals_open_clip(old: int, new: int) -> None:
    state = {"visual.positional_embedding": torch.from_numpy(TABLES[old]).double()}
    resize_pos_embed(state, SimpleNamespace(visual=SimpleNamespace(grid_size=(new, new))))
    got = interpolate_positions(TABLES[old], new, "bicubic-antialias")
    np.testing.assert_allclose(got, state["visual.positional_embedding"].numpy(), rtol=0, atol=1e-6)


def test_the_three_conventions_differ() -> None:
    tables = [
        interpolate_positions(TABLES[24], 37, kind)
        for kind in ("bilinear", "bicubic", "bicubic-antialias")
    ]
    for first, second in ((0, 1), (0, 2), (1, 2)):
        assert np.abs(tables[first] - tables[second]).max() > 1e-3


def test_a_size_that_is_no_multiple_of_the_patch_is_refused(
    tmp_path: Path, tokenizer: TokenizerFiles
) -> None:
    with pytest.raises(UsageError, match="image size 100 is no multiple of the patch size 16"):
        tiny_bundle(tmp_path / "odd", tokenizer=tokenizer, image_size=100)
    assert list(tmp_path.iterdir()) == []
