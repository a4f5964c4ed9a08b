"""The promises that every detector makes, as named checks.

Each function takes a :class:`Subject` and raises ``AssertionError`` with a sentence. The first
line of its docstring is the promise.
"""

from __future__ import annotations

import contextlib
import io
import json
import pickle
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import ValidationError

from clipvet.detectors._counting import counted
from clipvet.detectors._detector import Score
from clipvet.detectors.host._validation import detector_problems
from clipvet.detectors.testing._leaks import no_leaks
from clipvet.detectors.testing._subject import Subject, same_scores

__all__ = ["CHECKS", "PAIR_CHECKS"]


def class_is_sound(subject: Subject) -> None:
    """The class attributes are what the host will ask for."""
    problems = detector_problems(subject.cls)
    assert not problems, "; ".join(problems)


def constructor_only_stores(subject: Subject) -> None:
    """The constructor stores its options and computes nothing."""
    options = subject.options
    detector = subject.cls(options)
    assert detector.options is options, "options must be stored as they were given"
    fitted = [k for k, v in vars(detector).items() if k.endswith("_") and v is not None]
    assert not fitted, f"fitted state exists before fit or prepare: {', '.join(sorted(fitted))}"


def options_round_trip(subject: Subject) -> None:
    """Options survive JSON, and refuse a key that they do not have."""
    model = subject.cls.Options
    again = model.model_validate_json(subject.options.model_dump_json())
    assert again == subject.options, f"{again!r} came back for {subject.options!r}"
    try:
        model.model_validate({**subject.options.model_dump(), "no_such_option": 1})
    except ValidationError:
        return
    raise AssertionError("an unknown option is accepted: keep extra='forbid'")


def options_are_described(subject: Subject) -> None:
    """Every option says what it does, for `detect plugins show`."""
    fields = subject.cls.Options.model_fields
    bare = [name for name, field in fields.items() if not field.description]
    assert not bare, f"no description: {', '.join(bare)}; use pydantic.Field(description=...)"


def leaves_nothing_behind(subject: Subject) -> None:
    """Environment, logging, working directory and numpy's error handling stay as they were."""
    with no_leaks():
        subject.ready().score(subject.batch())


def one_score_per_query(subject: Subject) -> None:
    """There is one list for each view, with one Score for each of its queries."""
    for repeats in (1, 2):
        batch = subject.batch(repeats=repeats)
        result = subject.ready().score(batch)
        assert isinstance(result, list), f"score() gave {type(result).__name__}, not a list"
        assert len(result) == len(batch), (
            f"{counted(len(result), 'list')} for {counted(len(batch), 'view')}"
        )
        expected = repeats if subject.cls.queries else 1
        for view, scores in enumerate(result):
            assert isinstance(scores, list), f"view {view}: not a list of Score"
            assert all(isinstance(score, Score) for score in scores), f"view {view}: not a Score"
            assert len(scores) == expected, (
                f"view {view}: {counted(len(scores), 'score')}, not {expected}"
            )


def values_are_finite(subject: Subject) -> None:
    """Every value is a finite number."""
    for score in subject.scores():
        assert isinstance(score.value, (int, float)), f"value is a {type(score.value).__name__}"
        assert np.isfinite(score.value), f"value is {score.value}"


def heatmaps_are_maps(subject: Subject) -> None:
    """A heatmap is None or finite float32 [gh, gw], of one shape for all views."""
    shapes = set()
    for score in subject.scores():
        heatmap = score.heatmap
        if heatmap is None:
            continue
        assert isinstance(heatmap, np.ndarray), f"heatmap is a {type(heatmap).__name__}"
        assert heatmap.dtype == np.float32, f"heatmap is {heatmap.dtype}, not float32"
        assert heatmap.ndim == 2, f"heatmap has shape {heatmap.shape}"
        assert heatmap.size, "heatmap is empty"
        assert np.isfinite(heatmap).all(), "heatmap holds NaN or infinity"
        shapes.add(heatmap.shape)
    assert len(shapes) <= 1, f"heatmaps of one batch differ in shape: {sorted(shapes)}"


def heatmaps_lie_on_the_image(subject: Subject) -> None:
    """What changes in the upper right of a picture shows in the upper right of its heatmap."""
    before, after = (scores[0].heatmap for scores in subject.ready().score(subject.spot_batch()))
    if before is None or after is None:
        return
    change = np.abs(after.astype(np.float64) - before)
    rows, columns = (size / 2 for size in change.shape)
    above = np.arange(change.shape[0]) + 0.5 < rows
    right = np.arange(change.shape[1]) + 0.5 > columns
    means = {
        f"{'upper' if up else 'lower'} {'right' if to_right else 'left'}": float(part.mean())
        for up in (True, False)
        for to_right in (True, False)
        if (part := change[above == up][:, right == to_right]).size
    }
    strongest = max(means, key=lambda corner: means[corner])
    assert not means[strongest] or strongest == "upper right", (
        f"a spot in the upper right changes the heatmap most in the {strongest}: rows are y, "
        "columns are x, row 0 is the top"
    )


