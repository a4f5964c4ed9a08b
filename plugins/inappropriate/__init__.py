"""Q16: how inappropriate an image looks (Schramowski et al., FAccT 2022, arXiv 2202.06675).

Not a nudity, legality or child-safety filter, and an unflagged image is not an approved one:
docs/detectors/inappropriate.md.
"""

from __future__ import annotations

from typing import Any

from clipvet.detectors import hookimpl
from clipvet.plugins.inappropriate._detector import Inappropriate
from clipvet.plugins.inappropriate._options import InappropriateOptions

__all__ = [
    "Inappropriate",
    "InappropriateOptions",
    "clipvet_register_commands",
    "clipvet_register_detectors",
    "clipvet_register_trainers",
]


@hookimpl
def clipvet_register_detectors(register: Any) -> None:
    """Give the host the one detector of this plugin."""
    register(Inappropriate)


@hookimpl
def clipvet_register_trainers(register: Any) -> None:
    """Offer ``detect train inappropriate``."""
    from clipvet.plugins.inappropriate._train import train

    register("inappropriate", train)


@hookimpl
def clipvet_register_commands(register: Any) -> None:
    """Offer ``detect x import-inappropriate`` and ``detect x inappropriate-report``."""
    from clipvet.plugins.inappropriate._import import import_vectors
    from clipvet.plugins.inappropriate._report import report

    register("import-inappropriate", import_vectors)
    register("inappropriate-report", report)
