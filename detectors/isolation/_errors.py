"""What was raised in one process, raised in the other: by its name, never as an object."""

from __future__ import annotations

from typing import Any

from clipvet.detectors import errors
from clipvet.detectors.errors import ClipvetError

__all__ = ["described", "raised"]

_MOST = 10_000


def described(error: BaseException) -> dict[str, str]:
    """An exception as facts: the name of its type (the nearest that clipvet has) and its text."""
    try:
        text = str(error)
    except Exception:  # noqa: BLE001 - a __str__ of the plugin's own
        text = "its message cannot be shown"
    return {"type": _name(error), "text": text[:_MOST].encode("utf-8", "backslashreplace").decode()}


def raised(facts: dict[str, Any]) -> Exception:
    """The exception that :func:`described` was given: clipvet's own, or one of that name."""
    name, text = facts.get("type"), facts.get("text")
    if not (isinstance(name, str) and name.isidentifier() and isinstance(text, str)):
        return RuntimeError("an error that cannot be read")
    known = getattr(errors, name, None)
    ours = isinstance(known, type) and issubclass(known, ClipvetError)
    cls: Any = known if ours else type(name, (Exception,), {})
    error: Exception = cls.__new__(cls, *([text] if text else []))  # whatever __init__ would ask
    return error


def _name(error: BaseException) -> str:
    """Of the nearest class that clipvet has, or of its own."""
    bases = type(error).__mro__
    ours = [base for base in bases if getattr(errors, base.__name__, None) is base]
    return (ours or bases)[0].__name__
