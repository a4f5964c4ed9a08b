"""Train a "no" text tower; the image and yes text towers run once a picture. Imports torch."""

from __future__ import annotations

import math
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from clipvet.detectors import counted, read_frame, unit_rows
from clipvet.detectors.clip import Bundle, Device, Runtime
from clipvet.plugins.clipn._losses import opposite_semantics, true_and_false
from clipvet.plugins.clipn._no_tower import LEARNED, NoTower
from clipvet.plugins.clipn._pairs import Pair
from clipvet.plugins.clipn._tokens import token_ids
from clipvet.plugins.clipn._torch_text import TextTower
from clipvet.plugins.clipn._tower_files import Precision, write_no_tower

__all__ = ["TrainConfig", "train_no_tower"]

_WEIGHT_DECAY = 0.2
_AT_ONCE = 256


@dataclass(frozen=True, kw_only=True)
class TrainConfig:
    """How to train; the defaults are the paper's, but for its batch of 2048 on four GPUs.

    Attributes:
        epochs, batch, rate, seed: of AdamW with betas (0.9, 0.98), weight decay 0.2 on matrices
            and a cosine schedule to 0.
        prompts: learned ones; each caption draws one of them or their mean.
    """

    epochs: int = 10
    batch: int = 512
    rate: float = 3e-4
    seed: int = 0
    prompts: int = 16


@dataclass(frozen=True, eq=False)
class _Examples:
    """What every epoch reads.

    Attributes:
        images: unit image embeddings float32 [I, E].
        yes: unit yes embeddings float32 [T, E].
        ids: token ids int64 [T, length].
        image_of: int64 [n], of each pair.
        text_of: int64 [n], of each pair.
    """

    images: Tensor
    yes: Tensor
    ids: Tensor
    image_of: Tensor
    text_of: Tensor

    def own(self, chosen: Tensor) -> Tensor:
        """Bool [m, m]: which captions of some pairs are known to be true of which images.

        Its own one, another one of the same image, and one that says the same.
        """
        image, text = self.image_of[chosen], self.text_of[chosen]
        return (image[:, None] == image) | (text[:, None] == text)


def train_no_tower(
    bundle: Bundle,
    pairs: Sequence[Pair],
    config: TrainConfig,
    *,
    out: Path,
    precision: Precision = "fp16",
    device: Device = "auto",
    progress: Callable[[str], None] = lambda _line: None,
) -> NoTower:
    """Learn a copy of the text tower that says what is absent.

    Args:
        bundle: its towers stay as they are.
        pairs: images with true captions.
        config: see :class:`TrainConfig`.
        out: existing, empty folder of the artefact.
        precision: of the weights on disk.
        device: of the towers.
        progress: takes a line for each step that ended.
    """
    torch.manual_seed(config.seed)
    target = _torch_device(device)
    examples = _encoded(bundle, pairs, device=device, target=target)
    images, captions = len(examples.images), len(examples.yes)
    progress(f"{counted(images, 'image')} and {counted(captions, 'caption')} encoded")
    tower = TextTower(bundle, bundle.weights("text")).to(target)
    text = bundle.manifest.text
    prompts = nn.Parameter(
        torch.zeros(config.prompts, text.context_length, text.width, device=target)
    )
    scale = bundle.manifest.logit_scale
    losses = _descend(tower, prompts, examples, config, scale=scale, progress=progress)
    weights = tower.weights()
    weights["positional_embedding"] = (
        weights["positional_embedding"] + prompts.detach().mean(dim=0).cpu().numpy()
    )
    return write_no_tower(
        out,
        bundle,
        weights,
        precision=precision,
        facts={
            "origin": f"no-tower trained on {counted(len(pairs), 'image-caption pair')}",
            "prompt_kind": LEARNED,
            "source": "trained",
            **asdict(config),
            "pairs": len(pairs),
            "logit_scale": scale,
            "loss": [round(loss, 6) for loss in losses],
        },
    )


