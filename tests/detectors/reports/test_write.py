"""What a report holds, what it never holds, and what it replaces."""

from __future__ import annotations

import base64
import io
import json
import os
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from clipvet.detectors import (
    Combination,
    Heatmap,
    Recipe,
    RecipeError,
    ReportSummary,
    RunFacts,
    RunFolder,
    ThresholdFacts,
    Thumbnail,
    UsageError,
    read_records,
    thumbnail,
    write_report,
)
from tests.report_runs import RANGE, THRESHOLD, HandMade, data_of, recipe_of_two

RECIPE = Path(__file__).parents[3] / "sample_data" / "recipe"


@pytest.fixture
def made(tmp_path: Path) -> HandMade:
    return HandMade(tmp_path / "secret place")


def picture_of(entry: dict[str, object]) -> Image.Image:
    head, _, data = str(entry["picture"]).partition(",")
    assert head == "data:image/webp;base64"
    return Image.open(io.BytesIO(base64.b64decode(data)))


def test_worst_first_with_everything_that_the_record_says(made: HandMade) -> None:
    made.add("a.png", 0.2)
    made.add("b.png", 0.7, verdict="flag")
    made.add_unreadable("c.png")
    made.add("d.png", 0.9, verdict="flag")
    made.add("e.png", 0.3, verdict="abstain")
    made.add("f.png", 0.4, verdict=None, threshold=None, p_value=None)
    summary = write_report(made.write())
    assert isinstance(summary, ReportSummary)
    assert summary.page == made.folder / "report.html"
    assert (summary.images, summary.missing) == (6, 0)
    assert summary.bytes == summary.page.stat().st_size
    report, entries = data_of(summary.page)
    names = [row[0].removeprefix("images/") for row in report["rows"]]
    assert names == ["d.png", "b.png", "e.png", "c.png", "f.png", "a.png"]
    assert report["rows"][0][1:4] == ["flag", "ok", {"0": [0.9, 0.01, "flag", "ok"]}]
    assert entries[0]["reasons"] == ["winclip: 0.9 is above 0.5"]
    (detection,) = entries[0]["detections"]
    assert detection["details"] == [["method", "by hand"], ["reference_score", "0.25"]]
    assert detection["regions"] == [[20, 20, 40, 40, 400, 1.0]]
    assert report["thresholds"][detection["threshold"]]["value"] == 0.5
    assert report["columns"][0]["span"] == list(RANGE)
    assert picture_of(entries[0]).size == (80, 60)
    assert entries[3]["detections"] == []
    assert entries[3]["picture"] is None


def test_several_detectors_rank_by_those_that_gave_the_verdict(made: HandMade) -> None:
    for name, winclip, other in (("a", 0.9, 1.0), ("b", 0.6, 9.0), ("c", 0.7, 5.0)):
        made.add(f"{name}.png", winclip, verdict="flag")
        made.also(detector="vim", score=other, verdict="pass")
    report, _ = data_of(write_report(made.write()).page)
    assert [row[0][-5] for row in report["rows"]] == ["a", "c", "b"]
    assert [row[6] for row in report["rows"]] == [0, 0, 0]


def test_several_answers_of_one_detector_count_as_the_worst(made: HandMade) -> None:
    made.add("a.png", 0.1)
    made.also(detector="winclip", score=0.8, verdict="flag", query={"question": "is it whole?"})
    report, entries = data_of(write_report(made.write()).page)
    assert report["rows"][0][3]["0"][:1] == [0.8]
    assert [one["query"] for one in entries[0]["detections"]] == ["", "question: is it whole?"]


WEIGHTED = ThresholdFacts(
    value=1.5,
    origin="largest F1 on 9 bad and 20 held-out good images, weighted p-values of winclip (1) and "
    "vim (1): no false-alarm promise, it flags 1 of 20 held-out good images",
    rate=None,
    n=20,
)


def add_weighted(made: HandMade, name: str, winclip: float, vim: float, verdict: str) -> None:
    made.add(name, winclip, verdict=None, threshold=None)
    made.records[-1] = made.records[-1].model_copy(update={"verdict": verdict})
    made.also(detector="vim", score=vim, p_value=0.2)
    made.also(detector="quality", task="quality", score=0.2, threshold=THRESHOLD, verdict="pass")
    terms = {"winclip": 2 * winclip, "vim": 2 * vim}
    made.together(winclip + vim, WEIGHTED, combination="weighted", terms=terms)


