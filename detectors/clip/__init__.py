"""The shared CLIP runtime: bundles, sessions, preprocessing, tokenizer, text cache.

Exporting a bundle is in ``clipvet.detectors.clip.export``; nothing here imports torch.
"""

from __future__ import annotations

from clipvet.detectors.clip._bundle import Bundle, BundleInfo
from clipvet.detectors.clip._gate import GATE_FILE, DomainGate
from clipvet.detectors.clip._manifest import Manifest, Preprocessing
from clipvet.detectors.clip._placement import Placement
from clipvet.detectors.clip._runtime import Runtime
from clipvet.detectors.clip._session import Device, PixelBatch, available_providers, open_session
from clipvet.detectors.clip._store import (
    DEFAULT_BUNDLE,
    bundles_folder,
    find_bundle,
    known_bundles,
)
from clipvet.detectors.clip._text_cache import default_cache_folder

__all__ = [
    "Bundle",
    "BundleInfo",
    "DEFAULT_BUNDLE",
    "Device",
    "DomainGate",
    "GATE_FILE",
    "Manifest",
    "PixelBatch",
    "Placement",
    "Preprocessing",
    "Runtime",
    "available_providers",
    "bundles_folder",
    "default_cache_folder",
    "find_bundle",
    "known_bundles",
    "open_session",
]
