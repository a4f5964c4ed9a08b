"""Who gets a name that several plugins claim: a built-in keeps it, third parties share none."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from clipvet.detectors.host._plugins import PluginFailure, PluginSource

__all__ = ["Registration", "settle"]


@dataclass(frozen=True)
class Registration:
    """One accepted call of a ``register`` callback."""

    kind: str
    name: str
    value: Any
    source: PluginSource


def settle(
    kind: str, registrations: Iterable[Registration]
) -> tuple[dict[str, Registration], list[PluginFailure]]:
    """Give every registration of one kind a name that only it has.

    A name claimed once stays as it is. Of several claims a built-in's keeps the name, and every
    other becomes ``dist:name``; each of these is reported. A second claim by one and the same
    distribution is refused: nothing could tell the two apart.

    Returns:
        names in the order of registration, and one failure for each claim that lost its name.
    """
    claims: dict[str, list[Registration]] = {}
    failures: list[PluginFailure] = []
    for registration in registrations:
        if registration.kind != kind:
            continue
        claimants = claims.setdefault(registration.name, [])
        twin = next((c for c in claimants if c.source.dist == registration.source.dist), None)
        if twin is None:
            claimants.append(registration)
        else:
            message = (
                f"{kind} {registration.name!r} is already registered by {twin.source}: refused"
            )
            failures.append(_clash(registration, message))
    settled: dict[str, Registration] = {}
    for name, claimants in claims.items():
        for claim in claimants:
            if len(claimants) == 1 or claim.source.builtin:
                settled[name] = claim
                continue
            settled[f"{claim.source.dist}:{name}"] = claim
            others = " and by ".join(str(c.source) for c in claimants if c is not claim)
            message = (
                f"{kind} {name!r} is also registered by {others}: "
                f"this one is called '{claim.source.dist}:{name}'"
            )
            failures.append(_clash(claim, message))
    return settled, failures


def _clash(claim: Registration, message: str) -> PluginFailure:
    return PluginFailure(
        dist=claim.source.dist,
        version=claim.source.version,
        entry_point=claim.source.entry_point,
        phase="validate",
        exception="NameClash",
        message=message,
    )
