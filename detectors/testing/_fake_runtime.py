"""A runtime without a model: features and text embeddings that are a fixed function of input."""

from __future__ import annotations

import hashlib
import re
import threading
from collections.abc import Collection, Sequence
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from clipvet.detectors._closing import Closing
from clipvet.detectors._features import FEATURES, VIT_FEATURES
from clipvet.detectors.clip import BundleInfo, DomainGate, Placement

__all__ = ["FAKE_BUNDLE", "FakeRuntime"]

GRID, CELL = 6, 8
# Of the made-up trunk: feature -> cells along a side, channels.
TRUNK = {"trunk_8": (12, 20), "trunk_16": (6, 28)}

FAKE_BUNDLE = BundleInfo(
    id="fake",
    sha256=hashlib.sha256(b"clipvet.detectors.testing.FakeRuntime").hexdigest(),
    embed_dim=32,
    vision_width=48,
    image_size=GRID * CELL,
    grid=(GRID, GRID),
    logit_scale=100.0,
    features=frozenset(FEATURES),
    vocabulary="open",
    preprocessing_sha256=hashlib.sha256(b"squash, values / 255").hexdigest(),
    resize="squash",
    licence="none: there are no weights",
    description="fixed random projections of patch pixels, for tests of detectors",
    trunk_grids={name: (side, side) for name, (side, _channels) in TRUNK.items()},
)


class FakeRuntime(Closing):
    """Stands in for ``clipvet.detectors.clip.Runtime`` in the tests of a detector.

    Features are fixed random projections of the pixels of each patch: equal views give equal
    features, other pixels give others, and a change in one patch stays in the tokens of that
    patch and in what is pooled from it. They mean nothing: no score computed from them says
    anything about a method. Text embeddings are sums of hashed words.

    Args:
        bundle: taken and ignored, so that this class can be used wherever a runtime is made.
        needs: features that :meth:`encode_views` gives.
        device, batch_size, threads: as for the real one; nothing depends on them.

    Attributes:
        info: facts of a made-up bundle: 6x6 patches of 8 pixels, E = 32, W = 48; a trunk of
            12x12 cells with 20 channels and of 6x6 with 28.
        encoder_calls: views encoded so far.
        gate: none, until a test sets one.
    """

    info = FAKE_BUNDLE
    gate: DomainGate | None = None
    provider = "FakeExecutionProvider"
    placement: Placement | None = None
    notes: tuple[str, ...] = ()

    def __init__(
        self,
        bundle: Any = None,
        *,
        needs: Collection[str] = frozenset(FEATURES),
        device: str = "auto",
        batch_size: int = 8,
        threads: int | None = None,
    ) -> None:
        self.bundle = bundle
        self.needs = frozenset(needs)
        self.device = device
        self.batch_size = batch_size
        self.threads = threads
        self.encoder_calls = 0
        self._lock = threading.Lock()

    def squares(self, views: Sequence[NDArray[np.uint8]]) -> list[NDArray[np.uint8]]:
        """The views as they are: resizing is part of :meth:`encode_views`."""
        return list(views)

    def encode_views(self, views: Sequence[NDArray[np.uint8]]) -> dict[str, NDArray[np.float32]]:
        """Features of any number of views: one float32 array for each name in ``needs``."""
        if not self.needs:
            return {}
        with self._lock:
            self.encoder_calls += len(views)
        encoded = [_features(view) for view in views]
        return {
            name: np.stack([features[name] for features in encoded])
            if encoded
            else np.zeros((0, *_shape(name)), dtype=np.float32)
            for name in sorted(self.needs)
        }

    def encode_text(self, prompts: Sequence[str]) -> NDArray[np.float32]:
        """Text embeddings float32 [len(prompts), E], not normalised."""
        if not prompts:
            return np.zeros((0, self.info.embed_dim), dtype=np.float32)
        return np.stack([_prompt(prompt) for prompt in prompts])

    def unknown_words(self, _prompt: str) -> list[str]:
        """None: the vocabulary is open."""
        return []

    def warmup(self) -> None:
        """Nothing to do."""

    def close(self) -> None:
        """Nothing to free."""


