"""The arms of benchmarks/winclip.py, one process each; run by it, not by hand.

``python _winclip_arms.py ARM FOLDER`` answers requests, one JSON object per line. The anomalib
arm runs under another interpreter, which knows nothing of clipvet: every import is in its arm.
"""

from __future__ import annotations

import json
import os
import statistics
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

MODEL = "ViT-B-16-plus-240"
OBJECT = "bottle"
SIDE = 240
GEMM = 2048
THREADS = int(os.environ.get("OMP_NUM_THREADS", "2"))

Arrays = Mapping[str, Any]


@dataclass(frozen=True)
class Arm:
    """What one process can time: name -> call that gives named arrays, and facts beside it."""

    calls: Mapping[str, Callable[[], Arrays]]
    flops: Callable[[str], int]
    packages: tuple[str, ...]
    gemms: Mapping[str, Callable[[], Any]]
    before: Callable[[], object] = lambda: None


def prepare(folder: Path) -> None:
    """Write one random model as parameters and as a bundle, and one image."""
    import open_clip
    import torch
    from safetensors.torch import save_file

    from clipvet.detectors.clip.export import Source, clip_tokenizer, parse_config, write_bundle

    torch.manual_seed(0)
    state = open_clip.create_model(MODEL, pretrained=None).state_dict()
    save_file(state, folder / "state.safetensors")
    np.save(folder / "image.npy", np.random.default_rng(0).integers(0, 256, (SIDE, SIDE, 3), "u1"))
    write_bundle(
        folder / "bundle",
        config=parse_config(open_clip.get_model_config(MODEL)),
        state={name: tensor.numpy() for name, tensor in state.items()},
        tokenizer=clip_tokenizer(Path(open_clip.__file__).parent / "bpe_simple_vocab_16e6.txt.gz"),
        name="random-plus-240",
        description="Random weights for a benchmark: its scores mean nothing.",
        licence="Apache-2.0",
        source=Source(model=MODEL, weights="random, seed 0"),
    )


def clipvet_arm(folder: Path) -> Arm:
    """This package: pixels to score and heatmap, and pixels to the image embedding."""
    import onnxruntime

    from clipvet.detectors import Batch, Context, Heatmap, Query, View
    from clipvet.detectors.clip import Bundle, Runtime
    from clipvet.plugins.winclip import WinClip, WinClipOptions

    bundle = Bundle.open(folder / "bundle")
    # max_references=0 because anomalib's zero-shot model keeps none either.
    detector = WinClip(WinClipOptions(variant="anomalib", max_references=0))
    image = np.load(folder / "image.npy")
    box = (0, 0, SIDE, SIDE)
    view = View(pixels=image, box=box)
    needs = {"zero-shot": detector.needs, "encoder": frozenset({"cls_embed"})}
    runtimes = {
        name: Runtime(
            bundle,
            needs=features,
            device="cpu",
            batch_size=1,
            threads=THREADS,
            cache_folder=folder / "cache",
        )
        for name, features in needs.items()
    }
    runtime = runtimes["zero-shot"]
    detector.prepare(Context(bundle=runtime.info, encode_text=runtime.encode_text))

    def zero_shot() -> Arrays:
        features = runtime.encode_views([image])
        batch = Batch(features=features, views=[view], queries=[[Query(object=OBJECT)]])
        score = detector.score(batch)[0][0]
        assert score.heatmap is not None
        heatmap = Heatmap(grid=score.heatmap, box=box, image_size=(SIDE, SIDE)).resized()
        return {**features, "score": np.float32(score.value), "map": heatmap}

    left, right = _gemm_operands()
    settings = onnxruntime.SessionOptions()
    settings.intra_op_num_threads = THREADS
    session = onnxruntime.InferenceSession(
        _gemm_model(right), settings, providers=["CPUExecutionProvider"]
    )
    return Arm(
        calls={
            "zero-shot": zero_shot,
            "encoder": lambda: runtimes["encoder"].encode_views([image]),
        },
        flops=lambda name: graph_flops(folder / "bundle" / "vision.onnx", needs[name]),
        packages=("clipvet", "onnxruntime", "numpy"),
        gemms={
            "onnxruntime": lambda: session.run(None, {"left": left}),
            "numpy": lambda: left @ right,
        },
    )


def eager_arm(folder: Path) -> Arm:
    """open_clip's encode_image, eager."""
    import open_clip
    import torch
    from safetensors.torch import load_file

    torch.set_num_threads(THREADS)
    model = open_clip.create_model(MODEL, pretrained=None).eval()
    model.load_state_dict(load_file(folder / "state.safetensors"))
    pixels = torch.from_numpy(_network_input(folder))

    def encoder() -> Arrays:
        with torch.inference_mode():
            return {"cls_embed": model.encode_image(pixels).numpy()}

    left, right = (torch.from_numpy(operand) for operand in _gemm_operands())
    return Arm(
        calls={"encoder": encoder},
        flops=lambda _name: _torch_flops(lambda: model.encode_image(pixels)),
        packages=("torch", "open_clip_torch"),
        gemms={"torch": lambda: left @ right},
    )


