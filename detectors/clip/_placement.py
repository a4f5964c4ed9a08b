"""Which execution provider runs which node of a session, as onnxruntime itself tells it.

A provider that lacks a kernel leaves the node to the CPU without a word; on an accelerator each
such node costs two copies and a wait, so they are read, reported and named.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

__all__ = ["Placement", "RECORD_PLACEMENT", "read_placement", "stray_nodes"]

Placement = Mapping[str, Mapping[str, int]]
"""Execution provider -> operator -> number of nodes."""

RECORD_PLACEMENT = ("session.record_ep_graph_assignment_info", "1")
"""Session configuration without which :func:`read_placement` learns nothing."""


def read_placement(session: Any) -> Placement | None:
    """The nodes of an ``onnxruntime.InferenceSession`` by provider; None if it does not tell.

    Nodes are counted after the optimisations that every provider shares and before those of the
    provider that got them. onnxruntime before 1.24 keeps no such record.
    """
    if not hasattr(session, "get_provider_graph_assignment_info"):
        return None
    counts: dict[str, Counter[str]] = {}
    for part in session.get_provider_graph_assignment_info():
        operators = counts.setdefault(part.ep_name, Counter())
        operators.update(_operator(node) for node in part.get_nodes())
    return {provider: dict(sorted(counts[provider].items())) for provider in sorted(counts)}


def stray_nodes(placement: Placement | None, provider: str) -> str | None:
    """A sentence that names what runs on the CPU although ``provider`` was asked for, or None."""
    if placement is None or provider == "CPUExecutionProvider":
        return None
    strays = placement.get("CPUExecutionProvider", {})
    if not strays:
        return None
    names = ", ".join(f"{name} ({count})" for name, count in strays.items())
    total = sum(map(sum, (operators.values() for operators in placement.values())))
    return (
        f"{sum(strays.values())} of {total} nodes of the image tower run on the CPU, not on "
        f"{provider}, and slow it down: {names}"
    )


def _operator(node: Any) -> str:
    return f"{node.domain}.{node.op_type}" if node.domain else str(node.op_type)
