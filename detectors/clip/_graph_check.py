"""The graphs of a bundle, read as data: what clipvet's exporter does not write is refused.

ONNX can name files anywhere, call operators of other libraries, hide graphs in attributes and
functions, and claim tensors of any size. None of that is needed to run a CLIP, so lists say what
may be there, and everything else is refused before onnxruntime sees it.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from clipvet.detectors._parsing import read_small
from clipvet.detectors.clip._manifest import Manifest
from clipvet.detectors.errors import BundleError

if TYPE_CHECKING:
    import onnx

__all__ = ["read_graph"]

_MOST_BYTES: Final = 64 << 20  # the largest graphs of ViT-L/14 have 0.4 MB

_OPERATORS: Final = frozenset(
    """Add ArgMax Cast Clip Concat Conv DequantizeLinear Expand Gather GatherND Gelu Identity
    LayerNormalization MatMul Mul Reshape Resize Shape Sigmoid Slice Softmax Split Squeeze Sum
    Transpose Unsqueeze Where""".split()  # noqa: SIM905
)

# Message -> the fields that may be set. What is missing: functions, training graphs, sparse and
# typed tensors, attributes that hold graphs or tensors, overloads, device configurations.
_FIELDS: Final = {
    "ModelProto": """ir_version opset_import producer_name producer_version domain model_version
        doc_string graph metadata_props""",
    "GraphProto": "name doc_string node initializer input output value_info metadata_props",
    "NodeProto": "name doc_string op_type domain input output attribute",
    "AttributeProto": "name doc_string type f i s floats ints strings",
    "TensorProto": "name doc_string data_type dims raw_data data_location external_data",
}
_KNOWN: Final = {message: frozenset(words.split()) for message, words in _FIELDS.items()}
# TensorProto.DataType -> bytes: float, int8, int32, int64, bool, float16, bfloat16.
_ITEM_BYTES: Final = {1: 4, 3: 1, 6: 4, 7: 8, 9: 1, 10: 2, 16: 2}
_PLACE: Final = {"location", "offset", "length"}


def read_graph(path: Path) -> onnx.ModelProto:
    """A graph of a bundle, without the data of its external weights.

    Args:
        path: beside the ``manifest.json`` that lists it, and the files that it may point into.

    Raises:
        BundleError: it is no ONNX model, or holds or claims what no exporter of clipvet writes.
    """
    import onnx

    try:
        model = onnx.load_from_string(read_small(path, _MOST_BYTES))
    except Exception as error:  # noqa: BLE001 - protobuf raises its own, undocumented types
        raise BundleError(f"{path} is not a readable ONNX model: {error}") from None
    manifest = Manifest.read(path.parent)
    problem = next(_problems(model, path.name, manifest), None)
    if problem is not None:
        raise BundleError(
            f"{path} {problem}, which no exporter of clipvet writes: export or pull it again"
        )
    return model


def _problems(model: onnx.ModelProto, name: str, manifest: Manifest) -> Iterator[str]:
    if name not in manifest.files:
        yield "is not among the files of its manifest"
    yield from _unknown_fields(model)
    yield from (
        f"imports operators of {opset.domain!r}"
        for opset in model.opset_import
        if opset.domain not in {"", "ai.onnx"}
    )
    graph = model.graph
    yield from _unknown_fields(graph)
    for node in graph.node:
        yield from _of_node(node)
    used: Counter[str] = Counter()
    for tensor in graph.initializer:
        yield from _of_tensor(tensor, manifest, used)
    for value in graph.output:
        wanted = manifest.features.get(value.name)
        given = [side.dim_value for side in value.type.tensor_type.shape.dim][1:]
        if wanted is not None and given != list(wanted):
            yield f"gives {value.name} another shape than its manifest"


def _of_node(node: onnx.NodeProto) -> Iterator[str]:
    if node.op_type not in _OPERATORS or node.domain not in {"", "ai.onnx"}:
        yield f"calls the operator {'.'.join(filter(None, [node.domain, node.op_type]))!r}"
    yield from _unknown_fields(node)
    for attribute in node.attribute:
        yield from (f"{found} {attribute.name!r}" for found in _unknown_fields(attribute))


def _of_tensor(tensor: onnx.TensorProto, manifest: Manifest, used: Counter[str]) -> Iterator[str]:
    """What is wrong with a weight or a constant; its size is computed, nothing is allocated."""
    name = repr(tensor.name)
    yield from (f"{found} {name}" for found in _unknown_fields(tensor))
    item = _ITEM_BYTES.get(tensor.data_type)
    if item is None or any(side < 0 for side in tensor.dims):
        yield f"gives {name} a type or a shape"
        return
    size = item * math.prod(tensor.dims)
    if not tensor.data_location:
        if len(tensor.raw_data) != size:
            yield f"claims {size} bytes for {name} and holds {len(tensor.raw_data)}"
        return
    place = {entry.key: entry.value for entry in tensor.external_data}
    if set(place) != _PLACE or len(place) < len(tensor.external_data):
        yield f"places {name} by {', '.join(sorted(place)) or 'nothing'}"
        return
    location, offset, length = place["location"], _count(place["offset"]), _count(place["length"])
    if location not in manifest.files:
        yield f"takes {name} from {location!r}, no file of its manifest"
        return
    used[location] += size
    held = manifest.files[location].bytes
    if offset is None or length != size or offset + size > held or used[location] > held:
        yield f"claims {size} bytes for {name} that {location} does not have"


def _unknown_fields(message: Any) -> Iterator[str]:
    kind = type(message).__name__
    for field, _ in message.ListFields():
        if field.name not in _KNOWN[kind]:
            yield f"holds {field.name} in a {kind}"


def _count(text: str) -> int | None:
    return int(text) if text.isascii() and text.isdecimal() and len(text) < 20 else None
