"""Cut an ONNX graph down to the outputs that are wanted.

Fetching fewer outputs saves nothing: ONNX Runtime still runs the dead nodes. Walking back from
the wanted outputs and keeping only what is reached does.
"""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from typing import TYPE_CHECKING

from clipvet.detectors.clip._graph_check import read_graph
from clipvet.detectors.errors import BundleError

if TYPE_CHECKING:
    import onnx

__all__ = ["keep_reached", "pruned_graph"]


def pruned_graph(path: Path, outputs: Collection[str]) -> bytes:
    """The graph of ``path`` with just ``outputs``, without the data of its external weights.

    Args:
        path: an ONNX file whose weights are external data.
        outputs: names of graph outputs to keep; order does not matter.

    Returns:
        A serialised model. Whoever loads it must point the runtime at the folder of ``path``.

    Raises:
        BundleError: the file lacks one of the outputs, or is refused by :func:`read_graph`.
    """
    model = read_graph(path)
    graph = model.graph
    missing = sorted(set(outputs) - {value.name for value in graph.output})
    if missing:
        raise BundleError(f"{path} has no output {', '.join(missing)}")
    keep_reached(graph, outputs)
    del graph.value_info[:]
    return bytes(model.SerializeToString())


def keep_reached(graph: onnx.GraphProto, outputs: Collection[str]) -> None:
    """Remove the nodes, initializers and graph outputs that ``outputs`` do not rest on."""
    producer = {name: node for node in graph.node for name in node.output}
    wanted, reached = list(outputs), set[str]()
    while wanted:
        name = wanted.pop()
        if name and name not in reached:
            reached.add(name)
            if name in producer:
                wanted.extend(producer[name].input)
                reached.update(producer[name].output)
    nodes = [node for node in graph.node if reached.intersection(node.output)]
    initializers = [tensor for tensor in graph.initializer if tensor.name in reached]
    values = [value for value in graph.output if value.name in set(outputs)]
    for field, kept in (("node", nodes), ("initializer", initializers), ("output", values)):
        del getattr(graph, field)[:]
        getattr(graph, field).extend(kept)
