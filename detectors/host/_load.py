"""One plugin on its way through load, register, validate and call, with its mishaps kept."""

from __future__ import annotations

import contextlib
import logging
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any

import pluggy

from clipvet.detectors.host import _hookspecs
from clipvet.detectors.host._discovery import Candidate
from clipvet.detectors.host._names import Registration
from clipvet.detectors.host._plugins import Phase, PluginFailure, PluginRecord, PluginSource
from clipvet.detectors.host._validation import (
    api_problems,
    bundle_problems,
    command_problems,
    detector_problems,
    hook_problems,
    reader_problems,
)

__all__ = ["PluginLoad"]

log = logging.getLogger("clipvet.plugins")


class PluginLoad:
    """Loads one plugin and collects what it registers.

    Attributes:
        registrations: what was accepted, in order.
        failures: what was not, in order.
        loaded: False if its module did not even import.
    """

    def __init__(self, candidate: Candidate) -> None:
        self.source: PluginSource = candidate.source
        self.candidate = candidate
        self.loaded = False
        self.hooks: list[str] = []
        self.registrations: list[Registration] = []
        self.failures: list[PluginFailure] = []

    def run(self) -> None:
        """Go through all phases; never raises, except for ``KeyboardInterrupt``."""
        plugin: Any = None
        with self._contained("load"), self._traced("import"):
            plugin = self.candidate.load()
            self.loaded = True
        if not self.loaded:
            return
        # A manager for each plugin: pluggy's own state (names, equality, wrappers of other
        # plugins) cannot leak from one to the next, and a raising hook has one possible author.
        manager = pluggy.PluginManager(_hookspecs.GROUP)
        manager.add_hookspecs(_hookspecs)
        with self._contained("register"):
            if not self._report(api_problems(plugin, "the plugin")):
                return
            manager.register(plugin, self.source.name)
        if not manager.has_plugin(self.source.name):
            return
        with self._contained("validate"):
            found = {caller.name for caller in manager.get_hookcallers(plugin) or ()}
            self.hooks = sorted(found & set(_hookspecs.HOOKS))
            self._report(hook_problems(plugin, found))
        for hook in self.hooks:
            with self._contained("call"), self._traced(hook):
                getattr(manager.hook, hook)(register=self._callback(hook))

    def record(self) -> PluginRecord:
        """The names of what it brought."""
        names: dict[str, list[str]] = {}
        for registration in self.registrations:
            names.setdefault(registration.kind, []).append(registration.name)
        return PluginRecord(
            source=self.source,
            hooks=tuple(self.hooks),
            detectors=tuple(names.get("detector", ())),
            bundles=tuple(names.get("bundle", ())),
            readers=tuple(names.get("reader", ())),
            commands=tuple(names.get("command", ())),
            trainers=tuple(names.get("trainer", ())),
        )

    def _callback(self, hook: str) -> Callable[..., None]:
        def detector(cls: Any) -> None:
            self._keep("detector", lambda: detector_problems(cls), lambda: cls.id, cls)

        def bundle(name: Any, folder: Any) -> None:
            self._keep("bundle", lambda: bundle_problems(name, folder), lambda: name, folder)

        def reader(suffix: Any, read: Any) -> None:
            self._keep("reader", lambda: reader_problems(suffix, read), lambda: suffix, read)

        def command(name: Any, app: Any) -> None:
            self._keep("command", lambda: command_problems(name, app), lambda: name, app)

        def trainer(name: Any, train: Any) -> None:
            self._keep("trainer", lambda: command_problems(name, train), lambda: name, train)

        callbacks: dict[str, Callable[..., None]] = {
            "clipvet_register_detectors": detector,
            "clipvet_register_bundles": bundle,
            "clipvet_register_readers": reader,
            "clipvet_register_commands": command,
            "clipvet_register_trainers": trainer,
        }
        return callbacks[hook]

    def _keep(
        self,
        kind: str,
        problems: Callable[[], list[str]],
        name: Callable[[], str],
        value: Any,
    ) -> None:
        # Contained here as well: one odd thing must not end the hook that registers the next.
        with self._contained("validate"):
            if self._report(problems()):
                registration = Registration(kind, name(), value, self.source)
                self.registrations.append(registration)
                log.debug("%s registered %s %r", self.source, kind, registration.name)

    def _report(self, problems: list[str]) -> bool:
        for problem in problems:
            self._fail("validate", "PluginInvalid", problem)
        return not problems

    @contextlib.contextmanager
    def _contained(self, phase: Phase) -> Iterator[None]:
        try:
            # Standard output belongs to the records (`--json`), not to a plugin's greeting.
            with contextlib.redirect_stdout(sys.stderr):
                yield
        except KeyboardInterrupt:
            raise
        except BaseException as error:  # noqa: BLE001 - SystemExit included: the host goes on
            self._fail(phase, type(error).__name__, _one_line(error))

    @contextlib.contextmanager
    def _traced(self, what: str) -> Iterator[None]:
        """Log what came of it, and how long it took."""
        start, registered, failed = time.perf_counter(), len(self.registrations), len(self.failures)
        outcome = "raised"
        try:
            yield
            outcome = "ok"
        finally:
            counts = {
                "registered": len(self.registrations) - registered,
                "refused": len(self.failures) - failed,
            }
            outcome += "".join(f", {count} {name}" for name, count in counts.items() if count)
            milliseconds = 1000 * (time.perf_counter() - start)
            log.debug("%s: %s: %s, %.1f ms", self.source, what, outcome, milliseconds)

    def _fail(self, phase: Phase, exception: str, message: str) -> None:
        source = self.source
        self.failures.append(
            PluginFailure(
                dist=source.dist,
                version=source.version,
                entry_point=source.entry_point,
                phase=phase,
                exception=exception,
                message=message,
            )
        )


def _one_line(error: BaseException) -> str:
    try:
        text = " ".join(str(error).split()) or "no message"
    except Exception:  # noqa: BLE001 - a __str__ of the plugin's own
        return "its message cannot be shown"
    if isinstance(error, ImportError) and (error.name or "").startswith("clipvet."):
        return f"{text}; it was made for another version of clipvet"
    return text
