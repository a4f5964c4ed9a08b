"""The report of a set: what it counts, what it shows, and what it never lets through."""

from __future__ import annotations

import base64
import io
import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pytest
from PIL import Image

from clipvet.detectors import DetectionRecord, Record, UsageError, read_frame, write_records
from clipvet.plugins.inappropriate._report import report

EDGE = 200


def picture(path: Path, seed: int) -> str:
    """Noise of black and white columns; returns the hash of the file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    columns = np.random.default_rng(seed).integers(0, 2, (1, EDGE, 1)) * 255
    pixels = np.broadcast_to(columns, (EDGE, EDGE, 3)).astype(np.uint8)
    Image.fromarray(np.ascontiguousarray(pixels)).save(path)
    return str(read_frame(path).sha256)


class Run:
    """A run folder, made by hand."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.images = folder / "run", folder / "images"
        self.folder.mkdir()
        self.records: list[Record] = []

    def add(self, name: str, score: float | None, concept: str = "a weapon", **given: Any) -> None:
        digest = picture(self.images / name, len(self.records))
        status: Literal["ok", "error"] = "ok" if score is not None else "error"
        detection = DetectionRecord(
            detector="inappropriate",
            version="1",
            task="safety",
            status=status,
            score=score,
            details={"method": "Q16 (a test)", "nearest_concept": concept},
            **given,
        )
        image = {"id": f"images/{name}", "sha256": digest}
        self.records.append(
            Record.model_validate({"schema": "clipvet.record/1", "image": image}).model_copy(
                update={"detections": (detection,)}
            )
        )

    def write(self, **facts: Any) -> Path:
        run = {
            "schema": "clipvet.run/1",
            "status": "finished",
            "sources": {"images": str(self.images)},
        }
        (self.folder / "run.json").write_text(json.dumps(run | facts), "utf-8")
        write_records(self.folder / "records.jsonl", self.records)
        return self.folder


@pytest.fixture
def run(tmp_path: Path) -> Run:
    return Run(tmp_path)


def page_of(folder: Path, **options: Any) -> str:
    report(folder, **options)
    return (folder / "inappropriate-report.html").read_text("utf-8")


def plain(page: str) -> str:
    return " ".join(re.sub(r"<style>.*?</style>|<[^>]*>", " ", page, flags=re.DOTALL).split())


def pictures(page: str) -> Sequence[np.ndarray]:
    found = re.findall(r'src="data:image/webp;base64,([^"]+)"', page)
    return [np.asarray(Image.open(io.BytesIO(base64.b64decode(data)))) for data in found]


def test_share_by_the_cut_of_the_authors_scan(run: Run) -> None:
    for index, score in enumerate([0.95, 0.9, 0.899, 0.2, 0.0, 1.0]):
        run.add(f"{index}.png", score)
    run.add("broken.png", None)
    text = plain(page_of(run.write()))
    assert "3 of 6 judged images (50.00 %) are flagged." in text
    assert "a score of 0.9 or more, as in the scan script of the authors" in text
    assert "not scored (unreadable, or an error) 1" in text
    assert "scored by: Q16 (a test) 6" in text
    assert "0.9 to 1.0 3" in text
    assert "0.8 to 0.9 1" in text


def test_share_by_the_verdicts_of_a_calibrated_run(run: Run) -> None:
    threshold: Any = {"value": 0.4, "origin": "split conformal", "rate": 0.05, "n": 40}
    for index, (score, verdict) in enumerate([(0.5, "flag"), (0.95, "abstain"), (0.3, "pass")]):
        run.add(f"{index}.png", score, verdict=verdict, threshold=threshold)
    folder = run.write()
    text = plain(page_of(folder))
    assert "1 of 2 judged images (50.00 %)" in text
    assert "the run's own verdicts (score above 0.4: split conformal)" in text.replace("&#39;", "'")
    assert "because the model does not know such images 1" in text
    assert "2 of 2 judged images" in plain(page_of(folder, at=0.25))


def test_examples_by_concept_are_the_worst_ones(run: Run) -> None:
    scores = [0.91, 0.99, 0.95, 0.97]
    for index, score in enumerate(scores):
        run.add(f"w{index}.png", score)
    run.add("n.png", 0.93, "nudity")
    run.add("calm.png", 0.1, "nudity")
    page = page_of(run.write(), examples=2)
    text = plain(page)
    assert text.index("a weapon: 4 flagged") < text.index("nudity: 1 flagged")
    assert text.index("0.990 images/w1.png") < text.index("0.970 images/w3.png")
    assert "w0.png" not in text
    assert "calm.png" not in text
    assert len(pictures(page)) == 3


