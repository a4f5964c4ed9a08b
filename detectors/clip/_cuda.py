"""Sessions on an NVIDIA GPU: buffers bound once, one CUDA graph for every batch.

Never measured so far: written where no GPU was at hand. What does not depend on one (graphs,
buffers, errors) is tested with the same classes on the CPU provider.
"""

from __future__ import annotations

import contextlib
import io
import os
from collections.abc import Mapping, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from clipvet.detectors.clip._device_graph import device_graph
from clipvet.detectors.clip._pinned import CudaMemory, PinnedPool
from clipvet.detectors.clip._session import (
    Arrays,
    PixelBatch,
    Session,
    inference_session,
    onnxruntime_module,
)

if TYPE_CHECKING:
    import onnxruntime

__all__ = ["BoundSession", "CudaSettings", "open_bound", "open_on_cuda", "preload_cuda"]

# It would hide each bias in a Gemm, which adds it in a pass of its own; left beside its product,
# it is fused into the GELU or layer norm that reads it.
UNWANTED = ("MatMulAddFusion",)
Providers = Sequence[tuple[str, Mapping[str, str]]]


@dataclass(frozen=True, kw_only=True)
class CudaSettings:
    """What can be left out, to see what it brings.

    Attributes:
        graphs: capture the kernels of a batch once as a CUDA graph and replay it.
        binding: fixed device buffers, and page-locked memory on the host.
    """

    graphs: bool = True
    binding: bool = True

    @classmethod
    def from_environment(cls) -> CudaSettings:
        """``CLIPVET_CUDA_GRAPHS=0`` switches the graphs off."""
        return cls(graphs=os.environ.get("CLIPVET_CUDA_GRAPHS") != "0")


class BoundSession(Session):
    """A vision session of one batch size, whose inputs and outputs stay where they are.

    A thread of its own does everything: onnxruntime keeps a captured graph for the thread that
    captured it, and captures again, or crashes, in any other (microsoft/onnxruntime #17355).

    Args:
        inner: made from ``device_graph``: all shapes are known.
        worker: the one thread that made ``inner``; the session shuts it down.
        device: where the buffers are: ``cuda``, or ``cpu`` in tests.
        memory: the CUDA runtime, for page-locked memory; None if it could not be had.
    """

    pixels = "uint8"

    def __init__(
        self,
        inner: onnxruntime.InferenceSession,
        *,
        worker: Executor,
        device: str,
        memory: CudaMemory | None = None,
    ) -> None:
        super().__init__(inner)
        self.pads = True
        self._worker = worker
        value = onnxruntime_module().OrtValue.ortvalue_from_shape_and_type
        self._inputs = {
            one.name: value(one.shape, _dtype(one.type), device, 0) for one in inner.get_inputs()
        }
        self._outputs = {
            one.name: value(one.shape, _dtype(one.type), device, 0) for one in inner.get_outputs()
        }
        self._binding: Any = inner.io_binding()
        for name, buffer in self._inputs.items():
            self._binding.bind_ortvalue_input(name, buffer)
        for name, buffer in self._outputs.items():
            self._binding.bind_ortvalue_output(name, buffer)
        self._memory = memory
        self._pool = None if memory is None else PinnedPool(memory)

    def run(self, inputs: Arrays, into: Arrays | None = None) -> dict[str, NDArray[np.float32]]:
        """One batch; see :meth:`Session.run`."""
        inner = self.inner
        if into is None:
            into = {name: self.empty(value.shape()) for name, value in self._outputs.items()}
        self._worker.submit(self._run, inner, inputs, into).result()
        return dict(into)

    def empty(self, shape: Sequence[int], dtype: DTypeLike = np.float32) -> NDArray[Any]:
        """An array in page-locked memory, where that can be had."""
        if self._pool is None:
            return super().empty(shape, dtype)
        return self._pool.empty(shape, dtype)

    def close(self) -> None:
        """Free the session, its buffers and what is free of the page-locked memory."""
        super().close()
        self._worker.shutdown()
        self._binding = None
        self._inputs.clear()
        self._outputs.clear()
        if self._pool is not None:
            self._pool.close()

    def _run(self, inner: onnxruntime.InferenceSession, inputs: Arrays, into: Arrays) -> None:
        for name, array in inputs.items():
            self._inputs[name].update_inplace(np.ascontiguousarray(array))
        inner.run_with_iobinding(self._binding)
        self._binding.synchronize_outputs()
        for name, value in self._outputs.items():
            self._copy(value, into[name])

    def _copy(self, value: Any, array: NDArray[Any]) -> None:
        """The first rows of a buffer; straight to where they are wanted if that can be done."""
        if self._memory is not None and array.flags.c_contiguous:  # noqa: SIM102 - the copy is an act
            if self._memory.to_host(array, value.data_ptr()):
                return
        array[...] = value.numpy()[: len(array)]


