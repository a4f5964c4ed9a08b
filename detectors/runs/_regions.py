"""The regions of a run for tools that annotate and evaluate: COCO and LabelMe."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any, Final, Literal, TextIO

from clipvet.detectors._parsing import parse_json
from clipvet.detectors._whole import replacing, room
from clipvet.detectors.errors import UsageError
from clipvet.detectors.heatmaps._heatmaps import Heatmap
from clipvet.detectors.heatmaps._regions import find_outlines
from clipvet.detectors.records._files import read_records
from clipvet.detectors.records._ids import file_stem, path_of
from clipvet.detectors.records._records import DetectionRecord, Record, RegionFacts

__all__ = ["COCO", "LABELME", "RegionFormat", "labelme_name", "write_regions"]

RegionFormat = Literal["coco", "labelme"]
"""``coco``: one file for the run; ``labelme``: one file for each image."""

COCO: Final = "regions.coco.json"
LABELME: Final = "labelme"
_LABELME_VERSION: Final = "5.5.0"  # of the fields, as LabelMe itself writes them


def write_regions(run: str | os.PathLike[str], form: RegionFormat) -> Path:
    """Write the regions of a run folder into it.

    ``coco``: one file, ``regions.coco.json``. Every image that could be decoded is listed, each
    detector with regions is a category, and an annotation has ``bbox`` [x, y, width, height],
    ``area`` in pixels, ``segmentation``, and ``score``, the highest local score in it.
    ``labelme``: ``labelme/<record id>.json`` for every image that could be decoded.

    An outline is a polygon where the heatmap was written, else the rectangle. Paths of images
    are relative to the file that names them.

    Args:
        run: a run folder whose run had a recipe.
        form: which.

    Returns:
        The file, or the folder of files.

    Raises:
        UsageError: it is no run folder, or no detector of it reports regions.
        UnfitEnvironment: they cannot be written.
    """
    source = _Run.open(Path(run))
    with room(source.folder):
        return _write_coco(source) if form == "coco" else _write_labelme(source)


def labelme_name(image_id: str) -> str:
    """The file of one image, relative to the run folder."""
    return f"{LABELME}/{file_stem(image_id)}.json"


@dataclass(frozen=True, kw_only=True)
class _Shape:
    """One region with its outline: [x, y] points in pixels."""

    detection: DetectionRecord
    region: RegionFacts
    points: list[list[float]]
    exact: bool


@dataclass(frozen=True, kw_only=True)
class _Run:
    folder: Path
    roots: dict[str, Path]
    thresholds: dict[str, float]

    @classmethod
    def open(cls, folder: Path) -> _Run:
        try:
            state = parse_json((folder / "run.json").read_text("utf-8", "surrogateescape"))
            roots = {label: Path(root) for label, root in state["sources"].items()}
            thresholds = dict(state.get("map_thresholds", {}))
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise UsageError(f"{folder} is no run folder: give the --out of a run") from error
        if not thresholds:
            raise UsageError(f"{folder} has no regions: they take a run with a recipe")
        return cls(folder=folder, roots=roots, thresholds=thresholds)

    def decoded(self) -> Iterator[Record]:
        """Records of images whose size is known, one by one."""
        records = read_records(self.folder / "records.jsonl")
        return (record for record in records if record.status == "ok" and record.image.width)

    def path_from(self, file: Path, image_id: str) -> str:
        path = path_of(image_id, self.roots)
        return image_id if path is None else os.path.relpath(path, file.parent)

    def shapes(self, record: Record) -> Iterator[_Shape]:
        for one in record.detections:
            outlines = self._outlines(one) if one.regions else {}
            for region in one.regions:
                x0, y0, x1, y1 = region.box
                corners = ((x0, y0), (x1, y1))
                points = outlines.get(region.box)
                yield _Shape(
                    detection=one,
                    region=region,
                    points=[[float(x), float(y)] for x, y in points or corners],
                    exact=points is not None,
                )

    def _outlines(self, one: DetectionRecord) -> dict[Any, Any]:
        threshold = self.thresholds.get(one.detector)
        if threshold is None or one.heatmap is None or one.heatmap.file is None:
            return {}
        try:
            return find_outlines(Heatmap.load(self.folder / one.heatmap.file), threshold)
        except UsageError:  # removed by hand, or damaged: the box is still true
            return {}


def _write_coco(run: _Run) -> Path:
    path = run.folder / COCO
    categories: dict[str, int] = {}
    with replacing(path) as part, part.open("w", encoding="utf-8") as file:
        file.write('{"info": {"description": "regions found by clipvet"}, "licenses": [],\n')
        _write_list(file, "images", _coco_images(run, path))
        _write_list(file, "annotations", _coco_annotations(run, categories))
        listed = ({"id": n, "name": name} for name, n in categories.items())
        _write_list(file, "categories", listed, last=True)
        file.write("}\n")
    return path


def _write_list(file: TextIO, name: str, items: Iterator[Any], *, last: bool = False) -> None:
    """One item a line, so that a million of them need no memory."""
    file.write(f'"{name}": [')
    file.writelines(
        (",\n" if number else "\n") + json.dumps(item) for number, item in enumerate(items)
    )
    file.write("\n]\n" if last else "\n],\n")


def _coco_images(run: _Run, path: Path) -> Iterator[dict[str, Any]]:
    for number, record in enumerate(run.decoded(), start=1):
        yield {
            "id": number,
            "file_name": run.path_from(path, record.image.id),
            "width": record.image.width,
            "height": record.image.height,
            "record": record.image.id,
        }


def _coco_annotations(run: _Run, categories: dict[str, int]) -> Iterator[dict[str, Any]]:
    """As ``images``: the second pass over the records numbers them the same."""
    shapes = (
        (image, shape)
        for image, record in enumerate(run.decoded(), start=1)
        for shape in run.shapes(record)
    )
    for number, (image, shape) in enumerate(shapes, start=1):
        x0, y0, x1, y1 = shape.region.box
        rectangle = [[x0, y0], [x1, y0], [x1, y1], [x0, y1]]
        yield {
            "id": number,
            "image_id": image,
            "category_id": categories.setdefault(shape.detection.detector, len(categories) + 1),
            "bbox": [x0, y0, x1 - x0, y1 - y0],
            "area": shape.region.area,
            "segmentation": [list(chain(*(shape.points if shape.exact else rectangle)))],
            "iscrowd": 0,
            "score": shape.region.peak,
        }


def _write_labelme(run: _Run) -> Path:
    for record in run.decoded():
        path = run.folder / labelme_name(record.image.id)
        content: dict[str, Any] = {
            "version": _LABELME_VERSION,
            "flags": {},
            "shapes": [_labelme_shape(shape) for shape in run.shapes(record)],
            "imagePath": run.path_from(path, record.image.id),
            "imageData": None,
            "imageHeight": record.image.height,
            "imageWidth": record.image.width,
        }
        path.parent.mkdir(parents=True, exist_ok=True)
        with replacing(path) as part:
            part.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
    folder = run.folder / LABELME
    folder.mkdir(exist_ok=True)
    return folder


def _labelme_shape(shape: _Shape) -> dict[str, Any]:
    return {
        "label": shape.detection.detector,
        "points": shape.points,
        "group_id": None,
        "description": f"peak {shape.region.peak:.6g}, {shape.region.area} px",
        "shape_type": "polygon" if shape.exact else "rectangle",
        "flags": {},
        "mask": None,
    }
