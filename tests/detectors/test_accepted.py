"""Reviewed false alarms: verified, learned from, and never calibrating."""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from clipvet.detectors import (
    Accepted,
    DetectorSpec,
    FitConfig,
    FitSummary,
    GroupBy,
    Photograph,
    Record,
    RunConfig,
    Tiling,
    fit,
    read_records,
    run,
    write_records,
)
from clipvet.detectors.errors import UsageError
from clipvet.detectors.recipes._audit import audited
from clipvet.detectors.testing import FakeRuntime
from tests.runs import EVERYTHING, save_pictures


def fitted(good: Path, out: Path, name: str = "learner", **options: Any) -> FitSummary:
    specs = (DetectorSpec(id=name),)
    config = FitConfig(sources=(good,), out=out, specs=specs, **options)
    return fit(config, host=EVERYTHING, runtime_factory=FakeRuntime)


def ran(images: Path, out: Path, recipe: Path | None) -> list[Record]:
    specs = (DetectorSpec(id="energy"),) if recipe is None else ()
    config = RunConfig(
        sources=[images], out=out, recipe=recipe, specs=specs, device="cpu", heatmaps="none"
    )
    run(config, host=EVERYTHING, runtime_factory=FakeRuntime)
    return list(read_records(out / "records.jsonl"))


@pytest.fixture
def good(tmp_path: Path) -> Path:
    return save_pictures(tmp_path / "good", 16)


@pytest.fixture
def line(tmp_path: Path, good: Path) -> list[str]:
    """A recipe, and a run with it; the ids that it flagged."""
    fitted(good, tmp_path / "recipe", rate=0.5)
    records = ran(
        save_pictures(tmp_path / "line", 30, first=300), tmp_path / "run", tmp_path / "recipe"
    )
    flagged = [record.image.id for record in records if record.verdict == "flag"]
    assert 2 <= len(flagged) < 30
    return flagged


def accepted(tmp_path: Path, ids: Sequence[str]) -> tuple[Accepted, ...]:
    return (Accepted(run=tmp_path / "run", ids=tuple(ids)),)


def test_how_they_are_written(tmp_path: Path, line: list[str]) -> None:
    run_folder = tmp_path / "run"
    one = Accepted.parse(f"{run_folder}:{line[0]},{line[1]}, {line[0]}")
    assert one == Accepted(run=run_folder, ids=(line[0], line[1]))
    listed = tmp_path / "reviewed.txt"
    listed.write_text(f"{line[0]}\n\n{line[1]}\nwith, comma: and colon.png\n")
    assert Accepted.parse(f"{run_folder}:@{listed}").ids == (
        *line[:2],
        "with, comma: and colon.png",
    )
    odd = tmp_path / "at 10:30"
    run_folder.rename(odd)
    assert Accepted.parse(f"{odd}:a:b.png").ids == ("a:b.png",)
    for wrong, message in [
        (f"{odd}", "does not begin with a run folder"),
        (f"{tmp_path}:x", "does not begin with a run folder"),
        (f"{odd}:", "names no image"),
        (f"{odd}: , ", "names no image"),
        (f"{odd}:@{tmp_path / 'nothing'}", "cannot be read"),
    ]:
        with pytest.raises(UsageError, match=message):
            Accepted.parse(wrong)


def test_they_are_learned_from_and_do_not_calibrate(
    good: Path, line: list[str], tmp_path: Path
) -> None:
    before = fitted(good, tmp_path / "a")
    after = fitted(good, tmp_path / "b", accepted=accepted(tmp_path, line[:2]))
    old, new = (one.recipe.calibrations["learner"] for one in (before, after))
    assert set(new.fitted_on) == {*old.fitted_on, *line[:2]}
    assert new.images == old.images
    assert not np.array_equal(new.scores, old.scores)  # another mean
    assert after.references == before.references + 2
    assert new.audit is not None
    by_id = {
        record.image.id: record.image.sha256
        for record in read_records(tmp_path / "run/records.jsonl")
    }
    assert {one.id: one.sha256 for one in new.audit.learned if one.id in line} == {
        name: by_id[name] for name in line[:2]
    }


def test_one_that_the_split_divides_stays_where_it_is(
    good: Path, line: list[str], tmp_path: Path
) -> None:
    """Taking high scores out of the calibration would lower every threshold."""
    for name in line:
        shutil.copy(tmp_path / name, good / f"again {Path(name).name}")
    plain = fitted(good, tmp_path / "a")
    with_them = fitted(good, tmp_path / "b", accepted=accepted(tmp_path, line))
    assert with_them.recipe.thresholds == plain.recipe.thresholds
    assert len(with_them.left_out) == len(line)
    assert all("the split has placed it" in one.reason for one in with_them.left_out)
    assert not any(one.failed for one in with_them.left_out)


