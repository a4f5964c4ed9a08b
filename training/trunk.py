"""A convolutional trunk beside the ViT of a bundle: ``python -m training.trunk [BUNDLE]``.

The trunk is EfficientNet-Lite0 up to its block 10, with the weights of a published package
(``efficientnet.py``): they were learned from the photographs of ImageNet. Its nodes go into
``vision.onnx`` behind those of the ViT, its weights as float16 into ``trunk.bin``; nothing of the
ViT changes. It reads the same ``pixel_values``, enlarged in the graph.

Each channel is standardised by its mean and deviation over renders of good training parts, so
that distances between cells weigh all channels alike.
"""

from __future__ import annotations

import argparse
import shutil
import tempfile
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Final

import numpy as np
import onnx
import torch
import torch.nn.functional as F  # noqa: N812
from numpy.typing import NDArray
from onnx import TensorProto, compose

from clipvet.detectors._hashing import sha256_of
from clipvet.detectors.clip import Bundle
from clipvet.detectors.clip._manifest import FileFacts, Manifest, Preprocessing, TrunkFacts
from clipvet.detectors.clip.export import Source
from clipvet.detectors.clip.export._graph import Graph, WeightFile
from clipvet.detectors.errors import UsageError
from training.efficientnet import (
    OFFSET,
    PACKAGE,
    SCALE,
    SHA256,
    Convolution,
    State,
    block_outputs,
    convolutions,
    package_file,
    read_weights,
    same_padding,
)
from training.rebind import rebind
from training.render import render
from training.scenes import make_program

__all__ = ["TAPS", "add_trunk", "channel_statistics", "main", "trunk_cells", "trunk_pixels"]

TAPS: Final = {"trunk_8": 4, "trunk_16": 10}
"""Feature -> the block whose output it is, from 0."""
STRIDES: Final = {"trunk_8": 8, "trunk_16": 16}
INPUT_SIZE: Final = 224
WEIGHTS: Final = "trunk.bin"
# From the end of the training range, as the domain gate's: no run has come that far.
_FIRST = 9_000_000
_DESCRIPTION: Final = (
    "mini: a small CLIP trained only on rendered parts and surfaces, beside a convolutional trunk "
    "trained on ImageNet. Made for inspecting parts against good references; it cannot name "
    "everyday things, and knows few words."
)

Statistics = dict[str, tuple[NDArray[np.float64], NDArray[np.float64]]]


def trunk_pixels(squares: NDArray[np.uint8], size: int = INPUT_SIZE) -> torch.Tensor:
    """uint8 RGB [V, S, S, 3] to what the trunk reads: float32 [V, 3, size, size]."""
    pixels = torch.from_numpy(squares).permute(0, 3, 1, 2).float()
    scaled = (pixels - OFFSET) / SCALE
    return F.interpolate(scaled, size=(size, size), mode="bilinear", align_corners=False)


def trunk_cells(state: State, pixels: torch.Tensor) -> dict[str, NDArray[np.float32]]:
    """The taps in torch, before they are standardised: feature -> float32 [V, cells, channels]."""
    with torch.no_grad():
        outputs = block_outputs(state, pixels, max(TAPS.values()))
    return {name: outputs[i].flatten(2).transpose(1, 2).numpy() for name, i in TAPS.items()}


def channel_statistics(state: State, *, side: int, parts: int) -> Statistics:
    """Mean and deviation of each channel over good renders: feature -> float64 [C], [C].

    Args:
        state: weights of the network.
        side: of the renders, the bundle's image size in pixels.
        parts: how many programs, one render each.
    """
    sums = {name: np.zeros((2, 1)) for name in TAPS}
    count = dict.fromkeys(TAPS, 0)
    for seed in range(_FIRST, _FIRST + parts):
        image = render(make_program(seed), 0, size=(side, side)).image
        for name, values in trunk_cells(state, trunk_pixels(image[None])).items():
            cells = values[0].astype(np.float64)
            sums[name] = sums[name] + np.stack([cells.sum(axis=0), (cells**2).sum(axis=0)])
            count[name] += len(cells)
    means = {name: sums[name] / count[name] for name in TAPS}
    return {name: (m[0], np.sqrt(m[1] - m[0] ** 2)) for name, m in means.items()}


def add_trunk(folder: Path, state: State, statistics: Statistics) -> None:
    """Add the trunk to a bundle without one, in place; the ViT's nodes and weights stay.

    Args:
        folder: of a bundle; ``vision.onnx`` and ``manifest.json`` are replaced.
        state: weights of the network.
        statistics: see :func:`channel_statistics`.

    Raises:
        UsageError: the bundle has a trunk.
    """
    manifest = Manifest.read(folder)
    if manifest.trunk is not None:
        raise UsageError(f"{folder} has a trunk: export the bundle again without one")
    weights = WeightFile(folder / WEIGHTS, precision="fp16")
    try:
        trunk, features = _trunk_graph(
            convolutions(state, max(TAPS.values())), statistics, weights, manifest.preprocessing
        )
    finally:
        weights.close()
    vision = onnx.load_from_string((folder / "vision.onnx").read_bytes())
    vision.graph.node.extend(trunk.node)
    vision.graph.initializer.extend(trunk.initializer)
    vision.graph.output.extend(trunk.output)
    (folder / "vision.onnx").write_bytes(vision.SerializeToString(deterministic=True))
    files = dict(manifest.files)
    for name in ("vision.onnx", WEIGHTS):
        path = folder / name
        files[name] = FileFacts(bytes=path.stat().st_size, sha256=sha256_of(path))
    facts = TrunkFacts(
        source=Source(model="EfficientNet-Lite0, blocks 0 to 10", weights=PACKAGE, sha256=SHA256),
        licence="Apache-2.0",
        input_size=INPUT_SIZE,
        strides=STRIDES,
    )
    manifest.model_copy(
        update={
            "description": _DESCRIPTION,
            "trunk": facts,
            "features": dict(sorted({**manifest.features, **features}.items())),
            "files": files,
        }
    ).write(folder)


