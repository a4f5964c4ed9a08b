"""Image towers on OpenVINO: the same processor, other kernels, and bfloat16 where it has that.

Intel's processors since 2023 multiply bfloat16 matrices in a unit of their own (AMX), which the
CPU kernels of onnxruntime use for int8 alone; docs/openvino.md says what it brings.
"""

from __future__ import annotations

import os
import queue
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Literal

import numpy as np
import onnx
from numpy.typing import NDArray

from clipvet.detectors.clip._cpu_graph import read_rows_model
from clipvet.detectors.clip._session import Arrays, Session
from clipvet.detectors.errors import BundleError, MissingDependency, ProviderUnavailable

__all__ = ["OpenVinoSession", "OpenVinoType", "open_on_openvino", "openvino_module"]

OpenVinoType = Literal["f32", "bf16"]
"""What products are computed in: bf16 has the range of float32 and 8 bits of its 24; sums are
float32 either way."""

_NAMES = {"f32": "OpenVINO", "bf16": "OpenVINO bfloat16"}


class OpenVinoSession(Session):
    """One compiled model. A request holds the memory of one call; each call in progress has one.

    Args:
        compiled: an ``openvino.CompiledModel`` whose inputs take any number of rows.
        outputs: its outputs, by the names of the graph.
        kind: what it computes in.
    """

    pads = False

    def __init__(self, compiled: Any, outputs: Sequence[str], kind: OpenVinoType) -> None:
        self._compiled: Any = compiled
        self._requests: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self.provider = _NAMES[kind]
        self.outputs = tuple(outputs)
        self.placement = None
        self.notes = ()

    def run(self, inputs: Arrays, into: Arrays | None = None) -> dict[str, NDArray[np.float32]]:
        """One batch; see :meth:`Session.run`."""
        if self._compiled is None:
            raise RuntimeError("this session is closed")
        try:
            request = self._requests.get_nowait()
        except queue.Empty:
            request = self._compiled.create_infer_request()
        # Shared inputs are read where they lie; outputs are copied before the request goes back.
        request.infer(dict(inputs), share_inputs=True)
        found = {name: request.get_tensor(name).data for name in self.outputs}
        if into is None:
            into = {name: values.copy() for name, values in found.items()}
        else:
            for name, values in found.items():
                into[name][...] = values[: len(into[name])]
        self._requests.put(request)
        return dict(into)

    def close(self) -> None:
        """Free the memory; a closed session cannot run."""
        self._compiled = None
        self._requests = queue.SimpleQueue()


def open_on_openvino(
    graph: bytes, weights_folder: Path, kind: OpenVinoType, threads: int | None
) -> Session:
    """A session on the processor, through OpenVINO.

    Args:
        graph: serialised, as ``pruned_graph`` gives it.
        weights_folder: where its external data is.
        kind: what products are computed in.
        threads: default one per core that this process may use.

    Raises:
        MissingDependency: openvino is not installed.
        ProviderUnavailable: bf16 on a processor that does not multiply it.
        BundleError: OpenVINO refuses the graph.
    """
    openvino = openvino_module(kind)
    core = openvino.Core()
    if kind == "bf16" and "BF16" not in core.get_property("CPU", "OPTIMIZATION_CAPABILITIES"):
        raise ProviderUnavailable(
            "--device openvino-bf16: this processor does not multiply bfloat16, it would be slower "
            "than float32; use --device openvino or --device cpu"
        )
    settings = {
        "INFERENCE_PRECISION_HINT": kind,
        "EXECUTION_MODE_HINT": "ACCURACY",  # nothing is made smaller that was not asked for
        "PERFORMANCE_HINT": "LATENCY",
        "INFERENCE_NUM_THREADS": threads or len(os.sched_getaffinity(0)),
    }
    try:
        model = read_rows_model(graph)
        compiled = _compiled(core, model, weights_folder, settings)
        return OpenVinoSession(compiled, [value.name for value in model.graph.output], kind)
    except RuntimeError as error:
        last = " ".join(str(error).split())[-300:]
        raise BundleError(
            f"openvino {openvino.__version__} refuses a graph of {weights_folder}: {last}"
        ) from error


def openvino_module(kind: OpenVinoType = "f32") -> Any:
    """The package, without its telemetry; raises MissingDependency if there is none.

    ``import openvino`` reports itself to its makers over the network (``general_import``). Where
    openvino_telemetry cannot be imported, it puts a stub in its place.
    """
    name = "openvino_telemetry"
    before = sys.modules.get(name)
    sys.modules[name] = None  # type: ignore[assignment]
    try:
        import openvino
    except ImportError:
        raise MissingDependency("openvino", f"--device {_device(kind)}", "openvino") from None
    finally:
        del sys.modules[name]
        if before is not None:
            sys.modules[name] = before
    return openvino


def _compiled(
    core: Any, model: onnx.ModelProto, weights_folder: Path, settings: dict[str, Any]
) -> Any:
    """OpenVINO takes external data only from beside the file that it reads, and through no link."""
    with TemporaryDirectory(prefix="clipvet-openvino-") as name:
        folder = Path(name)
        for file in _external_files(model.graph):
            shutil.copyfile(weights_folder / file, folder / file)
        (folder / "pruned.onnx").write_bytes(model.SerializeToString())
        return core.compile_model(core.read_model(folder / "pruned.onnx"), "CPU", settings)


def _external_files(graph: onnx.GraphProto) -> set[str]:
    return {
        place.value
        for tensor in graph.initializer
        if tensor.data_location == onnx.TensorProto.EXTERNAL
        for place in tensor.external_data
        if place.key == "location"
    }


def _device(kind: OpenVinoType) -> str:
    return {"f32": "openvino", "bf16": "openvino-bf16"}[kind]