def test_one_of_a_group_that_calibrates_is_not_learned_from(
    good: Path, line: list[str], tmp_path: Path
) -> None:
    # The number modulo 100 is the part: 3xx shows the part of 0xx.
    save_pictures(tmp_path / "good", 30)
    by = GroupBy(r"(\d\d)\.png")
    summary = fitted(good, tmp_path / "a", accepted=accepted(tmp_path, line), group_by=by)
    audit = summary.recipe.calibrations["learner"].audit
    assert audit is not None
    learned, held_out = ({one.group for one in side} for side in (audit.learned, audit.held_out))
    assert not learned & held_out
    reasons = [one.reason for one in summary.left_out]
    assert reasons
    assert all("is held out to calibrate" in reason for reason in reasons)


def test_what_is_refused(good: Path, line: list[str], tmp_path: Path) -> None:
    def refused(message: str, *ids: str, **options: Any) -> None:
        with pytest.raises(UsageError, match=message):
            fitted(good, tmp_path / "x", accepted=accepted(tmp_path, ids or line[:1]), **options)
        assert not (tmp_path / "x").exists()

    records = list(read_records(tmp_path / "run" / "records.jsonl"))
    passed = next(record.image.id for record in records if record.verdict == "pass")
    refused("was no alarm .*its verdict is pass", passed)
    refused("no record of line/nowhere.png", "line/nowhere.png")
    refused("another task than this fit .*tiling differ", tiling=Tiling(24, 4))
    refused("leave --shots 0 out", shots=0)
    with pytest.raises(UsageError, match="none of the detectors can learn"):
        fitted(good, tmp_path / "x", "energy", accepted=accepted(tmp_path, line[:1]))
    path = tmp_path / line[0]
    whole = path.read_bytes()
    path.write_bytes(whole + b" ")
    refused("has changed since the run judged it")
    path.unlink()
    refused("cannot be read at .* put it back")
    path.write_bytes(whole)
    write_records(
        tmp_path / "run" / "records.jsonl",
        [r.model_copy(update={"verdict": None}) for r in records],
    )
    refused("its verdict is none")
    state = tmp_path / "run" / "run.json"
    facts = json.loads(state.read_text())
    facts["configuration"]["recipe"] = None
    state.write_text(json.dumps(facts))
    refused("had no recipe")
    state.write_text("{}")
    refused("run.json is damaged")


@pytest.mark.parametrize("how", ["learned", "calibrating", "taken out"])
def test_only_learning_from_them_keeps_the_promise(how: str) -> None:
    """A detector that scores what it has not learned by its distance to the mean of what it has."""
    rng = np.random.default_rng(3)
    rate, n, draws = 0.1, 19, 300

    def threshold(held_out: Sequence[float], mean: float) -> float:
        return audited(
            (
                Photograph(id=f"{i}", sha256=rng.bytes(32).hex(), score=abs(x - mean))
                for i, x in enumerate(held_out)
            ),
            provider="",
        ).threshold(rate)

    rates = []
    for _ in range(draws):
        learned, held_out = rng.normal(size=8), rng.normal(size=n)
        stream = rng.normal(size=60)
        first = threshold(held_out.tolist(), float(learned.mean()))
        if how == "taken out":  # of the calibrating images themselves, into those learned from
            high = np.abs(held_out - learned.mean()) > np.quantile(
                np.abs(held_out - learned.mean()), 0.8
            )
            learned, held_out = np.append(learned, held_out[high]), held_out[~high]
        else:
            alarms = stream[np.abs(stream - learned.mean()) > first]
            if how == "learned":
                learned = np.append(learned, alarms)
            else:
                held_out = np.append(held_out, alarms)
        limit = threshold(held_out.tolist(), float(learned.mean()))
        rates.append(float(np.mean(np.abs(rng.normal(size=200) - learned.mean()) > limit)))
    mean, error = np.mean(rates), np.std(rates) / np.sqrt(draws)
    if how == "learned":
        assert rate - 1 / (n + 1) - 3 * error <= mean <= rate + 3 * error
    elif how == "calibrating":
        assert mean < rate / 2  # kept, but by a threshold that lets defects through
    else:
        assert mean > rate + 5 * error  # broken
