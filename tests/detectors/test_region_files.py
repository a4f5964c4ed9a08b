from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from clipvet.detectors import (
    DetectorSpec,
    FitConfig,
    Heatmap,
    Recipe,
    Record,
    RegionFormat,
    RunConfig,
    UsageError,
    find_regions,
    fit,
    read_records,
    run,
    write_regions,
)
from clipvet.detectors.testing import FakeRuntime
from tests.runs import EVERYTHING, picture, save_pictures

ENERGY = (DetectorSpec(id="energy"),)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A recipe, and a run with it over what it was fitted on and what it has not seen."""
    root = tmp_path_factory.mktemp("place")
    good = save_pictures(root / "good", 26)
    fit(
        FitConfig(sources=(good,), out=root / "recipe", specs=ENERGY, batch_size=4),
        host=EVERYTHING, runtime_factory=FakeRuntime,
    )  # fmt: skip
    odd = save_pictures(root / "odd parts", 12, first=40)
    noise = np.random.default_rng(0).integers(0, 256, (90, 120, 3), dtype=np.uint8)
    Image.fromarray(noise).save(odd / "100% odd.png")
    Image.fromarray(np.where(picture(3, (120, 90)) > 128, 255, 0).astype(np.uint8)).save(
        odd / "hard.png"
    )
    (odd / "bad.png").touch()
    start(root)
    return root


def start(root: Path, regions: RegionFormat | None = None, **options: Any) -> Any:
    config = RunConfig(
        sources=[root / "odd parts", str(root / "good" / "*.png")], out=root / "run",
        recipe=root / "recipe", batch_size=4, heatmaps="npz", regions=regions, **options,
    )  # fmt: skip
    return run(config, host=EVERYTHING, runtime_factory=FakeRuntime)


def decoded(place: Path) -> list[Record]:
    return [r for r in read_records(place / "run" / "records.jsonl") if r.status == "ok"]


def test_the_recipe_s_threshold_gives_regions(place: Path) -> None:
    """What the rest of this file rests on."""
    threshold = Recipe.load(place / "recipe").map_threshold("energy")
    assert threshold is not None
    state = json.loads((place / "run" / "run.json").read_text())
    assert state["map_thresholds"] == {"energy": threshold}
    found = 0
    for record in decoded(place):
        (one,) = record.detections
        assert one.heatmap is not None
        heatmap = Heatmap.load(place / "run" / str(one.heatmap.file))
        assert [r.box for r in one.regions] == [r.box for r in find_regions(heatmap, threshold)]
        found += len(one.regions)
    assert found >= 3


@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")
def test_coco_is_what_pycocotools_reads(place: Path) -> None:
    from pycocotools.coco import COCO

    path = write_regions(place / "run", "coco")
    assert path == place / "run" / "regions.coco.json"
    coco = COCO(str(path))
    records = decoded(place)
    assert [image["record"] for image in coco.loadImgs(coco.getImgIds())] == [
        record.image.id for record in records
    ]
    assert coco.loadCats(coco.getCatIds()) == [{"id": 1, "name": "energy"}]
    for image, record in zip(coco.loadImgs(coco.getImgIds()), records, strict=True):
        with Image.open(path.parent / image["file_name"]) as opened:
            assert opened.size == (image["width"], image["height"])
        annotations = coco.loadAnns(coco.getAnnIds(imgIds=image["id"]))
        regions = record.detections[0].regions
        assert [a["score"] for a in annotations] == [r.peak for r in regions]
        for annotation, region in zip(annotations, regions, strict=True):
            x0, y0, x1, y1 = region.box
            assert annotation["bbox"] == [x0, y0, x1 - x0, y1 - y0]
            assert annotation["area"] == region.area
            mask = coco.annToMask(annotation)
            rows, columns = np.nonzero(mask)
            if region.area >= 30:
                assert mask.sum() >= 0.5 * region.area
                assert x0 <= columns.min() <= columns.max() < x1
                assert y0 <= rows.min() <= rows.max() < y1


def test_an_outline_is_closer_than_the_box(place: Path) -> None:
    """Over all large regions: the polygon covers what is above the threshold, not its box."""
    from PIL import ImageDraw

    content = json.loads(write_regions(place / "run", "coco").read_text())
    polygons = 0
    for annotation in content["annotations"]:
        (points,) = annotation["segmentation"]
        if annotation["area"] < 100 or len(points) == 8:
            continue
        polygons += 1
        image = content["images"][annotation["image_id"] - 1]
        canvas = Image.new("1", (image["width"], image["height"]))
        ImageDraw.Draw(canvas).polygon(points, fill=1)
        area = np.asarray(canvas).sum()
        assert 0.7 < area / annotation["area"] < 1.6  # holes are filled
    assert polygons >= 1


def test_labelme_has_a_file_an_image_with_paths_that_lead_there(place: Path) -> None:
    folder = write_regions(place / "run", "labelme")
    assert folder == place / "run" / "labelme"
    records = decoded(place)
    assert len(list(folder.rglob("*.json"))) == len(records)
    for record in records:
        path = folder / f"{record.image.id}.json"
        content = json.loads(path.read_text())
        assert set(content) == {
            "version", "flags", "shapes", "imagePath", "imageData", "imageHeight", "imageWidth",
        }  # fmt: skip
        assert not content["imagePath"].startswith("/")
        with Image.open(path.parent / content["imagePath"]) as opened:
            assert opened.size == (content["imageWidth"], content["imageHeight"])
        regions = record.detections[0].regions
        assert len(content["shapes"]) == len(regions)
        for shape, region in zip(content["shapes"], regions, strict=True):
            points = np.array(shape["points"])
            x0, y0, x1, y1 = region.box
            assert (points >= (x0, y0)).all()
            assert (points <= (x1, y1)).all()
            assert (shape["shape_type"] == "rectangle") == (len(points) == 2)
            assert shape["label"] == "energy"
            # What labelme 6.3.1 asks of a shape before it takes a file.
            assert all(type(number) is float for point in shape["points"] for number in point)
            assert shape["shape_type"] == "rectangle" or len(points) >= 3
            assert (shape["flags"], shape["group_id"], shape["mask"]) == ({}, None, None)
            assert isinstance(shape["description"], str)


def test_without_heatmaps_there_are_boxes(place: Path, tmp_path: Path) -> None:
    shutil.copytree(place / "run", tmp_path / "run", ignore=shutil.ignore_patterns("heatmaps"))
    content = json.loads(write_regions(tmp_path / "run", "coco").read_text())
    for annotation in content["annotations"]:
        x, y, width, height = annotation["bbox"]
        assert annotation["segmentation"] == [
            [x, y, x + width, y, x + width, y + height, x, y + height]
        ]


def test_a_run_writes_them_and_fresh_removes_them(place: Path) -> None:
    summary = start(place, regions="labelme")
    assert summary.regions == place / "run" / "labelme"
    assert start(place, regions="coco").regions == place / "run" / "regions.coco.json"
    (place / "run" / "labelme" / "mine.json").write_text("{}")
    start(place, fresh=True)
    left = sorted(p.name for p in (place / "run").rglob("*.json"))
    assert left == ["mine.json", "run.json"]
    (place / "run" / "labelme" / "mine.json").unlink()


def test_without_a_recipe_there_are_none(tmp_path: Path) -> None:
    parts = save_pictures(tmp_path / "parts", 1)
    with pytest.raises(UsageError, match="regions take a recipe"):
        RunConfig(sources=[parts], out=tmp_path / "run", regions="coco")
    run(
        RunConfig(sources=[parts], specs=ENERGY, out=tmp_path / "run"),
        host=EVERYTHING, runtime_factory=FakeRuntime,
    )  # fmt: skip
    with pytest.raises(UsageError, match="has no regions: they take a run with a recipe"):
        write_regions(tmp_path / "run", "coco")
    with pytest.raises(UsageError, match="is no run folder"):
        write_regions(parts, "labelme")