def test_several_detectors_rank_by_what_they_give_together(made: HandMade) -> None:
    add_weighted(made, "a.png", 0.9, 0.9, "flag")
    add_weighted(made, "b.png", 0.4, 1.5, "flag")
    add_weighted(made, "c.png", 0.8, 0.1, "pass")
    add_weighted(made, "d.png", 0.5, 0.5, "pass")
    report, entries = data_of(write_report(made.write()).page)
    names = [row[0].removeprefix("images/") for row in report["rows"]]
    assert names == ["b.png", "a.png", "d.png", "c.png"]
    # The largest part, and never the gate: it has a verdict, but no say.
    assert [row[6] for row in report["rows"]] == [1, 0, 0, 0]
    runs = [column["histogram"]["run"] for column in report["columns"]]
    counts = [{name: sum(found) for name, found in run.items()} for run in runs]
    assert counts == [{"flag": 2, "pass": 2}, {"flag": 2, "pass": 2}, {"pass": 4}]
    combined = entries[0]["combined"]
    assert (combined["combination"], combined["value"], combined["p"]) == ("weighted", 1.9, 0.05)
    assert combined["terms"] == [["winclip", 0.8], ["vim", 3.0]]
    threshold = report["thresholds"][combined["threshold"]]
    assert (threshold["value"], threshold["rate"]) == (1.5, None)
    assert "no false-alarm promise" in threshold["origin"]


@pytest.mark.parametrize("combination", ["any", "all", "weighted"])
def test_what_detectors_give_together_beside_what_calibrated_it(
    made: HandMade, tmp_path: Path, combination: Combination
) -> None:
    recipe = recipe_of_two(tmp_path / "line3", combination)
    threshold = ThresholdFacts(value=2.0, origin="30 good images", rate=0.1, n=30)
    values = {"flag": [2.5, 40.0], "pass": [0.5, 1.0, 2.0], "abstain": [3.0]}
    for verdict, found in values.items():
        for number, value in enumerate(found):
            made.add(f"{verdict}{number}.png", 0.5, verdict=verdict)
            made.also(detector="vim", score=0.4)
            terms = {"winclip": value, "vim": value}
            made.together(value, threshold, combination=combination, terms=terms)
    made.add("alone.png", 0.5)  # vim gave no score
    folder = made.write(configuration={"recipe": recipe.sha256})
    report, _ = data_of(write_report(folder, recipe=tmp_path / "line3").page)
    together = report["together"]
    assert (together["combination"], together["detectors"]) == (combination, ["winclip", "vim"])
    histogram = together["histogram"]
    counts = {name: sum(bins) for name, bins in histogram["run"].items()}
    assert counts == {name: len(found) for name, found in values.items()}
    # The second half of the held-out images calibrates the statistic.
    assert sum(histogram["good"]) == len(recipe.flagging.values) == 30
    assert histogram["thresholds"] == [2.0]
    known = [float(value) for value in recipe.flagging.values]
    assert histogram["low"] < min(known) < max(known) < 40 < histogram["high"]
    bin_of = [
        int(48 * (v - histogram["low"]) / (histogram["high"] - histogram["low"])) for v in known
    ]
    assert histogram["good"] == [bin_of.count(place) for place in range(48)]


def test_without_two_detectors_there_is_nothing_together(made: HandMade) -> None:
    report, _ = data_of(write_report(with_recipe(made)).page)
    assert report["together"] is None


def test_with_all_the_least_part_decides(made: HandMade) -> None:
    made.add("a.png", 0.9, verdict="flag")
    made.also(detector="vim", score=0.1, verdict="flag")
    terms = {"winclip": 0.7, "vim": 0.6}
    made.together(0.6, THRESHOLD, combination="all", terms=terms)
    made.add("b.png", 0.9, verdict="abstain")
    made.together(0.6, THRESHOLD, combination="all", terms=terms)
    report, entries = data_of(write_report(made.write()).page)
    assert [row[6] for row in report["rows"]] == [1, 0]  # who abstains decides by itself
    assert entries[1]["combined"]["threshold"] == entries[0]["combined"]["threshold"]


def test_maps_keep_a_fixed_range(made: HandMade) -> None:
    record = made.add("a.png")
    grid = np.linspace(-0.5, 1.5, 12, dtype=np.float32).reshape(3, 4)
    file = made.folder / str(record.detections[0].heatmap and record.detections[0].heatmap.file)
    Heatmap(grid=grid, box=(8, 6, 72, 54), image_size=(80, 60)).save_npz(file)
    _, entries = data_of(write_report(made.write()).page)
    heat = entries[0]["detections"][0]["heat"]
    steps = np.frombuffer(base64.b64decode(heat["steps"]), np.uint8).reshape(3, 4)
    np.testing.assert_array_equal(steps, np.rint(np.clip(grid, 0, 1) * 255).astype(np.uint8))
    assert heat["box"] == [0.1, 0.1, 0.9, 0.9]


