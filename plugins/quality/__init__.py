"""Is the camera broken: dark, overexposed, blurred, empty or torn pictures; duplicates in a run.

docs/detectors/quality.md.
"""

from __future__ import annotations

from typing import Any

from clipvet.detectors import hookimpl
from clipvet.plugins.quality._detector import Quality
from clipvet.plugins.quality._options import QualityOptions

__all__ = ["Quality", "QualityOptions", "clipvet_register_detectors"]


@hookimpl
def clipvet_register_detectors(register: Any) -> None:
    """Give the host the one detector of this plugin."""
    register(Quality)
