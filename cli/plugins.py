"""``detect plugins``: what is installed, what it says, and whether it keeps its promises."""

from __future__ import annotations

import json
import os
import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from clipvet.cli._text import say

if TYPE_CHECKING:
    from clipvet.detectors import DetectorEntry, Host

__all__ = ["app"]

app = typer.Typer(
    name="plugins",
    help="Show, check and start detector plugins.",
    no_args_is_help=True,
    add_completion=False,
)

AsJson = Annotated[bool, typer.Option("--json", help="JSON on standard output.")]
DetectorName = Annotated[str, typer.Argument(metavar="ID", help="Id of a detector, or DIST:ID.")]


@app.command("list")
def list_plugins(as_json: AsJson = False) -> None:
    """List the plugins, what each one brings, and everything that failed to load.

    Works with every plugin broken; exits 4 on a failure only if CLIPVET_PLUGINS_STRICT=1.
    """
    from clipvet.detectors import Host

    host = Host.load(strict=False)
    if as_json:
        typer.echo(json.dumps(_as_json(host), indent=2))
    else:
        for line in _as_lines(host):
            say(line)
    if os.environ.get("CLIPVET_PLUGINS_STRICT") == "1":
        host.check()


@app.command()
def show(name: DetectorName, as_json: AsJson = False) -> None:
    """Show what a detector needs, asks and learns, and its options for --set."""
    from clipvet.detectors import Host, describe_detector

    entry = Host.load().detector(name)
    facts = describe_detector(name, entry)
    if as_json:
        typer.echo(json.dumps(facts, indent=2))
        return
    say(f"{facts['name']}  {facts['summary']}")
    say(f"  task      {facts['task']}")
    say(f"  version   {facts['version']}")
    say(f"  from      {facts['dist']} {facts['dist_version']}")
    say(f"  queries   {', '.join(facts['queries']) or 'none'}")
    say(f"  artefact  {_artefact(entry)}")
    say("  needs")
    for feature, meaning in facts["needs"].items():
        say(f"    {feature}: {meaning}")
    say("  options" if facts["options"] else "  options   none")
    for option in facts["options"]:
        default = "required" if option["required"] else f"= {option['default']}"
        say(f"    --set {option['key']} ({option['type']}, {default})")
        if option["description"]:
            say(f"        {option['description']}")


@app.command()
def check(
    name: DetectorName,
    bundle: Annotated[
        str | None,
        typer.Option(help="Use this bundle (name or folder), not made-up features."),
    ] = None,
    artefact: Annotated[
        Path | None, typer.Option(help="Folder of what the detector learned; else it is fitted.")
    ] = None,
) -> None:
    """Run the checks that every detector must pass; exits 3 if one fails."""
    from clipvet.detectors import Host, counted
    from clipvet.detectors.testing import check_detector

    host = Host.load()
    outcomes = check_detector(host, name, bundle=bundle, artefact=artefact)
    for outcome in outcomes:
        say(f"{'ok  ' if outcome.message is None else 'FAIL'}  {outcome.name}")
        if outcome.message is not None:
            say(f"      promised: {outcome.promise}")
            say(f"      found: {outcome.message}")
    failed = sum(outcome.message is not None for outcome in outcomes)
    say(f"{name}: {counted(len(outcomes), 'check')}, {failed} failed")
    if failed:
        raise typer.Exit(3)


@app.command()
def new(
    folder: Annotated[
        Path, typer.Argument(metavar="DIR", help="Folder to make; its name names the plugin.")
    ],
    learns: Annotated[
        bool, typer.Option("--learns", help="A detector that learns from good images.")
    ] = False,
) -> None:
    """Start a plugin: a distribution with one working detector and tests that pass."""
    from clipvet.detectors import Host, new_plugin

    for path in new_plugin(folder, learns=learns, taken=Host.load().detectors):
        say(path)
    say(f"next: cd {shlex.quote(str(folder))} && pip install -e '.[test]' && pytest")


def _as_json(host: Host) -> dict[str, Any]:
    from dataclasses import asdict

    return {
        "plugins": [plugin.as_dict() for plugin in host.plugins],
        "detectors": {
            name: {"task": entry.cls.task, "plugin": entry.plugin, "builtin": entry.builtin}
            for name, entry in host.detectors.items()
        },
        "failures": [asdict(failure) for failure in host.failures],
    }


def _as_lines(host: Host) -> list[str]:
    lines = []
    for plugin in host.plugins:
        note = "  built in" if plugin.source.builtin else ""
        lines.append(f"{plugin.source}{note}")
        lines += [
            f"  {kind:<10} {', '.join(names)}"
            for kind in ("detectors", "bundles", "readers", "commands", "trainers")
            if (names := getattr(plugin, kind))
        ]
    if not host.plugins:
        lines.append("no plugin is loaded")
    if host.failures:
        lines += ["", f"{len(host.failures)} failed"]
        lines += [f"  {failure}" for failure in host.failures]
    return lines


def _artefact(entry: DetectorEntry) -> str:
    from clipvet.detectors import Detector

    if entry.cls.learns:
        return "learned by `detect fit`, kept in a recipe"
    if entry.cls.load is not Detector.load:
        return "trained or imported beforehand, given with --artefact"
    return "none: it learns nothing"