def details_name_the_method(subject: Subject) -> None:
    """Details are JSON, and `details["method"]` says which variant ran."""
    for score in subject.scores():
        json.dumps(dict(score.details), allow_nan=False)
        method = score.details.get("method")
        assert isinstance(method, str), 'details["method"] is missing'
        assert method, 'details["method"] is empty'


def deterministic(subject: Subject) -> None:
    """The same input gives the same bits, twice and from a second instance."""
    batch, detector = subject.batch(), subject.ready()
    first = detector.score(batch)
    assert same_scores(first, detector.score(batch)), "a second call gave other numbers"
    assert same_scores(first, subject.ready().score(batch)), "a second instance gave other numbers"


def batch_equals_single(subject: Subject) -> None:
    """A view's score is bit for bit the same alone and in company."""
    detector = subject.ready()
    together = detector.score(subject.batch())
    for view in range(subject.count):
        alone = detector.score(subject.batch([view]))
        assert same_scores(alone, together[view : view + 1]), (
            f"view {view} scores {alone[0][0].value!r} alone and {together[view][0].value!r} in "
            "a batch: compute view by view, one matrix product for all views rounds differently"
        )


def order_does_not_matter(subject: Subject) -> None:
    """Views may come in any order."""
    detector, order = subject.ready(), list(range(subject.count))[::-1]
    turned = detector.score(subject.batch(order))
    assert same_scores(turned[::-1], detector.score(subject.batch())), "the order changes scores"


def inputs_stay_untouched(subject: Subject) -> None:
    """Features and pixels are read-only, and the same afterwards."""
    batch = subject.batch()
    arrays: list[NDArray[Any]] = [*batch.features.values(), *(view.pixels for view in batch.views)]
    before = [array.tobytes() for array in arrays]
    subject.ready().score(batch)
    assert all(not array.flags.writeable for array in arrays), "an input was made writable"
    assert before == [array.tobytes() for array in arrays], "an input was changed"


def empty_batch_is_fine(subject: Subject) -> None:
    """No views, no scores, no error."""
    result = subject.ready().score(subject.batch([]))
    assert result == [], f"an empty batch gave {result!r}"


def threads_agree(subject: Subject) -> None:
    """Several threads may call score() of one instance at once."""
    detector = subject.ready()
    batches = [subject.batch([view % subject.count]) for view in range(16)]
    expected = [detector.score(batch) for batch in batches]
    with ThreadPoolExecutor(4) as pool:
        results = list(pool.map(detector.score, batches))
    assert all(map(same_scores, results, expected)), "threads gave other numbers"


def prints_nothing(subject: Subject) -> None:
    """Standard output belongs to the records."""
    with contextlib.redirect_stdout(io.StringIO()) as printed:
        subject.ready().score(subject.batch())
    assert not printed.getvalue(), f"printed {printed.getvalue()[:60]!r}: use logging"


def survives_pickling(subject: Subject) -> None:
    """A new instance can be sent to another process: pickled, it scores the same."""
    # Before prepare() it only stores its options; afterwards it may hold sessions and locks.
    copied = pickle.loads(pickle.dumps(subject.cls(subject.options)))  # noqa: S301 - our own
    batch = subject.batch()
    assert same_scores(subject.made_ready(copied).score(batch), subject.ready().score(batch)), (
        "the copy scores otherwise"
    )


def higher_is_worse(subject: Subject) -> None:
    """The bad picture of the given pair scores above the good one."""
    good, bad = (scores[0].value for scores in subject.ready().score(subject.pair_batch()))
    assert bad > good, f"the bad picture scores {bad:.6g}, the good one {good:.6g}"


CHECKS = (
    class_is_sound,
    constructor_only_stores,
    options_round_trip,
    options_are_described,
    leaves_nothing_behind,  # first of those that score: what an earlier one left is not new
    one_score_per_query,
    values_are_finite,
    heatmaps_are_maps,
    heatmaps_lie_on_the_image,
    details_name_the_method,
    deterministic,
    batch_equals_single,
    order_does_not_matter,
    inputs_stay_untouched,
    empty_batch_is_fine,
    threads_agree,
    prints_nothing,
    survives_pickling,
)
PAIR_CHECKS = (higher_is_worse,)
