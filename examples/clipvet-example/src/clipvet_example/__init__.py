"""A clipvet plugin: one detector, one image format, one command."""

from __future__ import annotations

from clipvet.detectors import hookimpl
from clipvet_example.nearest import Nearest
from clipvet_example.npy import describe_npy, read_npy

__all__ = ["Nearest"]


@hookimpl
def clipvet_register_detectors(register):
    """Add the detector."""
    register(Nearest)


@hookimpl
def clipvet_register_readers(register):
    """Add the image format."""
    register(".npy", read_npy)


@hookimpl
def clipvet_register_commands(register):
    """Add ``detect x npy``."""
    register("npy", describe_npy)