def test_large_maps_keep_their_peaks(made: HandMade) -> None:
    record = made.add("a.png")
    grid = np.zeros((300, 400), np.float32)
    grid[17, 399] = 1.0
    file = made.folder / str(record.detections[0].heatmap and record.detections[0].heatmap.file)
    Heatmap(grid=grid, box=(0, 0, 80, 60), image_size=(80, 60)).save_npz(file)
    _, entries = data_of(write_report(made.write()).page)
    heat = entries[0]["detections"][0]["heat"]
    assert (heat["rows"], heat["columns"]) == (64, 64)
    steps = np.frombuffer(base64.b64decode(heat["steps"]), np.uint8).reshape(64, 64)
    assert [tuple(place) for place in np.argwhere(steps)] == [(3, 63)]
    assert steps[3, 63] == 255


def test_the_page_loads_nothing(made: HandMade) -> None:
    made.add("a.png")
    page = write_report(made.write()).page.read_text("utf-8")
    policy = re.search(r'Content-Security-Policy" content="([^"]*)"', page)
    assert policy is not None
    assert policy[1].startswith("default-src &#39;none&#39;; script-src &#39;sha256-")
    assert "unsafe" not in policy[1]
    assert re.findall(r"<(?:link|iframe|object|embed|base|form)\b", page) == []
    assert re.findall(r'\bsrc="', page) == []
    assert set(re.findall(r"https?://[^\s\"']+", page)) == {"http://www.w3.org/2000/svg"}


def test_no_folder_of_the_machine_reaches_the_page(made: HandMade, tmp_path: Path) -> None:
    made.add_unreadable("broken.png")
    made.add("a.png", details={"method": f"weights of {tmp_path}/w.bin"}, error=f"{tmp_path}/e/f")
    folder = made.write(
        problems=[f"{made.images}/locked: cannot be listed"],
        warnings=[f"reference left out: {tmp_path / 'elsewhere' / 'r.png'}: empty"],
        recipe_folder=str(tmp_path / "line3"),
        configuration={
            "recipe": "0" * 64,
            "detectors": [{"id": "winclip", "options": {"list": "/home/john/words/w.txt"}}],
        },
        bundles={"b": {"id": "/opt/models/b-16", "sha256": "1" * 64, "licence": "MIT"}},
    )
    page = write_report(folder).page.read_text("utf-8")
    for secret in (str(tmp_path), "secret place", "/home/john", "/opt/models"):
        assert secret not in page
    assert "images/broken.png: it holds text" in page
    assert "images/locked: cannot be listed" in page
    assert "…/w.txt" in page


@pytest.mark.parametrize(
    "name", ["</script><img src=x onerror=alert(1)>.png", "<!--.png", "{{7*7}}"]
)
def test_names_cannot_leave_their_block(made: HandMade, name: str) -> None:
    made.add(name.replace("/", "\N{DIVISION SLASH}"), details={"method": name})
    made.also(detector=f"<b>{name}", status="error", error=name)
    page = write_report(made.write(warnings=[name], sources={"images": str(made.images)})).page
    report, entries = data_of(page)
    assert entries[0]["detections"][0]["details"] == [["method", name]]
    assert report["columns"][1]["id"] == f"<b>{name}"
    text = page.read_text("utf-8")
    assert "<img" not in text
    assert "<b>" not in text
    assert text.count("<!--") == 0
    assert text.lower().count("<script") == text.lower().count("</script>") == len(entries) + 3


def test_an_original_that_is_gone_leaves_what_the_run_kept(made: HandMade) -> None:
    made.add("overlay.png", 0.9, verdict="flag", overlay=True)
    made.add("heatmap.png", 0.8, verdict="flag")
    made.add("nothing.png", 0.7, verdict="flag", heatmap=None)
    made.add("changed.png", 0.1)
    for name in ("overlay.png", "heatmap.png", "nothing.png"):
        (made.images / name).unlink()
    Image.new("RGB", (80, 60)).save(made.images / "changed.png")
    summary = write_report(made.write())
    assert summary.missing == 4
    _, (overlay, heatmap, nothing, changed) = data_of(summary.page)
    assert overlay["missing"] == "is no longer there"
    assert picture_of(overlay).size[1] > picture_of(overlay).size[0] * 60 / 80  # with its legend
    assert (heatmap["picture"], heatmap["detections"][0]["heat"]["rows"]) == (None, 3)
    assert (nothing["picture"], nothing["detections"][0]["heat"]) == (None, None)
    assert changed["missing"] == "has changed since the run"


