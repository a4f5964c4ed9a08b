"""Write a bundle folder from parameters, sizes and a tokenizer. Needs no torch."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from clipvet.detectors._hashing import sha256_of
from clipvet.detectors._whole import sync_tree
from clipvet.detectors.clip._bundle import Bundle
from clipvet.detectors.clip._manifest import (
    FileFacts,
    Manifest,
    Preprocessing,
    Source,
    TextFacts,
    VisionFacts,
)
from clipvet.detectors.clip.export._config import ClipConfig
from clipvet.detectors.clip.export._graph import WeightFile
from clipvet.detectors.clip.export._positions import PositionInterpolation, fit_positions
from clipvet.detectors.clip.export._text import text_embeds_graph, text_graph
from clipvet.detectors.clip.export._tokenizer import TokenizerFiles
from clipvet.detectors.clip.export._vision import default_vv_start, vision_graph
from clipvet.detectors.errors import UsageError

__all__ = ["CLIP_MEAN", "CLIP_STD", "write_bundle"]

CLIP_MEAN = (0.48145466, 0.4578275, 0.40821073)
"""Mean of red, green, blue in 0..1 that OpenAI's CLIP subtracts."""
CLIP_STD = (0.26862954, 0.26130258, 0.27577711)
"""The deviation that it divides by."""


def write_bundle(
    out: Path,
    *,
    config: ClipConfig,
    state: Mapping[str, NDArray[Any]],
    tokenizer: TokenizerFiles,
    name: str,
    description: str,
    licence: str,
    source: Source,
    image_size: int | None = None,
    precision: Literal["fp32", "fp16", "int8"] = "fp32",
    resize: Literal["squash", "shortest", "longest"] = "squash",
    interpolation: Literal["bicubic", "bilinear"] = "bicubic",
    mean: tuple[float, float, float] = CLIP_MEAN,
    std: tuple[float, float, float] = CLIP_STD,
    vv_start: int | None = None,
    position_interpolation: PositionInterpolation = "bicubic-antialias",
    options: Mapping[str, Mapping[str, Any]] | None = None,
) -> Bundle:
    """Write all files of a bundle; the folder appears only when it is complete.

    Args:
        out: a folder that does not exist yet, or is empty.
        config: sizes of the towers, as trained.
        state: open_clip parameter names -> arrays in torch's layout (linear weights out x in).
        tokenizer: see :func:`clip_tokenizer` and :func:`closed_tokenizer`.
        name: short name of the bundle.
        description: what it is and what it is not, one or two sentences for a run's summary.
        licence: of the weights.
        source: where the weights come from.
        image_size: side of the input if other than trained; a multiple of the patch size.
        precision: of the weights on disk. fp16 is cast to float32 when a session is made; int8
            holds the image tower's blocks in 8 bits (all else fp16), and on a CPU its products
            are computed in integers, each row of activations with its own scale.
        resize: how a view becomes square; squash keeps the border of a part in sight.
        interpolation: Pillow's filter.
        mean: per channel.
        std: per channel.
        vv_start: first block of ``vv_local`` (default: AnomalyCLIP's, by ratio).
        position_interpolation: how positions are fitted to another image size.
        options: detector -> options that suit this bundle better than the published ones.

    Raises:
        UsageError: the folder is in use, a parameter is missing or has the wrong shape, or the
            size is no multiple of the patch size, or there is no block ``vv_start``.
    """
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise UsageError(f"{out} exists and is not an empty folder: choose another --out")
    config, state, positions = fit_positions(config, state, image_size, position_interpolation)
    if vv_start is None:
        vv_start = default_vv_start(config.vision.layers)
    if not 0 <= vv_start < config.vision.layers:
        raise UsageError(f"vv_start {vv_start} is not a block of {config.vision.layers}, from 0")
    out.parent.mkdir(parents=True, exist_ok=True)
    work = Path(tempfile.mkdtemp(prefix=f".{out.name}.", dir=out.parent))
    try:
        weights = WeightFile(work / "weights.bin", precision=precision)
        try:
            vision, features = vision_graph(config, state, weights, vv_start=vv_start)
            text = text_graph(config, state, weights)
            embeds = text_embeds_graph(config, state, weights)
        except KeyError as error:
            raise UsageError(f"the weights lack {error}: not a plain ViT CLIP") from None
        finally:
            weights.close()
        for graph in (vision, text, embeds):
            graph.save(work / f"{graph.name}.onnx", {"clipvet.bundle": name})
        (work / "tokenizer.json").write_text(tokenizer.json, "utf-8")
        Manifest(
            name=name,
            description=description,
            licence=licence,
            source=source,
            embed_dim=config.embed_dim,
            activation="quickgelu" if config.quick_gelu else "gelu",
            precision=precision,
            logit_scale=float(np.exp(np.float64(np.asarray(state["logit_scale"])))),
            vision=VisionFacts(
                width=config.vision.width,
                layers=config.vision.layers,
                heads=config.vision.heads,
                patch_size=config.vision.patch_size,
                grid=config.vision.grid,
                vv_start=vv_start,
                position_interpolation=positions,
            ),
            text=TextFacts(
                width=config.text.width,
                layers=config.text.layers,
                heads=config.text.heads,
                context_length=config.text.context_length,
                start=tokenizer.start,
                end=tokenizer.end,
                padding=tokenizer.padding,
                unknown=tokenizer.unknown,
                cleaning=tokenizer.cleaning,
                vocabulary=tokenizer.vocabulary,
            ),
            preprocessing=Preprocessing(
                size=config.vision.image_size,
                resize=resize,
                interpolation=interpolation,
                mean=mean,
                std=std,
            ),
            features=features,
            options={name: dict(values) for name, values in (options or {}).items()},
            files={
                path.name: FileFacts(bytes=path.stat().st_size, sha256=sha256_of(path))
                for path in sorted(work.iterdir())
            },
        ).write(work)
        work.chmod(0o755)
        if out.exists():
            out.rmdir()
        sync_tree(work)
        work.rename(out)
    except BaseException:
        shutil.rmtree(work, ignore_errors=True)
        raise
    return Bundle.open(out)
