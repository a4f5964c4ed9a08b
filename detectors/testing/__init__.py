"""For authors of detectors: a runtime without a model, and the checks every detector must pass.

In a test module::

    from clipvet.detectors.testing import parametrize_with_checks

    @parametrize_with_checks(MyDetector)
    def test_my_detector(check):
        check()

``detect plugins check ID`` runs the same checks; ``docs/plugins/testing.md`` lists them. Stable
from one minor version to the next: the names here. New checks may be added in any version.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from clipvet.detectors._detector import Detector, DetectorOptions, Query
from clipvet.detectors.engine._setup import open_runtime
from clipvet.detectors.errors import UsageError
from clipvet.detectors.host._host import Host
from clipvet.detectors.host._plugins import DetectorEntry, PluginSource
from clipvet.detectors.host._validation import nearest
from clipvet.detectors.testing._capability_checks import LEARNING_CHECKS, SET_CHECKS
from clipvet.detectors.testing._checks import CHECKS, PAIR_CHECKS
from clipvet.detectors.testing._fake_runtime import FakeRuntime
from clipvet.detectors.testing._image_folder import IMAGE_FOLDER, write_image_folder
from clipvet.detectors.testing._leaks import no_leaks
from clipvet.detectors.testing._project import DetectOutcome, DetectProject
from clipvet.detectors.testing._subject import DEFAULT_QUERY, FeatureSource, Subject, textures

__all__ = [
    "Check",
    "CheckOutcome",
    "DetectOutcome",
    "DetectProject",
    "FakeRuntime",
    "IMAGE_FOLDER",
    "check_detector",
    "detector_checks",
    "host_with",
    "no_leaks",
    "parametrize_with_checks",
    "run_checks",
    "textures",
    "write_image_folder",
]

Test = TypeVar("Test", bound=Callable[..., None])


@dataclass(frozen=True)
class Check:
    """One promise of one detector. Call it: it raises ``AssertionError`` if it is broken.

    Attributes:
        name: of the check, for example ``batch_equals_single``.
        promise: what it checks, in one sentence.
        subject: the detector and its pictures.
    """

    name: str
    promise: str
    subject: Subject
    function: Callable[[Subject], None]

    def __call__(self) -> None:
        """Run the check."""
        self.function(self.subject)


@dataclass(frozen=True, kw_only=True)
class CheckOutcome:
    """What became of a check: ``message`` is None if the promise is kept."""

    name: str
    promise: str
    message: str | None = None


def detector_checks(
    detector_class: type[Detector],
    *,
    options: DetectorOptions | Mapping[str, Any] | None = None,
    query: Query = DEFAULT_QUERY,
    pair: tuple[NDArray[np.uint8], NDArray[np.uint8]] | None = None,
    good: Sequence[NDArray[np.uint8]] | None = None,
    artefact: Path | None = None,
    runtime: FeatureSource | None = None,
) -> list[Check]:
    """The promises of a detector, as named checks.

    Args:
        detector_class: the class.
        options: with which it is made; None means the defaults.
        query: what every view is asked about; the default answers every kind.
        pair: a good and a bad picture (uint8 RGB [h, w, 3]): adds ``higher_is_worse``.
        good: pictures to fit on, if it learns; None means rendered textures.
        artefact: folder to load instead of fitting.
        runtime: a real one, opened with the detector's needs; None means ``FakeRuntime``.

    Returns:
        checks in a fixed order; those of fit, save and load only if the class ``learns``,
        those of finish only if it ``keeps`` something.
    """
    model = detector_class.Options
    if options is None or isinstance(options, Mapping):
        options = model.model_validate(dict(options or {}))
    if runtime is None:
        runtime = FakeRuntime(needs=detector_class(options).needs)
    subject = Subject(
        cls=detector_class,
        options=options,
        query=query,
        runtime=runtime,
        pair=pair,
        good=textures(6, seed=2) if good is None else good,
        artefact=artefact,
    )
    functions = [*CHECKS]
    if detector_class.learns and artefact is None:
        functions += LEARNING_CHECKS
    if detector_class.keeps:
        functions += SET_CHECKS
    if pair is not None:
        functions += PAIR_CHECKS
    return [
        Check(function.__name__, (function.__doc__ or "").splitlines()[0], subject, function)
        for function in functions
    ]


def run_checks(checks: Sequence[Check]) -> list[CheckOutcome]:
    """Run checks one after the other; whatever one raises is its message."""
    outcomes = []
    for check in checks:
        message = None
        try:
            check()
        except AssertionError as error:
            message = str(error) or "failed"
        except (Exception, SystemExit) as error:  # noqa: BLE001 - the detector's own
            message = f"{type(error).__name__}: {' '.join(str(error).split())}"
        outcomes.append(CheckOutcome(name=check.name, promise=check.promise, message=message))
    return outcomes


def parametrize_with_checks(
    *detector_classes: type[Detector],
    expected_failures: Mapping[str, str] | None = None,
    **settings: Any,
) -> Callable[[Test], Test]:
    """A pytest decorator: the test gets each check of each class as its argument ``check``.

    Args:
        detector_classes: classes to test.
        expected_failures: name of a check -> why it is known to fail (a strict ``xfail``).
        settings: passed on to :func:`detector_checks`.

    Raises:
        UsageError: a known failure has no reason, or is of no check of these classes.
    """
    import pytest

    known = expected_failures or {}
    checks = {cls: detector_checks(cls, **settings) for cls in detector_classes}
    names = {check.name for of_class in checks.values() for check in of_class}
    for name, reason in known.items():
        if name not in names:
            raise UsageError(f"expected_failures: there is no check {name!r}{nearest(name, names)}")
        if not reason.strip():
            raise UsageError(f"expected_failures: say why {name!r} is known to fail")
    parameters = [
        pytest.param(
            check,
            id=f"{cls.id}-{check.name}",
            marks=[pytest.mark.xfail(reason=known[check.name], strict=True)]
            if check.name in known
            else [],
        )
        for cls in detector_classes
        for check in checks[cls]
    ]
    decorator: Callable[[Test], Test] = pytest.mark.parametrize("check", parameters)
    return decorator


def host_with(*detector_classes: type[Detector], **parts: Any) -> Host:
    """A host with just these detectors, as if a plugin had registered them.

    Args:
        detector_classes: classes, found by their ids.
        parts: other fields of :class:`Host`, for example ``readers={".npy": read}``.
    """
    source = PluginSource(dist="testing", version="0", entry_point="testing")
    entries = {cls.id: DetectorEntry(cls=cls, source=source) for cls in detector_classes}
    return Host(detectors=entries, **parts)


def check_detector(
    host: Host, name: str, *, bundle: str | None = None, artefact: Path | None = None
) -> list[CheckOutcome]:
    """Run the checks of an installed detector with its default options.

    Args:
        host: the loaded plugins.
        name: id, or ``dist:id``.
        bundle: name or folder of a bundle for real features; None means ``FakeRuntime``.
        artefact: folder to load instead of fitting.

    Raises:
        UsageError: no such detector, or its options have no defaults.
        BundleError: the bundle is absent, or lacks a feature.
    """
    cls = host.detector(name).cls
    try:
        options = cls.Options()
    except ValueError as error:
        message = f"detector {name!r} has options without defaults: test it with detector_checks"
        raise UsageError(message) from error
    if bundle is None:
        return run_checks(detector_checks(cls, options=options, artefact=artefact))
    needs = cls(options).needs
    with open_runtime(bundle, host=host, needs=needs, device="cpu", batch_size=2) as runtime:
        checks = detector_checks(cls, options=options, artefact=artefact, runtime=runtime)
        return run_checks(checks)