def test_a_touched_original_is_known_by_its_content(made: HandMade) -> None:
    made.add("a.png")
    os.utime(made.images / "a.png", ns=(1, 1))
    assert write_report(made.write()).missing == 0


def test_pictures_for_a_report_of_ones_own(made: HandMade) -> None:
    record, gone = made.add("a.png"), made.add("b.png")
    facts = RunFacts.read(made.write())
    (made.images / "b.png").unlink()
    found = thumbnail(record.image, facts, side=40)
    assert (found.size, found.reason) == ((40, 30), None)
    assert found.webp is not None
    assert Image.open(io.BytesIO(found.webp)).size == found.size
    assert thumbnail(gone.image, facts) == Thumbnail(reason="is no longer there")


def test_a_record_cannot_name_a_file_outside_of_the_run(made: HandMade) -> None:
    record = made.add("a.png", overlay=True)
    outside = made.folder.parent / "outside.png"
    shutil.copy(made.folder / "overlays/0000.png", outside)
    (made.images / "a.png").unlink()
    heatmap = record.detections[0].heatmap
    assert heatmap is not None
    names = {"overlay": "overlays/../../outside.png", "file": "../images/x.npz"}
    one = record.detections[0].model_copy(update={"heatmap": heatmap.model_copy(update=names)})
    made.records = [record.model_copy(update={"detections": (one,)})]
    _, (entry,) = data_of(write_report(made.write()).page)
    assert (entry["picture"], entry["detections"][0]["heat"]) == (None, None)


def test_sensitive_pictures(made: HandMade) -> None:
    for name, verdict in (("flag", "flag"), ("pass", "pass"), ("none", None)):
        made.add(f"{name}.png", 0.9, verdict=verdict)
        made.also(detector="inappropriate", task="safety", score=0.9, verdict=verdict)
    folder = made.write()
    report, clear = data_of(write_report(folder).page)
    assert {row[0][7:-4]: row[5] for row in report["rows"]} == {"flag": 1, "pass": 0, "none": 1}
    assert report["blurred"] is False
    report, blurred = data_of(write_report(folder, blur=True).page)
    assert report["blurred"] is True

    def detail(entry: dict[str, object]) -> float:
        pixels = np.asarray(picture_of(entry).convert("L"), float)
        return float(np.abs(np.diff(pixels, axis=1)).mean())

    for before, after, row in zip(clear, blurred, report["rows"], strict=True):
        assert (detail(after) < 0.9 * detail(before)) is bool(row[5])


def with_recipe(made: HandMade, recipe: Path = RECIPE) -> Path:
    for number, score in enumerate((0.01, 0.015, 0.03)):
        verdict = "flag" if score > 0.02 else "pass"
        made.add(f"{number}.png", score, verdict=verdict, threshold=None, detector="patchcore")
    return made.write(
        configuration={"recipe": Recipe.load(RECIPE).sha256}, recipe_folder=str(recipe)
    )


def test_scores_beside_those_that_calibrated_the_recipe(made: HandMade) -> None:
    summary = write_report(with_recipe(made))
    report, _ = data_of(summary.page)
    histogram = report["columns"][0]["histogram"]
    assert sum(histogram["good"]) == Recipe.load(RECIPE).calibrations["patchcore"].n
    assert {name: sum(counts) for name, counts in histogram["run"].items()} == {
        "flag": 1,
        "pass": 2,
    }
    assert "45 good images that recipe" in summary.note


def test_without_the_recipe_against_the_run_itself(made: HandMade, tmp_path: Path) -> None:
    folder = with_recipe(made, tmp_path / "moved away")
    summary = write_report(folder)
    assert "is not where it was, or has changed" in summary.note
    assert data_of(summary.page)[0]["columns"][0]["histogram"]["good"] is None
    assert "45 good images" in write_report(folder, recipe=RECIPE).note


def test_a_run_without_a_recipe_says_so(made: HandMade) -> None:
    made.add("a.png")
    assert "it had no recipe" in write_report(made.write()).note


