"""Pixels in: bundle, engine, training and commands together."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from clipvet.detectors import DetectorSpec, Inspector, read_records
from clipvet.detectors.clip import Bundle, Runtime
from clipvet.detectors.testing import host_with
from clipvet.plugins.inappropriate import Inappropriate
from clipvet.plugins.inappropriate._prompts import PAIRS
from tests.conftest import Detect


def pictures(folder: Path, count: int, *, red: bool, seed: int) -> Path:
    """Noise on a red or a green ground."""
    folder.mkdir(parents=True)
    rng = np.random.default_rng(seed)
    for index in range(count):
        pixels = rng.integers(0, 120, (64, 64, 3))
        pixels[..., 0 if red else 1] += 120
        Image.fromarray(pixels.astype(np.uint8)).save(folder / f"{index:02}.png")
    return folder


def test_train_run_and_report(detect: Detect, tiny: Path, tmp_path: Path) -> None:
    good = pictures(tmp_path / "good", 14, red=False, seed=0)
    bad = pictures(tmp_path / "bad", 12, red=True, seed=1)
    (good / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    (good / "copy.png").write_bytes((good / "00.png").read_bytes())
    arguments = ("train", "inappropriate", "--good", good, "--bad", bad, "--bundle", tiny)
    done = detect(*arguments, "--out", tmp_path / "vectors")
    assert done.returncode == 0, done.stderr
    assert "tuned on 14 appropriate and 12 inappropriate images" in done.stdout
    assert done.stdout.count("left out:") == 2
    facts = json.loads((tmp_path / "vectors" / "artefact.json").read_text("utf-8"))["facts"]
    assert (facts["appropriate"], facts["inappropriate"], facts["seed"]) == (14, 12, 0)
    assert facts["cross_validation"]["n"] == 26
    assert facts["start"][0] == "This image is about something positive"
    again = detect(*arguments, "--out", tmp_path / "again")
    assert again.returncode == 0, again.stderr
    tensors = [tmp_path / name / "artefact.safetensors" for name in ("vectors", "again")]
    assert tensors[0].read_bytes() == tensors[1].read_bytes()
    refused = detect(*arguments, "--out", tmp_path / "vectors")
    assert refused.returncode == 2
    assert "is not an empty folder" in refused.stderr

    new = tmp_path / "new"
    pictures(new / "green", 3, red=False, seed=5)
    pictures(new / "red", 3, red=True, seed=6)
    done = detect(
        new, "-d", "inappropriate", "--artefact", f"inappropriate={tmp_path / 'vectors'}",
        "--bundle", tiny, "--out", tmp_path / "run", "-q",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    scores: dict[str, list[float]] = {"green": [], "red": []}
    for record in read_records(tmp_path / "run" / "records.jsonl"):
        (detection,) = record.detections
        assert detection.details["method"].startswith("Q16 re-trained (14 appropriate, 12 ")
        assert detection.verdict is None  # there is no default threshold
        scores[record.image.id.split("/")[1]].append(detection.score or 0.0)
    assert max(scores["green"]) < min(scores["red"])

    done = detect("x", "inappropriate-report", tmp_path / "run", "--at", "0.5")
    assert done.returncode == 0, done.stderr
    assert "of 6 judged images are flagged" in done.stdout
    assert "data:image/webp" in (tmp_path / "run" / "inappropriate-report.html").read_text("utf-8")


def test_what_train_refuses(detect: Detect, tiny: Path, tmp_path: Path) -> None:
    good = pictures(tmp_path / "good", 12, red=False, seed=0)
    few = pictures(tmp_path / "few", 3, red=True, seed=1)
    both = pictures(tmp_path / "both", 12, red=True, seed=2)
    (both / "00.png").write_bytes((good / "05.png").read_bytes())
    (tmp_path / "none").mkdir()
    for bad, message in (
        (few, "3 usable images in --bad: give at least 10 of each kind"),
        (both, "are the same image, once appropriate and once not"),
        (tmp_path / "none", "holds no image"),
        (tmp_path / "gone", "is no folder"),
    ):
        done = detect(
            "train", "inappropriate", "--good", good, "--bad", bad, "--bundle", tiny,
            "--out", tmp_path / "out",
        )  # fmt: skip
        assert done.returncode == 2, done.stderr
        assert message in done.stderr
        assert len(done.stderr.strip().splitlines()) == 1
        assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    "arguments",
    [("train", "inappropriate"), ("x", "inappropriate-report"), ("x", "import-inappropriate")],
)
def test_help_says_what_it_is_not(detect: Detect, arguments: Any) -> None:
    text = " ".join(detect(*arguments, "--help").stdout.split())
    for words in ("not a nudity, legality or child-safety filter", "not thereby approved"):
        assert words in text


def test_import_and_fit_on_benign_images(detect: Detect, tiny: Path, tmp_path: Path) -> None:
    with Runtime(Bundle.open(tiny), needs=(), cache_folder=tmp_path / "cache") as runtime:
        text = runtime.encode_text(PAIRS["pair"][0])
    np.save(tmp_path / "vectors.npy", text.astype(np.float16))
    imported = ("x", "import-inappropriate", tmp_path / "vectors.npy", "--bundle", tiny, "--out")
    done = detect(*imported, tmp_path / "vectors")
    assert done.returncode == 0, done.stderr
    assert "vectors of unknown origin" in done.stdout
    assert detect(*imported, tmp_path / "vectors").returncode == 2
    good = pictures(tmp_path / "good", 24, red=False, seed=0)
    done = detect(
        "fit", good, "-d", "inappropriate", "--artefact", f"inappropriate={tmp_path / 'vectors'}",
        "--bundle", tiny, "--out", tmp_path / "recipe", "-q",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    shutil.rmtree(tmp_path / "vectors")  # the recipe has its own
    done = detect(good, "--recipe", tmp_path / "recipe", "--out", tmp_path / "run", "-q")
    assert done.returncode in {0, 1}, done.stderr
    records = list(read_records(tmp_path / "run" / "records.jsonl"))
    for record in records:
        (detection,) = record.detections
        assert detection.details["method"] == "Q16 rule, vectors of vectors.npy, resize=squash"
        assert detection.threshold is not None
        assert detection.threshold.n == 24
    # The threshold is one of these scores, so the promise holds exactly here.
    flagged = sum(record.verdict == "flag" for record in records)
    threshold = records[0].detections[0].threshold
    assert threshold is not None
    assert flagged <= 24 * (threshold.rate or 0)


def test_the_embedded_bundle_brings_vectors_and_says_what_they_know(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    from clipvet.detectors import Host

    host = host_with(Inappropriate, bundles=Host.load().bundles)
    pixels = np.random.default_rng(0).integers(0, 256, (96, 96, 3)).astype(np.uint8)
    with Inspector(["inappropriate"], host=host, threads=1) as inspector:
        found = inspector(pixels).detections[0]
        assert any("pictograms of danger and nothing else" in w for w in inspector.warnings)
    assert found.details["method"].startswith("Q16 re-trained (")
    assert 0 <= (found.score or -1) <= 1
    monkeypatch.setattr("clipvet.plugins.inappropriate._detector.EMBEDDED", tmp_path)
    with Inspector(["inappropriate"], host=host, threads=1) as inspector:
        found = inspector(pixels).detections[0]
    assert found.status == "error"
    assert "closed vocabulary of bundle mini" in (found.error or "")


def test_own_prompts_come_before_the_vectors_of_the_package() -> None:
    from clipvet.detectors import Host

    host = host_with(Inappropriate, bundles=Host.load().bundles)
    pixels = np.random.default_rng(0).integers(0, 256, (96, 96, 3)).astype(np.uint8)
    own = {
        "appropriate_prompts": ["a photo of a perfect object"],
        "inappropriate_prompts": ["a photo of a broken object"],
    }
    spec = DetectorSpec(id="inappropriate", options=own)
    with Inspector([spec], host=host, threads=1) as inspector:
        alone = inspector(pixels).detections[0]
        batch = [i.record.detections[0] for i in inspector.map([pixels[::-1], pixels])]
    assert alone.details["method"] == "prompt-pair heuristic (not Q16), 1 own pair"
    assert 0 <= (alone.score or -1) <= 1
    assert batch[1].score == alone.score
