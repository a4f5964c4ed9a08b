from __future__ import annotations

import json
import subprocess
from importlib import metadata
from pathlib import Path

import jsonschema
import numpy as np
import pytest
from PIL import Image

from clipvet.detectors import Recipe, read_records, record_schema
from tests.conftest import Detect
from tests.runs import save_pictures


@pytest.fixture
def parts(tmp_path: Path) -> Path:
    return save_pictures(tmp_path / "parts", 3)


def test_paths_alone_mean_run_and_images_score_each_other(
    detect: Detect, tiny: Path, tmp_path: Path
) -> None:
    done = detect(save_pictures(tmp_path / "parts", 6), "--bundle", tiny)
    assert done.returncode == 0, done.stderr
    (out,) = (tmp_path / "clipvet-runs").iterdir()
    records = list(read_records(out / "records.jsonl"))
    assert [[one.detector for one in r.detections] for r in records] == [["mutual", "quality"]] * 6
    for words in (
        "6 images: 6 not judged",
        "highest scores of mutual",
        "mutual compared 6 images with each other",
        "6 images scored, none judged: fit a recipe with `detect fit GOOD/ --out RECIPE`",
        "say what it is with --object",
        "bundle tiny-gelu: Random weights for tests: its scores mean nothing.",
        f"clipvet-runs/{out.name}/overlays",
    ):
        assert words in " ".join(done.stdout.split()), words
    assert "6 of 6 images, 0 flagged, 0 failed" in done.stderr


def test_too_few_images_to_score_each_other_are_said(
    detect: Detect, tiny: Path, parts: Path
) -> None:
    done = detect(parts, "--bundle", tiny)
    assert done.returncode == 0, done.stderr
    assert "takes at least 4 others to compare with" in " ".join(done.stdout.split())


def test_json_is_records_alone(detect: Detect, tiny: Path, parts: Path, tmp_path: Path) -> None:
    arguments = ("run", parts, "--bundle", tiny, "--json", "--out", "o", "--object", "bolt")
    for _ in range(2):  # a resumed run prints them all again
        done = detect(*arguments)
        records = [json.loads(line) for line in done.stdout.splitlines()]
        assert [r["image"]["id"] for r in records] == [
            "parts/000.png", "parts/002.png", "parts/sub/001.png",
        ]  # fmt: skip
        for record in records:
            jsonschema.validate(record, record_schema())
            assert record["detections"][0]["details"]["object"] == "bolt"
        assert "none judged" in " ".join(done.stderr.split())


