"""Mutual scoring of unlabelled images (MuSc, Li et al., ICLR 2024): docs/detectors/mutual.md."""

from __future__ import annotations

from typing import Any

from clipvet.detectors import hookimpl
from clipvet.plugins.mutual._detector import Mutual
from clipvet.plugins.mutual._options import MutualOptions

__all__ = ["Mutual", "MutualOptions", "clipvet_register_detectors"]


@hookimpl
def clipvet_register_detectors(register: Any) -> None:
    """Give the host the one detector of this plugin."""
    register(Mutual)