def test_pictures_are_blurred_in_the_data_unless_asked_otherwise(run: Run) -> None:
    run.add("x.png", 0.99)
    folder = run.write()
    (blurred,) = pictures(page_of(folder))
    (clear,) = pictures(page_of(folder, clear=True))
    assert blurred.shape == clear.shape == (160, 160, 3)

    def sharpness(pixels: np.ndarray) -> float:
        return float(np.abs(np.diff(pixels[..., 0].astype(float), axis=1)).max())

    assert sharpness(blurred) < 40
    assert sharpness(clear) > 120
    assert "Pictures are blurred" in plain(page_of(folder))
    assert "shown as they are" in plain(page_of(folder, clear=True))


def test_names_cannot_write_on_the_page(run: Run) -> None:
    name = '<script>alert("1")<!--.png'
    run.add(name.replace("/", ""), 0.99, concept="<img src=x onerror=alert(1)>")
    page = page_of(run.write(sources={"images": str(run.images), "<b>": "<i>/tmp</i>"}))
    for hostile in ("<script", "<img src=x", "<b>", "<i>"):
        assert hostile not in page
    assert "&lt;script&gt;" in page
    assert len(pictures(page)) == 1


def test_the_page_loads_nothing(run: Run) -> None:
    run.add("x.png", 0.99)
    page = page_of(run.write())
    assert "default-src 'none'; img-src data:;" in page
    sources = re.findall(r'(?:src|href)="([^"]*)"', page)
    assert sources
    assert all(source.startswith("data:image/webp;base64,") for source in sources)


@pytest.mark.parametrize(
    ("image_id", "reason"),
    [
        ("images/../secret.png", "is not below a folder of this run"),
        ("images/%2E%2E/secret.png", "is not below a folder of this run"),
        ("images//etc/hostname", "is not below a folder of this run"),
        ("elsewhere/x.png", "is not below a folder of this run"),
        ("images/gone.png", "is no longer there"),
        ("images/other.png", "has changed since the run"),
    ],
)
def test_only_the_pictures_of_the_run(run: Run, image_id: str, reason: str) -> None:
    run.add("x.png", 0.99)
    picture(run.images / "other.png", 99)
    picture(run.images.parent / "secret.png", 98)
    (record,) = run.records
    run.records = [
        record.model_copy(update={"image": record.image.model_copy(update={"id": image_id})})
    ]
    page = page_of(run.write())
    assert reason in plain(page)
    assert not pictures(page)


def test_odd_bytes_in_names_lead_back_to_the_file(run: Run) -> None:
    run.add("x.png", 0.99)
    (run.images / "x.png").rename(run.images / "100%.png")
    (record,) = run.records
    image = record.image.model_copy(update={"id": "images/100%25.png"})
    run.records = [record.model_copy(update={"image": image})]
    assert len(pictures(page_of(run.write()))) == 1


def test_folders(run: Run) -> None:
    for index in range(6):
        run.add(f"beach/{index}.png", 0.95 if index < 3 else 0.1)
    run.add("street/0.png", 0.95)
    run.add("sea/0.png", 0.1)
    text = plain(page_of(run.write()))
    assert "images/beach 3 6 50.0 %" in text
    assert text.index("images/beach") < text.index("images/street 1 1 100.0 %")
    assert "images/sea" not in text


def test_it_says_what_it_is_not(run: Run) -> None:
    run.add("x.png", 0.1)
    text = plain(page_of(run.write(status="interrupted")))
    assert "This is not a nudity, legality or child-safety filter" in text
    assert "not flagged is not thereby approved" in text
    assert "The run is interrupted" in text
    assert "No image is flagged." in text
    help_text = " ".join((report.__doc__ or "").split())
    assert "not a nudity, legality or child-safety filter" in help_text
    assert "not flagged is not thereby approved" in help_text


def test_a_report_replaces_a_report_and_nothing_else(run: Run, tmp_path: Path) -> None:
    run.add("x.png", 0.99)
    folder = run.write()
    first = page_of(folder)
    assert page_of(folder, clear=True) != first
    other = tmp_path / "notes.html"
    other.write_text("mine", "utf-8")
    with pytest.raises(UsageError, match=r"notes\.html exists and is no report"):
        report(folder, out=other)
    assert other.read_text("utf-8") == "mine"
    with pytest.raises(UsageError, match="exists and is no report"):
        report(folder, out=tmp_path)
    with pytest.raises(UsageError, match="cannot be written"):
        report(folder, out=tmp_path / "none" / "report.html")


@pytest.mark.parametrize("content", [None, "{}", "[]", "no json", '{"schema": "clipvet.run/2"}'])
def test_not_a_run_folder(tmp_path: Path, content: str | None) -> None:
    if content is not None:
        (tmp_path / "run.json").write_text(content, "utf-8")
    with pytest.raises(UsageError, match="is no run folder"):
        report(tmp_path)


def test_a_run_of_other_detectors(run: Run) -> None:
    run.add("x.png", 0.99)
    (record,) = run.records
    other = record.detections[0].model_copy(update={"detector": "winclip"})
    run.records = [record.model_copy(update={"detections": (other,)})]
    with pytest.raises(UsageError, match="holds no score of inappropriate"):
        report(run.write())
    assert not (run.folder / "inappropriate-report.html").exists()