def _trunk_graph(
    stages: Sequence[Sequence[Convolution]],
    statistics: Statistics,
    weights: WeightFile,
    preprocessing: Preprocessing,
) -> tuple[onnx.GraphProto, dict[str, tuple[int, ...]]]:
    """The trunk's nodes, all names but inputs and outputs behind ``trunk/``, and its shapes."""
    g = Graph("trunk", weights)
    side = preprocessing.size
    pixels = g.input("pixel_values", TensorProto.FLOAT, ["V", 3, side, side])
    # (255 (std p + mean) - OFFSET) / SCALE, before the padding: zeros stand for OFFSET there.
    mean, std = (
        np.array(values)[:, None, None] for values in (preprocessing.mean, preprocessing.std)
    )
    x = g.add("Mul", pixels, g.constant("scale", (255 / SCALE * std).astype(np.float32)))
    shift = (255 * mean - OFFSET) / SCALE
    x = g.add("Add", x, g.constant("shift", shift.astype(np.float32)))
    x = g.add("Resize", x, "", "", g.ints(INPUT_SIZE, INPUT_SIZE), axes=[2, 3], mode="linear")
    side, features = INPUT_SIZE, dict[str, tuple[int, ...]]()
    for number, stage in enumerate(stages):
        before, y = x, x
        for convolution in stage:
            y, side = _convolution(g, y, convolution, side)
        first, last = stage[0], stage[-1]
        residual = number > 0 and all(one.stride == 1 for one in stage)
        x = g.add("Add", before, y) if residual and first.weight.shape[1] == len(last.bias) else y
        for name in (name for name, block in TAPS.items() if block == number - 1):
            cells = g.add("Reshape", x, g.ints(0, len(last.bias), -1))
            cells = g.add("Transpose", cells, perm=[0, 2, 1])
            centre, deviation = statistics[name]
            cells = g.add("Mul", cells, g.weight(f"{name}.scale", 1 / deviation))
            cells = g.add("Add", cells, g.weight(f"{name}.shift", -centre / deviation))
            features[name] = (side * side, len(last.bias))
            g.output(cells, name, ["V", *features[name]])
    graph = g.model({}).graph
    compose.add_prefix_graph(
        graph, "trunk/", rename_inputs=False, rename_outputs=False, inplace=True
    )
    return graph, features


def _convolution(g: Graph, x: str, convolution: Convolution, side: int) -> tuple[str, int]:
    """Convolution, bias and ReLU6 of x [V, C, side, side]: its name and its side."""
    kernel = convolution.weight.shape[-1]
    above, below = same_padding(side, kernel, convolution.stride)
    y = g.add(
        "Conv",
        x,
        g.weight(f"{convolution.name}.weight", convolution.weight),
        g.weight(f"{convolution.name}.bias", convolution.bias),
        kernel_shape=[kernel, kernel],
        strides=[convolution.stride] * 2,
        pads=[above, above, below, below],
        group=convolution.groups,
    )
    if convolution.activated:
        limits = (g.constant(f"limit_{n}", np.array(n, dtype=np.float32)) for n in (0, 6))
        y = g.add("Clip", y, *limits)
    return y, -(-side // convolution.stride)


def main(arguments: Iterable[str] | None = None) -> None:
    """Add the trunk from the command line, and bind what was learned on the bundle again."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("bundle", type=Path, nargs="?", default=Path("detectors/clip/mini"))
    parser.add_argument("--weights", type=Path, default=package_file(), help="the package's file")
    parser.add_argument("--parts", type=int, default=400, help="renders to standardise by")
    parser.add_argument(
        "--bound",
        type=Path,
        nargs="*",
        default=[Path("detectors/clip"), Path("plugins"), Path("sample_data/recipe")],
        help="folders with what is bound to the bundle by hash",
    )
    args = parser.parse_args(None if arguments is None else list(arguments))
    if args.weights is None:
        parser.error(f"install {PACKAGE} with pip --no-deps, or name its file with --weights")
    state = read_weights(args.weights)
    side = Bundle.open(args.bundle).info.image_size
    statistics = channel_statistics(state, side=side, parts=args.parts)
    with tempfile.TemporaryDirectory() as scratch:
        before = Path(scratch) / args.bundle.name
        shutil.copytree(args.bundle, before)
        add_trunk(args.bundle, state, statistics)
        for path in rebind(before, args.bundle, args.bound):
            print(f"bound again: {path}")
    size = sum(path.stat().st_size for path in args.bundle.iterdir() if path.is_file())
    print(f"{args.bundle}: {size / 1e6:.2f} MB")


if __name__ == "__main__":
    main()