def test_another_recipe_is_refused(made: HandMade, tmp_path: Path) -> None:
    made.add("a.png")
    folder = made.write(configuration={"recipe": "0" * 64})
    with pytest.raises(UsageError, match="is not the recipe of this run"):
        write_report(folder, recipe=RECIPE)
    folder = made.write(configuration={"recipe": None, "bundles": {"b": "1" * 64}})
    with pytest.raises(UsageError, match="which this run did not use"):
        write_report(folder, recipe=RECIPE)
    with pytest.raises(RecipeError, match="not a recipe"):
        write_report(folder, recipe=tmp_path)
    assert not (folder / "report.html").exists()


def test_a_damaged_recipe_of_the_run_costs_the_histograms_only(
    made: HandMade, tmp_path: Path
) -> None:
    copy = tmp_path / "line3"
    shutil.copytree(RECIPE, copy)
    (copy / "calibrations/patchcore.json").write_text("{}")
    folder = with_recipe(made, copy)
    assert "has changed" in write_report(folder).note
    with pytest.raises(RecipeError):
        write_report(folder, recipe=copy)


def test_a_folder_holds_pictures_as_files(made: HandMade) -> None:
    made.add("a.png", 0.9, verdict="flag")
    made.add("b.png", 0.1)
    made.add_unreadable("c.png")
    summary = write_report(made.write(), folder=True)
    assert summary.page == made.folder / "report" / "index.html"
    _, entries = data_of(summary.page)
    assert [entry["picture"] for entry in entries] == [
        "pictures/000000.webp", None, "pictures/000002.webp",
    ]  # fmt: skip
    with Image.open(summary.page.parent / "pictures/000002.webp") as picture:
        assert picture.size == (80, 60)
    del made.records[1]
    summary = write_report(made.write(), folder=True)
    assert [path.name for path in (made.folder / "report/pictures").iterdir()] == ["000000.webp"]


def test_a_report_replaces_a_report_and_nothing_else(made: HandMade, tmp_path: Path) -> None:
    made.add("a.png")
    folder = made.write()
    first = write_report(folder).page.read_bytes()
    made.add("b.png")
    assert write_report(made.write()).page.read_bytes() != first
    notes = tmp_path / "notes.html"
    notes.write_text("mine")
    with pytest.raises(UsageError, match="is no report in a file"):
        write_report(folder, out=notes)
    with pytest.raises(UsageError, match="is no report in a file"):
        write_report(folder, out=tmp_path)
    with pytest.raises(UsageError, match="is no report in a folder"):
        write_report(folder, out=tmp_path, folder=True)
    assert notes.read_text() == "mine"
    write_report(folder, out=tmp_path / "new" / "page.html")
    assert sorted(path.name for path in (tmp_path / "new").iterdir()) == ["page.html"]


def test_fresh_removes_reports_and_no_other_file(made: HandMade) -> None:
    made.add("a.png")
    folder = made.write()
    write_report(folder)
    write_report(folder, folder=True)
    state = json.loads((folder / "run.json").read_text())
    assert state["files"] == ["records.jsonl", "report.html", "report/index.html"]
    (folder / "report/mine.txt").write_text("mine")
    with RunFolder.open(folder, {}, fresh=True):
        pass
    assert not (folder / "report.html").exists()
    assert [path.name for path in (folder / "report").iterdir()] == ["mine.txt"]
    (folder / "report.html").write_text("mine, too")
    with RunFolder.open(folder, {}, fresh=True):
        pass
    assert (folder / "report.html").read_text() == "mine, too"


def test_a_run_that_goes_on(made: HandMade) -> None:
    made.add("a.png")
    folder = made.write(status="running")
    with (folder / "records.jsonl").open("ab") as file:
        file.write(b'{"schema": "clipvet.reco')
    page = write_report(folder).page.read_text("utf-8")
    assert "The run is running: this shows what it had judged." in page
    assert "Lines of records.jsonl that cannot be read: 1." in page


def test_nothing_to_report(tmp_path: Path, made: HandMade) -> None:
    with pytest.raises(UsageError, match="is no run folder"):
        write_report(tmp_path)
    with pytest.raises(UsageError, match="holds no record"):
        write_report(made.write())
    (made.folder / "records.jsonl").unlink()
    with pytest.raises(UsageError, match="cannot be read"):
        write_report(made.folder)


def test_the_records_stay_as_they_are(made: HandMade) -> None:
    made.add("a.png", 0.9, verdict="flag")
    folder = made.write()
    write_report(folder)
    assert list(read_records(folder / "records.jsonl")) == made.records
