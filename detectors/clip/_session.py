"""ONNX Runtime sessions: the provider that is asked for is the one that is got, or an error."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import DTypeLike, NDArray

from clipvet.detectors.clip._manifest import Preprocessing
from clipvet.detectors.clip._placement import RECORD_PLACEMENT, Placement, read_placement
from clipvet.detectors.errors import BundleError, MissingDependency, ProviderUnavailable

if TYPE_CHECKING:
    import onnxruntime

    from clipvet.detectors.clip._openvino import OpenVinoType

__all__ = ["Device", "PixelBatch", "Session", "available_providers", "open_session"]

Device = Literal["auto", "cpu", "openvino", "openvino-bf16", "cuda", "tensorrt"]
"""``auto``: CUDA where it starts, else the CPU. The others mean just that, or raise."""
PROVIDERS = {
    "cpu": "CPUExecutionProvider",
    "cuda": "CUDAExecutionProvider",
    "tensorrt": "TensorrtExecutionProvider",
}
Arrays = Mapping[str, NDArray[Any]]


@dataclass(frozen=True, kw_only=True)
class PixelBatch:
    """What every call of a vision session looks like: an accelerator is set up for just that.

    Attributes:
        rows: views in a batch; a batch that is not full is padded.
        preprocessing: of the bundle; its normalisation can be done on the device.
        weights: hash of the bundle, for what is compiled and kept.
    """

    rows: int
    preprocessing: Preprocessing
    weights: str


class Session:
    """One graph on one provider. ``run`` may be called from several threads.

    Attributes:
        provider: execution provider that was asked for and got.
        outputs: their names, in the order of the graph.
        placement: which provider runs which nodes; None if onnxruntime does not tell.
        notes: sentences about what could not be had, for whoever reads the summary.
        pads: whether a batch that is not full is padded; else the rest is encoded view by view.
        pixels: what ``pixel_values`` takes: ``float32`` normalised [V, 3, S, S], or ``uint8``
            squares [V, S, S, 3] that the graph itself normalises.
    """

    pads: bool = True
    pixels: Literal["float32", "uint8"] = "float32"

    def __init__(self, inner: onnxruntime.InferenceSession) -> None:
        self._inner: onnxruntime.InferenceSession | None = inner
        self.provider: str = inner.get_providers()[0]
        self.pads = self.provider != PROVIDERS["cpu"]  # nothing is gained by it there
        self.outputs: tuple[str, ...] = tuple(value.name for value in inner.get_outputs())
        self.placement: Placement | None = read_placement(inner)
        self.notes: tuple[str, ...] = ()

    def run(self, inputs: Arrays, into: Arrays | None = None) -> dict[str, NDArray[np.float32]]:
        """Outputs by name.

        Args:
            inputs: by name.
            into: arrays to write the outputs to, each with as many rows as are wanted; the
                result is these. None: new arrays.
        """
        found = self.inner.run(self.outputs, dict(inputs))
        if into is None:
            return dict(zip(self.outputs, found, strict=True))
        for name, values in zip(self.outputs, found, strict=True):
            into[name][...] = values[: len(into[name])]
        return dict(into)

    def empty(self, shape: Sequence[int], dtype: DTypeLike = np.float32) -> NDArray[Any]:
        """An array for inputs or outputs of :meth:`run`, in memory that suits the device."""
        return np.empty(shape, dtype=dtype)

    @property
    def inner(self) -> onnxruntime.InferenceSession:
        """The session of onnxruntime; raises RuntimeError if this one is closed."""
        if self._inner is None:
            raise RuntimeError("this session is closed")
        return self._inner

    def close(self) -> None:
        """Free the memory; a closed session cannot run."""
        self._inner = None


def open_session(
    graph: bytes,
    weights_folder: Path,
    *,
    device: Device = "auto",
    threads: int | None = None,
    batch: PixelBatch | None = None,
) -> Session:
    """Make a session from a serialised graph whose weights lie in ``weights_folder``.

    Args:
        graph: serialised ONNX model, see :func:`pruned_graph`.
        weights_folder: where its external data is.
        device: ``auto`` takes CUDA if this build of onnxruntime has it and it starts, else the
            CPU; the others mean just that, but that TensorRT and OpenVINO take image towers
            alone: without ``batch`` they are CUDA and the CPU.
        threads: threads inside one operator; default one per core that this process may use.
        batch: shape of all calls, for an image tower: on CUDA its graph is then made for it (see
            ``_cuda.py``). The CPU takes any number of rows either way.

    Raises:
        MissingDependency: no onnxruntime is installed, or no openvino.
        ProviderUnavailable: the device that was asked for did not start.
        BundleError: onnxruntime refuses the graph.
    """
    if device == "auto":
        return _gpu_or_cpu(graph, weights_folder, threads, batch)
    if device == "tensorrt" and batch is None:
        device = "cuda"
    if device in {"openvino", "openvino-bf16"}:
        if batch is not None:
            from clipvet.detectors.clip._openvino import open_on_openvino

            kind: OpenVinoType = "f32" if device == "openvino" else "bf16"
            return open_on_openvino(graph, weights_folder, kind, threads)
        device = "cpu"
    provider = PROVIDERS[device]
    if provider not in available_providers():
        raise ProviderUnavailable(_unavailable(device))
    options = session_options(weights_folder, threads)
    try:
        if device == "cpu":
            from clipvet.detectors.clip._cpu_graph import cpu_graph  # onnx takes its time to import

            session = Session(inference_session(cpu_graph(graph), options, [provider]))
        elif device == "tensorrt" and batch is not None:
            from clipvet.detectors.clip._tensorrt import open_on_tensorrt

            session = open_on_tensorrt(graph, options, batch)
        else:
            from clipvet.detectors.clip._cuda import open_on_cuda

            session = open_on_cuda(graph, options, batch)
    except Exception as error:
        if device != "cpu":
            raise ProviderUnavailable(f"{_unavailable(device)} ({_one_line(error)})") from error
        raise BundleError(
            f"onnxruntime {onnxruntime_module().__version__} refuses a graph of {weights_folder}: "
            f"{_one_line(error)}"
        ) from error
    if session.provider != provider:
        # onnxruntime falls back with a warning only (microsoft/onnxruntime #17801).
        raise ProviderUnavailable(_unavailable(device))
    return session


def _gpu_or_cpu(
    graph: bytes, weights_folder: Path, threads: int | None, batch: PixelBatch | None
) -> Session:
    why: tuple[str, ...] = ()
    if PROVIDERS["cuda"] in available_providers():
        try:
            return open_session(graph, weights_folder, device="cuda", threads=threads, batch=batch)
        except ProviderUnavailable as error:
            why = (f"the CPU is used: {error}",)
    session = open_session(graph, weights_folder, device="cpu", threads=threads)
    session.notes += why
    return session


def available_providers() -> list[str]:
    """Providers that this build of onnxruntime knows; none if it is not installed.

    Knowing a provider does not mean that it starts: :func:`open_session` finds out.
    """
    return list(onnxruntime_module().get_available_providers())


def onnxruntime_module() -> Any:
    """The package; raises MissingDependency if there is none."""
    try:
        import onnxruntime
    except ImportError:
        raise MissingDependency("onnxruntime", "running a CLIP bundle", "cpu") from None
    return onnxruntime


def session_options(weights_folder: Path, threads: int | None) -> Any:
    """What every session is made with, whatever runs it."""
    options = onnxruntime_module().SessionOptions()
    options.log_severity_level = 3
    options.intra_op_num_threads = threads or len(os.sched_getaffinity(0))
    options.add_session_config_entry(
        "session.model_external_initializers_file_folder_path", str(weights_folder.resolve())
    )
    options.add_session_config_entry(*RECORD_PLACEMENT)
    return options


def inference_session(
    graph: bytes, options: Any, providers: Sequence[Any], *, without: Sequence[str] = ()
) -> Any:
    """A session of onnxruntime that does not try again, and print, with another provider.

    ``without`` names optimisations of onnxruntime that are not wanted.
    """
    return onnxruntime_module().InferenceSession(
        graph,
        options,
        providers=list(providers),
        disabled_optimizers=list(without) or None,
        enable_fallback=0,
    )


def _unavailable(device: str) -> str:
    return (
        f"--device {device}: onnxruntime has no working {PROVIDERS[device]} here; "
        f"see `detect doctor`, or use --device {'cuda' if device == 'tensorrt' else 'cpu'}"
    )


def _one_line(error: Exception) -> str:
    # Some of onnxruntime's begin with a source file and the whole signature of a function.
    text = re.sub(r"^/\S+ [^(]*\([^)]*\) (?=[A-Z])", "", " ".join(str(error).split()))
    return text[:300]
