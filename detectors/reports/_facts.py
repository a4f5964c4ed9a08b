"""What ``run.json`` says, for whoever reads a run folder after the run."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Self

from clipvet.detectors._parsing import parse_json
from clipvet.detectors.errors import UsageError
from clipvet.detectors.frames._decode_policy import DecodePolicy
from clipvet.detectors.runs._folder import RUN_SCHEMA
from clipvet.detectors.runs._removal import RECORDS, RUN

__all__ = ["RunFacts"]


@dataclass(frozen=True, kw_only=True)
class RunFacts:
    """A run folder, as it says it is.

    Attributes:
        folder: the run folder.
        state: what ``run.json`` holds.
    """

    folder: Path
    state: Mapping[str, Any]

    @classmethod
    def read(cls, folder: Path) -> Self:
        """Read ``run.json``.

        Raises:
            UsageError: the folder is no run folder.
        """
        try:
            state = parse_json((folder / RUN).read_text("utf-8", "surrogateescape"))
            if state["schema"] != RUN_SCHEMA or not isinstance(state["sources"], dict):
                raise ValueError("another schema")
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise UsageError(
                f"{folder} is no run folder (run.json: {error}): give the --out folder of a run"
            ) from error
        return cls(folder=folder, state=dict(state))

    @property
    def records(self) -> Path:
        """The file of records."""
        return self.folder / RECORDS

    @property
    def status(self) -> str:
        """``running``, ``interrupted``, ``failed`` or ``finished``."""
        return str(self.state.get("status", "of unknown state"))

    @property
    def configuration(self) -> Mapping[str, Any]:
        """Everything that changes a score or a file of the run."""
        found = self.state.get("configuration")
        return found if isinstance(found, dict) else {}

    @cached_property
    def roots(self) -> dict[str, Path]:
        """Label, the first part of record ids -> folder."""
        return {str(label): Path(str(root)) for label, root in self.state["sources"].items()}

    @cached_property
    def decode_policy(self) -> DecodePolicy:
        """How the run turned files into pixels."""
        try:
            given = dict(self.configuration["decode"])
            return DecodePolicy(**{**given, "background": tuple(given["background"])})
        except (KeyError, TypeError, ValueError, UsageError):  # written by hand or by another
            return DecodePolicy()
