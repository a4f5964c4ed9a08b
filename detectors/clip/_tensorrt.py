"""Sessions on TensorRT: engines built once for a bundle, a batch size and a GPU, and kept.

Never run so far: written where neither a GPU nor TensorRT was at hand. Its options are those of
onnxruntime-gpu 1.31, which reads TensorRT 10; its errors are tested with that build.
"""

from __future__ import annotations

import contextlib
import ctypes
import hashlib
import importlib.util
from pathlib import Path
from typing import Any

import onnx

from clipvet.detectors.clip._cuda import cuda_provider, open_bound, preload_cuda
from clipvet.detectors.clip._device_graph import device_graph
from clipvet.detectors.clip._session import PixelBatch, Session
from clipvet.detectors.clip._text_cache import default_cache_folder

__all__ = ["open_on_tensorrt", "tensorrt_provider"]

# Beside what pip installs as tensorrt-cu13-libs; the first is needed by the others.
_LIBRARIES = ("libnvinfer.so.10", "libnvinfer_plugin.so.10", "libnvonnxparser.so.10")


def open_on_tensorrt(graph: bytes, options: Any, batch: PixelBatch) -> Session:
    """An image tower on TensorRT; what it cannot take runs on CUDA, and is counted.

    The first session builds the engine, which takes minutes; later ones read it from the cache.

    Args:
        graph: serialised, as ``pruned_graph`` gives it.
        options: of the session.
        batch: what each call looks like; ``batch.weights`` keeps the engines of bundles apart.
    """
    preload_cuda()
    _preload_tensorrt()
    # TensorRT fuses the written-out form itself and does not know the operators of onnxruntime.
    made = device_graph(graph, batch, fuse=False)
    folder = engine_folder(made, batch)
    folder.mkdir(parents=True, exist_ok=True)
    providers = [tensorrt_provider(folder, half=_is_half(made)), cuda_provider(graphs=False)]
    return open_bound(made, options, providers, batch)


def tensorrt_provider(folder: Path, *, half: bool) -> tuple[str, dict[str, str]]:
    """The TensorRT provider with its options, all of which are strings.

    Args:
        folder: of the engine.
        half: whether the graph computes in float16.
    """
    return "TensorrtExecutionProvider", {
        "device_id": "0",  # CUDA_VISIBLE_DEVICES chooses which one that is
        "trt_fp16_enable": str(int(half)),
        "trt_layer_norm_fp32_fallback": "1",
        "trt_engine_cache_enable": "1",
        "trt_engine_cache_path": str(folder),
        "trt_timing_cache_enable": "1",
        "trt_timing_cache_path": str(folder.parent),
        "trt_cuda_graph_enable": "1",
    }


def engine_folder(made: bytes, batch: PixelBatch) -> Path:
    """Where an engine is kept: onnxruntime's own name for it does not depend on the weights."""
    key = hashlib.sha256(made + batch.weights.encode()).hexdigest()[:32]
    return default_cache_folder() / "tensorrt" / key


def _is_half(made: bytes) -> bool:
    tensors = onnx.load_from_string(made).graph.initializer
    consumed = {tensor.data_type for tensor in tensors if tensor.external_data}
    return bool(consumed == {onnx.TensorProto.FLOAT16})


def _preload_tensorrt() -> None:
    """Let onnxruntime find the libraries that pip put where the dynamic linker does not look."""
    found = importlib.util.find_spec("tensorrt_libs")
    for folder in () if found is None else found.submodule_search_locations or ():
        for name in _LIBRARIES:
            with contextlib.suppress(OSError):  # the session says that it cannot start
                ctypes.CDLL(str(Path(folder) / name), mode=ctypes.RTLD_GLOBAL)
