"""A test on labelled images: a run over them, and what its records are worth."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

from clipvet.detectors._counting import counted
from clipvet.detectors._hashing import sha256_of
from clipvet.detectors._parsing import parse_json
from clipvet.detectors.engine._engine import FeatureRuntime
from clipvet.detectors.errors import DetectorError, MissingDependency
from clipvet.detectors.evaluation._config import EvalConfig
from clipvet.detectors.evaluation._curves import draw_curves
from clipvet.detectors.evaluation._detectors import Curves, evaluate_detector
from clipvet.detectors.evaluation._groups import Groups, group, usable_masks
from clipvet.detectors.evaluation._layout import TestSet, find_test_set
from clipvet.detectors.evaluation._metrics import decisions, promise_p_value
from clipvet.detectors.evaluation._schema import (
    BootstrapFacts,
    Decisions,
    DetectorEvaluation,
    Evaluation,
    Failure,
    ImageCounts,
)
from clipvet.detectors.evaluation._scored import ScoredImage, failures_of, read_scored
from clipvet.detectors.frames._frames import is_candidate
from clipvet.detectors.host._host import Host
from clipvet.detectors.recipes._calibration import percent
from clipvet.detectors.recipes._held_out import FitProgress
from clipvet.detectors.recipes._recipe import Recipe
from clipvet.detectors.runs._run import run
from clipvet.detectors.runs._tally import RunSummary

__all__ = ["EvalSummary", "evaluate"]

_UNLIKELY = 0.01
_NAMED = 5


@dataclass(frozen=True, kw_only=True)
class EvalSummary:
    """The end of an evaluation.

    Attributes:
        evaluation: every number, as in ``eval.json``.
        run: of the scores; its folder is gone unless ``out`` was given.
        out: where ``eval.json`` is; None if nothing is kept.
        curves: pictures of ROC, precision against recall, and per-region overlap.
        seconds: of everything.
    """

    evaluation: Evaluation
    run: RunSummary
    out: Path | None
    curves: tuple[Path, ...]
    seconds: float

    @property
    def exit_code(self) -> int:
        """3 if an image, a mask or a detector failed, else 0."""
        return 3 if self.evaluation.failures or self.run.exit_code == 3 else 0


def evaluate(
    config: EvalConfig,
    *,
    host: Host,
    progress: FitProgress = lambda _doing, _done, _total: None,
    runtime_factory: Callable[..., FeatureRuntime] | None = None,
) -> EvalSummary:
    """Test detectors, or a recipe, on labelled images.

    Images are scored by :func:`run`, and the metrics computed from its records and heatmaps:
    scores and verdicts are those of a run, bit for bit.

    Args:
        config: what to test, and on what.
        host: the plugins.
        progress: called with what is being done, how much of it is done, and how much there is.
        runtime_factory: for tests, see :class:`Engine`.

    Raises:
        UsageError: the labels cannot be told, see :func:`find_test_set`, or as for a run.
        UnfitEnvironment: before the first image.
        DetectorError: no image could be scored.
    """
    start = time.perf_counter()
    tests = find_test_set(config.folder, masks=config.masks, takes=_takes(host))
    with ExitStack() as stack:
        out = config.out
        if out is None:
            scratch = tempfile.TemporaryDirectory(prefix="clipvet-eval-")
            out = Path(stack.enter_context(scratch))
        summary = run(
            config.run(tests.sources, out),
            host=host,
            progress=lambda at: progress("scoring", at.done, at.total or len(tests.images)),
            runtime_factory=runtime_factory,
        )
        images = read_scored(out, tests)
        masks = [(one, wrong) for one, wrong in usable_masks(images)]
        groups = group(images, [one for one, wrong in masks if wrong is None])
        failures = [Failure(image=name, reason=reason) for name, reason in failures_of(images)]
        failures += [
            Failure(image=one.record.image.id, reason=wrong) for one, wrong in masks if wrong
        ]
        if not groups.detectors:
            first = [f"{one.image}: {one.reason}" for one in failures[:1]]
            reason = first[0] if first else "there are no records"
            raise DetectorError(f"no image of {tests.folder} could be scored: {reason}")
        recipe = None if config.recipe is None else Recipe.load(config.recipe)
        results = _detectors(config, groups, recipe, out, progress)
        notes = [*tests.notes, *_seen_before(images, recipe, out), *summary.warnings]
        curves: tuple[Path, ...] = ()
        if config.out is not None:
            try:
                curves = draw_curves([curve for _, curve in results], config.out / "curves")
            except MissingDependency as error:
                notes.append(f"no curves: {error}")
        evaluation = _evaluation(
            config,
            tests,
            groups,
            recipe,
            detectors=[of_one for of_one, _ in results],
            failures=failures,
            notes=notes,
        )
        if config.out is not None:
            (config.out / "eval.json").write_text(evaluation.to_json() + "\n", encoding="utf-8")
    return EvalSummary(
        evaluation=evaluation,
        run=summary,
        out=config.out,
        curves=curves,
        seconds=time.perf_counter() - start,
    )


def _takes(host: Host) -> Callable[[Path], bool]:
    return lambda path: path.suffix.lower() in host.readers or is_candidate(path)


def _detectors(
    config: EvalConfig, groups: Groups, recipe: Recipe | None, out: Path, progress: FitProgress
) -> list[tuple[DetectorEvaluation, Curves]]:
    names = groups.detectors
    each = len(groups.good) + sum(len(images) for images in groups.masked.values())
    done, total = 0, each * len(names)

    def step() -> None:
        nonlocal done
        done += 1
        progress("comparing pixels", done, total)

    gates = () if recipe is None else recipe.gates
    return [
        evaluate_detector(name, groups, config, out=out, gate=name in gates, step=step)
        for name in names
    ]


def _evaluation(
    config: EvalConfig,
    tests: TestSet,
    groups: Groups,
    recipe: Recipe | None,
    *,
    detectors: Sequence[DetectorEvaluation],
    failures: Sequence[Failure],
    notes: Sequence[str],
) -> Evaluation:
    runtime = next(r for one in groups.images if (r := one.record.runtime) is not None)
    facts: dict[str, Any] = {}
    if recipe is not None:
        good = _decisions(groups.good)
        facts = {
            "recipe_sha256": recipe.sha256,
            "promised_rate": recipe.flagging.threshold.rate,
            "good": good,
            "defects": _decisions(groups.defects),
            "types": {name: _decisions(images) for name, images in groups.types.items()},
        }
        notes = [*notes, *_broken_promise(good, recipe)]
    return Evaluation(
        clipvet=version("clipvet"),
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        folder=str(tests.folder),
        layout=tests.layout,
        images=_counts(groups),
        bundle=runtime.bundle,
        bundle_sha256=runtime.bundle_sha256,
        provider=runtime.provider,
        object=(config.query.object or "object") if recipe is None else recipe.query.object,
        bootstrap=BootstrapFacts(draws=config.draws, seed=config.seed),
        detectors=tuple(detectors),
        failures=tuple(failures),
        notes=tuple(notes),
        **facts,
    )


def _broken_promise(good: Decisions, recipe: Recipe) -> list[str]:
    """A sentence if more good images are flagged than luck explains."""
    flagging = recipe.flagging.threshold
    if good.flagged is None or flagging.rate is None:
        return []
    count, n = good.flagged.count, good.flagged.n
    luck = promise_p_value(count, n, rate=flagging.rate, calibrated=flagging.n)
    if luck > _UNLIKELY:
        return []
    are = "is" if count == 1 else "are"
    images = f"{count} of {counted(n, 'good image')}"
    flagged = f"{images} {are} flagged, with {percent(flagging.rate)} promised"
    why = "these good images differ from those that the recipe was fitted on"
    return [f"{flagged}: {why} (p = {luck:.2g})"]


def _decisions(images: Sequence[ScoredImage]) -> Decisions:
    return decisions([one.record.verdict for one in images])


def _counts(groups: Groups) -> ImageCounts:
    return ImageCounts(
        good=len(groups.good),
        defects={name: len(images) for name, images in groups.types.items()},
        masks={name: len(groups.masked.get(name, ())) for name in groups.types},
        unreadable=sum(one.record.status != "ok" for one in groups.images),
        abstained=sum(one.record.verdict == "abstain" for one in groups.images),
    )


def _seen_before(images: Sequence[ScoredImage], recipe: Recipe | None, out: Path) -> list[str]:
    """A test on what was learned from says nothing: sentences, if it is one."""
    hashes = {one.record.image.sha256 for one in images}
    notes = []
    fitted_on = frozenset() if recipe is None else _fitted_on(recipe)
    if seen := [one.record.image.id for one in images if one.record.image.sha256 in fitted_on]:
        more = f", and {len(seen) - _NAMED} more" if len(seen) > _NAMED else ""
        are = "is" if len(seen) == 1 else "are"
        notes.append(
            f"{len(seen)} of these images {are} among those that the recipe was fitted on "
            f"({', '.join(seen[:_NAMED])}{more}): what is measured on them is better than it will "
            "be, so test on others"
        )
    state = parse_json((out / "run.json").read_text("utf-8", errors="surrogateescape"))
    learned = {line.rpartition(" ")[2] for line in state["configuration"]["references"]}
    if known := len(learned & hashes):
        are = "is a reference" if known == 1 else "are references"
        notes.append(
            f"{known} of these images {are} that "
            "detectors learned from: metrics are better than they will be, so test on others"
        )
    return notes


def _fitted_on(recipe: Recipe) -> frozenset[str]:
    """sha256 of the images that had a say; the probes, where nobody kept the good ones."""
    known = {sha256_of(probe.file) for probe in recipe.probes}
    known.update(image.sha256 for image in recipe.bad if image.chose)
    for calibration in recipe.calibrations.values():
        if (audit := calibration.audit) is not None:
            known.update(image.sha256 for image in (*audit.held_out, *audit.learned))
    return frozenset(known)
