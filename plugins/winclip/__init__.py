"""WinCLIP and WinCLIP+ (Jeong et al., CVPR 2023, arXiv 2303.14814): docs/detectors/winclip.md."""

from __future__ import annotations

from typing import Any

from clipvet.detectors import hookimpl
from clipvet.plugins.winclip._detector import WinClip
from clipvet.plugins.winclip._options import WinClipOptions

__all__ = ["WinClip", "WinClipOptions", "clipvet_register_detectors"]


@hookimpl
def clipvet_register_detectors(register: Any) -> None:
    """Give the host the one detector of this plugin."""
    register(WinClip)
