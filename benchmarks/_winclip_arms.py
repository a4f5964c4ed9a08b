"""The arms of benchmarks/winclip.py, one process each; run by it, not by hand.

``python -m benchmarks._winclip_arms ARM FOLDER`` answers requests, one JSON object per
line. The anomalib arm runs under another interpreter, which knows nothing of clipvet: every import
is in its arm.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from benchmarks._rates import gemm_model, gemm_operands, gemm_rate, graph_flops

if TYPE_CHECKING:
    from clipvet.detectors.clip import Device

MODEL = "ViT-B-16-plus-240"
OBJECT = "bottle"
SIDE = 240
SHOTS = 4
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
    """Write one random model as parameters and as two bundles, one image, and references."""
    import open_clip
    import torch
    from safetensors.torch import save_file

    from clipvet.detectors.clip.export import Source, clip_tokenizer, parse_config, write_bundle

    torch.manual_seed(0)
    state = open_clip.create_model(MODEL, pretrained=None).state_dict()
    save_file(state, folder / "state.safetensors")
    images = np.random.default_rng(0).integers(0, 256, (1 + SHOTS, SIDE, SIDE, 3), "u1")
    np.save(folder / "image.npy", images[0])
    np.save(folder / "references.npy", images[1:])
    vocabulary = Path(open_clip.__file__).parent / "bpe_simple_vocab_16e6.txt.gz"
    for precision in ("fp32", "int8"):
        write_bundle(
            folder / precision,
            config=parse_config(open_clip.get_model_config(MODEL)),
            state={name: tensor.numpy() for name, tensor in state.items()},
            tokenizer=clip_tokenizer(vocabulary),
            name=f"random-plus-240-{precision}",
            description="Random weights for a benchmark: its scores mean nothing.",
            licence="Apache-2.0",
            source=Source(model=MODEL, weights="random, seed 0"),
            precision=precision,
        )


def clipvet_arm(folder: Path, precision: str, device: Device = "cpu") -> Arm:
    """This package: pixels to score and heatmap, and pixels to the image embedding."""
    import onnxruntime

    from clipvet.detectors import Batch, Context, Heatmap, Query, View
    from clipvet.detectors.clip import Bundle, Runtime
    from clipvet.plugins.winclip import WinClip, WinClipOptions

    bundle = Bundle.open(folder / precision)
    # Zero-shot, anomalib's model keeps no references either.
    detectors = {
        call: WinClip(WinClipOptions(variant="anomalib", max_references=shots))
        for call, shots in (("zero-shot", 0), ("few-shot", SHOTS))
    }
    image = np.load(folder / "image.npy")
    box = (0, 0, SIDE, SIDE)
    needs = {call: detector.needs for call, detector in detectors.items()}
    needs["encoder"] = frozenset({"cls_embed"})
    runtimes = {
        name: Runtime(
            bundle,
            needs=features,
            device=device,
            batch_size=1,
            threads=THREADS,
            cache_folder=folder / f"cache-{precision}-{device}",
        )
        for name, features in needs.items()
    }

    def batch_of(call: str, pixels: Any) -> Batch:
        views = [View(pixels=one, box=box) for one in pixels]
        features = runtimes[call].encode_views(pixels)
        return Batch(features=features, views=views, queries=[[Query(object=OBJECT)]] * len(pixels))

    for call, detector in detectors.items():
        runtime = runtimes[call]
        detector.prepare(Context(bundle=runtime.info, encode_text=runtime.encode_text))
    references = np.load(folder / "references.npy")
    detectors["few-shot"].fit([batch_of("few-shot", [pixels]) for pixels in references])

    def winclip(call: str) -> Arrays:
        batch = batch_of(call, [image])
        score = detectors[call].score(batch)[0][0]
        assert score.heatmap is not None
        heatmap = Heatmap(grid=score.heatmap, box=box, image_size=(SIDE, SIDE)).resized()
        return {**batch.features, "score": np.float32(score.value), "map": heatmap}

    left, right = gemm_operands()
    settings = onnxruntime.SessionOptions()
    settings.intra_op_num_threads = THREADS
    session = onnxruntime.InferenceSession(
        gemm_model(right), settings, providers=["CPUExecutionProvider"]
    )
    return Arm(
        calls={
            "zero-shot": lambda: winclip("zero-shot"),
            "few-shot": lambda: winclip("few-shot"),
            "encoder": lambda: runtimes["encoder"].encode_views([image]),
        },
        flops=lambda name: graph_flops(folder / precision / "vision.onnx", needs[name]),
        packages=("clipvet", "onnxruntime" if device == "cpu" else "openvino", "numpy"),
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
    pixels = torch.from_numpy(_network_input(np.load(folder / "image.npy")))

    def encoder() -> Arrays:
        with torch.inference_mode():
            return {"cls_embed": model.encode_image(pixels).numpy()}

    left, right = (torch.from_numpy(operand) for operand in gemm_operands())
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
    references = [_network_input(pixels) for pixels in np.load(folder / "references.npy")]
    model.setup(class_name=OBJECT, reference_images=torch.from_numpy(np.concatenate(references)))
    pixels = torch.from_numpy(_network_input(np.load(folder / "image.npy")))
    seen: dict[str, Any] = {}
    encode_image = model.encode_image

    def watched(batch: Any) -> Any:
        image, windows, patches = encode_image(batch)
        seen.update(cls_embed=image, win2_embed=windows[0], win3_embed=windows[1])
        return image, windows, patches

    model.encode_image = watched  # hands out the embeddings, to compare them

    def winclip(shots: int) -> Arrays:
        model.k_shot = shots  # with 0, the references that it holds are not looked at
        result = model(pixels)
        arrays = {name: tensor.numpy() for name, tensor in seen.items()}
        return {
            **arrays,
            "score": result.pred_score[0].numpy(),
            "map": result.anomaly_map[0].numpy(),
        }

    left, right = (torch.from_numpy(operand) for operand in gemm_operands())
    return Arm(
        calls={"zero-shot": lambda: winclip(0), "few-shot": lambda: winclip(SHOTS)},
        flops=lambda name: _torch_flops(lambda: winclip(SHOTS if name == "few-shot" else 0)),
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
            answer["gflops"] = {gemm: gemm_rate(call) for gemm, call in arm.gemms.items()}
        elif what == "versions":
            answer["versions"] = {package: version(package) for package in arm.packages}
        print(json.dumps(answer), file=answers, flush=True)


def _network_input(image: Any) -> Any:
    mean = np.array([0.48145466, 0.4578275, 0.40821073], np.float32)
    std = np.array([0.26862954, 0.26130258, 0.27577711], np.float32)
    pixels = (image.astype(np.float32) / 255 - mean) / std
    return np.ascontiguousarray(pixels.transpose(2, 0, 1)[None])


def _torch_flops(call: Callable[[], Any]) -> int:
    import torch
    from torch.utils.flop_counter import FlopCounterMode

    # The fused attention path hides its products from the counter.
    torch.backends.mha.set_fastpath_enabled(False)
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        call()
    torch.backends.mha.set_fastpath_enabled(True)
    return int(counter.get_total_flops())


if __name__ == "__main__":
    arm_name, work = sys.argv[1], Path(sys.argv[2])
    if arm_name == "prepare":
        prepare(work)
    else:
        arms = {
            "clipvet": lambda folder: clipvet_arm(folder, "fp32"),
            "clipvet int8": lambda folder: clipvet_arm(folder, "int8"),
            "clipvet openvino": lambda folder: clipvet_arm(folder, "fp32", "openvino"),
            "clipvet openvino-bf16": lambda folder: clipvet_arm(folder, "fp32", "openvino-bf16"),
            "open_clip": eager_arm,
            "anomalib": anomalib_arm,
        }
        serve(arms[arm_name](work), work)
