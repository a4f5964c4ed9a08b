"""PatchCore (Roth et al., CVPR 2022, arXiv 2106.08265): docs/detectors/patchcore.md."""

from __future__ import annotations

from typing import Any

from clipvet.detectors import hookimpl
from clipvet.plugins.patchcore._detector import PatchCore
from clipvet.plugins.patchcore._options import PatchCoreOptions

__all__ = ["PatchCore", "PatchCoreOptions", "clipvet_register_detectors"]


@hookimpl
def clipvet_register_detectors(register: Any) -> None:
    """Register the one detector of this plugin."""
    register(PatchCore)
