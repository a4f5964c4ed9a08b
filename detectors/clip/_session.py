"""ONNX Runtime sessions: the provider that is asked for is the one that is got, or an error."""

from __future__ import annotations

import contextlib
import io
import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from clipvet.detectors.errors import BundleError, MissingDependency, ProviderUnavailable

if TYPE_CHECKING:
    import onnxruntime

__all__ = ["Device", "Session", "available_providers", "open_session"]

Device = Literal["auto", "cpu", "cuda"]
"""``auto``: CUDA where it starts, else the CPU. The others mean just that, or raise."""
_PROVIDERS = {"cpu": "CPUExecutionProvider", "cuda": "CUDAExecutionProvider"}


class Session:
    """One graph on one provider. ``run`` may be called from several threads."""

    def __init__(self, inner: onnxruntime.InferenceSession) -> None:
        self._inner: onnxruntime.InferenceSession | None = inner
        self.provider: str = inner.get_providers()[0]
        self.outputs: tuple[str, ...] = tuple(value.name for value in inner.get_outputs())

    def run(self, inputs: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[np.float32]]:
        """Outputs by name."""
        if self._inner is None:
            raise RuntimeError("this session is closed")
        return dict(zip(self.outputs, self._inner.run(self.outputs, dict(inputs)), strict=True))

    def close(self) -> None:
        """Free the memory; a closed session cannot run."""
        self._inner = None


def open_session(
    graph: bytes, weights_folder: Path, *, device: Device = "auto", threads: int | None = None
) -> Session:
    """Make a session from a serialised graph whose weights lie in ``weights_folder``.

    Args:
        graph: serialised ONNX model, see :func:`pruned_graph`.
        weights_folder: where its external data is.
        device: ``auto`` takes CUDA if this build of onnxruntime has it and it starts, else the
            CPU; ``cpu`` and ``cuda`` mean just that.
        threads: threads inside one operator; default one per core that this process may use.

    Raises:
        MissingDependency: no onnxruntime is installed.
        ProviderUnavailable: the device that was asked for did not start.
        BundleError: onnxruntime refuses the graph.
    """
    if device == "auto":
        if _PROVIDERS["cuda"] in available_providers():
            try:
                return open_session(graph, weights_folder, device="cuda", threads=threads)
            except ProviderUnavailable:
                pass
        return open_session(graph, weights_folder, device="cpu", threads=threads)
    ort = _onnxruntime()
    provider = _PROVIDERS[device]
    if provider not in available_providers():
        raise ProviderUnavailable(_unavailable(device))
    if device == "cuda":
        _preload_cuda(ort)
    options = ort.SessionOptions()
    options.log_severity_level = 3
    options.intra_op_num_threads = threads or len(os.sched_getaffinity(0))
    options.add_session_config_entry(
        "session.model_external_initializers_file_folder_path", str(weights_folder.resolve())
    )
    try:
        inner = ort.InferenceSession(graph, options, providers=[provider])
    except Exception as error:
        if device == "cuda":
            raise ProviderUnavailable(f"{_unavailable(device)} ({_one_line(error)})") from error
        raise BundleError(
            f"onnxruntime {ort.__version__} refuses a graph of {weights_folder}: {_one_line(error)}"
        ) from error
    session = Session(inner)
    if session.provider != provider:
        # onnxruntime falls back with a warning only (microsoft/onnxruntime #17801).
        raise ProviderUnavailable(_unavailable(device))
    return session


def available_providers() -> list[str]:
    """Providers that this build of onnxruntime knows; none if it is not installed.

    Knowing a provider does not mean that it starts: :func:`open_session` finds out.
    """
    return list(_onnxruntime().get_available_providers())


def _onnxruntime() -> Any:
    try:
        import onnxruntime
    except ImportError:
        raise MissingDependency("onnxruntime", "running a CLIP bundle", "cpu") from None
    return onnxruntime


def _preload_cuda(ort: Any) -> None:
    """Let onnxruntime find the CUDA libraries that pip installs beside it.

    They lie in site-packages, where the dynamic linker does not look. What cannot be loaded is
    printed by onnxruntime on both streams; the session says the same in one error.
    """
    ort.set_default_logger_severity(4)
    if hasattr(ort, "preload_dlls"):
        with contextlib.redirect_stdout(io.StringIO()):
            ort.preload_dlls()


def _unavailable(device: str) -> str:
    return (
        f"--device {device}: onnxruntime has no working {_PROVIDERS[device]} here; "
        "see `detect doctor`, or use --device cpu"
    )


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())[:300]
