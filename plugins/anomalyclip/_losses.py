"""AnomalyCLIP's losses (section 3.3 of the paper, in the form of its code). Imports torch."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812 - its usual name

__all__ = ["anomalyclip_loss", "dice_loss", "focal_loss"]

MAP_WEIGHT = 4.0
"""Once four maps that were all the same (methods/anomaly.md, section 2, "Paper vs code")."""

_CLAMP = 1e-5


def anomalyclip_loss(
    image: Tensor,
    patches: Tensor,
    prototypes: Tensor,
    masks: Tensor,
    defective: Tensor,
    *,
    temperature: float,
) -> Tensor:
    """Image cross-entropy plus four times focal and both dice losses of the map.

    Args:
        image: unit image features [B, E].
        patches: unit patch features [B, N, E] of a square grid.
        prototypes: unit text features [2, E], row 0 normal.
        masks: 1 where defective, else 0, [B, S, S].
        defective: bool [B]; a defect may be too small to be left in its mask.
        temperature: divides the cosines.
    """
    side, grid = masks.shape[-1], round(patches.shape[1] ** 0.5)
    image_loss = F.cross_entropy(image @ prototypes.T / temperature, defective.long())
    chances = (patches @ prototypes.T / temperature).softmax(dim=-1)
    grids = chances.transpose(1, 2).reshape(len(patches), 2, grid, grid)
    maps = F.interpolate(grids, size=(side, side), mode="bilinear", align_corners=False)
    map_loss = (
        focal_loss(maps, masks) + dice_loss(maps[:, 1], masks) + dice_loss(maps[:, 0], 1 - masks)
    )
    return image_loss + MAP_WEIGHT * map_loss


def focal_loss(chances: Tensor, masks: Tensor) -> Tensor:
    """Focal loss with gamma 2 of class probabilities [B, 2, S, S] on masks [B, S, S]."""
    wanted = torch.stack([1 - masks, masks], dim=1).clamp(_CLAMP, 1 - _CLAMP)
    right = (wanted * chances).sum(dim=1) + _CLAMP
    return -((1 - right) ** 2 * right.log()).mean()


def dice_loss(chances: Tensor, masks: Tensor) -> Tensor:
    """One minus the mean soft dice coefficient of [B, S, S], smoothed by 1."""
    x, y = chances.flatten(1), masks.flatten(1)
    return 1 - ((2 * (x * y).sum(1) + 1) / (x.sum(1) + y.sum(1) + 1)).mean()