def open_on_cuda(
    graph: bytes,
    options: Any,
    batch: PixelBatch | None,
    settings: CudaSettings | None = None,
) -> Session:
    """A session with the CUDA provider; raises what onnxruntime raises.

    Args:
        graph: serialised, as ``pruned_graph`` gives it.
        options: of the session.
        batch: for an image tower; without it any shapes may come, and the graph is left as it is.
        settings: for benchmarks; None takes those of the environment.
    """
    preload_cuda()
    settings = settings or CudaSettings.from_environment()
    if batch is None:
        return Session(inference_session(graph, options, [cuda_provider(graphs=False)]))
    made = device_graph(graph, batch, fuse=True)
    if not settings.binding:
        plain = inference_session(made, options, [cuda_provider(graphs=False)], without=UNWANTED)
        return _SquareSession(plain)
    return open_bound(made, options, [cuda_provider(graphs=settings.graphs)], batch)


def open_bound(
    graph: bytes, options: Any, providers: Providers, batch: PixelBatch, *, device: str = "cuda"
) -> Session:
    """A bound session, tried with one batch; if it cannot be captured, without a CUDA graph."""
    tried = partial(_tried, graph, options, batch=batch, device=device)
    try:
        return tried(providers)
    except Exception as error:  # onnxruntime raises types of its own, one for each status
        without = [(name, _without_graphs(given)) for name, given in providers]
        if without == list(providers):
            raise
        session = tried(without)
        session.notes += (f"CUDA graphs are off: {' '.join(str(error).split())[:200]}",)
        return session


def cuda_provider(*, graphs: bool) -> tuple[str, Mapping[str, str]]:
    """The CUDA provider with its options, all of which are strings."""
    return "CUDAExecutionProvider", {
        "device_id": "0",  # CUDA_VISIBLE_DEVICES chooses which one that is
        # Shapes are fixed: what the first batch needs is what all need, and others use the rest.
        "arena_extend_strategy": "kSameAsRequested",
        # The default tries every kernel of the one convolution and may choose another one, with
        # other rounding, in the next process.
        "cudnn_conv_algo_search": "HEURISTIC",
        # float32 means float32: TF32 keeps ten bits of the mantissa.
        "use_tf32": "0",
        # Sums of layer norm in float32 where it is fused with the residual, too.
        "enable_skip_layer_norm_strict_mode": "1",
        "enable_cuda_graph": str(int(graphs)),
    }


def preload_cuda() -> None:
    """Let onnxruntime find the CUDA libraries that pip installs beside it.

    They lie in site-packages, where the dynamic linker does not look. What cannot be loaded is
    printed by onnxruntime on both streams; the session says the same in one error.
    """
    ort = onnxruntime_module()
    ort.set_default_logger_severity(4)
    if hasattr(ort, "preload_dlls"):
        with contextlib.redirect_stdout(io.StringIO()):
            ort.preload_dlls()


class _SquareSession(Session):
    """A session of a device graph without bound buffers: each call copies as onnxruntime does."""

    pixels = "uint8"


def _tried(
    graph: bytes, options: Any, providers: Providers, *, batch: PixelBatch, device: str
) -> Session:
    def made() -> onnxruntime.InferenceSession:
        return inference_session(graph, options, providers, without=UNWANTED)

    worker = ThreadPoolExecutor(1, thread_name_prefix="clipvet-gpu")
    try:
        inner = worker.submit(made).result()
        if inner.get_providers()[0] != providers[0][0]:
            worker.shutdown()
            return Session(inner)  # it fell back, and open_session raises for that
        session = BoundSession(inner, worker=worker, device=device, memory=_cuda_memory())
        side = batch.preprocessing.size
        session.run({"pixel_values": np.zeros((batch.rows, side, side, 3), dtype=np.uint8)})
    except BaseException:
        worker.shutdown()
        raise
    return session


def _without_graphs(options: Mapping[str, str]) -> dict[str, str]:
    return {name: "0" if "cuda_graph" in name else value for name, value in options.items()}


def _cuda_memory() -> CudaMemory | None:
    version = getattr(onnxruntime_module(), "cuda_version", "")
    if not version:
        return None
    with contextlib.suppress(OSError, AttributeError):
        return CudaMemory(f"libcudart.so.{version.split('.')[0]}")
    return None


def _dtype(tensor_type: str) -> np.dtype[Any]:
    return np.dtype({"tensor(float)": "float32", "tensor(uint8)": "uint8"}[tensor_type])
