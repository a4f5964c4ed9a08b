"""Changes that keep the form of a file: without them nearly every input stops at its parser."""

from __future__ import annotations

import json
import random
import tomllib
from typing import Any

import tomli_w

__all__ = ["mutated"]

_ODD: list[Any] = [
    None, True, False, 0, -1, 1, 2, 2**31, 2**63, 10**400, 1.5, -0.0, 5e-324, 1e308, float("inf"),
    float("nan"), "", " ", ".", "..", "../..", "/", "/etc/passwd", "a\nb", "a\0b", "\udc80",
    "x" * 300,
    "<script>", "=1+1", "mini", "conformal", "max-f1", "recall=0.5", "recall=1e-99", "weighted",
    "all", "0" * 64, [], {}, [[]], [0], [""], {"": 0},
]  # fmt: skip


def mutated(data: bytes, form: str, seed: int) -> bytes | None:
    """``data`` with one or a few values changed; None leaves it to the mutations of bytes."""
    rng = random.Random(seed)
    if form == "bytes" or rng.random() < 0.4:
        return None
    try:
        if form == "toml":
            return tomli_w.dumps(_changed(tomllib.loads(data.decode()), rng)).encode()
        if form == "json":
            return _json(_changed(json.loads(data), rng))
        separator = b"\n" if form == "jsonl" else b"\n\0\n"
        head, mark, rest = data.partition(separator)
        return _json(_changed(json.loads(head), rng)) + mark + rest
    except Exception:  # noqa: BLE001 - it has lost its form: bytes will do
        return None


def _json(value: Any) -> bytes:
    return json.dumps(value).encode()


def _changed(value: Any, rng: random.Random) -> Any:
    for _ in range(rng.choice([1, 1, 1, 2, 4])):
        _change_one(value, rng)
    return value


def _change_one(value: Any, rng: random.Random) -> None:
    """Walk to a random place and put, remove, double, rename or swap something there."""
    keys = list(value) if isinstance(value, dict) else list(range(len(value)))
    if not keys:
        return
    key = rng.choice(keys)
    child = value[key]
    if isinstance(child, (dict, list)) and child and rng.random() < 0.75:
        _change_one(child, rng)
        return
    how = rng.randrange(6)
    if how == 0:
        del value[key]
    elif how == 1 and isinstance(value, list):
        value.append(child)
    elif how == 1:
        value[str(rng.choice(_ODD))] = child
    elif how == 2:
        other = rng.choice(keys)
        value[key], value[other] = value[other], child
    elif how == 3:
        value[key] = _nested(rng.choice([3, 200, 600]), rng.choice([[], {}, 0]))
    else:
        value[key] = rng.choice(_ODD)


def _nested(depth: int, core: Any) -> Any:
    for _ in range(depth):
        core = [core]
    return core
