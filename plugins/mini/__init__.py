"""The embedded bundle ``mini``: what a run uses when no bundle is named."""

from __future__ import annotations

from collections.abc import Callable
from importlib.resources import files
from pathlib import Path

from clipvet.detectors import hookimpl

__all__ = ["clipvet_register_bundles"]


@hookimpl
def clipvet_register_bundles(register: Callable[[str, Path], None]) -> None:
    """Offer the bundle that ships inside the package."""
    register("mini", Path(str(files("clipvet.detectors.clip.mini"))))
