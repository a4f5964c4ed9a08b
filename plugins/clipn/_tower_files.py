"""Write a "no" text tower: the bundle's own text graph with other weights. Needs onnx, no torch."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from clipvet.detectors import Artefact, UsageError
from clipvet.detectors.clip import Bundle, Manifest
from clipvet.plugins.clipn._no_tower import ID, NoTower

__all__ = ["Precision", "write_no_tower"]

Precision = Literal["fp32", "fp16", "int8"]
Arrays = Mapping[str, NDArray[Any]]

_WEIGHTS = "artefact.safetensors"
_SCALE = ".scale"
# Initialisers may not share a name with the values that the graph's nodes read.
_STORED = "stored/"


def write_no_tower(
    out: Path,
    bundle: Bundle,
    weights: Mapping[str, NDArray[np.float32]],
    *,
    precision: Precision,
    facts: Mapping[str, Any],
) -> NoTower:
    """Write the artefact of a "no" tower into an existing, empty folder.

    Args:
        out: the folder.
        bundle: whose image tower and yes text tower it goes with.
        weights: by the names of :meth:`Bundle.weights`; prompts of CLIPN are added to the
            positions, which is what they are added to anyway.
        precision: on disk; int8 keeps a scale for each row of a matrix. Sums are always float32.
        facts: for the header; ``origin`` and ``prompt_kind`` among them.

    Raises:
        UsageError: a weight is not finite in this precision.
    """
    stored = _stored(weights, precision)
    Artefact(
        detector=ID,
        bundle=bundle.info,
        facts={**facts, "precision": precision},
        tensors=stored,
    ).save(out)
    (out / "text.onnx").write_bytes(_graph(bundle, out / _WEIGHTS, stored))
    (out / "tokenizer.json").write_bytes((bundle.folder / "tokenizer.json").read_bytes())
    files = [out / name for name in ("text.onnx", "tokenizer.json", _WEIGHTS)]
    yes = bundle.manifest.model_dump(mode="json", by_alias=True)
    Manifest.model_validate(
        {
            **yes,
            "name": f"{bundle.manifest.name}-no",
            "description": f'CLIPN\'s "no" text tower for bundle {bundle.manifest.name}.',
            "precision": "fp32" if precision == "fp32" else "fp16",
            "trunk": None,
            "features": {},
            "options": {},
            "files": {
                path.name: {
                    "bytes": path.stat().st_size,
                    "sha256": hashlib.sha256(path.read_bytes()).hexdigest(),
                }
                for path in files
            },
        }
    ).write(out)
    return NoTower.load(out)


def _stored(weights: Arrays, precision: Precision) -> dict[str, NDArray[Any]]:
    """The arrays as they lie on disk; an int8 matrix has its row scales beside it."""
    stored: dict[str, NDArray[Any]] = {}
    for name, value in weights.items():
        if precision == "int8" and value.ndim == 2 and np.isfinite(value).all():
            scale = np.abs(value).max(axis=1) / 127
            scale[scale == 0] = 1
            stored[name] = np.rint(value / scale[:, None]).astype(np.int8)
            stored[name + _SCALE] = scale.astype(np.float32)
            continue
        with np.errstate(over="ignore"):  # told below, by name
            stored[name] = value.astype(np.float32 if precision == "fp32" else np.float16)
        if not np.isfinite(stored[name]).all():
            raise UsageError(
                f"weight {name} of the no-tower is not finite in {precision}: the checkpoint is "
                "damaged, or needs --precision fp32"
            )
    return stored


def _graph(bundle: Bundle, weights_file: Path, stored: Arrays) -> bytes:
    """The bundle's text graph, pointing into ``weights_file`` for its weights."""
    from onnx import TensorProto, helper

    model = bundle.graph("text")
    graph = model.graph
    own = {t.name for t in graph.initializer if t.data_location == TensorProto.EXTERNAL}
    # A half precision bundle casts each weight where it is first read; what comes out is replaced.
    casts = {
        n.input[0]: n.output[0] for n in graph.node if n.op_type == "Cast" and n.input[0] in own
    }
    places = _places(weights_file)
    kept = [t for t in graph.initializer if t.name not in own]
    nodes = [node for node in graph.node if not (node.op_type == "Cast" and node.input[0] in own)]
    readers: list[Any] = []
    tensors: list[Any] = []
    for name in sorted(own):
        inputs = [name, name + _SCALE] if name + _SCALE in stored else [name]
        tensors += [
            _external(part, stored[part], weights_file.name, places[part]) for part in inputs
        ]
        readers.append(
            helper.make_node(
                "DequantizeLinear" if len(inputs) == 2 else "Cast",
                [_STORED + part for part in inputs],
                [casts.get(name, name)],
                name=f"read/{name}",
                **({"axis": 0} if len(inputs) == 2 else {"to": TensorProto.FLOAT}),
            )
        )
    del graph.initializer[:], graph.node[:]
    graph.initializer.extend([*kept, *tensors])
    graph.node.extend([*readers, *nodes])
    return bytes(model.SerializeToString(deterministic=True))


def _external(name: str, value: NDArray[Any], file: str, place: tuple[int, int]) -> Any:
    from onnx import TensorProto, helper

    tensor = TensorProto(
        name=_STORED + name,
        data_type=helper.np_dtype_to_tensor_dtype(value.dtype),
        dims=value.shape,
        data_location=TensorProto.EXTERNAL,
    )
    for key, text in (("location", file), ("offset", place[0]), ("length", place[1])):
        tensor.external_data.add(key=key, value=str(text))
    return tensor


def _places(path: Path) -> dict[str, tuple[int, int]]:
    """Offset and length of each tensor in a safetensors file: 8 bytes, a JSON header, the data."""
    content = path.read_bytes()
    size = int.from_bytes(content[:8], "little")
    header = json.loads(content[8 : 8 + size])
    header.pop("__metadata__", None)
    return {
        name: (
            8 + size + facts["data_offsets"][0],
            facts["data_offsets"][1] - facts["data_offsets"][0],
        )
        for name, facts in header.items()
    }
