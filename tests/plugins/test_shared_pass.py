"""All built-in detectors on one pass, from the command line."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from clipvet.detectors import Host, read_records

ROOT = Path(__file__).parents[2]
SETTINGS = {"vim": "vim.method=energy"}


def test_every_view_is_encoded_once_whatever_asks(tmp_path: Path) -> None:
    classes = tmp_path / "classes.txt"
    classes.write_text("connector\ngear\nbottle\n")
    builtin = {entry.id for entry in Host.load().detectors.values() if entry.dist == "clipvet"}
    ids = sorted(builtin)
    in_recipe = {"patchcore", "quality"}
    assert len(ids) >= 4
    command = [
        str(Path(sys.executable).with_name("detect")),
        str(ROOT / "sample_data/mixed"),
        *("--recipe", str(ROOT / "sample_data/recipe")),
        *("--questions", str(ROOT / "sample_data/questions.jsonl")),
        *("--classes", str(classes)),
        *(word for name in ids if name not in in_recipe for word in ("-d", name)),
        *(word for name in ids if name in SETTINGS for word in ("--set", SETTINGS[name])),
        *("--out", str(tmp_path / "run"), "--heatmaps", "none", "-q"),
    ]
    done = subprocess.run(command, capture_output=True, text=True, timeout=280, check=False)
    assert done.returncode in {1, 3}, done.stderr
    records = [r for r in read_records(tmp_path / "run/records.jsonl") if r.status == "ok"]
    state = json.loads((tmp_path / "run/run.json").read_text())
    assert state["encoder_calls"] == len(records) > 8
    for record in records:
        found = {one.detector: one.status for one in record.detections}
        assert found == dict.fromkeys(ids, "ok"), record.image.id
        verdicts = {one.verdict for one in record.detections if one.detector in in_recipe}
        assert record.verdict == next(v for v in ("abstain", "flag", "pass") if v in verdicts)
        for one in record.detections:
            if one.detector not in in_recipe:
                assert one.domain is not None
                assert one.domain.inside is not None
                world = one.task in {"ood", "safety", "vqa"}
                limit = one.domain.inside if world else one.domain.threshold
                assert one.verdict == ("abstain" if one.domain.score > limit else None)
