"""A recipe whose threshold bad images chose, through every command: it promises no rate."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from clipvet.cli._main import run_command
from clipvet.detectors import Evaluation, read_records
from tests.report_runs import data_of
from tests.runs import picture, save_pictures


def save_bad(folder: Path, count: int, *, first: int) -> Path:
    folder.mkdir(parents=True)
    for seed in range(first, first + count):
        pixels = picture(seed).copy()
        pixels[5:25, 5:30] = 255
        Image.fromarray(pixels).save(folder / f"{seed}.png")
    return folder


@pytest.mark.parametrize("combination", ["any", "weighted"])
def test_no_rate_where_none_is_promised(
    tiny: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    combination: str,
) -> None:
    monkeypatch.setenv("CLIPVET_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("CLIPVET_PLUGINS_DIR", str(tmp_path / "no plugins"))
    good = save_pictures(tmp_path / "good", 24)
    bad = save_bad(tmp_path / "bad", 4, first=300)
    save_pictures(tmp_path / "test" / "good", 4, first=100)
    save_bad(tmp_path / "test" / "hole", 3, first=400)

    def detect(*arguments: object) -> str:
        code = run_command([str(argument) for argument in arguments])
        said = capsys.readouterr()
        assert code in (0, 1), said.err
        return said.out + said.err

    recipe, out = tmp_path / "line", tmp_path / "run"
    chosen = ["--bad", bad, "--threshold", "max-f1", "--combine", combination]
    machine = ["-d", "winclip", "-d", "vim", "--bundle", tiny, "--device", "cpu"]
    said = [detect("fit", good, "--out", recipe, *chosen, *machine)]
    files = ["--heatmaps", "overlay", "--format", "csv"]
    said.append(detect("run", tmp_path / "test", "--recipe", recipe, "--out", out, *files))
    said.append(detect("report", out))
    tested = ["eval", tmp_path / "test", "--recipe", recipe, "--draws", 20]
    said.append(detect(*tested))
    said.append(detect(*tested, "--json"))
    said.append(detect("doctor", "--recipe", recipe))

    assert "promise    none: largest F1 on 4 bad and" in said[0]
    assert "no share of false alarms is promised" in said[3]
    assert Evaluation.from_json(said[4]).promised_rate is None
    records = list(read_records(out / "records.jsonl"))
    assert len(records) == 7
    for record in records:
        assert record.combined is not None
        assert record.combined.threshold.rate is None
        assert (record.verdict == "flag") == (
            record.combined.value > record.combined.threshold.value
        )
        assert all(one.threshold is None or one.threshold.rate is None for one in record.detections)
    flagged = [record for record in records if record.verdict == "flag"]
    assert flagged
    assert all("no false-alarm promise" in record.reasons[-1] for record in flagged)
    report, entries = data_of(out / "report.html")
    assert {one["rate"] for one in report["thresholds"]} == {None}
    assert all(entry["combined"]["combination"] == combination for entry in entries)
    texts = [*said, (out / "records.csv").read_text("utf-8"), (out / "report.html").read_text()]
    assert not [found for text in texts for found in re.findall(r"(?i)(?:none|null|nan) ?%", text)]
    overlay = next((out / "overlays").rglob("*.png"))
    with Image.open(overlay) as drawn:
        assert np.ptp(np.asarray(drawn)) > 0
