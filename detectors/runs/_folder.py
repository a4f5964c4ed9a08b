"""A run on disk: what was asked, every record, and enough to go on after a kill.

``run.json`` comes first and says whose folder it is; pictures come before the record that names
them; records are appended one line at a time. So whatever is on disk is true at any moment.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import logging
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, BinaryIO, Final, Self

from clipvet.detectors._closing import Closing
from clipvet.detectors._parsing import parse_json
from clipvet.detectors._whole import replacing
from clipvet.detectors.errors import UnfitEnvironment, UsageError
from clipvet.detectors.records._files import RecordWriter, cut_torn_line, write_records
from clipvet.detectors.records._records import Record
from clipvet.detectors.runs._removal import (
    FAILURES,
    RECORDS,
    RUN,
    own_files,
    record_lines,
    remove_run,
)
from clipvet.detectors.runs._spool import has_lost_spool
from clipvet.detectors.sources._origin import has_changed

__all__ = ["RUN_SCHEMA", "RunFolder", "check_same", "configuration_sha256", "list_files"]

RUN_SCHEMA: Final = "clipvet.run/1"

log = logging.getLogger("clipvet.run")


class RunFolder(Closing):
    """The output of one run, held by one process at a time. Made by :meth:`open`.

    Attributes:
        path: the folder.
        state: what ``run.json`` says.
        resumed: how many records were there already.
    """

    def __init__(self, path: Path, state: dict[str, Any], lock: int) -> None:
        self.path = path
        self.state = state
        self.resumed = 0
        self._lock = lock
        self._done: set[bytes] = set()
        self._records: RecordWriter
        self._failures: BinaryIO

    @classmethod
    def open(
        cls,
        path: Path,
        configuration: Mapping[str, Any],
        *,
        fresh: bool = False,
        verify: bool = False,
        each: Callable[[Record], None] = lambda _record: None,
    ) -> Self:
        """Make a run folder, or go on with one of the same configuration.

        Records of files that have changed since (size or modification time; with ``verify``
        the content) are dropped, to be made anew.

        Args:
            path: new, empty, or a run folder.
            configuration: JSON-able; everything that changes scores or files.
            fresh: remove the files of the run that is there, and only those.
            verify: compare the content of every file that has a record.
            each: called with every record that stays.

        Raises:
            UsageError: the folder holds something else, another configuration, or is in use.
        """
        try:
            path.mkdir(parents=True, exist_ok=True)
            lock = _locked(path)
        except OSError as error:
            message = f"cannot write to {path} ({error.strerror}): choose another --out"
            raise UnfitEnvironment(message) from error
        try:
            state = _read_state(path)
            if state is not None and fresh:
                remove_run(path, state)
                state = None
            elif state is not None:
                check_same(path, state, configuration)
            if state is None:
                state = {
                    "schema": RUN_SCHEMA,
                    "status": "running",
                    "configuration": dict(configuration),
                    "configuration_sha256": configuration_sha256(configuration),
                    "sources": {},
                }
            folder = cls(path, state, lock)
            folder.save()
            with _room(path):
                folder._take_up(verify=verify, each=each)
        except BaseException:
            os.close(lock)
            raise
        return folder

    @property
    def roots(self) -> dict[str, Path]:
        """Label -> folder, as used in record ids so far."""
        return {label: Path(folder) for label, folder in self.state["sources"].items()}

    def is_done(self, name: str) -> bool:
        """True if this id has a record, of the file as it was when the run was taken up."""
        return _key(name) in self._done

    def add(self, record: Record) -> None:
        """Append one record, and its failures to the ledger."""
        self._done.add(_key(record.image.id))
        with _room(self.path):
            self._records.write(record)
            for line in _failure_lines(record):
                self._failures.write(line)

    def sync(self) -> None:
        """Have everything reach the disk."""
        with _room(self.path):
            self._failures.flush()
            self._records.sync()

    def rewrite(self, records: Iterable[Record]) -> None:
        """Replace all records, whole or not at all, and with them the ledger of failures."""
        path, ledger = self.path / RECORDS, self.path / FAILURES
        with _room(self.path):
            write_records(path, records)
            self._records.close()
            self._failures.close()
            with replacing(ledger) as part, part.open("wb") as file:
                for record in filter(None, record_lines(path)):
                    file.writelines(_failure_lines(record))
            self._failures = ledger.open("ab")
            self._records = RecordWriter(path)

    def save(self, **facts: Any) -> None:
        """Update ``run.json``, whole or not at all."""
        self.state.update(facts)
        _write_state(self.path, self.state)

    def close(self) -> None:
        """Sync and let go."""
        if self._lock < 0:
            return
        with _room(self.path), ExitStack() as stack:
            stack.callback(os.close, self._lock)
            stack.callback(self._records.close)
            stack.callback(self._failures.close)
            self._lock = -1

    def _take_up(self, *, verify: bool, each: Callable[[Record], None]) -> None:
        """Drop what is torn or stale, index the rest, and open the files for more."""
        path, roots = self.path / RECORDS, self.roots
        path.touch()
        cut_torn_line(path)
        failures = []
        dropped = 0
        for record in record_lines(path):
            if (
                record is None
                or self.is_done(record.image.id)
                or has_lost_spool(self.path, record)
                or has_changed(record.image, roots, verify=verify)
            ):
                dropped += 1
                continue
            self._done.add(_key(record.image.id))
            self.resumed += 1
            failures += _failure_lines(record)
            each(record)
        if dropped:
            log.info("%s: %d records are out of date and made anew", self.path, dropped)
            seen: set[bytes] = set()
            write_records(path, _kept(path, roots, seen, verify=verify))
        (self.path / FAILURES).write_bytes(b"".join(failures))
        self._failures = (self.path / FAILURES).open("ab")
        self._records = RecordWriter(path)


def configuration_sha256(configuration: Mapping[str, Any]) -> str:
    """Hash of a configuration, independent of the order of its keys."""
    text = json.dumps(configuration, sort_keys=True, allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()


def list_files(path: Path) -> None:
    """Have ``run.json`` list what was added; a run that is writing there does it itself."""
    with _room(path):
        try:
            lock = _locked(path)
        except UsageError:
            return
        try:
            state = _read_state(path)
            if state is not None:
                _write_state(path, state)
        finally:
            os.close(lock)


def _write_state(path: Path, state: dict[str, Any]) -> None:
    state["files"] = own_files(path, state)
    text = json.dumps(state, indent=1, ensure_ascii=False, allow_nan=False)
    with _room(path), replacing(path / RUN) as part:
        part.write_text(text + "\n", encoding="utf-8", errors="surrogateescape")


def _kept(
    path: Path, roots: dict[str, Path], seen: set[bytes], *, verify: bool
) -> Iterator[Record]:
    for record in record_lines(path):
        if record is None or _key(record.image.id) in seen or has_lost_spool(path.parent, record):
            continue
        if not has_changed(record.image, roots, verify=verify):
            seen.add(_key(record.image.id))
            yield record


@contextmanager
def _room(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        message = f"cannot write to {path} ({error.strerror}): make room, then start it again"
        raise UnfitEnvironment(message) from error


def _key(name: str) -> bytes:
    # A digest, not the name: a million images stay below 100 MB.
    return hashlib.blake2b(name.encode(), digest_size=16).digest()


def _failure_lines(record: Record) -> list[bytes]:
    if record.status != "ok":
        lost = [{"image": record.image.id, "status": record.status, "reasons": record.reasons}]
    else:
        lost = [
            {"image": record.image.id, "status": "detector_error", "detector": one.detector,
             "reasons": [one.error or ""]}
            for one in record.detections
            if one.status == "error"
        ]  # fmt: skip
    return [json.dumps(line).encode() + b"\n" for line in lost]


def _locked(path: Path) -> int:
    lock = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(lock)
        message = f"{path}: another run is writing here: wait for it, or choose another --out"
        raise UsageError(message) from None
    return lock


def _read_state(path: Path) -> dict[str, Any] | None:
    """What ``run.json`` says; None for an empty folder."""
    try:
        state = parse_json((path / RUN).read_text(encoding="utf-8", errors="surrogateescape"))
        if state["schema"] == RUN_SCHEMA and isinstance(state["sources"], dict):
            return dict(state)
    except FileNotFoundError:
        if all(entry.name == RUN + ".part" for entry in path.iterdir()):
            return None
    except (ValueError, KeyError, TypeError, OSError):
        pass
    raise UsageError(f"{path} is not empty and not a run folder of clipvet: choose another --out")


def check_same(
    path: Path | str, state: Mapping[str, Any], configuration: Mapping[str, Any]
) -> None:
    """Raise :class:`UsageError` if a run, of this ``run.json``, has another configuration."""
    if state.get("configuration_sha256") == configuration_sha256(configuration):
        return
    old, new = state.get("configuration", {}), json.loads(json.dumps(configuration))
    names = sorted(key for key in {*old, *new} if old.get(key) != new.get(key))
    raise UsageError(
        f"{path} holds a run with another configuration ({', '.join(names)} differ): choose "
        "another --out, or replace it with --fresh"
    )
