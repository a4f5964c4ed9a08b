"""Arrays of each image that a set-level detector reads after the run: one file an image."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from clipvet.detectors._parsing import parse_json
from clipvet.detectors._whole import replacing, room
from clipvet.detectors.engine._results import Spooled
from clipvet.detectors.errors import UnfitEnvironment
from clipvet.detectors.frames._views import Box
from clipvet.detectors.records._ids import file_stem
from clipvet.detectors.records._records import Record
from clipvet.detectors.runs._removal import SPOOL, inside_pictures

__all__ = ["SpoolFile", "has_lost_spool", "write_spool"]


def write_spool(folder: Path, spooled: Spooled, *, name: str) -> str:
    """Write the arrays of one image as safetensors, whole or not at all.

    Args:
        folder: of the run.
        spooled: arrays of each view, with the boxes of the views.
        name: record id, dot, detector.

    Returns:
        The file's name in the run folder.
    """
    from safetensors.numpy import save

    tensors = {
        f"{view}/{key}": values
        for view, arrays in enumerate(spooled.views)
        for key, values in arrays.items()
    }
    content = save(tensors, metadata={"boxes": json.dumps([list(box) for box in spooled.boxes])})
    file = f"{SPOOL}/{file_stem(name)}.safetensors"
    path = folder / file
    with room(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        with replacing(path) as part:
            part.write_bytes(content)
    return file


def has_lost_spool(folder: Path, record: Record) -> bool:
    """Whether arrays of a record are gone, so that it has to be made anew."""
    return any(
        not (inside_pictures(folder, one.spool) and (folder / one.spool).is_file())
        for one in record.detections
        if one.spool
    )


class SpoolFile(Mapping[str, Any]):
    """The arrays of one image by name, read when they are asked for.

    Of an image in one view an array, else a list with one for each view.

    Args:
        path: of the file.

    Raises:
        UnfitEnvironment: it cannot be read: the run has to make it again.
    """

    def __init__(self, path: Path) -> None:
        from safetensors import SafetensorError, safe_open

        try:
            file: Any = safe_open(path, framework="np")
            boxes = parse_json((file.metadata() or {})["boxes"])
            self.boxes: list[Box] = [tuple(map(int, box)) for box in boxes]  # type: ignore[misc]
        except (OSError, SafetensorError, KeyError, TypeError, ValueError) as error:
            raise UnfitEnvironment(
                f"{path} cannot be read ({str(error)[:200]}): delete it, then start the run again"
            ) from error
        self._file = file
        self._names = sorted({key.partition("/")[2] for key in self._file.keys()})  # noqa: SIM118

    def __getitem__(self, name: str) -> NDArray[np.generic] | list[NDArray[np.generic]]:
        if name not in self._names:
            raise KeyError(name)
        views = [self._file.get_tensor(f"{view}/{name}") for view in range(len(self.boxes))]
        return views[0] if len(views) == 1 else views

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def __len__(self) -> int:
        return len(self._names)
