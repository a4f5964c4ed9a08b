"""Before the first image: detectors made, their bundles opened, their prompts encoded."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray
from pydantic import ValidationError

from clipvet.detectors._detector import (
    Context,
    Detector,
    DetectorOptions,
    Query,
    QueryKind,
    Task,
)
from clipvet.detectors.clip import (
    DEFAULT_BUNDLE,
    BundleInfo,
    DomainGate,
    Placement,
    Runtime,
    find_bundle,
)
from clipvet.detectors.engine._containment import Failure, GuardedDetector, blame
from clipvet.detectors.engine._results import DetectorSpec
from clipvet.detectors.errors import BundleError, UnfitEnvironment, UsageError
from clipvet.detectors.host._host import Host
from clipvet.detectors.host._plugins import DetectorEntry

__all__ = [
    "FeatureRuntime",
    "Slot",
    "build_slots",
    "make_options",
    "open_runtime",
]


class FeatureRuntime(Protocol):
    """What the engine needs of ``clipvet.detectors.clip.Runtime``, and of ``FakeRuntime``."""

    encoder_calls: int

    @property
    def info(self) -> BundleInfo:
        """Facts of the bundle."""

    @property
    def provider(self) -> str:
        """Execution provider."""

    @property
    def placement(self) -> Placement | None:
        """Execution provider -> operator -> nodes of the image tower."""

    @property
    def notes(self) -> tuple[str, ...]:
        """What the device could not do, in sentences."""

    @property
    def gate(self) -> DomainGate | None:
        """Tells views of the bundle's world from others."""

    def squares(self, views: Sequence[NDArray[np.uint8]]) -> list[NDArray[np.uint8]]:
        """The views resized for the network; encoding them gives the same as the views."""

    def encode_views(self, views: Sequence[NDArray[np.uint8]]) -> dict[str, NDArray[np.float32]]:
        """Features of some views."""

    def encode_text(self, prompts: Sequence[str]) -> NDArray[np.float32]:
        """Embeddings of some prompts."""

    def unknown_words(self, prompt: str) -> list[str]:
        """Words of a prompt that a closed vocabulary does not know."""

    def warmup(self) -> None:
        """Do what is slow at the first call."""

    def close(self) -> None:
        """Free the sessions."""


@dataclass(frozen=True, kw_only=True)
class Slot:
    """One detector of an engine.

    Attributes:
        id: of its spec.
        entry: its class and who registered it.
        options: all of them, defaults filled in.
        group: name of the bundle whose features it reads.
        artefact: folder that it was loaded from, if one was given.
        guarded: the detector, or None if it could not be made.
        failure: why it could not be made.
    """

    id: str
    entry: DetectorEntry
    options: DetectorOptions
    group: str
    artefact: Path | None
    guarded: GuardedDetector | None
    failure: Failure | None

    @property
    def version(self) -> str:
        """Of the algorithm."""
        return self.entry.cls.version

    @property
    def task(self) -> Task:
        """What kind of question it answers."""
        return self.entry.cls.task

    @property
    def queries(self) -> frozenset[QueryKind]:
        """Kinds of query that it cannot do without."""
        return self.entry.cls.queries

    @property
    def reads(self) -> frozenset[str]:
        """Features that it reads."""
        return frozenset() if self.detector is None else self.detector.needs

    @property
    def keeps(self) -> frozenset[str]:
        """Details that it wants to see of all images of a run; empty if it is not set-level."""
        return self.entry.cls.keeps if self.detector is None else self.detector.keeps

    @property
    def detector(self) -> Detector | None:
        """The instance."""
        return None if self.guarded is None else self.guarded.detector

    def missing(self, query: Query) -> str | None:
        """Why it cannot answer a query, or None if it can."""
        absent = sorted(kind for kind in self.queries if not getattr(query, kind))
        return f"{self.id} needs {' and '.join(absent)}, which were not given" if absent else None

    def distinct(self, queries: Sequence[Query]) -> list[Query]:
        """The queries that differ in what it asks for: three questions are one list of classes."""
        kinds = [*sorted(self.queries), *(["choices"] if "question" in self.queries else [])]
        first: dict[tuple[object, ...], Query] = {}
        for query in queries:
            first.setdefault(tuple(getattr(query, kind) for kind in kinds), query)
        return list(first.values())

    def applicable(self, queries: Sequence[Query]) -> list[Query]:
        """The queries that it is shown: all, or those with everything that it needs."""
        if not self.queries:
            return list(queries)
        return [query for query in self.distinct(queries) if self.missing(query) is None]


