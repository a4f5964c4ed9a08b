"""Images built to fool CLIP: CLIPMasterPrints (arXiv 2307.03798) and pasted text.

docs/detectors/fooling.md.
"""

from __future__ import annotations

from typing import Any

from clipvet.detectors import hookimpl
from clipvet.plugins.fooling._detector import Fooling
from clipvet.plugins.fooling._options import FoolingOptions

__all__ = [
    "Fooling",
    "FoolingOptions",
    "clipvet_register_detectors",
    "clipvet_register_trainers",
]


@hookimpl
def clipvet_register_detectors(register: Any) -> None:
    """Give the host the one detector of this plugin."""
    register(Fooling)


@hookimpl
def clipvet_register_trainers(register: Any) -> None:
    """Offer ``detect train fooling``."""
    from clipvet.plugins.fooling._train import train

    register("fooling", train)