def test_options_reach_the_detector(detect: Detect, tiny: Path, parts: Path) -> None:
    done = detect(
        parts, "-d", "winclip", "--bundle", tiny, "--set", "winclip.scales=[2]",
        "--set", "winclip.prompt_pooling=unit_mean", "--tile", "20", "--overlap", "4",
        "--roi", "0,0,40,30", "--json", "-q", "--heatmaps", "npz", "--format", "csv", "--out", "o",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    record = json.loads(done.stdout.splitlines()[0])
    details = record["detections"][0]["details"]
    assert details["method"] == "WinCLIP zero-shot (prompt_pooling=unit_mean, scales=2)"
    assert len(details["worst_view"]) == 4
    assert (parts.parent / "o" / "records.csv").is_file()


@pytest.mark.parametrize("end", ["\n", "\0"])
def test_paths_from_stdin(detect: Detect, tiny: Path, parts: Path, end: str) -> None:
    listed = end.join([str(parts / "000.png"), str(parts / "sub"), str(parts / "none.png")])
    done = detect(
        "-0" if end == "\0" else "-", "-d", "winclip", "--bundle", tiny, "-q", "--json", text=listed
    )
    assert done.returncode == 3, done.stderr
    statuses = [json.loads(line)["status"] for line in done.stdout.splitlines()]
    assert statuses == ["ok", "ok", "unreadable"]


def test_bad_files_give_3_and_their_reasons(detect: Detect, tiny: Path, parts: Path) -> None:
    (parts / "empty.png").touch()
    done = detect(parts, "--bundle", tiny, "--out", "o")
    assert done.returncode == 3
    words = " ".join(done.stdout.split())
    assert "4 images: 3 not judged, 1 error" in words
    assert "empty.png: the file is empty" in words
    assert "o/failures.jsonl" in words
    assert detect(parts, "--bundle", tiny, "--out", "o", "--exit-zero").returncode == 0


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["rum"], 2, "'rum' is neither a command nor an existing path, did you mean 'run'?"),
        (["zzz/a.png"], 2, "'zzz/a.png' is neither a command nor an existing path; commands are"),
        (["run", "--frobnicate"], 2, "No such option: --frobnicate"),
        (["run"], 2, "no images: give files or folders"),
        (["run", "none"], 2, "none: no such file or folder"),
        (["run", ".", "-d", "winclop"], 2, "there is no detector 'winclop'"),
        (
            ["run", ".", "-d", "winclip", "--set", "winclip.x=1"],
            2,
            "winclip.x: there is no such option",
        ),
        (["run", ".", "--set", "x"], 2, "write id.option=value"),
        (["run", ".", "--roi", "1,2,3"], 2, "is not a box"),
        (["run", ".", "--overlap", "3"], 2, "--overlap belongs to --tile"),
        (["run", ".", "--batch", "0"], 2, "should be greater than or equal to 1"),
        (["run", ".", "-"], 2, "not from both"),
        (["run", ".", "--bundle", "nowhere"], 4, "there is no bundle named 'nowhere'"),
        (["run", ".", "--recipe", "nowhere"], 4, "nowhere"),
        (["run", ".", "--recipe", "r", "--artefact", "a=b"], 2, "this run has no detector 'a'"),
        (["run", ".", "--questions", "none.jsonl"], 2, "--questions none.jsonl: cannot be read"),
        (["run", ".", "-d", "winclip", "--artefact", "winclip"], 2, "write id=folder"),
        (["run", ".", "--artefact", "vim=."], 2, "this run has no detector 'vim' (-d vim)"),
        (["run", ".", "-d", "winclip", "--artefact", "winclip=zzz"], 2, "zzz is no folder"),
        (["run", ".", "--idle", "1"], 2, "--idle and --settle belong to --watch"),
        (["run", ".", "--every", "2"], 2, "frames are chosen from videos and cameras"),
        (["run", ".", "--regions", "coco"], 2, "regions take a recipe"),
        (["run", ".", "--files-from", "x"], 2, "not from both"),
        (["run", "--files-from", "none"], 2, "--files-from none: cannot be read"),
        (["run", ".", "-0"], 2, "-0 tells how listed paths end"),
        (["run", "none", "--watch"], 2, "none is no folder: only folders can be watched"),
        (["nothing/*.png"], 2, "nothing/*.png: no image matches this pattern"),
        (["camera:1", "."], 2, "camera:1 never ends: run it alone"),
    ],
)
@pytest.mark.usefixtures("parts")
def test_one_line_and_the_right_code(
    detect: Detect, tiny: Path, arguments: list[str], code: int, words: str
) -> None:
    if "--bundle" not in arguments and "--recipe" not in arguments and "." in arguments:
        arguments = [*arguments, "--bundle", str(tiny)]
    done = detect(*arguments)
    assert done.returncode == code, done.stderr
    assert words in done.stderr
    assert done.stderr.startswith("detect: ")
    assert len(done.stderr.splitlines()) == 1, done.stderr
    assert done.stdout == ""


def test_a_folder_that_is_no_run_is_left_alone(detect: Detect, tiny: Path, parts: Path) -> None:
    done = detect(parts, "--bundle", tiny, "--out", parts, "--fresh")
    assert done.returncode == 2
    assert "not empty and not a run folder" in done.stderr
    assert (parts / "000.png").exists()


def test_version_by_any_way(detect: Detect) -> None:
    for arguments in (["--version"], ["--debug", "--version"], ["--version", "run"]):
        assert detect(*arguments).stdout == f"detect {metadata.version('clipvet')}\n"


def test_debug_shows_where(detect: Detect) -> None:
    for arguments in (["--debug", "run", "none"], ["run", "none", "--debug"]):
        done = detect(*arguments)
        assert done.returncode == 2
        assert "Traceback" in done.stderr


def test_a_bug_is_70(detect: Detect, tiny: Path, parts: Path, environment: dict[str, str]) -> None:
    (parts.parent / "sitecustomize.py").write_text(
        "import clipvet.cli._progress as p\n"
        "def broken(*, quiet): raise LookupError('of nothing')\n"
        "p.progress_display = broken\n"
    )
    own = {**environment, "PYTHONPATH": str(parts.parent)}
    done = detect(parts, "--bundle", tiny, env=own)
    assert done.returncode == 70
    assert done.stderr.splitlines()[-1].startswith("detect: unexpected LookupError: of nothing")