def _features(view: NDArray[np.uint8]) -> dict[str, NDArray[np.float32]]:
    """Every feature of one view, without the view axis. One view at a time: bit for bit."""
    side = FAKE_BUNDLE.image_size
    small = Image.fromarray(view).resize((side, side), Image.Resampling.BILINEAR)
    pixels = np.asarray(small, dtype=np.float64) / 255.0
    cells = _cells(pixels, GRID)
    patches = np.tanh(cells @ _matrix("pixels", cells.shape[1], FAKE_BUNDLE.vision_width) + 0.1)
    tokens = np.concatenate([np.tanh(2.0 * patches.mean(axis=0, keepdims=True)), patches])
    features = {name: _tokens(name, tokens) for name in VIT_FEATURES}
    for name, (along, channels) in TRUNK.items():
        cells = _cells(pixels, along)
        features[name] = np.tanh(cells @ _matrix(name, cells.shape[1], channels) + 0.1)
    features["cls_raw"], features["cls_embed"] = tokens[0], _projected(tokens[0])
    features["patch_tokens"], features["patch_embed"] = patches, _projected(patches)
    for window in (2, 3):
        indices = FAKE_BUNDLE.window_indices(window)
        features[f"win{window}_embed"] = _projected(patches[indices].mean(axis=1))
    return {name: value.astype(np.float32) for name, value in features.items()}


def _cells(pixels: NDArray[np.float64], along: int) -> NDArray[np.float64]:
    """Pixels [S, S, 3] of the cells of a grid: [along * along, 3 (S / along)^2]."""
    side = len(pixels) // along
    cells = pixels.reshape(along, side, along, side, 3).swapaxes(1, 2)
    return cells.reshape(along * along, -1)


def _tokens(name: str, tokens: NDArray[np.float64]) -> NDArray[np.float64]:
    width = FAKE_BUNDLE.vision_width
    mixed = np.tanh(tokens @ _matrix(name.removesuffix("_embed"), width, width))
    if name == "local_embed":
        return _projected(mixed[1:])
    return _projected(mixed) if name.endswith("_embed") else mixed


def _projected(tokens: NDArray[np.float64]) -> NDArray[np.float64]:
    projected: NDArray[np.float64] = tokens @ _matrix(
        "proj", FAKE_BUNDLE.vision_width, FAKE_BUNDLE.embed_dim
    )
    return projected


def _prompt(prompt: str) -> NDArray[np.float32]:
    # The whole prompt counts a little, so that word order is not lost altogether.
    total = 0.1 * _text_vector(prompt)
    for word in re.findall(r"\w+", prompt.lower()):
        total += _text_vector(word)
    return total.astype(np.float32)


def _text_vector(piece: str) -> NDArray[np.float64]:
    return _matrix(f"text {piece}", 1, FAKE_BUNDLE.embed_dim).reshape(-1)


@cache
def _matrix(name: str, rows: int, columns: int) -> NDArray[np.float64]:
    seed = int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], "little")
    values = np.random.default_rng(seed).standard_normal((rows, columns))
    values /= np.sqrt(rows)
    return values


def _shape(name: str) -> tuple[int, ...]:
    windows = {f"n{side}": (GRID - side + 1) ** 2 for side in (2, 3)}
    patches = GRID * GRID
    sizes = {
        "W": FAKE_BUNDLE.vision_width,
        "E": FAKE_BUNDLE.embed_dim,
        "N": patches,
        "1+N": 1 + patches,
        **windows,
        **{f"N{name.removeprefix('trunk_')}": side**2 for name, (side, _channels) in TRUNK.items()},
        **{f"C{name.removeprefix('trunk_')}": channels for name, (_, channels) in TRUNK.items()},
    }
    return tuple(sizes[symbol] for symbol in FEATURES[name].shape[1:])
