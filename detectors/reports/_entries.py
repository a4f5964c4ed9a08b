"""The second pass over the records: one entry of the page for each, with its pictures."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from clipvet.detectors._counting import counted
from clipvet.detectors.errors import UsageError
from clipvet.detectors.heatmaps._heatmaps import Heatmap
from clipvet.detectors.records._records import CombinedFacts, DetectionRecord, Record
from clipvet.detectors.reports._facts import RunFacts
from clipvet.detectors.reports._index import Index, Row
from clipvet.detectors.reports._originals import Thumbnail, shrunk, thumbnail
from clipvet.detectors.reports._paths import Masker
from clipvet.detectors.runs._removal import inside_pictures

__all__ = ["Entry", "EntryMaker"]

_MOST_CELLS = 64
_MOST_REGIONS = 50
_MOST_DETAILS = 40
_LONGEST_DETAIL = 400


@dataclass(frozen=True, kw_only=True)
class Entry:
    """One image of the page.

    Attributes:
        values: JSON-able, everything but the picture.
        picture: of the original; else of an overlay, if the run wrote one; else none.
        from_original: the picture is that of the original.
    """

    values: dict[str, Any]
    picture: Thumbnail
    from_original: bool


@dataclass(frozen=True, kw_only=True)
class EntryMaker:
    """Makes entries; called from several threads at once.

    Attributes:
        facts: of the run.
        index: of its records.
        masker: of paths.
        side: pixels of the longer side of a picture.
        blur: pictures of sensitive images keep colours and rough shapes only.
    """

    facts: RunFacts
    index: Index
    masker: Masker
    side: int
    blur: bool

    def make(self, given: tuple[Row, Record]) -> Entry:
        """The entry of one record."""
        row, record = given
        blurred = self.blur and row.sensitive
        picture = thumbnail(record.image, self.facts, side=self.side, blurred=blurred)
        missing = picture.reason
        if missing is not None:
            picture = self._overlay(record, blurred=blurred) or picture
        image = record.image
        values = {
            "missing": missing,
            "reasons": [self.masker.text(reason) for reason in record.reasons],
            "width": image.width,
            "height": image.height,
            "facts": self._image_facts(record),
            "combined": self._combined(record.combined),
            "detections": [self._detection(one, record) for one in record.detections],
        }
        return Entry(values=values, picture=picture, from_original=missing is None)

    def _overlay(self, record: Record, *, blurred: bool) -> Thumbnail | None:
        for one in record.detections:
            name = None if one.heatmap is None else one.heatmap.overlay
            if name is None or not inside_pictures(self.facts.folder, name):
                continue
            try:
                with Image.open(self.facts.folder / name) as picture:
                    return shrunk(picture.convert("RGB"), side=self.side, blurred=blurred)
            except (OSError, ValueError, Image.DecompressionBombError):
                continue
        return None

    def _image_facts(self, record: Record) -> list[list[str]]:
        image, runtime = record.image, record.runtime
        size = None if image.width is None else f"{image.width} x {image.height} px"
        depth = None if image.bit_depth is None else counted(image.bit_depth, "bit")
        facts = {
            "size": ", ".join(word for word in (size, depth, image.policy) if word),
            "decoding": "; ".join(image.notes),
            "sha256": image.sha256 or "",
            "bundle": "" if runtime is None else f"{runtime.bundle} on {runtime.provider}",
            "time": ", ".join(f"{stage} {ms:.1f} ms" for stage, ms in record.timing_ms.items()),
        }
        return [[name, self.masker.text(value)] for name, value in facts.items() if value]

    def _combined(self, combined: CombinedFacts | None) -> dict[str, Any] | None:
        if combined is None:
            return None
        return {
            "combination": combined.combination,
            "value": combined.value,
            "p": combined.p_value,
            "threshold": self.index.threshold(None, combined.threshold),
            "terms": list(combined.terms.items()),
        }

    def _detection(self, one: DetectionRecord, record: Record) -> dict[str, Any]:
        column = self.index.column(one.detector)
        query = "; ".join(f"{key}: {_plain(value)}" for key, value in (one.query or {}).items())
        return {
            "column": column,
            "query": self.masker.text(query),
            "status": one.status,
            "score": one.score,
            "p": one.p_value,
            "threshold": self.index.threshold(column, one.threshold),
            "verdict": one.verdict,
            "regions": [
                [*region.box, region.area, region.peak] for region in one.regions[:_MOST_REGIONS]
            ],
            "allRegions": len(one.regions),
            "details": self._details(one.details),
            "error": None if one.error is None else self.masker.text(one.error),
            "domain": None if one.domain is None else [one.domain.score, one.domain.threshold],
            "heat": self._heat(one, record, self.index.columns[column].span),
        }

    def _details(self, details: Mapping[str, Any]) -> list[list[str]]:
        first = ["method"] if "method" in details else []
        names = [*first, *(name for name in details if name != "method")]
        return [
            [str(name), self.masker.text(_plain(details[name]))[:_LONGEST_DETAIL]]
            for name in names[:_MOST_DETAILS]
        ]

    def _heat(
        self, one: DetectionRecord, record: Record, span: tuple[float, float] | None
    ) -> dict[str, Any] | None:
        """The map in steps of 1/255 of the detector's fixed range."""
        name = None if one.heatmap is None else one.heatmap.file
        if name is None or span is None or not span[0] < span[1]:
            return None
        if not inside_pictures(self.facts.folder, name):
            return None
        try:
            heatmap = Heatmap.load(self.facts.folder / name)
        except UsageError:
            return None
        grid = _at_most(heatmap.grid, _MOST_CELLS)
        unit = np.clip((grid.astype(np.float64) - span[0]) / (span[1] - span[0]), 0.0, 1.0)
        steps = np.rint(unit * 255.0).astype(np.uint8)
        (x0, y0, x1, y1), (width, height) = heatmap.box, heatmap.image_size
        return {
            "rows": grid.shape[0],
            "columns": grid.shape[1],
            "box": [x0 / width, y0 / height, x1 / width, y1 / height],
            "steps": base64.b64encode(steps.tobytes()).decode(),
        }


def _at_most(grid: NDArray[np.float32], cells: int) -> NDArray[np.float32]:
    """The grid, or the highest score of each block of it: a small defect must not fade away."""
    rows, columns = (np.linspace(0, n, min(n, cells) + 1).astype(int)[:-1] for n in grid.shape)
    if len(rows) == grid.shape[0] and len(columns) == grid.shape[1]:
        return grid
    found: NDArray[np.float32] = np.maximum.reduceat(
        np.maximum.reduceat(grid, rows, axis=0), columns, axis=1
    )
    return found


def _plain(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.6g}"
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)
