"""What a registered thing must be. Every answer is a list of sentences; empty means sound."""

from __future__ import annotations

import difflib
import inspect
import re
from collections.abc import Collection
from pathlib import Path
from typing import Any, get_args

from clipvet.detectors._detector import Detector, DetectorOptions, QueryKind, Task
from clipvet.detectors._features import FEATURES
from clipvet.detectors.host._hookspecs import API_VERSION, HOOKS

__all__ = [
    "api_problems",
    "bundle_problems",
    "command_problems",
    "detector_problems",
    "hook_problems",
    "nearest",
    "reader_problems",
]

NAME = re.compile(r"[a-z][a-z0-9]*([_-][a-z0-9]+)*")
SUFFIX = re.compile(r"(\.[a-z0-9_+-]+)+")


def detector_problems(cls: Any) -> list[str]:
    """Check a detector class by its attributes alone; it is not instantiated."""
    if not _is_subclass(cls, Detector):
        return [f"{cls!r} is not a subclass of clipvet.detectors.Detector: register the class"]
    identity = getattr(cls, "id", None)
    name = f"detector {identity!r}" if isinstance(identity, str) else f"detector {cls.__name__}"
    problems = api_problems(cls, name)
    if abstract := sorted(getattr(cls, "__abstractmethods__", ())):
        problems.append(f"{name} does not implement {', '.join(abstract)}")
    if not (isinstance(identity, str) and NAME.fullmatch(identity)):
        problems.append(f"{name}: id must be a lower-case name such as 'padim' or 'my-ood'")
    if not (isinstance(cls.version, str) and cls.version):
        problems.append(f"{name}: version must be a non-empty string")
    task = getattr(cls, "task", None)
    if task not in get_args(Task):
        problems.append(f"{name}: task is {task!r}, and must be one of {', '.join(get_args(Task))}")
    problems += _set_problems(name, "needs", cls.needs, FEATURES)
    problems += _set_problems(name, "queries", cls.queries, get_args(QueryKind))
    options = cls.Options
    if not _is_subclass(options, DetectorOptions):
        problems.append(f"{name}: Options must be a subclass of clipvet.detectors.DetectorOptions")
    problems += _learning_problems(name, cls)
    problems += _set_level_problems(name, cls)
    return problems


def api_problems(thing: Any, name: str) -> list[str]:
    """Check ``requires_api``, which a plugin module or a detector class may state."""
    wanted = getattr(thing, "requires_api", API_VERSION)
    if not isinstance(wanted, int):
        return [f"{name}: requires_api is {wanted!r}, and must be a whole number"]
    if wanted > API_VERSION:
        remedy = "upgrade clipvet, or install an older version of the plugin"
        return [f"{name} asks for plugin API {wanted}, this clipvet has {API_VERSION}: {remedy}"]
    return []


def bundle_problems(name: Any, folder: Any) -> list[str]:
    """Check a bundle's name, and that its folder has a manifest."""
    problems = _name_problems("bundle", name)
    if not isinstance(folder, Path):
        problems.append(f"bundle {name!r}: its folder must be a pathlib.Path, not {folder!r}")
    elif not (folder / "manifest.json").is_file():
        problems.append(f"bundle {name!r}: {folder} holds no manifest.json")
    return problems


def reader_problems(suffix: Any, reader: Any) -> list[str]:
    """Check a reader's suffix, and that it can be called."""
    problems = []
    if not (isinstance(suffix, str) and SUFFIX.fullmatch(suffix)):
        problems.append(f"reader {suffix!r}: a suffix is lower-case and starts with a dot: '.npy'")
    if not callable(reader):
        problems.append(f"reader {suffix!r} is not callable: {reader!r}")
    return problems


def command_problems(name: Any, command: Any) -> list[str]:
    """Check a command's name, and that it can be called."""
    problems = _name_problems("command", name)
    if not callable(command):
        problems.append(f"command {name!r} is neither a typer.Typer nor a function: {command!r}")
    return problems


def hook_problems(plugin: Any, implemented: Collection[str]) -> list[str]:
    """Name the hooks that do not exist, the ones that lack the marker, and a plugin without any.

    Args:
        plugin: the module or object that the entry point names.
        implemented: hooks that pluggy found in it.
    """
    problems = [
        f"hook {name!r} does not exist{nearest(name, HOOKS)}: a typo, or made for another clipvet"
        for name in sorted(set(implemented) - set(HOOKS))
    ]
    unmarked = [
        name
        for name in sorted(vars(plugin) if hasattr(plugin, "__dict__") else ())
        if name.startswith("clipvet_") and name not in implemented and callable(vars(plugin)[name])
    ]
    problems += [f"{name} is not marked with @hookimpl and is never called" for name in unmarked]
    if not implemented and not unmarked:
        problems.append(f"it implements no hook: mark a function {HOOKS[2]} with @hookimpl")
    return problems


def nearest(name: str, known: Collection[str]) -> str:
    """`` (did you mean 'x'?)``, or nothing if no known name is close."""
    close = difflib.get_close_matches(name, list(known), n=1)
    return f" (did you mean {close[0]!r}?)" if close else ""


def _is_subclass(thing: Any, base: type) -> bool:
    return isinstance(thing, type) and issubclass(thing, base)


def _name_problems(kind: str, name: Any) -> list[str]:
    if isinstance(name, str) and NAME.fullmatch(name):
        return []
    return [f"{kind} {name!r}: a name is lower-case letters and digits, joined by '-' or '_'"]


def _set_problems(name: str, attribute: str, value: Any, known: Collection[str]) -> list[str]:
    if isinstance(value, property):  # may depend on the options; the runtime checks the instance
        return []
    if isinstance(value, str) or not isinstance(value, Collection):
        return [f"{name}: {attribute} must be a set of names, not {value!r}"]
    return [
        f"{name}: {attribute} has {item!r}, which does not exist{nearest(str(item), known)}"
        for item in sorted(set(map(str, value)) - set(known))
    ]


def _learning_problems(name: str, cls: type[Detector]) -> list[str]:
    if not cls.learns:
        return []
    missing = [method for method in ("fit", "save", "load") if not _implements(cls, method)]
    if not missing:
        return []
    return [f"{name} says that it learns, and does not implement {', '.join(missing)}"]


def _set_level_problems(name: str, cls: type[Detector]) -> list[str]:
    keeps: Any = cls.keeps
    if isinstance(keeps, str) or not isinstance(keeps, Collection):
        return [f"{name}: keeps must be a set of names of details, not {keeps!r}"]
    if bool(keeps) == _implements(cls, "finish"):
        return []
    if keeps:
        return [f"{name} keeps {', '.join(sorted(keeps))}, and does not implement finish"]
    return [f"{name} implements finish: say in keeps which details it reads"]


def _implements(cls: type[Detector], method: str) -> bool:
    return inspect.getattr_static(cls, method) is not inspect.getattr_static(Detector, method)
