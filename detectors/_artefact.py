"""What a detector learned, as files: arrays and a JSON header, bound to one bundle by hash."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from clipvet.detectors._parsing import parse_json, read_small
from clipvet.detectors.errors import ArtefactMissing, RecipeError, UsageError

__all__ = ["Artefact", "BundleIdentity", "check_free"]

SCHEMA = "clipvet.artefact/1"
HEADER, TENSORS = "artefact.json", "artefact.safetensors"
_MOST_HEADER, _MOST_TENSORS = 16 << 20, 4 << 30  # they are read into memory whole


class BundleIdentity(Protocol):
    """Which bundle, and which preprocessing: ``BundleInfo`` is one."""

    @property
    def id(self) -> str:
        """Its name."""

    @property
    def sha256(self) -> str:
        """Hash of its manifest."""

    @property
    def preprocessing_sha256(self) -> str:
        """Hash of its preprocessing settings."""


@dataclass(frozen=True, kw_only=True)
class _Stored:
    id: str
    sha256: str
    preprocessing_sha256: str


@dataclass(frozen=True, kw_only=True, eq=False)
class Artefact:
    """What a detector saves and loads.

    Attributes:
        detector: its id.
        bundle: whose features it was learned from.
        facts: JSON-able facts: the options that it depends on, counts, where it comes from.
        tensors: name -> array of a fixed-size dtype.
    """

    detector: str
    bundle: BundleIdentity
    facts: Mapping[str, Any]
    tensors: Mapping[str, NDArray[Any]]

    def save(self, folder: Path) -> None:
        """Write ``artefact.json`` and ``artefact.safetensors`` into an existing folder."""
        from safetensors.numpy import save

        content = save({name: np.ascontiguousarray(x) for name, x in self.tensors.items()})
        header = {
            "schema": SCHEMA,
            "detector": self.detector,
            "bundle": {
                "id": self.bundle.id,
                "sha256": self.bundle.sha256,
                "preprocessing_sha256": self.bundle.preprocessing_sha256,
            },
            "facts": dict(self.facts),
            "tensors": {name: list(x.shape) for name, x in sorted(self.tensors.items())},
            "tensors_sha256": hashlib.sha256(content).hexdigest(),
        }
        (folder / TENSORS).write_bytes(content)
        text = json.dumps(header, indent=2, ensure_ascii=False, allow_nan=False)
        (folder / HEADER).write_text(text + "\n", encoding="utf-8")

    @classmethod
    def load(cls, folder: Path, *, detector: str) -> Artefact:
        """Read what :meth:`save` wrote.

        Raises:
            ArtefactMissing: a file is not there.
            RecipeError: a file is damaged, or another detector's.
        """
        from safetensors import SafetensorError
        from safetensors.numpy import load

        for name in (HEADER, TENSORS):
            if not (folder / name).is_file():
                raise ArtefactMissing(
                    f"{detector}: {folder / name} is missing: fit or train it again"
                )
        try:
            header = parse_json(read_small(folder / HEADER, _MOST_HEADER).decode("utf-8"))
            content = read_small(folder / TENSORS, _MOST_TENSORS)
            if header["schema"] != SCHEMA:
                raise ValueError(f"its schema is {header['schema']!r}, not {SCHEMA!r}")
            if header["detector"] != detector:
                raise ValueError(f"it belongs to {header['detector']!r}")
            if hashlib.sha256(content).hexdigest() != header["tensors_sha256"]:
                raise ValueError(f"{TENSORS} is not the file that it was written with")
            tensors = load(content)
            # Of a name that stands twice safetensors takes one, other readers another.
            parse_json(content[8 : 8 + int.from_bytes(content[:8], "little")].decode("utf-8"))
            if {name: list(x.shape) for name, x in tensors.items()} != header["tensors"]:
                raise ValueError("header and tensors differ in shape")
            bundle = _Stored(**{key: str(value) for key, value in header["bundle"].items()})
            if not isinstance(header["facts"], dict):
                raise ValueError("its facts are no JSON object")
            return cls(detector=detector, bundle=bundle, facts=header["facts"], tensors=tensors)
        except (OSError, KeyError, TypeError, ValueError, AttributeError, SafetensorError) as error:
            raise RecipeError(
                f"{detector}: the artefact in {folder} is damaged ({str(error)[:200]}): "
                "fit or train it again"
            ) from error

    @classmethod
    def for_bundle(cls, folder: Path, *, detector: str, bundle: BundleIdentity) -> Artefact | None:
        """What a plugin brings in ``folder``, or None if it was not learned on this bundle.

        Args:
            folder: package data; it may be missing.
            detector: its id.
            bundle: the one in use.

        Raises:
            RecipeError: a file is damaged, or another detector's.
        """
        try:
            artefact = cls.load(folder, detector=detector)
        except ArtefactMissing:
            return None
        made_for = (artefact.bundle.sha256, artefact.bundle.preprocessing_sha256)
        wanted = (bundle.sha256, bundle.preprocessing_sha256)
        return artefact if made_for == wanted else None

    def check(self, bundle: BundleIdentity) -> None:
        """Raise :class:`RecipeError` if it was learned on another bundle or preprocessing."""
        if self.bundle.sha256 != bundle.sha256:
            raise RecipeError(
                f"{self.detector}: the artefact was learned on bundle {self.bundle.id} "
                f"({self.bundle.sha256[:12]}), this is {bundle.id} ({bundle.sha256[:12]}): "
                "use that bundle, or fit or train it again"
            )
        if self.bundle.preprocessing_sha256 != bundle.preprocessing_sha256:
            raise RecipeError(
                f"{self.detector}: the artefact was learned with another preprocessing of bundle "
                f"{bundle.id}: fit or train it again"
            )


def check_free(folder: Path) -> None:
    """Raise :class:`UsageError` unless what is learned may be written there."""
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise UsageError(f"{folder} is not an empty folder: choose another --out")
