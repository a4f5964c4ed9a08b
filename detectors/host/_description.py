"""What a detector says about itself, as plain JSON-able data, for ``detect plugins show``."""

from __future__ import annotations

from typing import Any, get_origin

from pydantic.fields import FieldInfo

from clipvet.detectors._features import FEATURES
from clipvet.detectors.host._plugins import DetectorEntry

__all__ = ["describe_detector"]


def describe_detector(name: str, entry: DetectorEntry) -> dict[str, Any]:
    """Facts of a registered detector; it is instantiated only if its needs depend on options.

    Args:
        name: under which it is asked for, ``id`` or ``dist:id``.
        entry: its class and origin.
    """
    cls = entry.cls
    needs: Any = cls.needs
    if isinstance(needs, property):  # it depends on the options
        needs = cls().needs
    return {
        "name": name,
        "id": cls.id,
        "version": cls.version,
        "summary": next(iter((cls.__doc__ or "").strip().splitlines()), ""),
        "task": cls.task,
        "dist": entry.dist,
        "dist_version": entry.version,
        "plugin": entry.plugin,
        "builtin": entry.builtin,
        "needs": {feature: FEATURES[feature].meaning for feature in sorted(needs)},
        "queries": sorted(cls.queries),
        "learns": cls.learns,
        "options": [
            _option(f"{name}.{key}", field) for key, field in cls.Options.model_fields.items()
        ],
    }


def _option(key: str, field: FieldInfo) -> dict[str, Any]:
    default = None if field.is_required() else field.get_default(call_default_factory=True)
    return {
        "key": key,
        "type": _type_name(field.annotation),
        "required": field.is_required(),
        "default": default
        if isinstance(default, (bool, int, float, str, type(None)))
        else repr(default),
        "description": field.description or "",
    }


def _type_name(annotation: Any) -> str:
    # A class says its bare name; typing constructs already read well once `typing.` is gone.
    if isinstance(annotation, type) and get_origin(annotation) is None:
        return annotation.__name__
    return str(annotation).replace("typing.", "").replace("NoneType", "None")
