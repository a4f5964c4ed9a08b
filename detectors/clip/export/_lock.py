"""What was pulled from where, with revision and sha256: recorded once, held to ever after."""

from __future__ import annotations

import datetime as dt
import fcntl
import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from clipvet.detectors._whole import replacing
from clipvet.detectors.errors import BundleError

__all__ = ["LockedFile", "PullLock"]

log = logging.getLogger("clipvet.bundles")


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class LockedFile(_Frozen):
    """One file as it was when it was first pulled, or last accepted."""

    revision: str | None
    sha256: str
    licence: str | None = None
    date: str = Field(default_factory=lambda: dt.datetime.now(dt.UTC).date().isoformat())


class _Content(_Frozen):
    schema_: Literal["clipvet.pulls/1"] = Field(alias="schema", default="clipvet.pulls/1")
    files: dict[str, LockedFile] = {}


class PullLock:
    """The lock file of a folder of bundles, ``pulls.json``.

    Args:
        folder: of the bundles; the file is made at the first pull.
    """

    def __init__(self, folder: Path) -> None:
        self.path = folder / "pulls.json"

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Inside, no other pull works on this folder of bundles: others wait at its entrance."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        folder = os.open(self.path.parent, os.O_RDONLY | os.O_DIRECTORY)
        try:
            try:
                fcntl.flock(folder, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                log.warning("another pull into %s is at work: waiting for it", self.path.parent)
                fcntl.flock(folder, fcntl.LOCK_EX)
            yield
        finally:
            os.close(folder)

    def get(self, address: str) -> LockedFile | None:
        """What is recorded for a file.

        Args:
            address: ``hf-hub:org/name/file`` or a URL.

        Raises:
            BundleError: the lock file is damaged; it is never just replaced.
        """
        return self._read().files.get(address)

    def check(self, address: str, sha256: str, *, accept: bool = False) -> None:
        """Refuse a file that is not the one first pulled.

        Raises:
            BundleError: it changed, and ``accept`` is false.
        """
        known = self.get(address)
        if known is not None and known.sha256 != sha256 and not accept:
            raise BundleError(
                f"{address} has changed since it was pulled on {known.date} (sha256 "
                f"{known.sha256[:12]} then, {sha256[:12]} now) and is refused; if you know why, "
                "pull again with --accept-change"
            )

    def record(self, address: str, file: LockedFile) -> None:
        """Write down what was pulled; an unchanged file keeps its first entry."""
        content = self._read()
        known = content.files.get(address)
        if known is not None and known.sha256 == file.sha256:
            return
        files = {**content.files, address: file}
        text = _Content(files=dict(sorted(files.items()))).model_dump_json(by_alias=True, indent=1)
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with replacing(self.path) as part:
            part.write_text(text + "\n", "utf-8")

    def _read(self) -> _Content:
        try:
            return _Content.model_validate_json(self.path.read_text("utf-8"))
        except FileNotFoundError:
            return _Content()
        except (OSError, ValueError, ValidationError):
            raise BundleError(
                f"{self.path} is damaged, so earlier pulls cannot be compared: restore it, or "
                "delete it to trust the next pull of each file anew"
            ) from None
