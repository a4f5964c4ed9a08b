"""From a model's name and its weights to everything that a bundle is written from."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from clipvet.detectors._hashing import sha256_of
from clipvet.detectors.clip._bundle import Bundle
from clipvet.detectors.clip._manifest import Source
from clipvet.detectors.clip.export._checkpoint import read_checkpoint
from clipvet.detectors.clip.export._config import ClipConfig, parse_config
from clipvet.detectors.clip.export._parameters import check_parameters, random_parameters
from clipvet.detectors.clip.export._tokenizer import TokenizerFiles, clip_tokenizer
from clipvet.detectors.clip.export._write import CLIP_MEAN, CLIP_STD, write_bundle
from clipvet.detectors.errors import MissingDependency, UsageError

__all__ = [
    "LoadedModel",
    "RandomWeights",
    "WeightsFile",
    "load_model",
    "model_config",
    "pretrained_config",
]

_VOCABULARY = 49408
_POSITIONS = "visual.positional_embedding"


@dataclass(frozen=True, kw_only=True)
class RandomWeights:
    """Weights made up from a seed, for tests and timing."""

    seed: int


@dataclass(frozen=True, kw_only=True)
class WeightsFile:
    """A checkpoint, and what its source states about it.

    Attributes:
        path: safetensors or a torch file.
        label: where it comes from in words, for the manifest; no path of this machine.
        revision, sha256: of the source; the hash is taken from the file if not given.
        licence: of the weights.
        stated: open_clip's settings for these weights, as far as known: ``mean``, ``std``,
            ``interpolation``, ``resize_mode``, ``quick_gelu``.
    """

    path: Path
    label: str
    revision: str | None = None
    sha256: str | None = None
    licence: str = "not stated by the source"
    stated: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class LoadedModel:
    """A model in memory, ready to be written as a bundle.

    Attributes:
        config: sizes as trained; ``image_size`` is what the model's config asks for, which
            differs when the weights were trained at another size.
        state: open_clip parameter names -> arrays.
        notes: sentences that a user should read before relying on the bundle.
    """

    name: str
    config: ClipConfig
    image_size: int
    state: Mapping[str, NDArray[Any]]
    tokenizer: TokenizerFiles
    source: Source
    licence: str
    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    interpolation: Literal["bicubic", "bilinear"]
    notes: tuple[str, ...] = ()

    def export(self, out: Path, *, name: str | None = None, **options: Any) -> Bundle:
        """Write the bundle; ``options`` are those of :func:`write_bundle`."""
        shown = name or self.name
        return write_bundle(
            out,
            config=self.config,
            state=self.state,
            tokenizer=self.tokenizer,
            name=shown,
            description=f"{self.source.model} with {self.source.weights}, exported from open_clip.",
            licence=self.licence,
            source=self.source,
            mean=self.mean,
            std=self.std,
            interpolation=self.interpolation,
            **{"image_size": self.image_size, **options},
        )


def load_model(
    model: str,
    weights: RandomWeights | WeightsFile,
    *,
    config: Mapping[str, Any] | Path | None = None,
    activation: Literal["gelu", "quickgelu"] | None = None,
) -> LoadedModel:
    """Load a ViT CLIP.

    Args:
        model: name of an open_clip model, or just a name if ``config`` is given.
        weights: a checkpoint or a seed.
        config: an open_clip model config, or the JSON file that holds it.
        activation: of the MLPs, if other than the model's config says. AdaCLIP and APRIL-GAN,
            for example, were trained with gelu on weights of quickgelu.

    Raises:
        MissingDependency: torch or open_clip_torch is not installed.
        UsageError: no such model, not a plain ViT CLIP, or weights that do not fit it.
    """
    stated: Mapping[str, Any] = weights.stated if isinstance(weights, WeightsFile) else {}
    if isinstance(config, Path):
        sizes = parse_config(config)
    else:
        sizes = parse_config(model_config(model) if config is None else config, name=model)
    if sizes.text.vocab_size != _VOCABULARY:
        raise UsageError(
            f"{model} has a vocabulary of {sizes.text.vocab_size}, not CLIP's {_VOCABULARY}: "
            "its tokenizer is another one and cannot be exported"
        )
    notes = []
    if activation is not None:
        sizes = sizes.model_copy(update={"quick_gelu": activation == "quickgelu"})
    if "quick_gelu" in stated and bool(stated["quick_gelu"]) != sizes.quick_gelu:
        trained = "quickgelu" if stated["quick_gelu"] else "gelu"
        notes.append(
            f"activation mismatch: {model} is exported with {sizes.activation}, but these weights "
            f"were trained with {trained} (--activation {trained} takes that)"
        )
    image_size = sizes.vision.image_size
    if isinstance(weights, RandomWeights):
        state: Mapping[str, NDArray[Any]] = random_parameters(sizes, weights.seed)
        source = Source(model=model, weights=f"random numbers, seed {weights.seed}")
        licence = "none needed: random numbers"
        notes.append("random weights: scores mean nothing")
    else:
        state = read_checkpoint(weights.path)
        sizes = _as_trained(sizes, state)
        check_parameters(sizes, state, weights.path.name)
        licence = weights.licence
        source = Source(
            model=model,
            weights=weights.label,
            revision=weights.revision,
            sha256=weights.sha256 or sha256_of(weights.path),
            native_resize=stated.get("resize_mode"),
        )
    return LoadedModel(
        name=model.rsplit("/", 1)[-1],
        config=sizes,
        image_size=image_size,
        state=state,
        tokenizer=clip_tokenizer(_open_clip_folder() / "bpe_simple_vocab_16e6.txt.gz"),
        source=source,
        licence=licence,
        mean=_three(stated.get("mean"), CLIP_MEAN),
        std=_three(stated.get("std"), CLIP_STD),
        # open_clip's third value, "random", means bicubic when a model is used.
        interpolation="bilinear" if stated.get("interpolation") == "bilinear" else "bicubic",
        notes=tuple(notes),
    )


def model_config(model: str) -> dict[str, Any]:
    """The config of a model that open_clip knows by name.

    Raises:
        MissingDependency: torch or open_clip_torch is not installed.
        UsageError: no such model; names the nearest.
    """
    open_clip = _open_clip()
    name = model.replace("/", "-")
    if name not in open_clip.list_models():
        near = difflib.get_close_matches(name, open_clip.list_models(), n=3, cutoff=0.5)
        raise UsageError(
            f"open_clip knows no model {model!r}"
            + (f"; near: {', '.join(near)}" if near else "")
            + ". For your own sizes give --config FILE"
        )
    return dict(open_clip.get_model_config(name))


def pretrained_config(model: str, tag: str) -> dict[str, Any]:
    """What open_clip states about a tag: where its weights are, and how they were trained.

    Raises:
        MissingDependency: torch or open_clip_torch is not installed.
        UsageError: the model has no such tag; names those it has.
    """
    open_clip = _open_clip()
    name = model.replace("/", "-")
    known = dict(open_clip.get_pretrained_cfg(name, tag) or {})
    if not known:
        model_config(model)
        tags = open_clip.list_pretrained_tags_by_model(name)
        raise UsageError(
            f"{tag} is neither a file nor an open_clip tag of {model}; tags: "
            + (", ".join(tags) or "none")
        )
    # open_clip leaves the activation out where it is the ordinary one.
    return {"quick_gelu": False, **known}


def _as_trained(sizes: ClipConfig, state: Mapping[str, NDArray[Any]]) -> ClipConfig:
    """The config at the image size that the weights' own table of positions has."""
    vision, table = sizes.vision, state.get(_POSITIONS)
    grid = round((len(table) - 1) ** 0.5) if table is not None and table.ndim == 2 else 0
    if grid in (0, vision.grid) or table is None or grid**2 + 1 != len(table):
        return sizes
    trained = vision.model_copy(update={"image_size": grid * vision.patch_size})
    return sizes.model_copy(update={"vision": trained})


def _three(value: Any, default: tuple[float, float, float]) -> tuple[float, float, float]:
    if value is None:
        return default
    r, g, b = np.broadcast_to(np.asarray(value, dtype=np.float64), 3).tolist()
    return r, g, b


def _open_clip() -> Any:
    try:
        import open_clip
        import torch  # noqa: F401 - open_clip fails without, less clearly
    except ImportError:
        raise MissingDependency(
            "torch and open_clip_torch", "exporting a bundle", "export"
        ) from None
    return open_clip


def _open_clip_folder() -> Path:
    """Where open_clip is installed, found without importing it and torch."""
    spec = find_spec("open_clip")
    if spec is None or spec.origin is None:
        raise MissingDependency("torch and open_clip_torch", "exporting a bundle", "export")
    return Path(spec.origin).parent
