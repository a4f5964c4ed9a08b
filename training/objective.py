"""A batch to the terms of the loss."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812
from numpy.typing import NDArray
from torch import Tensor

from training import losses
from training import model as clip
from training.captions import caption, class_prompts, state_pair
from training.episodes import Episode
from training.layouts import LayoutFacts
from training.pool import Batch
from training.render import Facts
from training.synonyms import NAMES, called

__all__ = ["terms"]

Rng = np.random.Generator
Encode = Callable[[Sequence[str]], Tensor]


def terms(
    model: Any,
    heads: losses.Heads,
    encode: Encode,
    batch: Batch,
    rng: Rng,
    *,
    windows: int,
) -> dict[str, Tensor]:
    """Every term by name, weighted; their sum is the loss.

    Args:
        model: open_clip's CLIP.
        heads: What is trained and never shipped.
        encode: Texts to embeddings float32 [M, E].
        batch: One step.
        rng: Draws captions, prompts, turns and the positions' shift.
        windows: Windows of each size in an image.
    """
    n = len(batch.episodes)
    images, masks = _turned(batch.episodes, rng)
    device = model.logit_scale.device
    seen = _look(model, torch.cat([images, torch.from_numpy(batch.scenes)]).to(device), rng)
    small = torch.from_numpy(np.stack([picture for picture, _ in batch.layouts])).to(device)
    layouts = _look(model, small, rng).joint[:, 0]
    parts, classes = seen.joint[: 2 * n], seen.joint[: 2 * n, 0]

    facts = [e.facts[k] for k in (0, 1) for e in batch.episodes]
    everything: list[Facts | LayoutFacts] = [*facts, *(f for _, f in batch.layouts)]
    captions = [caption(f, rng) for f in everything]
    pairs = [state_pair(e.facts[0].name, rng) for e in batch.episodes]
    prompts = class_prompts("{}")
    prompt = prompts[int(rng.integers(len(prompts)))]
    words = [c.text for c in captions] + [p[0] for p in pairs] + [p[1] for p in pairs]
    text = encode([*words, *(prompt.format(name) for name in NAMES)])
    said, states, names = torch.split(text, [len(captions), 2 * n, len(NAMES)])
    pair = states.reshape(2, n, -1).transpose(0, 1)
    fits = torch.tensor([[float(c.fits(f)) for c in captions] for f in everything], device=device)
    named = torch.tensor([[float(x in called(f.name)) for x in NAMES] for f in facts])

    goal = losses.target(masks.to(device), seen.grid)
    clear = losses.Target(torch.zeros_like(goal.bad), torch.ones_like(goal.known))
    both = losses.Target(torch.cat([clear.bad, goal.bad]), torch.cat([clear.known, goal.known]))
    pair_twice = pair.repeat(2, 1, 1)
    verdict = losses.pair_logit(classes, pair_twice)
    scale = model.logit_scale.exp()
    reference, query = seen.part(0, n), seen.part(n, 2 * n)
    return {
        "contrast": 0.4 * losses.contrast(torch.cat([classes, layouts]), said, fits, scale),
        "names": 0.3 * losses.classes(classes, names, named.to(device), scale),
        "image": 0.7 * F.binary_cross_entropy_with_logits(verdict, both.bad.amax(1)),
        "dense": losses.dense(parts[:, 1:], pair_twice, both),
        "near": losses.episode(heads, 0, reference.post, query.post, goal),
        "near_raw": 0.5 * losses.episode(heads, 1, reference.raw, query.raw, goal),
        "window": losses.window(model, query.embedded, pair, goal, windows),
        "scene": 0.2 * losses.scene(heads, seen.raw, inside=2 * n),
    }


@dataclass(frozen=True)
class _Seen:
    """Tokens of pictures: before the tower [B, 1 + N, W], after it without the class token."""

    grid: int
    embedded: Tensor
    raw: Tensor
    post: Tensor
    joint: Tensor

    def part(self, start: int, stop: int) -> _Seen:
        fields = (self.embedded, self.raw, self.post, self.joint)
        return _Seen(self.grid, *(x[start:stop] for x in fields))


def _look(model: Any, pixels: Tensor, rng: Rng) -> _Seen:
    """uint8 [B, S, S, 3] through the image tower, with positions a little off."""
    patch, width = model.visual.conv1.weight.shape[-1], model.visual.conv1.weight.shape[0]
    grid = pixels.shape[1] // patch
    span, shift = float(rng.uniform(14, 18)), float(rng.uniform(-1, 1))
    table = clip.positions(grid, width, span=span, shift=shift).to(pixels.device)
    embedded = clip.tokens(model, pixels, table)
    raw = clip.finish(model, embedded)
    post = model.visual.ln_post(raw)
    joint = (post @ model.visual.proj).float()
    return _Seen(grid, embedded, raw[:, 1:].float(), post[:, 1:].float(), joint)


def _turned(episodes: Sequence[Episode], rng: Rng) -> tuple[Tensor, Tensor]:
    """The same turn and flip for reference and query: uint8 [2n, S, S, 3], references first."""
    images: NDArray[np.uint8] = np.stack([e.images for e in episodes], axis=1)
    masks = np.stack([e.mask for e in episodes])
    turns = rng.integers(0, 4, len(episodes))
    flips = rng.random(len(episodes)) < 0.5
    for k, (turn, flip) in enumerate(zip(turns, flips, strict=True)):
        image, mask = np.rot90(images[:, k], turn, (1, 2)), np.rot90(masks[k], turn)
        images[:, k] = image[:, :, ::-1] if flip else image
        masks[k] = mask[:, ::-1] if flip else mask
    return torch.from_numpy(images.reshape(-1, *images.shape[2:])), torch.from_numpy(masks)
