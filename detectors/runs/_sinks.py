"""Where results go: heatmaps and overlays as files, records as tables."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, Literal

import numpy as np
from numpy.typing import NDArray

from clipvet.detectors._whole import replacing, room
from clipvet.detectors.errors import MissingDependency
from clipvet.detectors.frames._frames import Frame
from clipvet.detectors.heatmaps._heatmaps import Heatmap
from clipvet.detectors.heatmaps._overlays import render_overlay
from clipvet.detectors.records._files import read_records
from clipvet.detectors.records._ids import file_stem
from clipvet.detectors.records._records import CombinedFacts, HeatmapFacts, Record
from clipvet.detectors.runs._sqlite import write_sqlite

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = [
    "HeatmapFiles",
    "HeatmapMode",
    "TableFormat",
    "check_format",
    "parquet_schema",
    "table_rows",
    "write_table",
]

HeatmapMode = Literal["none", "npz", "png", "overlay"]
"""How heatmaps are kept: npz exactly, png in 16 bits, overlay as npz and pictures."""
TableFormat = Literal["jsonl", "csv", "parquet", "sqlite"]
"""Of the table beside ``records.jsonl``; jsonl is no further one."""

_LONGEST_SIDE = 2048
# The wide forms of the first four, too, and what spreadsheets pass over before they look.
_FORMULA = tuple("=+-@\t\r\n＝＋－＠")
# Where the list separator is not the comma, a spreadsheet begins a new cell here.
_FORMULA_IN_NEW_CELL = re.compile(r"(?<=[;\t|])(?=\s*+[\"']?[=+\-@＝＋－＠])")


@dataclass(frozen=True, kw_only=True)
class HeatmapFiles:
    """Writes heatmaps into a run folder, each whole or not at all.

    Attributes:
        folder: the run folder.
        mode: ``npz`` exact float32 grids; ``png`` 16-bit at image size; ``overlay`` npz and
            pictures of at most 2048 px a side; ``none``.
    """

    folder: Path
    mode: HeatmapMode

    def write(
        self,
        frame: Frame | None,
        heatmap: Heatmap,
        *,
        name: str,
        span: tuple[float, float] | None,
        label: str,
    ) -> HeatmapFacts:
        """Write one heatmap and say where it is.

        Args:
            frame: the image; None draws no overlay.
            heatmap: of that image.
            name: record id, dot, detector: what the files are called after.
            span: range of the pictures; without one there can be no picture, only numbers.
            label: legend of the overlay.
        """
        stem = file_stem(name)
        file = overlay = None
        if self.mode in ("npz", "overlay") or (self.mode == "png" and span is None):
            file = f"heatmaps/{stem}.npz"
            self._whole(file, heatmap.save_npz)
        elif self.mode == "png" and span is not None:
            low, high = span
            file = f"heatmaps/{stem}.png"
            self._whole(file, lambda path: heatmap.save_png16(path, low=low, high=high))
        if (
            self.mode == "overlay"
            and frame is not None
            and span is not None
            and _drawable(heatmap.image_size)
        ):
            overlay = f"overlays/{stem}.png"
            self._whole(overlay, lambda path: _save_overlay(path, frame, heatmap, span, label))
        rows, columns = heatmap.grid.shape
        return HeatmapFacts(
            file=file, overlay=overlay, grid=(rows, columns), box=heatmap.box, range=span
        )

    def _whole(self, name: str, save: Callable[[Path], None]) -> None:
        path = self.folder / name
        with room(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            with replacing(path) as part:
                save(part)


def check_format(table: TableFormat) -> None:
    """Raise :class:`MissingDependency` before the first image if a table cannot be written."""
    if table == "parquet":
        try:
            import pyarrow.parquet  # noqa: F401
        except ImportError:
            raise MissingDependency("pyarrow", "--format parquet", "parquet") from None


def write_table(folder: Path, table: TableFormat) -> Path | None:
    """Write ``records.csv``, ``.parquet`` or ``.sqlite`` from ``records.jsonl``, and say where.

    The first two have a row a detection; see ``SQL_SCHEMA`` for the third.
    """
    if table == "jsonl":
        return None
    path = folder / f"records.{table}"
    records = read_records(folder / "records.jsonl")
    with room(path), replacing(path) as part:
        if table == "sqlite":
            write_sqlite(part, records)
        else:
            rows = (row for record in records for row in table_rows(record))
            with part.open("wb") as file:
                _write_csv(file, rows) if table == "csv" else _write_parquet(file, rows)
    return path


_COLUMNS: dict[str, type] = {
    "image": str, "sha256": str, "width": int, "height": int, "status": str, "verdict": str,
    "reasons": str, "detector": str, "version": str, "task": str, "query": str, "score": float,
    "p_value": float, "threshold": float, "threshold_origin": str, "detection_status": str,
    "detection_verdict": str, "regions": int, "heatmap": str, "overlay": str, "method": str,
    "error": str, "combination": str, "combined_value": float, "combined_p_value": float,
    "combined_threshold": float, "combined_threshold_origin": str, "combined_terms": str,
}  # fmt: skip


def table_rows(record: Record) -> Iterator[dict[str, Any]]:
    """A row for each detection, and one for an image without any."""
    image: dict[str, Any] = {
        "image": record.image.id,
        "sha256": record.image.sha256,
        "width": record.image.width,
        "height": record.image.height,
        "status": record.status,
        "verdict": record.verdict,
        "reasons": "; ".join(record.reasons),
        **_combined(record.combined),
    }
    if not record.detections:
        yield image
    for one in record.detections:
        yield {
            **image,
            "detector": one.detector,
            "version": one.version,
            "task": one.task,
            "query": _pairs(one.query or {}),
            "score": one.score,
            "p_value": one.p_value,
            "threshold": one.threshold.value if one.threshold else None,
            "threshold_origin": one.threshold.origin if one.threshold else None,
            "detection_status": one.status,
            "detection_verdict": one.verdict,
            "regions": len(one.regions),
            "heatmap": one.heatmap.file if one.heatmap else None,
            "overlay": one.heatmap.overlay if one.heatmap else None,
            "method": one.details.get("method"),
            "error": one.error,
        }


def parquet_schema() -> pa.Schema:
    """The columns of :func:`table_rows`."""
    import pyarrow as pa

    kinds = {str: pa.string(), int: pa.int64(), float: pa.float64()}
    return pa.schema([(name, kinds[kind]) for name, kind in _COLUMNS.items()])


def _combined(combined: CombinedFacts | None) -> dict[str, Any]:
    if combined is None:
        return {}
    return {
        "combination": combined.combination,
        "combined_value": combined.value,
        "combined_p_value": combined.p_value,
        "combined_threshold": combined.threshold.value,
        "combined_threshold_origin": combined.threshold.origin,
        "combined_terms": _pairs(combined.terms),
    }


def _pairs(named: Mapping[str, object]) -> str | None:
    return "; ".join(f"{name}: {value}" for name, value in named.items()) or None


def _write_csv(file: BinaryIO, rows: Iterator[dict[str, Any]]) -> None:
    text = io.TextIOWrapper(file, encoding="utf-8", newline="", write_through=True)
    writer = csv.DictWriter(text, fieldnames=list(_COLUMNS), restval="")
    writer.writeheader()
    for row in rows:
        writer.writerow({key: _cell(value) for key, value in row.items()})
    text.detach()


def _cell(value: Any) -> Any:
    """A spreadsheet runs a text that begins like a formula: an apostrophe keeps it text."""
    if value is None:
        return ""
    if isinstance(value, float):
        return repr(value)
    if isinstance(value, str):
        value = _FORMULA_IN_NEW_CELL.sub("'", value)
        return "'" + value if value.startswith(_FORMULA) else value
    return value


def _write_parquet(file: BinaryIO, rows: Iterator[dict[str, Any]]) -> None:
    import pyarrow as pa
    from pyarrow import parquet

    schema = parquet_schema()
    with parquet.ParquetWriter(file, schema) as writer:
        while part := list(islice(rows, 4096)):
            writer.write_table(pa.Table.from_pylist(part, schema=schema))


def _save_overlay(
    path: Path, frame: Frame, heatmap: Heatmap, span: tuple[float, float], label: str
) -> None:
    from PIL import Image

    low, high = span
    pixels, heatmap = _for_looking(frame.pixels, heatmap)
    picture = render_overlay(pixels, heatmap, low=low, high=high, label=label)
    with path.open("wb") as file:
        Image.fromarray(picture).save(file, format="PNG", compress_level=1)


def _drawable(size: tuple[int, int]) -> bool:
    """False for slivers: a picture 256 px wide, as its legend needs, would be absurdly high."""
    width, height = size
    return height <= 64 * width


def _for_looking(pixels: NDArray[np.uint8], heatmap: Heatmap) -> tuple[NDArray[np.uint8], Heatmap]:
    """At most ``_LONGEST_SIDE`` pixels a side: a picture of 12 megapixels has 20 MB as PNG."""
    height, width = pixels.shape[:2]
    scale = _LONGEST_SIDE / max(width, height)
    if scale >= 1:
        return pixels, heatmap
    from PIL import Image

    size = max(1, round(width * scale)), max(1, round(height * scale))
    x0, y0, x1, y1 = heatmap.box
    left, top = min(round(x0 * scale), size[0] - 1), min(round(y0 * scale), size[1] - 1)
    right, bottom = max(round(x1 * scale), left + 1), max(round(y1 * scale), top + 1)
    box = (left, top, min(right, size[0]), min(bottom, size[1]))
    small = np.asarray(Image.fromarray(pixels).resize(size, Image.Resampling.BOX))
    return small, Heatmap(grid=heatmap.grid, box=box, image_size=size)
