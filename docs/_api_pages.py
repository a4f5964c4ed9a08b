"""The reference of the public Python names, from their signatures and docstrings."""

from __future__ import annotations

import ast
import dataclasses
import enum
import importlib
import inspect
import re
from collections.abc import Iterator
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from docs._markdown import docstring, prose

__all__ = ["PAGES", "api_pages"]

ROOT = Path(__file__).parents[1]
PAGES = {
    "api.md": ("clipvet.detectors",),
    "api-clip.md": ("clipvet.detectors.clip", "clipvet.detectors.clip.export"),
    "api-testing.md": ("clipvet.detectors.testing",),
}
WIDTH = 96


def api_pages() -> dict[str, str]:
    """File name -> text."""
    return {page: "\n".join(map(_module, modules)) for page, modules in PAGES.items()}


def _module(name: str) -> str:
    module = importlib.import_module(name)
    lines = [f"# {name}\n", docstring(inspect.getdoc(module) or ""), ""]
    for entry in module.__all__:
        lines += [f"## `{entry}`\n", *_entry(entry, getattr(module, entry)), ""]
    return "\n".join(lines)


def _entry(name: str, value: Any) -> Iterator[str]:
    if inspect.isclass(value):
        yield from _class(name, value)
    elif inspect.isroutine(value):
        yield _code(f"{name}{_signature(value)}")
        yield docstring(inspect.getdoc(value) or "")
    else:
        yield _code(f"{name}: {_brief(value)}")
        yield docstring(_constants().get(name, ""))


def _class(name: str, cls: type) -> Iterator[str]:
    bases = [base.__name__ for base in cls.__bases__ if base is not object]
    if issubclass(cls, BaseException):
        yield _code(f"class {name}({', '.join(bases)})")
        yield docstring(inspect.getdoc(cls) or "")
        yield f"\nWhen, and what to do: [errors](../errors.md#{name.lower()})."
        return
    if issubclass(cls, BaseModel | enum.Enum) or getattr(cls, "_is_protocol", False):
        yield _code(f"class {name}({', '.join(bases)})")
    else:
        yield _code(f"class {name}{_signature(cls)}")
    yield docstring(_own_doc(cls))
    if issubclass(cls, BaseModel):
        yield "\nFields:\n"
        for key, field in cls.model_fields.items():
            text = f": {prose(field.description)}" if field.description else ""
            yield f"- `{key}: {_annotation(field.annotation)}`{text}"
    yield from _members(cls)


def _own_doc(cls: type) -> str:
    """Not the docstring that a dataclass or a base class gives to who has none."""
    doc = cls.__doc__ or ""
    return "" if doc.startswith(f"{cls.__name__}(") else inspect.cleandoc(doc)


def _members(cls: type) -> Iterator[str]:
    for name, raw in list(vars(cls).items()):
        member = inspect.unwrap(
            raw.__func__ if isinstance(raw, classmethod | staticmethod) else raw
        )
        if name.startswith("_") or not (inspect.isfunction(member) or _is_property(raw)):
            continue
        if _is_property(raw):
            spelled, doc = name, inspect.getdoc(raw)
        else:
            signature = _signature(member, method=not isinstance(raw, staticmethod))
            spelled, doc = f"{name}{signature}", inspect.getdoc(member)
        if doc:
            yield f"\n### `{cls.__name__}.{name}`\n"
            yield _code(spelled)
            yield docstring(doc)


def _is_property(value: Any) -> bool:
    return isinstance(value, property) or type(value).__name__ == "cached_property"


def _signature(function: Any, *, method: bool = False) -> str:
    try:
        signature = inspect.signature(function)
    except (TypeError, ValueError):
        return ""
    parameters = list(signature.parameters.values())[1 if method else 0 :]
    pieces: list[str] = []
    starred = False
    for one in parameters:
        if one.kind is one.KEYWORD_ONLY and not starred:
            pieces.append("*")
            starred = True
        starred = starred or one.kind is one.VAR_POSITIONAL
        pieces.append(_parameter(one))
    result = ""
    if signature.return_annotation is not signature.empty and not inspect.isclass(function):
        result = f" -> {_annotation(signature.return_annotation)}"
    line = f"({', '.join(pieces)}){result}"
    if len(line) < WIDTH - 24:
        return line
    return "(\n" + "".join(f"    {piece},\n" for piece in pieces) + f"){result}"


def _parameter(one: inspect.Parameter) -> str:
    stars = "*" if one.kind is one.VAR_POSITIONAL else "**" if one.kind is one.VAR_KEYWORD else ""
    text = f"{stars}{one.name}"
    if one.annotation is not one.empty:
        text += f": {_annotation(one.annotation)}"
    if one.default is not one.empty:
        text += f" = {_brief(one.default)}"
    return text


def _annotation(annotation: Any) -> str:
    text = annotation if isinstance(annotation, str) else inspect.formatannotation(annotation)
    text = re.sub(r"\b(?:clipvet|numpy|pathlib|collections|typing)\.(?:\w+\.)*", "", text)
    text = re.sub(r"ForwardRef\('([^']+)'\)", r"\1", text)
    return text.replace("NoneType", "None")


def _brief(value: Any) -> str:
    """A value that reads the same on every machine and in every run."""
    if value is inspect.Parameter.empty:
        return ""
    if isinstance(value, enum.Enum):
        return str(value.value)
    if dataclasses.is_dataclass(value):
        return f"{type(value).__name__}(...)"
    text = _annotation(repr(value))
    if " at 0x" in text or "<factory>" in text or "<function" in text:
        return "..."
    if isinstance(value, frozenset | set):
        text = "{" + ", ".join(sorted(map(repr, value))) + "}"
    return text if len(text) <= WIDTH else f"{type(value).__name__} of {len(value)}"


def _code(text: str) -> str:
    return f"```text\n{text}\n```\n"


@cache
def _constants() -> dict[str, str]:
    """Name -> the string below its assignment, anywhere in the SDK."""
    found = {}
    for path in sorted((ROOT / "detectors").rglob("*.py")):
        body = ast.parse(path.read_text("utf-8")).body
        for node, below in pairwise(body):
            target = node.targets[0] if isinstance(node, ast.Assign) else None
            target = node.target if isinstance(node, ast.AnnAssign) else target
            text = below.value if isinstance(below, ast.Expr) else None
            if isinstance(target, ast.Name) and isinstance(text, ast.Constant):
                found[target.id] = inspect.cleandoc(str(text.value))
    return found
