"""JSON and TOML that somebody else may have written: parsed strictly, or refused with one clause.

Python's own parsers take NaN, infinities, a key that stands twice, and any depth until the stack
is full; some of these break whoever reads the value much later.
"""

from __future__ import annotations

import errno
import json
import math
import re
import stat
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from pydantic import ValidationError

__all__ = ["first_complaint", "parse_json", "parse_toml", "read_small"]

_DEEPEST: Final = 64
# Parsing a dotted key takes time with the square of its parts: 2,000 a third of a second.
_LONG_KEY: Final = re.compile(
    r"""(?<![\w-])(?:(?:[\w-]++|"[^"\n]*+"|'[^'\n]*+')[ \t]*+\.[ \t]*+){256}"""
)


def parse_json(text: str) -> Any:
    """What a JSON text says.

    Raises:
        ValueError: it is no JSON; or a key stands twice, a number is not finite or does not fit
            64 bits, or lists lie in lists more than 64 deep.
    """
    try:
        found = json.loads(
            text, object_pairs_hook=_once, parse_constant=_no_number, parse_int=_whole
        )
    except RecursionError:
        raise ValueError(_TOO_DEEP) from None
    _check(found)
    return found


def parse_toml(data: bytes) -> dict[str, Any]:
    """What a TOML text in UTF-8 says; raises ValueError as :func:`parse_json`."""
    text = data.decode("utf-8")
    if _LONG_KEY.search(text):
        raise ValueError("a key has more than 255 dots")
    try:
        found = tomllib.loads(text)
    except RecursionError:
        raise ValueError(_TOO_DEEP) from None
    _check(found)
    return found


def read_small(path: Path, most: int) -> bytes:
    """The bytes of a file that has no reason to be large.

    Raises:
        OSError: it cannot be read, is no regular file (opening a pipe would wait for ever), or
            has more than ``most`` bytes.
    """
    status = path.stat()
    if not stat.S_ISREG(status.st_mode):
        raise OSError(errno.EINVAL, "not a regular file", str(path))
    if status.st_size > most:
        raise OSError(errno.EFBIG, f"{status.st_size} bytes, above {most}", str(path))
    return path.read_bytes()


def first_complaint(error: ValidationError | UnicodeEncodeError, whole: str = "") -> str:
    """``where: what`` of the first thing that a model refuses, of at most 500 characters.

    Args:
        error: of a pydantic model, which raises UnicodeEncodeError where it has to name a key that
            is half of a surrogate pair; JSON can write one.
        whole: what to name if it is the value as a whole; nothing is named by default.
    """
    if isinstance(error, UnicodeEncodeError):
        half = error.object[error.start].encode("ascii", "backslashreplace").decode()
        return f"{whole or 'a text'}: {half} is half of a character"
    first = error.errors(include_url=False)[0]
    where = ".".join(str(part) for part in first["loc"]) or whole
    what = first["msg"].removeprefix("Value error, ")
    # Both may repeat a key or a value of the file, which has any length.
    return f"{_short(where, 150)}: {_short(what, 300)}" if where else _short(what, 300)


def _short(text: str, most: int) -> str:
    return text if len(text) <= most else f"{text[: most - 60]} ... {text[-50:]}"


_TOO_DEEP: Final = f"it is nested more than {_DEEPEST} deep"


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, value in pairs:
        if name in found:
            raise ValueError(f"the key {_short(name, 150)!r} stands twice")
        found[name] = value
    return found


def _no_number(word: str) -> Any:
    raise ValueError(f"{word} is no number of JSON")


def _whole(digits: str) -> int:
    number = int(digits)
    if abs(number) >= 1 << 63:
        raise ValueError(f"{digits[:20]}... is too large a number")
    return number


def _check(value: Any) -> None:
    """Walk over all of it, without recursion."""
    level = [value]
    for _ in range(_DEEPEST + 1):
        below: list[Any] = []
        for one in level:
            if isinstance(one, dict):
                below.extend(one.values())
            elif isinstance(one, list):
                below.extend(one)
            elif isinstance(one, float) and not math.isfinite(one):
                raise ValueError(f"it holds {one}, or a number too large for a double")
        if not below:
            return
        level = below
    raise ValueError(_TOO_DEEP)
