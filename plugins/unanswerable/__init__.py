"""Whether a question about an image can be answered (CLIP-UP, Vardi et al., arXiv 2501.01371).

docs/detectors/unanswerable.md.
"""

from __future__ import annotations

from typing import Any

from clipvet.detectors import hookimpl
from clipvet.plugins.unanswerable._detector import Unanswerable
from clipvet.plugins.unanswerable._options import UnanswerableOptions

__all__ = [
    "Unanswerable",
    "UnanswerableOptions",
    "clipvet_register_commands",
    "clipvet_register_detectors",
    "clipvet_register_trainers",
]


@hookimpl
def clipvet_register_detectors(register: Any) -> None:
    """Give the host the one detector of this plugin."""
    register(Unanswerable)


@hookimpl
def clipvet_register_trainers(register: Any) -> None:
    """Offer ``detect train unanswerable``."""
    from clipvet.plugins.unanswerable._train import train

    register("unanswerable", train)


@hookimpl
def clipvet_register_commands(register: Any) -> None:
    """Offer ``detect x unanswerable-bank``, ``-measure`` and ``-token``."""
    from clipvet.plugins.unanswerable._bank import bank
    from clipvet.plugins.unanswerable._measure import measure
    from clipvet.plugins.unanswerable._token import token

    register("unanswerable-bank", bank)
    register("unanswerable-measure", measure)
    register("unanswerable-token", token)
