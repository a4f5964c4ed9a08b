"""AnomalyCLIP (Zhou et al., ICLR 2024, arXiv 2310.18961): docs/detectors/anomalyclip.md."""

from __future__ import annotations

from typing import Any

from clipvet.detectors import hookimpl
from clipvet.plugins.anomalyclip._detector import AnomalyClip
from clipvet.plugins.anomalyclip._enlarge import Enlarger
from clipvet.plugins.anomalyclip._options import AnomalyClipOptions

__all__ = [
    "AnomalyClip",
    "AnomalyClipOptions",
    "Enlarger",
    "clipvet_register_commands",
    "clipvet_register_detectors",
    "clipvet_register_trainers",
]


@hookimpl
def clipvet_register_detectors(register: Any) -> None:
    """Give the host the one detector of this plugin."""
    register(AnomalyClip)


@hookimpl
def clipvet_register_trainers(register: Any) -> None:
    """``detect train anomalyclip``."""
    from clipvet.plugins.anomalyclip._train import train

    register("anomalyclip", train)


@hookimpl
def clipvet_register_commands(register: Any) -> None:
    """``detect x import-anomalyclip``."""
    from clipvet.plugins.anomalyclip._import import import_prompts

    register("import-anomalyclip", import_prompts)
