"""Where the numbers of a report come from: versions, bundles, configuration; no command."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any, TypeAlias

from clipvet.detectors.reports._facts import RunFacts
from clipvet.detectors.reports._paths import Masker

__all__ = ["Section", "provenance"]

Section: TypeAlias = tuple[str, list[tuple[str, str]]]
"""A title, and names with their values."""


def provenance(facts: RunFacts, masker: Masker) -> list[Section]:
    """The facts of ``run.json`` that a reader needs to make the run again."""
    state, configuration = facts.state, facts.configuration
    sections = [
        ("Run", _run(state)),
        ("Bundles", _bundles(_mapping(state, "bundles"))),
        ("Detectors", list(_detectors(configuration))),
        ("Configuration", list(_rest(configuration))),
        ("Versions", [(k, str(v)) for k, v in _mapping(state, "versions").items()]),
    ]
    return [
        (title, [(masker.text(name), masker.text(value)) for name, value in rows])
        for title, rows in sections
        if rows
    ]


def _run(state: Mapping[str, Any]) -> list[tuple[str, str]]:
    seconds = _mapping(state, "seconds")
    rows = {
        "status": state.get("status"),
        "started": state.get("started"),
        "finished": state.get("finished"),
        "provider": state.get("provider"),
        "sources": ", ".join(str(label) for label in state["sources"]),
        "encoder calls": state.get("encoder_calls"),
        "seconds": ", ".join(f"{stage} {spent}" for stage, spent in seconds.items()),
        "passed over": ", ".join(f"{n} {why}" for why, n in _mapping(state, "ignored").items()),
        "configuration sha256": state.get("configuration_sha256"),
    }
    return [(name, str(value)) for name, value in rows.items() if value not in (None, "")]


def _bundles(bundles: Mapping[str, Any]) -> list[tuple[str, str]]:
    return [
        (str(one.get("id")), f"sha256 {one.get('sha256')}, licence {one.get('licence')}")
        for one in bundles.values()
        if isinstance(one, dict)
    ]


def _detectors(configuration: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    for one in configuration.get("detectors", ()):
        if not isinstance(one, dict):
            continue
        words = [
            f"version {one.get('version')} of {one.get('dist')}",
            f"bundle {one.get('bundle')}",
        ]
        if one.get("artefact"):
            words.append(f"artefact sha256 {one['artefact']}")
        options = one.get("options")
        for name, value in options.items() if isinstance(options, dict) else ():
            words.append(f"{name} = {_json(value)}")
        yield str(one.get("id")), "\n".join(words)


def _rest(configuration: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    for name, value in configuration.items():
        if name not in {"detectors", "bundles", "provider"} and value not in (None, [], {}):
            yield name, value if isinstance(value, str) else _json(value)


def _mapping(state: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    found = state.get(name)
    return found if isinstance(found, dict) else {}


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)
