"""The command ``detect``."""

from __future__ import annotations

import sys
from collections.abc import Sequence

__all__ = ["main"]


def main(argv: Sequence[str] | None = None) -> None:
    """Run ``detect`` and exit with its code."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    if arguments == ["--version"]:  # answered before anything heavy is imported
        from importlib.metadata import version

        sys.stdout.write(f"detect {version('clipvet')}\n")
        sys.exit(0)
    from clipvet.cli._interrupt import second_interrupt_kills
    from clipvet.cli._main import run_command

    second_interrupt_kills()
    sys.exit(run_command(arguments))
