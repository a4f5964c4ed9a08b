"""The hooks of clipvet: everything a plugin can add, in one file.

A plugin implements the hooks that it wants, marked with ``clipvet.detectors.hookimpl``, in the
module that its entry point (group ``clipvet``) names. Every hook receives a callback named
``register`` and calls it once per thing it brings; the host validates each thing by itself, so
one refused registration costs nothing else. How a name that two plugins claim is settled:
``docs/plugins.md``.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import pluggy

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from clipvet.detectors._detector import Detector

    Reader = Callable[[Path], NDArray[np.uint8]]

__all__ = ["API_VERSION", "GROUP", "HOOKS", "hookimpl", "hookspec"]

GROUP: Final = "clipvet"
"""The entry-point group, and the prefix of every hook."""

API_VERSION: Final = 1
"""What ``requires_api`` of a plugin or a detector is compared with. Raised when a hook, or a
method of ``Detector``, changes in a way that older plugins or newer ones would notice."""

hookspec = pluggy.HookspecMarker(GROUP)
hookimpl = pluggy.HookimplMarker(GROUP)
"""Marks a function of a plugin as a hook."""


@hookspec
def clipvet_register_detectors(register: Callable[[type[Detector]], None]) -> None:
    """Add detectors: ``register(DetectorClass)``.

    The class is checked before it is accepted (id, task, needs, queries, options), and is
    instantiated only by a run that asks for it.
    """


@hookspec
def clipvet_register_bundles(register: Callable[[str, Path], None]) -> None:
    """Add model bundles by name: ``register("mini", folder)``.

    The folder holds a ``manifest.json`` and what it lists. ``--bundle NAME`` finds it.
    """


@hookspec
def clipvet_register_readers(register: Callable[[str, Reader], None]) -> None:
    """Add image formats by suffix: ``register(".npy", read)``.

    ``read(path)`` returns uint8 RGB [H, W, 3] or grey [H, W]; it raises ``OSError`` or
    ``ValueError`` with a sentence for a file that it cannot read.
    """


@hookspec
def clipvet_register_commands(register: Callable[[str, Callable[..., Any]], None]) -> None:
    """Add commands: ``register("tool", app)`` gives ``detect x tool``.

    ``app`` is a ``typer.Typer`` or a plain function with Typer's annotations. Plugins are
    loaded only once the user has typed ``detect x``.
    """


@hookspec
def clipvet_register_trainers(register: Callable[[str, Callable[..., Any]], None]) -> None:
    """Add trainings of detectors: ``register("mine", train)`` gives ``detect train mine``.

    ``train`` is a function with Typer's annotations; it writes an artefact's folder. It imports
    torch, if it needs it, inside: running never does.
    """


HOOKS: Final = (
    "clipvet_register_bundles",
    "clipvet_register_commands",
    "clipvet_register_detectors",
    "clipvet_register_readers",
    "clipvet_register_trainers",
)
