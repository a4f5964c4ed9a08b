"""The clipvet arms of benchmarks/gpu.py: random towers, their sessions, the matrix rate."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from clipvet.detectors import Host
from clipvet.detectors.clip import Bundle, PixelBatch, find_bundle, open_session
from clipvet.detectors.clip._cuda import CudaSettings, open_bound, open_on_cuda, preload_cuda
from clipvet.detectors.clip._device_graph import device_graph
from clipvet.detectors.clip._preprocess import preprocess
from clipvet.detectors.clip._pruning import pruned_graph
from clipvet.detectors.clip._session import (
    PROVIDERS,
    Session,
    inference_session,
    onnxruntime_module,
    session_options,
)
from clipvet.detectors.clip.export import (
    ClipConfig,
    Source,
    TokenizerFiles,
    parse_config,
    random_parameters,
    write_bundle,
)

__all__ = ["ARMS", "MODELS", "Model", "clipvet_session", "make_model", "onnxruntime_rate"]

# Sizes as open_clip has them; the text towers, which are not measured, are tiny.
_L14 = {"image_size": 336, "layers": 24, "width": 1024, "patch_size": 14}
_B16 = {"image_size": 224, "layers": 12, "width": 768, "patch_size": 16}
_TINY = {"image_size": 64, "layers": 2, "width": 64, "head_width": 32, "patch_size": 16}
MODELS: Mapping[str, dict[str, Any] | None] = {
    "ViT-L-14-336": {"embed_dim": 768, "vision_cfg": _L14, "quick_gelu": True},
    "ViT-B-16": {"embed_dim": 512, "vision_cfg": _B16},
    "mini": None,  # the sizes of the embedded bundle
    "tiny": {"embed_dim": 32, "vision_cfg": _TINY},
}
ARMS = {
    "clipvet": CudaSettings(),
    "clipvet, no CUDA graph": CudaSettings(graphs=False),
    "clipvet, no bound buffers": CudaSettings(graphs=False, binding=False),
}


@dataclass(frozen=True, kw_only=True)
class Model:
    """A tower of random weights, stored as fp16: sizes, parameters (rounded so), bundle."""

    name: str
    config: ClipConfig
    state: Mapping[str, NDArray[np.float32]]
    bundle: Bundle

    def reference(self, squares: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Embeddings in float32 on the CPU, view by view."""
        graph = pruned_graph(self.bundle.folder / "vision.onnx", ["cls_embed"])
        session = open_session(graph, self.bundle.folder, device="cpu")
        pixels = preprocess(list(squares), self.bundle.manifest.preprocessing)
        return np.concatenate(
            [session.run({"pixel_values": one[None]})["cls_embed"] for one in pixels]
        )


def make_model(name: str, folder: Path) -> Model:
    """Write the bundle of one of ``MODELS``."""
    mini = find_bundle("mini", Host.load(select="").bundles)
    words = mini.manifest.text
    text = {"vocab_size": words.end + 1, "width": 64, "heads": 1, "layers": 1}
    sizes = MODELS[name] or _sizes(mini)
    config = parse_config({"text_cfg": {"context_length": words.context_length, **text}, **sizes})
    state = {
        # What is compared must start from the same numbers.
        key: value.astype(np.float16).astype(np.float32)
        for key, value in random_parameters(config, 0).items()
    }
    bundle = write_bundle(
        folder / name,
        config=config,
        state=state,
        tokenizer=TokenizerFiles(
            json=(mini.folder / "tokenizer.json").read_text("utf-8"),
            **words.model_dump(include=set(TokenizerFiles.__dataclass_fields__)),
        ),
        name=f"random-{name.lower()}",
        description="Random weights for a benchmark: its scores mean nothing.",
        licence="Apache-2.0",
        source=Source(model=name, weights="random, seed 0"),
        precision="fp16",
    )
    return Model(name=name, config=config, state=state, bundle=bundle)


def clipvet_session(model: Model, rows: int, settings: CudaSettings, device: str) -> Session:
    """The session of one arm; on the CPU the same graph, buffers and calls without a GPU."""
    folder = model.bundle.folder
    graph = pruned_graph(folder / "vision.onnx", ["cls_embed"])
    batch = PixelBatch(
        rows=rows,
        preprocessing=model.bundle.manifest.preprocessing,
        weights=model.bundle.info.sha256,
    )
    options = session_options(folder, None)
    if device == "cuda":
        return open_on_cuda(graph, options, batch, settings)
    made = device_graph(graph, batch, fuse=True)
    return open_bound(made, options, [(PROVIDERS["cpu"], {})], batch, device="cpu")


def onnxruntime_rate(size: int, device: str, repeats: int) -> Callable[[], float]:
    """Seconds of ``repeats`` square products in float16 that follow each other, as a call."""
    ort = onnxruntime_module()
    if device == "cuda":
        preload_cuda()
    value = helper.make_tensor_value_info
    rng = np.random.default_rng(0)
    right = (rng.standard_normal((size, size)) / size**0.5).astype(np.float16)
    graph = helper.make_graph(
        [helper.make_node("MatMul", [f"x{i}", "right"], [f"x{i + 1}"]) for i in range(repeats)],
        "rate",
        [value("x0", TensorProto.FLOAT16, [size, size])],
        [value(f"x{repeats}", TensorProto.FLOAT16, [size, size])],
        initializer=[numpy_helper.from_array(right, "right")],
    )
    model = helper.make_model(
        graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=9
    ).SerializeToString()
    session = inference_session(model, session_options(Path(), None), [PROVIDERS[device]])
    binding = session.io_binding()
    left = rng.standard_normal((size, size)).astype(np.float16)
    binding.bind_ortvalue_input("x0", ort.OrtValue.ortvalue_from_numpy(left, device, 0))
    binding.bind_output(f"x{repeats}", device)

    def call() -> float:
        start = time.perf_counter()
        session.run_with_iobinding(binding)
        binding.synchronize_outputs()
        return time.perf_counter() - start

    return call


def _sizes(bundle: Bundle) -> dict[str, Any]:
    vision, manifest = bundle.manifest.vision, bundle.manifest
    sizes = {
        "image_size": manifest.preprocessing.size,
        "layers": vision.layers,
        "width": vision.width,
        "head_width": vision.width // vision.heads,
        "patch_size": vision.patch_size,
    }
    quick = manifest.activation == "quickgelu"
    return {"embed_dim": manifest.embed_dim, "vision_cfg": sizes, "quick_gelu": quick}
