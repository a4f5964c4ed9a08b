"""Turn a CLIP into an ONNX bundle. Importing this package does not import torch."""

from __future__ import annotations

from clipvet.detectors.clip._int8_graph import int8_note
from clipvet.detectors.clip._manifest import Source
from clipvet.detectors.clip.export._checkpoint import read_checkpoint
from clipvet.detectors.clip.export._config import ClipConfig, parse_config
from clipvet.detectors.clip.export._load import (
    LoadedModel,
    RandomWeights,
    WeightsFile,
    load_model,
)
from clipvet.detectors.clip.export._lock import LockedFile, PullLock
from clipvet.detectors.clip.export._parameters import parameter_shapes, random_parameters
from clipvet.detectors.clip.export._positions import interpolate_positions
from clipvet.detectors.clip.export._pull import Offer, fetch, find_weights, pull_bundle
from clipvet.detectors.clip.export._tokenizer import (
    TokenizerFiles,
    clip_tokenizer,
    closed_tokenizer,
)
from clipvet.detectors.clip.export._torch_file import read_torch_file, require_torch
from clipvet.detectors.clip.export._write import CLIP_MEAN, CLIP_STD, write_bundle

__all__ = [
    "CLIP_MEAN",
    "CLIP_STD",
    "ClipConfig",
    "LoadedModel",
    "LockedFile",
    "Offer",
    "PullLock",
    "RandomWeights",
    "Source",
    "TokenizerFiles",
    "WeightsFile",
    "clip_tokenizer",
    "closed_tokenizer",
    "fetch",
    "find_weights",
    "int8_note",
    "interpolate_positions",
    "load_model",
    "parameter_shapes",
    "parse_config",
    "pull_bundle",
    "random_parameters",
    "read_checkpoint",
    "read_torch_file",
    "require_torch",
    "write_bundle",
]
