"""The group of commands, and what becomes of everything that a command can raise.

Exit codes: 0 nothing flagged, 1 something flagged, 2 usage, 3 some images or detectors failed,
4 environment, 70 unexpected exception, 130 Ctrl-C, 141 closed stdout.
"""

from __future__ import annotations

import contextlib
import difflib
import importlib
import os
import sys
from collections.abc import Sequence
from typing import Annotated, Any, Final

import typer
from typer.core import TyperGroup

from clipvet.cli._text import LogFormatter, plain

__all__ = ["run_command"]

COMMANDS: Final = {
    "run": "clipvet.cli.run",
    "fit": "clipvet.cli.fit",
    "merge": "clipvet.cli.merge",
    "report": "clipvet.cli.report",
    "train": "clipvet.cli.train",
    "eval": "clipvet.cli.eval",
    "bundles": "clipvet.cli.bundles",
    "plugins": "clipvet.cli.plugins",
    "doctor": "clipvet.cli.doctor",
    "schema": "clipvet.cli.schema",
    "x": "clipvet.cli.x",
}
_DEBUG = "--debug"
_OPTIONS = (_DEBUG, "--version", "--help")


class DetectGroup(TyperGroup):
    """Imports a command's module when that command is asked for; ``run`` may be left out."""

    def list_commands(self, ctx: Any) -> list[str]:
        """Names in the order of a day's work."""
        return list(COMMANDS)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """The command, or None."""
        return _command(cmd_name) if cmd_name in COMMANDS else None

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Insert ``run`` before what is neither a command nor an option of the group."""
        first = next((i for i, token in enumerate(args) if token not in _OPTIONS), None)
        if first is not None and args[first] not in COMMANDS:
            token = args[first]
            if not token.startswith("-") and not _is_source(token):
                ctx.fail(_neither(token))
            args = [*args[:first], "run", *args[first:]]
        return super().parse_args(ctx, args)


app = typer.Typer(
    cls=DetectGroup,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    context_settings={"help_option_names": ["--help"]},
)


def _print_version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        typer.echo(f"detect {version('clipvet')}")
        raise typer.Exit


@app.callback(epilog="`detect PATHS...` means `detect run PATHS...`.")
def detect(
    version: Annotated[
        bool,
        typer.Option(
            "--version", help="Print the version and exit.", is_eager=True, callback=_print_version
        ),
    ] = False,
    debug: Annotated[bool, typer.Option(_DEBUG, help="Show the traceback of an error.")] = False,
) -> None:
    """Judge images: one CLIP pass, every detector, one record for each image."""


def run_command(arguments: Sequence[str]) -> int:
    """Run one command line.

    Returns:
        The exit code.
    """
    stop = arguments.index("--") if "--" in arguments else len(arguments)
    debug = _DEBUG in arguments[:stop]
    arguments = [a for i, a in enumerate(arguments) if a != _DEBUG or i > stop]
    _start_log(debug=debug)
    try:
        code = typer.main.get_command(app).main(
            arguments, prog_name="detect", standalone_mode=False
        )
        sys.stdout.flush()
        return code if isinstance(code, int) else 0
    except BrokenPipeError:
        return _closed_stdout()
    except SystemExit as error:  # Typer exits with 1 on a closed pipe: that means "flagged" here
        if isinstance(error.__context__, BrokenPipeError):
            return _closed_stdout()
        raise
    except KeyboardInterrupt:
        _say("interrupted")
        return 130
    except typer.Abort:
        _say("aborted")
        return 130
    except Exception as error:  # noqa: BLE001 - the last stop before the exit code
        return _report(error, debug=debug)


def _command(name: str) -> Any:
    module = importlib.import_module(COMMANDS[name])
    target = getattr(module, "app", None)
    if target is None:
        target = typer.Typer(add_completion=False)
        target.command(name)(getattr(module, name))
    command = typer.main.get_command(target)
    command.name = name
    return command


def _is_source(token: str) -> bool:
    if os.path.lexists(token):
        return True
    from clipvet.detectors import is_source

    return is_source(token)


def _neither(token: str) -> str:
    near = difflib.get_close_matches(token, COMMANDS, n=1, cutoff=0.5)
    hint = f", did you mean {near[0]!r}?" if near else f"; commands are {', '.join(COMMANDS)}"
    return f"{token!r} is neither a command nor an existing path{hint}"


def _report(error: Exception, *, debug: bool) -> int:
    from clipvet.detectors.errors import ClipvetError

    if debug:
        import traceback

        traceback.print_exception(error)
    if isinstance(error, ClipvetError):
        _say(str(error))
        return error.exit_code
    if isinstance(error, typer.TyperException):  # a usage error that Typer found
        message = error.format_message()
        if not message:  # no arguments: the help has been printed
            return error.exit_code
        _say(f"{message.rstrip('.')} (see detect --help)")
        return error.exit_code
    hint = "" if debug else "; this is a bug of clipvet or of a plugin: --debug shows where"
    _say(f"unexpected {type(error).__name__}: {error}{hint}")
    return 70


def _say(message: str) -> None:
    with contextlib.suppress(BrokenPipeError):
        print(f"detect: {plain(' '.join(message.split()))}", file=sys.stderr)  # noqa: T201


def _closed_stdout() -> int:
    """The reader of stdout has gone; keep the interpreter from complaining at exit."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, sys.stdout.fileno())
    return 141


def _start_log(*, debug: bool) -> None:
    import logging

    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        LogFormatter("detect: %(message)s" if not debug else "%(name)s: %(message)s")
    )
    logging.basicConfig(handlers=[handler], level=logging.DEBUG if debug else logging.WARNING)
    for noisy in ("PIL", "matplotlib", "numba"):
        logging.getLogger(noisy).setLevel(logging.WARNING)
