"""CLIPN (Wang et al., ICCV 2023, arXiv 2308.12213) and its peers: docs/detectors/clipn.md."""

from __future__ import annotations

from typing import Any

from clipvet.detectors import hookimpl
from clipvet.plugins.clipn._detector import Clipn
from clipvet.plugins.clipn._options import ClipnOptions

__all__ = [
    "Clipn",
    "ClipnOptions",
    "clipvet_register_commands",
    "clipvet_register_detectors",
    "clipvet_register_trainers",
]


@hookimpl
def clipvet_register_detectors(register: Any) -> None:
    """Give the host the one detector of this plugin."""
    register(Clipn)


@hookimpl
def clipvet_register_trainers(register: Any) -> None:
    """``detect train clipn``."""
    from clipvet.plugins.clipn._train import train

    register("clipn", train)


@hookimpl
def clipvet_register_commands(register: Any) -> None:
    """``detect x import-clipn``."""
    from clipvet.plugins.clipn._import import import_no_tower

    register("import-clipn", import_no_tower)
