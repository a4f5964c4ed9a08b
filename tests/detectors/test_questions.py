from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from clipvet.detectors import (
    DetectorSpec,
    FitConfig,
    Query,
    Questions,
    RunConfig,
    UsageError,
    fit,
    run,
)
from clipvet.detectors.testing import FakeRuntime
from tests.runs import EVERYTHING, save_pictures

FAKE: dict[str, Any] = {"host": EVERYTHING, "runtime_factory": FakeRuntime}
ROWS = [
    {"image": "a/7.png", "question": "Is it red?", "choices": ["yes", "no"], "answer": "no"},
    {"question": "How many?"},
    {"image": "7.png", "question": "Is it blue?"},
]


def written(path: Path, text: str) -> Path:
    path.write_text(text, encoding="utf-8")
    return path


def lines(rows: Any) -> str:
    return "".join(json.dumps(row) + "\n" for row in rows)


def records_of(out: Path) -> list[Any]:
    return [json.loads(line) for line in (out / "records.jsonl").read_text().splitlines()]


@pytest.mark.parametrize("kind", ["jsonl", "csv"])
def test_a_question_belongs_to_the_images_whose_ids_end_so(kind: str, tmp_path: Path) -> None:
    table = "image,question,choices,note\n"
    table += "a/7.png,Is it red?,yes|no,x\n,How many?,,\n7.png,Is it blue?,,\n"
    text = lines(ROWS) if kind == "jsonl" else table
    questions = Questions.read(written(tmp_path / f"q.{kind}", text))
    base = Query(object="bolt")
    red = Query(object="bolt", question="Is it red?", choices=("yes", "no"))
    many = Query(object="bolt", question="How many?")
    blue = Query(object="bolt", question="Is it blue?")
    assert questions.of("line/a/7.png", base) == (red, many, blue)
    assert questions.of("line/b/7.png", base) == (many, blue)
    assert questions.of("line/17.png", base) == (many,)


def test_an_image_without_a_question_is_asked_the_rest(tmp_path: Path) -> None:
    questions = Questions.read(written(tmp_path / "q.jsonl", lines(ROWS[:1])))
    assert questions.of("x/8.png", Query(object="nut")) == (Query(object="nut"),)


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("q.jsonl", "", "there is no question in it"),
        ("q.jsonl", '{"question": "a?"}\nnot json\n', "line 2: it is no JSON"),
        ("q.jsonl", '\n{"image": "a.png"}\n', "line 2: question: Field required"),
        ("q.jsonl", '{"question": "  "}\n', "line 1: question: String should have at least 1"),
        ("q.jsonl", '{"question": "a?", "choices": ["x", ""]}', "line 1: choices: a choice is emp"),
        ("q.jsonl", '["a?"]', "line 1: the line: Input should be"),
        ("q.csv", "image,text\na.png,b\n", "line 2: question: Field required"),
        ("q.csv", 'question\n"a?\n', "unexpected end of data"),
    ],
)
def test_a_bad_file_is_named_with_its_line(name: str, text: str, said: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="--questions ") as caught:
        Questions.read(written(tmp_path / name, text))
    assert said in str(caught.value)


def test_bytes_that_are_no_text(tmp_path: Path) -> None:
    (tmp_path / "q.jsonl").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(UsageError, match="cannot be read as text"):
        Questions.read(tmp_path / "q.jsonl")


def test_a_run_asks_each_image_its_questions_and_says_which_were_left(tmp_path: Path) -> None:
    parts = save_pictures(tmp_path / "parts", 3)
    rows = [
        {"image": "001.png", "question": "One?"},
        {"image": "001.png", "question": "Two?"},
        {"image": "gone.png", "question": "Who?"},
    ]
    questions = Questions.read(written(tmp_path / "q.jsonl", lines(rows)))
    config = RunConfig(
        sources=[parts],
        out=tmp_path / "run",
        specs=[DetectorSpec(id="questioner")],
        questions=questions,
    )
    summary = run(config, **FAKE)
    records = records_of(tmp_path / "run")
    asked = {
        r["image"]["id"].rpartition("/")[2]: [d["query"].get("question") for d in r["detections"]]
        for r in records
    }
    assert asked == {"000.png": [None], "001.png": ["One?", "Two?"], "002.png": [None]}
    said = "1 of 3 questions was not asked: this run has no image gone.png"
    assert said in summary.warnings
    assert said in json.loads((tmp_path / "run/run.json").read_text())["warnings"]
    others = Questions.read(written(tmp_path / "other.jsonl", lines(rows[:1])))
    with pytest.raises(UsageError, match=r"questions|configuration"):
        run(RunConfig(**{**vars(config), "questions": others}), **FAKE)


@pytest.fixture(scope="module")
def recipe(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("beside")
    good = save_pictures(folder / "good", 30)
    config = FitConfig(sources=(good,), out=folder / "recipe", specs=(DetectorSpec(id="energy"),))
    return fit(config, **FAKE).out


def test_detectors_beside_a_recipe_change_no_verdict(recipe: Path, tmp_path: Path) -> None:
    parts = save_pictures(tmp_path / "parts", 4)
    verdicts = []
    extra = [DetectorSpec(id="energy"), DetectorSpec(id="troubled"), DetectorSpec(id="asker")]
    for name, specs in (("alone", []), ("beside", extra)):
        config = RunConfig(
            sources=[parts],
            out=tmp_path / name,
            recipe=recipe,
            specs=specs,
            query=Query(classes=("a", "b")) if specs else Query(),
        )
        run(config, **FAKE)
        records = records_of(tmp_path / name)
        verdicts.append([record["verdict"] for record in records])
    assert verdicts[0] == verdicts[1]
    assert [d["detector"] for d in records[0]["detections"]] == ["energy", "troubled", "asker"]
    assert records[0]["detections"][2]["score"] == 2


def test_what_a_recipe_holds_is_not_set_again(recipe: Path, tmp_path: Path) -> None:
    parts = save_pictures(tmp_path / "parts", 1)
    config = RunConfig(
        sources=[parts],
        out=tmp_path / "run",
        recipe=recipe,
        specs=[DetectorSpec(id="energy", artefact=tmp_path)],
    )
    with pytest.raises(UsageError, match="fixes options, bundle and artefact of its energy"):
        run(config, **FAKE)
