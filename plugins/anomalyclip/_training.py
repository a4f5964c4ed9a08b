"""Learn AnomalyCLIP's prompts; the image tower runs once a picture. Imports torch."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from clipvet.detectors import UsageError, counted, read_frame, unit_rows
from clipvet.detectors.clip import Bundle, Device, Runtime
from clipvet.plugins.anomalyclip._bundle_text import (
    PromptVectors,
    assemble,
    learned_from,
)
from clipvet.plugins.anomalyclip._learned import Learned
from clipvet.plugins.anomalyclip._losses import anomalyclip_loss
from clipvet.plugins.anomalyclip._pictures import Picture, read_mask
from clipvet.plugins.anomalyclip._scores import class_feature
from clipvet.plugins.anomalyclip._torch_text import TextTower

__all__ = ["TrainConfig", "train_prompts"]

TEMPERATURE = 0.07
_NEEDS = ("cls_raw", "vv_local_embed")
_STD = 0.02


@dataclass(frozen=True, kw_only=True)
class TrainConfig:
    """How to train; the defaults are the paper's.

    Attributes:
        epochs, batch, rate, seed: of Adam with betas (0.5, 0.999) and no schedule.
        context_tokens: learned tokens of each prompt.
        deep_layers: text blocks after the first that get tokens of their own; fewer if the tower
            has fewer.
        deep_tokens: of each of them.
    """

    epochs: int = 15
    batch: int = 8
    rate: float = 1e-3
    seed: int = 111
    context_tokens: int = 12
    deep_layers: int = 8
    deep_tokens: int = 4


@dataclass(frozen=True, eq=False)
class _Examples:
    """What every epoch reads.

    Attributes:
        images: unit image features float32 [n, E].
        patches: unit patch features float16 [n, N, E], in a file.
        masks: packed bits of each mask.
        defective: bool [n].
        side: of a mask and of the network's input in pixels.
    """

    images: NDArray[np.float32]
    patches: NDArray[np.float16]
    masks: list[NDArray[np.uint8]]
    defective: NDArray[np.bool_]
    side: int

    def batch(self, chosen: NDArray[np.int64], device: torch.device) -> tuple[Tensor, ...]:
        """Images, patches, masks and labels, as :func:`anomalyclip_loss` takes them."""
        count = self.side**2
        masks = [np.unpackbits(self.masks[i], count=count) for i in chosen]
        arrays = (
            self.images[chosen],
            self.patches[chosen].astype(np.float32),
            np.stack(masks).reshape(-1, self.side, self.side).astype(np.float32),
            self.defective[chosen],
        )
        images, patches, shapes, labels = (torch.from_numpy(a).to(device) for a in arrays)
        return images, patches, shapes, labels


def train_prompts(
    bundle: Bundle,
    pictures: Sequence[Picture],
    config: TrainConfig,
    *,
    scratch: Path,
    device: Device = "auto",
    progress: Callable[[str], None] = lambda _line: None,
) -> Learned:
    """Learn prompts for a bundle.

    Args:
        bundle: both towers stay as they are.
        pictures: normal ones, and defective ones with masks; of many kinds of objects, for the
            prompts are about none in particular.
        config: see :class:`TrainConfig`.
        scratch: folder with room for 2 bytes x patches x joint width for each picture.
        device: of both towers.
        progress: takes a line for each step that ended.

    Raises:
        UsageError: prompts that do not fit the text tower, or a bundle that does not squash.
        BundleError: the bundle gives no value-value features.
    """
    if bundle.manifest.preprocessing.resize != "squash":
        raise UsageError(
            f"bundle {bundle.manifest.name} crops or pads pictures, so that masks would not fit: "
            "train on one that was exported with --resize squash"
        )
    if config.deep_tokens > config.context_tokens:
        raise UsageError(
            f"{counted(config.deep_tokens, 'deep token')} would overwrite more than the "
            f"{counted(config.context_tokens, 'context token')}: take fewer"
        )
    generator = torch.Generator().manual_seed(config.seed)
    layers = min(config.deep_layers, bundle.manifest.text.layers - 1)
    width = bundle.manifest.text.width
    context = (_STD * torch.randn(2, config.context_tokens, width, generator=generator)).numpy()
    deep = (_STD * torch.randn(layers, config.deep_tokens, width, generator=generator)).numpy()
    start = PromptVectors(context=context, deep=deep)
    frame, end = assemble(bundle, context)  # a wrong size shows before the pictures are encoded
    with _encoded(bundle, pictures, scratch, device) as examples:
        progress(f"{counted(len(pictures), 'picture')} encoded")
        prompts = _Prompts(bundle, start, frame, end, _torch_device(device))
        losses = _descend(prompts, examples, config, generator=generator, progress=progress)
    defective = sum(picture.mask is not None for picture in pictures)
    return learned_from(
        bundle,
        prompts.vectors(),
        temperature=TEMPERATURE,
        origin=f"prompts trained on {counted(len(pictures), 'picture')}",
        facts={
            "source": "trained",
            **asdict(config),
            "deep_layers": layers,
            "normal_pictures": len(pictures) - defective,
            "defective_pictures": defective,
            "loss": [round(loss, 6) for loss in losses],
        },
    )


class _Prompts:
    """The learned vectors as torch parameters, and the way from them to the prototypes."""

    def __init__(
        self,
        bundle: Bundle,
        start: PromptVectors,
        frame: NDArray[np.float32],
        end: NDArray[np.int64],
        device: torch.device,
    ) -> None:
        self.device = device
        self._tower = TextTower(bundle, device)
        self._frame = torch.from_numpy(frame).to(device)
        self._end = torch.from_numpy(end).to(device)
        self._context = torch.from_numpy(start.context).to(device).requires_grad_()
        self._deep = [torch.from_numpy(row).to(device).requires_grad_() for row in start.deep]

    def parameters(self) -> list[Tensor]:
        return [self._context, *self._deep]

    def prototypes(self) -> Tensor:
        """Unit text features [2, E]."""
        after = self._frame[:, 1 + self._context.shape[1] :]
        tokens = torch.cat([self._frame[:, :1], self._context, after], dim=1)
        # Half precision going in, as when they are used; the gradient passes as if it were not.
        deep = [row + (row.half().float() - row).detach() for row in self._deep]
        features: Tensor = self._tower(tokens, self._end, deep)
        return functional.normalize(features, dim=-1)

    def vectors(self) -> PromptVectors:
        """What has been learned."""
        return PromptVectors(
            context=self._context.detach().cpu().numpy(),
            deep=torch.stack(self._deep).detach().cpu().numpy(),
        )


def _descend(
    prompts: _Prompts,
    examples: _Examples,
    config: TrainConfig,
    *,
    generator: torch.Generator,
    progress: Callable[[str], None],
) -> list[float]:
    """Mean loss of each epoch."""
    optimiser = torch.optim.Adam(prompts.parameters(), lr=config.rate, betas=(0.5, 0.999))
    losses = []
    for epoch in range(1, config.epochs + 1):
        total = 0.0
        order = torch.randperm(len(examples.images), generator=generator).numpy()
        for first in range(0, len(order), config.batch):
            chosen = order[first : first + config.batch]
            images, patches, masks, defective = examples.batch(chosen, prompts.device)
            loss = anomalyclip_loss(
                images, patches, prompts.prototypes(), masks, defective, temperature=TEMPERATURE
            )
            optimiser.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimiser.step()
            total += loss.item() * len(chosen)
        losses.append(total / len(examples.images))
        progress(f"epoch {epoch} of {config.epochs}: loss {losses[-1]:.4f}")
    return losses


@contextmanager
def _encoded(
    bundle: Bundle, pictures: Sequence[Picture], scratch: Path, device: Device
) -> Iterator[_Examples]:
    """Features and masks of all pictures: they never change, so they are made once."""
    projection = bundle.weights("vision", ["visual.proj"])["visual.proj"]
    side = bundle.manifest.preprocessing.size
    masks = [np.packbits(read_mask(picture, side)) for picture in pictures]
    defective = np.array([picture.mask is not None for picture in pictures])
    patches, embed = bundle.manifest.vision.grid**2, bundle.manifest.embed_dim
    with (
        tempfile.TemporaryFile(dir=scratch) as file,
        Runtime(bundle, needs=_NEEDS, device=device) as runtime,
    ):
        shape = (len(pictures), patches, embed)
        stored: NDArray[np.float16] = np.memmap(file, dtype=np.float16, mode="w+", shape=shape)
        images = np.empty((len(pictures), embed), dtype=np.float32)
        for first in range(0, len(pictures), runtime.batch_size):
            part = pictures[first : first + runtime.batch_size]
            views = runtime.encode_views([read_frame(picture.path).pixels for picture in part])
            for row, token, local in zip(
                range(first, first + len(part)),
                views["cls_raw"],
                views["vv_local_embed"],
                strict=True,
            ):
                images[row] = unit_rows(class_feature(token, projection))[0]
                stored[row] = unit_rows(local[1:])
        yield _Examples(images, stored, masks, defective, side)


def _torch_device(device: Device) -> torch.device:
    if device == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    return torch.device("cuda" if device in {"cuda", "tensorrt"} else "cpu")
