"""How a bundle is found: by a name that a plugin registered, in the user's folder, or by path."""

from __future__ import annotations

import difflib
import os
from collections.abc import Mapping
from pathlib import Path

import platformdirs

from clipvet.detectors.clip._bundle import Bundle
from clipvet.detectors.errors import BundleError

__all__ = ["DEFAULT_BUNDLE", "bundles_folder", "find_bundle", "known_bundles"]

DEFAULT_BUNDLE = "mini"
"""The embedded bundle, registered by the built-in plugin of the same name."""


def bundles_folder() -> Path:
    """Where pulled bundles live: ``CLIPVET_BUNDLES``, or the user's data folder for clipvet."""
    named = os.environ.get("CLIPVET_BUNDLES")
    return Path(named) if named else Path(platformdirs.user_data_dir("clipvet")) / "bundles"


def known_bundles(registered: Mapping[str, Path]) -> dict[str, Path]:
    """All bundles that have a name, sorted by it.

    Args:
        registered: name -> folder, from plugins. Such a name hides one of the user's folder.
    """
    folder = bundles_folder()
    own = {path.parent.name: path.parent for path in folder.glob("*/manifest.json")}
    own = {name: path for name, path in own.items() if not name.startswith(".")}
    return dict(sorted({**own, **registered}.items()))


def find_bundle(name_or_path: str | Path | None, registered: Mapping[str, Path]) -> Bundle:
    """Open a bundle.

    Args:
        name_or_path: a name, or the path of a bundle's folder. A known name wins over a folder
            of that name in the working directory: write ``./name`` for the folder. None means
            the embedded bundle.
        registered: name -> folder, from plugins.

    Raises:
        BundleError: there is none of this name, or it is damaged; names what there is.
    """
    wanted = DEFAULT_BUNDLE if name_or_path is None else name_or_path
    known = known_bundles(registered)
    if isinstance(wanted, str) and wanted in known:
        return Bundle.open(known[wanted])
    path = Path(wanted)
    if isinstance(wanted, Path) or path.parent != Path() or path.is_absolute() or path.is_dir():
        if not path.is_dir():
            raise BundleError(f"there is no bundle folder {path}")
        return Bundle.open(path)
    near = difflib.get_close_matches(wanted.lower(), [name.lower() for name in known], n=3)
    if near:
        shown = [name for name in known if name.lower() in near]
        hint = f"did you mean {' or '.join(shown)}?"
    else:
        hint = f"there are: {', '.join(known) or 'none'}; see `detect bundles pull --help`"
    raise BundleError(f"there is no bundle named {wanted!r}; {hint}")
