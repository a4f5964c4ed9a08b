"""The enlargement is torch's, the Gaussian scipy's."""

from __future__ import annotations

import numpy as np
import pytest

from clipvet.plugins.anomalyclip import Enlarger


@pytest.mark.parametrize(
    ("grid", "side"), [((6, 6), 96), ((7, 5), 33), ((37, 37), 40), ((1, 1), 8)]
)
@pytest.mark.parametrize("sigma", [0.0, 0.7, 4.0, 8.0])
def test_against_torch_and_scipy(grid: tuple[int, int], side: int, sigma: float) -> None:
    import torch
    from scipy.ndimage import gaussian_filter

    values = np.random.default_rng(0).standard_normal(grid)
    large = torch.nn.functional.interpolate(
        torch.from_numpy(values)[None, None],
        size=(side, side),
        mode="bilinear",
        align_corners=False,
    )[0, 0].numpy()
    expected = gaussian_filter(large, sigma) if sigma else large
    np.testing.assert_allclose(Enlarger(grid, side, sigma)(values), expected, atol=1e-12)
