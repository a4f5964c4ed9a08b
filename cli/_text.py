"""Text of others on a terminal: names of files, words of plugins, bundles and recipes.

A terminal obeys escape sequences, and rich obeys brackets. Whatever was not written here goes
through one of these first.
"""

from __future__ import annotations

import logging

import typer

__all__ = ["LogFormatter", "plain", "say", "shown"]

_WHITE = frozenset("\t\n\r\f\v")


def plain(text: object) -> str:
    """One line of printable signs: line ends become spaces, what else is not printable its code."""
    line = str(text)
    return line if line.isprintable() else "".join(map(_printable, line))


def shown(text: object) -> str:
    """The same for rich, which is not to read its brackets as colours."""
    from rich.markup import escape

    return escape(plain(text))


def say(text: object, *, err: bool = False) -> None:
    """Print a line for people."""
    typer.echo(plain(text), err=err)


class LogFormatter(logging.Formatter):
    """Messages in one printable line each; tracebacks of --debug as they are."""

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 - logging's name
        """The line, without the traceback that may follow."""
        return plain(super().formatMessage(record))


def _printable(sign: str) -> str:
    if sign.isprintable():
        return sign
    return " " if sign in _WHITE else repr(sign)[1:-1]