def build_slots(
    specs: Sequence[DetectorSpec],
    *,
    host: Host,
    bundle: str | None,
    runtimes: dict[str, FeatureRuntime],
    make_runtime: Callable[[str, frozenset[str]], FeatureRuntime],
    make_detector: Callable[[str, DetectorEntry, DetectorOptions], Detector],
    warn: Callable[[str], None],
) -> list[Slot]:
    """Make, load and prepare every detector; fills ``runtimes``, one for each bundle.

    A detector that breaks here gets a slot with a failure. What its author or clipvet raises
    on purpose (bad options, an artefact of another bundle) stops the run before it starts.
    """
    if not specs:
        raise UsageError("no detector was chosen: name one (detect plugins list)")
    ids = [spec.id for spec in specs]
    twice = sorted({name for name in ids if ids.count(name) > 1})
    if twice:
        raise UsageError(f"detector {twice[0]} is named twice")
    default = bundle or DEFAULT_BUNDLE
    made = [_made(spec, host, spec.bundle or default, make_detector) for spec in specs]
    for group in sorted(dict.fromkeys(slot.group for slot in made), key=lambda g: g != default):
        members = [slot for slot in made if slot.group == group]
        needs = frozenset[str]().union(*(slot.reads for slot in members))
        runtimes[group] = make_runtime(group, needs)
        _check_needs(members, runtimes[group].info)
    return [_prepared(slot, runtimes[slot.group], warn) for slot in made]


def make_options(entry: DetectorEntry, options: Mapping[str, Any]) -> DetectorOptions:
    """A detector's options with defaults filled in; raises :class:`UsageError` naming the key."""
    try:
        return entry.cls.Options.model_validate(dict(options))
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        key = ".".join([entry.id, *(str(part) for part in first["loc"])])
        text = first["msg"].removeprefix("Value error, ")
        if first["type"] == "extra_forbidden":
            known = ", ".join(entry.cls.Options.model_fields) or "none"
            text = f"there is no such option; known are {known}"
        raise UsageError(f"{key}: {text} (detect plugins show {entry.id})") from error


def open_runtime(name: str, *, host: Host, needs: frozenset[str], **options: Any) -> Runtime:
    """The real runtime for a bundle; it also computes what the bundle's domain gate reads."""
    bundle = find_bundle(name, host.bundles)
    gated = bundle.gate.features if bundle.gate is not None and needs else ()
    return Runtime(bundle, needs=needs | frozenset(gated), **options)


def _made(
    spec: DetectorSpec,
    host: Host,
    group: str,
    make_detector: Callable[[str, DetectorEntry, DetectorOptions], Detector],
) -> Slot:
    entry = host.detector(spec.id)
    options = make_options(entry, spec.options)
    slot = partial(
        Slot, id=spec.id, entry=entry, options=options, group=group, artefact=spec.artefact
    )
    try:
        detector = make_detector(spec.id, entry, options)
        if spec.artefact is not None:
            detector.load(spec.artefact)
        return slot(guarded=GuardedDetector(spec.id, detector), failure=None)
    except (UsageError, UnfitEnvironment, KeyboardInterrupt):
        raise
    except BaseException as error:  # noqa: BLE001 - a broken plugin costs its own scores only
        return slot(guarded=None, failure=_failure(spec.id, error))


def _prepared(slot: Slot, runtime: FeatureRuntime, warn: Callable[[str], None]) -> Slot:
    if slot.detector is None:
        return slot
    context = Context(bundle=runtime.info, encode_text=_honest_encoder(runtime, warn), warn=warn)
    try:
        slot.detector.prepare(context)
    except (UsageError, UnfitEnvironment, KeyboardInterrupt):
        raise
    except BaseException as error:  # noqa: BLE001
        return replace(slot, guarded=None, failure=_failure(slot.id, error))
    return slot


def _honest_encoder(
    runtime: FeatureRuntime, warn: Callable[[str], None]
) -> Callable[[Sequence[str]], NDArray[np.float32]]:
    """The text tower, which names every word that means nothing to it."""

    def encode_text(prompts: Sequence[str]) -> NDArray[np.float32]:
        for word in dict.fromkeys(w for prompt in prompts for w in runtime.unknown_words(prompt)):
            warn(
                f"bundle {runtime.info.id} does not know the word {word!r}, so it says nothing in "
                "a prompt: use a word of its vocabulary, or a pretrained bundle "
                "(detect bundles pull --help)"
            )
        return runtime.encode_text(prompts)

    return encode_text


def _check_needs(slots: Sequence[Slot], info: BundleInfo) -> None:
    for slot in slots:
        missing = sorted(slot.reads - info.features)
        if missing:
            raise BundleError(
                f"{slot.id} needs {', '.join(missing)}, which bundle {info.id} cannot give: "
                "choose another bundle"
            )


def _failure(name: str, error: BaseException) -> Failure:
    return Failure("error", f"{blame(name, error)} (while it was prepared)")