def anomalib_arm(folder: Path) -> Arm:
    """WinClipModel of anomalib with the same parameters instead of downloaded ones."""
    import torch
    from anomalib.models.image.winclip import torch_model
    from safetensors.torch import load_file

    torch.set_num_threads(THREADS)
    torch_model.PRETRAINED = None
    model = torch_model.WinClipModel().eval()
    model.clip.load_state_dict(load_file(folder / "state.safetensors"))
    model.setup(class_name=OBJECT)
    pixels = torch.from_numpy(_network_input(folder))
    seen: dict[str, Any] = {}
    encode_image = model.encode_image

    def watched(batch: Any) -> Any:
        image, windows, patches = encode_image(batch)
        seen.update(cls_embed=image, win2_embed=windows[0], win3_embed=windows[1])
        return image, windows, patches

    model.encode_image = watched  # hands out the embeddings, to compare them

    def zero_shot() -> Arrays:
        result = model(pixels)
        arrays = {name: tensor.numpy() for name, tensor in seen.items()}
        return {
            **arrays,
            "score": result.pred_score[0].numpy(),
            "map": result.anomaly_map[0].numpy(),
        }

    left, right = (torch.from_numpy(operand) for operand in _gemm_operands())
    return Arm(
        calls={"zero-shot": zero_shot},
        flops=lambda _name: _torch_flops(lambda: model(pixels)),
        packages=("anomalib", "torch", "open_clip_torch"),
        gemms={"torch": lambda: left @ right},
        # Some releases add a forward hook at every call and never remove it.
        before=model.clip.visual.patch_dropout._forward_hooks.clear,
    )


def serve(arm: Arm, folder: Path) -> None:
    """Answer requests until the input ends; nothing else may write to the answers' pipe."""
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    kept: dict[str, Arrays] = {}
    for line in sys.stdin:
        request = json.loads(line)
        what, name = request["do"], request.get("call", "")
        answer: dict[str, Any] = {}
        if what == "time":
            arm.before()
            start = time.perf_counter()
            kept[name] = arm.calls[name]()
            answer["seconds"] = time.perf_counter() - start
        elif what == "outputs":
            path = folder / f"{request['as']}.npz"
            np.savez(path, **kept[name])
            answer["path"] = str(path)
        elif what == "flops":
            answer["flops"] = arm.flops(name)
        elif what == "gemm":
            answer["gflops"] = {gemm: _gemm_rate(call) for gemm, call in arm.gemms.items()}
        elif what == "versions":
            answer["versions"] = {package: version(package) for package in arm.packages}
        print(json.dumps(answer), file=answers, flush=True)


def _network_input(folder: Path) -> Any:
    mean = np.array([0.48145466, 0.4578275, 0.40821073], np.float32)
    std = np.array([0.26862954, 0.26130258, 0.27577711], np.float32)
    pixels = (np.load(folder / "image.npy").astype(np.float32) / 255 - mean) / std
    return np.ascontiguousarray(pixels.transpose(2, 0, 1)[None])


def graph_flops(path: Path, outputs: frozenset[str]) -> int:
    """2 x multiply-adds of every matrix product and convolution, for one view."""
    import onnx

    from clipvet.detectors.clip._pruning import pruned_graph

    model = onnx.load_from_string(pruned_graph(path, outputs))
    for value in (*model.graph.input, *model.graph.output):
        value.type.tensor_type.shape.dim[0].dim_value = 1
    model = onnx.shape_inference.infer_shapes(model, strict_mode=True, data_prop=True)
    shapes = {tensor.name: list(tensor.dims) for tensor in model.graph.initializer}
    for value in (*model.graph.input, *model.graph.value_info, *model.graph.output):
        dims = value.type.tensor_type.shape.dim
        if all(dim.HasField("dim_value") for dim in dims):
            shapes[value.name] = [dim.dim_value for dim in dims]
    total = 0
    for node in model.graph.node:
        if node.op_type == "Conv":
            summed = int(np.prod(shapes[node.input[1]][1:]))
        elif node.op_type in {"MatMul", "Gemm"}:
            summed = shapes[node.input[0]][-1]
        else:
            continue
        total += 2 * int(np.prod(shapes[node.output[0]])) * summed
    return total


def _torch_flops(call: Callable[[], Any]) -> int:
    import torch
    from torch.utils.flop_counter import FlopCounterMode

    # The fused attention path hides its products from the counter.
    torch.backends.mha.set_fastpath_enabled(False)
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        call()
    torch.backends.mha.set_fastpath_enabled(True)
    return int(counter.get_total_flops())


def _gemm_operands() -> tuple[Any, Any]:
    rng = np.random.default_rng(0)
    left, right = (rng.standard_normal((GEMM, GEMM), dtype=np.float32) for _ in range(2))
    return left, right


def _gemm_model(right: Any) -> bytes:
    from onnx import TensorProto, helper, numpy_helper

    shape = [GEMM, GEMM]
    graph = helper.make_graph(
        [helper.make_node("MatMul", ["left", "right"], ["product"])],
        "gemm",
        [helper.make_tensor_value_info("left", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info("product", TensorProto.FLOAT, shape)],
        [numpy_helper.from_array(right, "right")],
    )
    opset = [helper.make_opsetid("", 17)]
    return bytes(helper.make_model(graph, opset_imports=opset, ir_version=8).SerializeToString())


def _gemm_rate(call: Callable[[], Any]) -> float:
    seconds = []
    for _ in range(6):
        start = time.perf_counter()
        call()
        seconds.append(time.perf_counter() - start)
    return 2 * GEMM**3 / statistics.median(seconds[1:]) / 1e9


if __name__ == "__main__":
    arm_name, work = sys.argv[1], Path(sys.argv[2])
    if arm_name == "prepare":
        prepare(work)
    else:
        arms = {"clipvet": clipvet_arm, "open_clip": eager_arm, "anomalib": anomalib_arm}
        serve(arms[arm_name](work), work)