def _descend(
    tower: TextTower,
    prompts: nn.Parameter,
    examples: _Examples,
    config: TrainConfig,
    *,
    scale: float,
    progress: Callable[[str], None],
) -> list[float]:
    """Mean loss of each epoch."""
    parameters = [*tower.parameters(), prompts]
    optimiser = torch.optim.AdamW(
        [
            {"params": [p for p in parameters if p.ndim >= 2], "weight_decay": _WEIGHT_DECAY},
            {"params": [p for p in parameters if p.ndim < 2], "weight_decay": 0.0},
        ],
        lr=config.rate,
        betas=(0.9, 0.98),
        eps=1e-6,
    )
    count = len(examples.image_of)
    # What does not fill a batch is left over until the next epoch, if there is a full one.
    batch = min(config.batch, count)
    steps = count // batch
    generator = torch.Generator().manual_seed(config.seed)
    losses = []
    for epoch in range(config.epochs):
        total = 0.0
        order = torch.randperm(count, generator=generator)
        for step in range(steps):
            done = (epoch * steps + step) / (config.epochs * steps)
            for group in optimiser.param_groups:
                group["lr"] = config.rate * 0.5 * (1 + math.cos(math.pi * done))
            chosen = order[step * batch : (step + 1) * batch].to(prompts.device)
            text = examples.text_of[chosen]
            which = torch.randint(config.prompts + 1, (batch,), generator=generator)
            choices = torch.cat([prompts, prompts.mean(dim=0, keepdim=True)])
            no = tower(examples.ids[text], choices[which.to(prompts.device)])
            no = functional.normalize(no, dim=-1)
            yes = examples.yes[text]
            images = examples.images[examples.image_of[chosen]]
            loss = true_and_false(images, yes, no, examples.own(chosen), scale=scale)
            loss = loss + opposite_semantics(yes, no)
            optimiser.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimiser.step()
            total += loss.item()
        losses.append(total / steps)
        progress(f"epoch {epoch + 1} of {config.epochs}: loss {losses[-1]:.4f}")
    return losses


def _encoded(
    bundle: Bundle, pairs: Sequence[Pair], *, device: Device, target: torch.device
) -> _Examples:
    """Embeddings of all images and captions: they never change, so they are made once."""
    files = list(dict.fromkeys(pair.image for pair in pairs))
    texts = list(dict.fromkeys(pair.caption for pair in pairs))
    image_of = {file: row for row, file in enumerate(files)}
    text_of = {caption: row for row, caption in enumerate(texts)}
    images: list[NDArray[np.float64]] = []
    # Captions are read once: they have no place in the user's cache of prompts.
    with (
        tempfile.TemporaryDirectory() as cache,
        Runtime(bundle, needs=["cls_embed"], device=device, cache_folder=Path(cache)) as runtime,
    ):
        for first in range(0, len(files), runtime.batch_size):
            part = files[first : first + runtime.batch_size]
            views = runtime.encode_views([read_frame(file).pixels for file in part])
            images.append(unit_rows(views["cls_embed"]))
        yes = [
            unit_rows(runtime.encode_text(texts[first : first + _AT_ONCE]))
            for first in range(0, len(texts), _AT_ONCE)
        ]
    return _Examples(
        images=torch.from_numpy(np.concatenate(images).astype(np.float32)).to(target),
        yes=torch.from_numpy(np.concatenate(yes).astype(np.float32)).to(target),
        ids=torch.from_numpy(token_ids(bundle, texts)).to(target),
        image_of=torch.tensor([image_of[pair.image] for pair in pairs], device=target),
        text_of=torch.tensor([text_of[pair.caption] for pair in pairs], device=target),
    )


def _torch_device(device: Device) -> torch.device:
    if device == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    return torch.device("cuda" if device in {"cuda", "tensorrt"} else "cpu")
