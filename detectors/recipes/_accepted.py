"""Reviewed false alarms of a run: images that a person calls good after all.

They were picked because they scored high, so they are no random draw of good images: a threshold
calibrated on them would be too high, and one calibrated on what they were taken from too low.
Hence they are only ever learned from, and an image that a fit finds among its good images, too,
stays on the side where the split puts it.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from clipvet.detectors._hashing import sha256_of
from clipvet.detectors._parsing import parse_json
from clipvet.detectors.errors import UsageError
from clipvet.detectors.recipes._good_images import GoodImage, LeftOut
from clipvet.detectors.recipes._grouping import GroupBy
from clipvet.detectors.records._files import read_records
from clipvet.detectors.records._ids import path_of
from clipvet.detectors.records._records import Record

__all__ = ["Accepted", "apart_from", "find_accepted"]

_RUN, _RECORDS = "run.json", "records.jsonl"
_WRITE = "write RUN:id,id,... or RUN:@FILE with one id a line"


@dataclass(frozen=True, kw_only=True)
class Accepted:
    """Some images of one run.

    Attributes:
        run: its folder.
        ids: record ids.
    """

    run: Path
    ids: tuple[str, ...]

    @classmethod
    def parse(cls, text: str) -> Self:
        """``RUN:id,id,...`` or ``RUN:@FILE``, a text file with one id a line.

        Raises:
            UsageError: it names no run folder, no id, or a file that cannot be read.
        """
        places = [place for place, char in enumerate(text) if char == ":"]
        run = next((p for p in places if (Path(text[:p]) / _RUN).is_file()), None)
        if run is None:
            raise UsageError(f"accept {text}: it does not begin with a run folder: {_WRITE}")
        folder, named = Path(text[:run]), text[run + 1 :]
        if named.startswith("@"):
            try:
                ids = Path(named[1:]).read_text(encoding="utf-8").splitlines()
            except (OSError, UnicodeDecodeError) as error:
                raise UsageError(f"accept {text}: {named[1:]} cannot be read ({error})") from error
        else:
            ids = named.split(",")
        chosen = tuple(dict.fromkeys(one.strip() for one in ids if one.strip()))
        if not chosen:
            raise UsageError(f"accept {text}: it names no image: {_WRITE}")
        return cls(run=folder, ids=chosen)


def find_accepted(
    accepted: Sequence[Accepted], task: Mapping[str, Any], group_by: GroupBy | None
) -> list[GoodImage]:
    """The images, as they were when the runs judged them.

    Args:
        accepted: which ones.
        task: the keys of a run's configuration that must be equal to those of the fit; of
            ``bundles`` the run may have more.
        group_by: which images show one part.

    Raises:
        UsageError: a run of another task, an id that it has no record of or did not flag, or an
            image that is gone or has changed since.
    """
    found: dict[str, GoodImage] = {}
    for one in accepted:
        roots = _roots(one.run, task)
        records = _records(one)
        for name in one.ids:
            path = path_of(name, roots)
            if path is None:
                raise UsageError(f"accept {one.run}: it does not say where {name} came from")
            digest = _same_as_judged(path, records[name], one.run)
            group = "" if group_by is None else group_by.of(name)
            found.setdefault(digest, GoodImage(id=name, path=path, sha256=digest, group=group))
    return list(found.values())


def apart_from(
    accepted: Iterable[GoodImage], good: Iterable[GoodImage], calibrating: Iterable[GoodImage]
) -> tuple[list[GoodImage], list[LeftOut]]:
    """Those that may be learned from, and the others with the reason.

    Args:
        accepted: the images.
        good: all of the fit, which the split divides.
        calibrating: those of them that are held out.
    """
    divided = {image.sha256: image.id for image in good}
    held_out = {image.group for image in calibrating if image.group}
    learned: list[GoodImage] = []
    left_out: list[LeftOut] = []
    for image in accepted:
        if image.sha256 in divided:
            reason = f"accepted, but {divided[image.sha256]} is the same: the split has placed it"
        elif image.group in held_out:
            reason = f"accepted, but its group {image.group} is held out to calibrate"
        else:
            learned.append(image)
            continue
        left_out.append(LeftOut(id=image.id, reason=reason, failed=False))
    return learned, left_out


def _roots(run: Path, task: Mapping[str, Any]) -> dict[str, Path]:
    """Where a run found its images, after a look at what it was."""
    try:
        state = parse_json((run / _RUN).read_text(encoding="utf-8", errors="surrogateescape"))
        configuration = state["configuration"]
        roots = {label: Path(folder) for label, folder in state["sources"].items()}
        judged = configuration["recipe"] is not None
        known = {key: configuration[key] for key in task}
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        message = f"accept {run}: {_RUN} is damaged ({error}): run again"
        raise UsageError(message) from error
    if not judged:
        raise UsageError(f"accept {run}: that run had no recipe, so it raised no alarm")
    wanted = json.loads(json.dumps(task))
    known["bundles"] = {k: v for k, v in known["bundles"].items() if k in wanted["bundles"]}
    other = sorted(key for key in wanted if known[key] != wanted[key])
    if other:
        raise UsageError(
            f"accept {run}: that run is of another task than this fit ({', '.join(other)} differ): "
            "accept images of runs with a recipe of the same task"
        )
    return roots


def _records(accepted: Accepted) -> dict[str, Record]:
    wanted = set(accepted.ids)
    records = {
        record.image.id: record
        for record in read_records(accepted.run / _RECORDS)
        if record.image.id in wanted
    }
    for name in accepted.ids:
        if name not in records:
            raise UsageError(f"accept {accepted.run}: it has no record of {name}: check the id")
        verdict = records[name].verdict
        if verdict not in {"flag", "abstain"}:
            raise UsageError(
                f"accept {accepted.run}: {name} was no alarm (its verdict is {verdict or 'none'}): "
                "give it among the good images instead"
            )
    return records


def _same_as_judged(path: Path, record: Record, run: Path) -> str:
    name = record.image.id
    try:
        digest = sha256_of(path)
    except OSError as error:
        raise UsageError(
            f"accept {run}: {name} cannot be read at {path} ({error.strerror}): put it back, or "
            "leave it out"
        ) from error
    if digest != record.image.sha256:
        raise UsageError(
            f"accept {run}: {name} has changed since the run judged it (sha256 of {path} differs): "
            "restore it, or leave it out"
        )
    return digest
