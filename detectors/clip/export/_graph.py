"""A small writer of ONNX graphs whose weights live once, in one file shared by several graphs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from clipvet.detectors.errors import UsageError

__all__ = ["OPSET", "Graph", "WeightFile"]

# 20 is the first opset with Gelu; ONNX Runtime reads it since 1.17.
OPSET = 20
_ALIGNMENT = 64


class WeightFile:
    """Arrays in the order they were first asked for; float32 or float16 on disk.

    Graphs refer to its tensors by name, so a weight that three graphs use is stored once. With
    ``int8``, matrices of graphs that ask for it are int8 and all else is float16.
    """

    def __init__(self, path: Path, *, precision: str) -> None:
        self.path = path
        self.int8 = precision == "int8"
        self.dtype = np.dtype(np.float32 if precision == "fp32" else np.float16)
        self._entries: dict[str, tuple[TensorProto, int]] = {}
        self._file = path.open("wb")

    def tensor(
        self, name: str, value: NDArray[Any], dtype: np.dtype[Any] | None = None
    ) -> TensorProto:
        """The ONNX tensor that points at ``value`` in this file; written on first use."""
        dtype = self.dtype if dtype is None else dtype
        if name not in self._entries:
            with np.errstate(over="ignore"):  # told below, by name
                data = np.ascontiguousarray(value, dtype=dtype)
            if not np.isfinite(data).all():
                raise UsageError(
                    f"weight {name} is not finite in {dtype}: the checkpoint is damaged, or "
                    "needs --precision fp32"
                )
            self._file.write(b"\0" * (-self._file.tell() % _ALIGNMENT))
            proto = TensorProto(
                name=name,
                data_type=helper.np_dtype_to_tensor_dtype(dtype),
                dims=data.shape,
                data_location=TensorProto.EXTERNAL,
            )
            place = {
                "location": self.path.name,
                "offset": str(self._file.tell()),
                "length": str(data.nbytes),
            }
            for key, text in place.items():
                proto.external_data.add(key=key, value=text)
            self._file.write(data.tobytes())
            self._entries[name] = (proto, data.nbytes)
        return self._entries[name][0]

    def close(self) -> None:
        """Finish the file."""
        self._file.close()


class Graph:
    """Nodes in the order they are added; every method returns the name of a value.

    ``int8`` makes its matrices int8 where the weight file may hold such.
    """

    def __init__(self, name: str, weights: WeightFile, *, int8: bool = False) -> None:
        self.name = name
        self._weights = weights
        self._int8 = int8 and weights.int8
        self._nodes: list[onnx.NodeProto] = []
        self._initializers: dict[str, TensorProto] = {}
        self._inputs: list[onnx.ValueInfoProto] = []
        self._outputs: list[onnx.ValueInfoProto] = []
        self._casts: dict[str, str] = {}

    def input(self, name: str, dtype: int, shape: Sequence[int | str]) -> str:
        """Declare an input; strings are symbolic dimensions."""
        self._inputs.append(helper.make_tensor_value_info(name, dtype, list(shape)))
        return name

    def output(self, value: str, name: str, shape: Sequence[int | str]) -> None:
        """Declare ``value`` as the float32 output ``name``."""
        self._nodes.append(helper.make_node("Identity", [value], [name], name=f"output/{name}"))
        self._outputs.append(helper.make_tensor_value_info(name, TensorProto.FLOAT, list(shape)))

    def weight(self, name: str, value: NDArray[Any]) -> str:
        """A float32 weight, kept in the shared file; fp16 is cast when the session is made."""
        proto = self._weights.tensor(name, value)
        self._initializers[name] = proto
        if proto.data_type == TensorProto.FLOAT:
            return name
        if name not in self._casts:
            self._casts[name] = self.add("Cast", name, to=TensorProto.FLOAT)
        return self._casts[name]

    def matrix(self, name: str, value: NDArray[Any]) -> str:
        """A float32 weight [in, out]; as int8, each column has a scale of its own."""
        if not self._int8:
            return self.weight(name, value)
        if name not in self._casts:
            value = np.asarray(value, dtype=np.float32)
            if not np.isfinite(value).all():
                raise UsageError(f"weight {name} is not finite: the checkpoint is damaged")
            scale = np.maximum(np.abs(value).max(axis=0) / 127, np.finfo(np.float32).tiny)
            stored: dict[str, tuple[NDArray[Any], np.dtype[Any]]] = {
                name: (np.rint(value / scale), np.dtype(np.int8)),
                f"{name}.scale": (scale, np.dtype(np.float32)),
            }
            for key, (data, dtype) in stored.items():
                self._initializers[key] = self._weights.tensor(key, data, dtype)
            self._casts[name] = self.add("DequantizeLinear", *stored, axis=1)
        return self._casts[name]

    def constant(self, name: str, value: NDArray[Any]) -> str:
        """A small array inside the graph file (indices, shapes, scalars)."""
        self._initializers[name] = numpy_helper.from_array(value, name)
        return name

    def ints(self, *values: int) -> str:
        """An int64 vector constant."""
        name = "ints_" + "_".join(map(str, values)).replace("-", "m")
        return self.constant(name, np.array(values, dtype=np.int64))

    def add(self, op: str, *inputs: str, domain: str = "", **attributes: Any) -> str:
        """Add a node with one output."""
        return self.add_many(op, *inputs, outputs=1, domain=domain, **attributes)[0]

    def add_many(
        self, op: str, *inputs: str, outputs: int, domain: str = "", **attributes: Any
    ) -> list[str]:
        """Add a node with several outputs."""
        stem = f"{op}_{len(self._nodes)}"
        names = [stem if outputs == 1 else f"{stem}_{i}" for i in range(outputs)]
        self._nodes.append(
            helper.make_node(op, list(inputs), names, name=stem, domain=domain, **attributes)
        )
        return names

    def model(self, metadata: Mapping[str, str]) -> onnx.ModelProto:
        """The finished model, without the data of its weights."""
        graph = helper.make_graph(
            self._nodes,
            self.name,
            self._inputs,
            self._outputs,
            initializer=list(self._initializers.values()),
        )
        domains = sorted({node.domain for node in self._nodes} - {""})
        model = helper.make_model(
            graph,
            opset_imports=[
                helper.make_opsetid("", OPSET),
                *(helper.make_opsetid(domain, 1) for domain in domains),
            ],
            ir_version=9,
            producer_name="clipvet",
        )
        helper.set_model_props(model, dict(metadata))
        return model

    def save(self, path: Path, metadata: Mapping[str, str]) -> None:
        """Write the model next to its weight file."""
        path.write_bytes(self.model(metadata).SerializeToString(deterministic=True))
