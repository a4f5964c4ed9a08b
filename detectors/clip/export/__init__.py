"""Turn a CLIP into an ONNX bundle. Importing this package does not import torch."""

from __future__ import annotations

from clipvet.detectors.clip._manifest import Source
from clipvet.detectors.clip.export._config import ClipConfig, parse_config
from clipvet.detectors.clip.export._positions import interpolate_positions
from clipvet.detectors.clip.export._tokenizer import (
    TokenizerFiles,
    clip_tokenizer,
    closed_tokenizer,
)
from clipvet.detectors.clip.export._write import CLIP_MEAN, CLIP_STD, write_bundle

__all__ = [
    "CLIP_MEAN",
    "CLIP_STD",
    "ClipConfig",
    "Source",
    "TokenizerFiles",
    "clip_tokenizer",
    "closed_tokenizer",
    "interpolate_positions",
    "parse_config",
    "write_bundle",
]
