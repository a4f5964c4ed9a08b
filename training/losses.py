"""What ``mini`` is trained to do, term by term.

Logits of a flawless/damaged pair are cosines over WinCLIP's temperature 0.07.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn

from training import model as clip

__all__ = [
    "Heads",
    "classes",
    "contrast",
    "dense",
    "episode",
    "focal",
    "pair_logit",
    "scene",
    "window",
]

TAU = 0.07
_COVERED = 0.12


class Heads(nn.Module):
    """Margins and scales of the distance losses, scenes against parts: trained, never shipped."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.scene = nn.Linear(2 * width, 1)
        self.margin = nn.Parameter(torch.tensor([0.13, 0.13, 0.15]))
        self.scale = nn.Parameter(torch.tensor([20.0, 20.0, 20.0]))

    def forward(self, k: int, distance: Tensor) -> Tensor:
        """Logit that a distance is a defect's. ``k``: ln_post tokens, raw tokens, image."""
        return (distance - self.margin[k]) * self.scale[k].clamp(2, 40)


@dataclass(frozen=True)
class Target:
    """Patch labels: ``bad`` and ``known`` [B, N]; partly covered patches are not known."""

    bad: Tensor
    known: Tensor


def target(mask: Tensor, grid: int) -> Target:
    """Labels of patches from masks [B, S, S] in 0/1."""
    part = F.adaptive_avg_pool2d(mask.float()[:, None], grid).flatten(1)
    return Target((part > _COVERED).float(), ((part > _COVERED) | (part == 0)).float())


def contrast(images: Tensor, texts: Tensor, fits: Tensor, scale: Tensor) -> Tensor:
    """Image-caption contrast with several right answers; ``fits`` [images, texts] in 0/1."""
    logits = scale * F.normalize(images, dim=-1) @ F.normalize(texts, dim=-1).T
    rows = (fits / fits.sum(1, keepdim=True) * logits.log_softmax(1)).sum(1)
    columns = (fits / fits.sum(0, keepdim=True) * logits.log_softmax(0)).sum(0)
    return -(rows.mean() + columns.mean()) / 2


def classes(images: Tensor, names: Tensor, true: Tensor, scale: Tensor) -> Tensor:
    """Every image against the prompts of all names; ``true`` [images, names] in 0/1."""
    logits = scale * F.normalize(images, dim=-1) @ F.normalize(names, dim=-1).T
    share = true / true.sum(1, keepdim=True).clamp(min=1)
    return -(share * logits.log_softmax(1)).sum(1).mean()


def scene(heads: Heads, raw: Tensor, *, inside: int) -> Tensor:
    """Parts and surfaces (the first ``inside`` pictures) against everyday scenes.

    Reads what the domain gate reads: mean and standard deviation of the raw tokens [B, N, W].
    """
    both = torch.cat([raw.mean(1), raw.std(1)], dim=1)
    logit = heads.scene(F.layer_norm(both, both.shape[1:]))[:, 0]
    outside = torch.arange(len(raw), device=raw.device) >= inside
    share = (~outside).sum() / outside.sum()
    return F.binary_cross_entropy_with_logits(logit, outside.float(), pos_weight=share)


def pair_logit(x: Tensor, pair: Tensor) -> Tensor:
    """(cos to damaged - cos to flawless) / 0.07 of [B, ..., E] against pairs [B, 2, E]."""
    unit = F.normalize(pair, dim=-1)
    direction = (unit[:, 1] - unit[:, 0]) / TAU
    shaped = direction.reshape(len(x), *[1] * (x.dim() - 2), -1)
    return (F.normalize(x, dim=-1) * shaped).sum(-1)


def focal(logit: Tensor, bad: Tensor, known: Tensor) -> Tensor:
    """Focal loss, gamma 2, alpha 0.8 on defects, summed over patches per 1 % of them."""
    loss = F.binary_cross_entropy_with_logits(logit, bad, reduction="none")
    p = torch.sigmoid(logit)
    miss = torch.where(bad > 0, 1 - p, p)
    weight = torch.where(bad > 0, 0.8, 0.2)
    return 20 * (loss * weight * miss**2 * known).mean()


def dice(logit: Tensor, bad: Tensor, known: Tensor) -> Tensor:
    """One minus the soft overlap, over the defective images of the batch."""
    p = torch.sigmoid(logit) * known
    overlap = (2 * (p * bad).sum(1) + 1) / (p.sum(1) + bad.sum(1) + 1)
    has = bad.any(dim=1).float()
    return ((1 - overlap) * has).sum() / has.sum().clamp(min=1)


def dense(patches: Tensor, pair: Tensor, goal: Target) -> Tensor:
    """Patch embeddings [B, N, E] against the flawless/damaged pair."""
    logit = pair_logit(patches, pair)
    return focal(logit, goal.bad, goal.known) + dice(logit, goal.bad, goal.known)


def episode(heads: Heads, k: int, reference: Tensor, query: Tensor, goal: Target) -> Tensor:
    """Nearest reference patch: close for a good query patch, far for a defective one.

    ``reference`` and ``query`` are tokens [B, N, W] of one kind. The image term asks the same of
    the mean of the largest 3 % of the distances, which is the score of an image that ships.
    """
    cosine = F.normalize(query, dim=-1) @ F.normalize(reference, dim=-1).transpose(1, 2)
    distance = 1 - cosine.amax(dim=2)
    logit = heads(k, distance)
    worst = distance.topk(max(3, distance.shape[1] * 3 // 100), dim=1).values.mean(1)
    image = F.binary_cross_entropy_with_logits(heads(2, worst), goal.bad.amax(1))
    return focal(logit, goal.bad, goal.known) + dice(logit, goal.bad, goal.known) + 0.5 * image


def window(model: Any, embedded: Tensor, pair: Tensor, goal: Target, count: int) -> Tensor:
    """Random 2x2 and 3x3 windows of tokens, run alone through the tower, against the pair.

    ``embedded`` are tokens before ``ln_pre`` [B, 1 + N, W]; half of the windows of a defective
    image are centred on its defect.
    """
    batch, n = goal.bad.shape
    grid = int(n**0.5)
    total, device = embedded.new_zeros(()), embedded.device
    for side in (2, 3):
        places = grid - side + 1
        weight = goal.bad + 1e-3
        hit = torch.multinomial(weight, count // 2, replacement=True)
        row = (hit // grid - torch.randint(side, hit.shape, device=device)).clamp(0, places - 1)
        column = (hit % grid - torch.randint(side, hit.shape, device=device)).clamp(0, places - 1)
        more = (batch, count - count // 2)
        row = torch.cat([row, torch.randint(places, more, device=device)], 1)
        column = torch.cat([column, torch.randint(places, more, device=device)], 1)
        step = torch.arange(side, device=device)
        inside = (row[..., None, None] + step[:, None]) * grid + column[..., None, None] + step
        index = torch.cat([torch.zeros_like(inside[..., :1, 0]), inside.flatten(2) + 1], dim=2)
        rows = torch.arange(batch, device=device)[:, None, None]
        picked = embedded[rows, index].flatten(0, 1)
        first = model.visual.ln_post(clip.finish(model, picked)[:, 0]) @ model.visual.proj
        logit = pair_logit(first.reshape(batch, -1, first.shape[-1]), pair)
        bad = goal.bad[rows, index[..., 1:] - 1].amax(2)
        known = torch.maximum(bad, goal.known[rows, index[..., 1:] - 1].amin(2))
        loss = F.binary_cross_entropy_with_logits(logit, bad, reduction="none")
        total = total + (loss * known).sum() / known.sum().clamp(min=1)
    return total / 2