def test_a_closed_stdout_is_141(
    command: str, environment: dict[str, str], tiny: Path, tmp_path: Path
) -> None:
    parts = save_pictures(tmp_path / "many", 40)
    with subprocess.Popen(
        [command, "run", str(parts), "--bundle", str(tiny), "--json", "-q", "--out", "o"],
        cwd=tmp_path, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    ) as process:  # fmt: skip
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.readline()
        process.stdout.close()
        errors = process.stderr.read()
        assert process.wait(60) == 141
    assert errors == ""


def test_help_lists_every_command_and_option_without_plugins(
    detect: Detect, environment: dict[str, str]
) -> None:
    own = {**environment, "CLIPVET_PLUGINS_STRICT": "1", "CLIPVET_PLUGINS": "no-such-plugin"}
    done = detect("--help", env=own)
    assert done.returncode == 0, done.stderr
    for name in ("run", "fit", "bundles", "plugins", "doctor", "schema", "x"):
        assert f" {name} " in done.stdout
    done = detect("run", "--help", env=own)
    assert done.returncode == 0
    for option in (
        "--detector", "--recipe", "--bundle", "--set", "--object", "--classes", "--references",
        "--roi", "--tile", "--overlap", "--out", "--device", "--batch", "--workers", "--heatmaps",
        "--format", "--fresh", "--all-files", "--exit-zero", "--json", "--quiet", "--verify",
        "--watch", "--idle", "--settle", "--every", "--fps", "--reconnect", "--files-from",
        "--null", "--regions",
    ):  # fmt: skip
        assert option in done.stdout, option


def test_schema_is_the_schema(detect: Detect) -> None:
    assert json.loads(detect("schema").stdout) == record_schema()


def test_a_path_that_looks_like_a_command_takes_a_prefix(
    detect: Detect, tiny: Path, tmp_path: Path
) -> None:
    save_pictures(tmp_path / "doctor", 1)
    done = detect("./doctor", "--bundle", tiny, "--json", "-q")
    assert json.loads(done.stdout)["image"]["id"] == "doctor/000.png"


def test_an_image_alone_scores_as_in_company(detect: Detect, tiny: Path, parts: Path) -> None:
    def scores(*paths: Path) -> dict[str, object]:
        done = detect(*paths, "--bundle", tiny, "--json", "-q", "--heatmaps", "npz")
        records = [json.loads(line) for line in done.stdout.splitlines()]
        return {r["image"]["id"]: r["detections"][0]["score"] for r in records}

    files = [parts / "003.png", parts / "000.png", parts / "004.png", parts / "002.png"]
    save_pictures(parts, 2, first=3)
    (parts / "sub" / "004.png").rename(parts / "004.png")
    together = scores(*files)
    assert len(together) == 4
    for file in files:
        name = f"parts/{file.name}"
        assert scores(file)[name] == together[name]


def test_a_recipe_gives_verdicts(detect: Detect, tiny: Path, tmp_path: Path) -> None:
    good = save_pictures(tmp_path / "good", 26)
    chosen = ["-d", "winclip", "--object", "cloth"]
    fitted = detect("fit", good, "--out", "recipe", "--bundle", tiny, *chosen)
    assert fitted.returncode == 0, fitted.stderr
    new = save_pictures(tmp_path / "new", 3, first=30)
    Image.fromarray(np.zeros((30, 40, 3), np.uint8)).save(new / "black.png")
    done = detect(new, "--recipe", "recipe", "--json", "--out", "o")
    records = {r["image"]["id"]: r for r in map(json.loads, done.stdout.splitlines())}
    recipe = Recipe.load(tmp_path / "recipe")
    threshold = recipe.thresholds["winclip"]
    for record in records.values():
        (one,) = record["detections"]
        flagged = one["score"] > threshold.value
        assert record["verdict"] == ("flag" if flagged else "pass")
        assert one["threshold"]["value"] == threshold.value
        assert "good images" in one["threshold"]["origin"]
        assert tuple(one["heatmap"]["range"]) == recipe.heatmap_range("winclip")
        assert one["details"]["object"] == "cloth"
    flags = sum(record["verdict"] == "flag" for record in records.values())
    assert done.returncode == (1 if flags else 0)
    assert flags >= 1, "a black picture passed among textures"
    assert "not judged" not in done.stderr
    assert detect(new, "--recipe", "recipe", "--object", "x").returncode == 2
