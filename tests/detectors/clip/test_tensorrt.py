"""TensorRT as far as it goes without a GPU: its graph, its options, its cache, its errors."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import onnx
import onnxruntime
import pytest
from PIL import Image

from clipvet.detectors.clip import Bundle, PixelBatch, Runtime, open_session
from clipvet.detectors.clip import _cuda as cuda
from clipvet.detectors.clip._pruning import pruned_graph
from clipvet.detectors.clip._session import inference_session
from clipvet.detectors.clip._tensorrt import engine_folder, tensorrt_provider
from clipvet.detectors.errors import ProviderUnavailable

ALL = ["TensorrtExecutionProvider", "CUDAExecutionProvider", "CPUExecutionProvider"]
without_tensorrt = pytest.mark.skipif(
    "TensorrtExecutionProvider" in onnxruntime.get_available_providers(),
    reason="this onnxruntime lists TensorRT: its absence cannot be tested",
)


def batch_of(bundle: Bundle, rows: int = 2) -> PixelBatch:
    return PixelBatch(
        rows=rows, preprocessing=bundle.manifest.preprocessing, weights=bundle.info.sha256
    )


@without_tensorrt
def test_a_device_that_is_not_there_is_refused_in_a_sentence(gelu: Bundle) -> None:
    message = (
        "--device tensorrt: onnxruntime has no working TensorrtExecutionProvider here; "
        "see `detect doctor`, or use --device cuda"
    )
    with pytest.raises(ProviderUnavailable) as caught:
        Runtime(gelu, needs=["cls_embed"], device="tensorrt").warmup()
    assert str(caught.value) == message


@without_tensorrt
def test_the_command_says_so_and_exits_4(tmp_path: Path) -> None:
    Image.new("RGB", (32, 32)).save(tmp_path / "a.png")
    detect = str(Path(sys.executable).with_name("detect"))
    out = str(tmp_path / "out")
    done = subprocess.run(
        [detect, str(tmp_path / "a.png"), "--device", "tensorrt", "--out", out],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 4
    assert "no working TensorrtExecutionProvider" in " ".join(done.stderr.split())
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("precision", ["fp32", "fp16"])
def test_what_the_session_is_made_with(
    bundles: Callable[..., Bundle], monkeypatch: pytest.MonkeyPatch, precision: str, tmp_path: Path
) -> None:
    asked: list[Any] = []

    def session(graph: bytes, options: Any, providers: Any, **settings: Any) -> Any:
        asked.append((onnx.load_from_string(graph), providers))
        return inference_session(graph, options, ["CPUExecutionProvider"], **settings)

    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: ALL)
    monkeypatch.setattr(cuda, "inference_session", session)
    monkeypatch.setenv("CLIPVET_CACHE", str(tmp_path))
    bundle = bundles(precision=precision)
    graph = pruned_graph(bundle.folder / "vision.onnx", ["cls_embed"])
    # It falls back to the CPU here, and that is refused.
    with pytest.raises(ProviderUnavailable, match="no working TensorrtExecutionProvider"):
        open_session(graph, bundle.folder, device="tensorrt", batch=batch_of(bundle))
    ((model, providers),) = asked
    assert [name for name, _options in providers] == ALL[:2]  # what it cannot take runs on CUDA
    options = providers[0][1]
    assert options["trt_fp16_enable"] == ("1" if precision == "fp16" else "0")
    assert Path(options["trt_engine_cache_path"]).parent == tmp_path / "tensorrt"
    assert Path(options["trt_engine_cache_path"]).is_dir()
    assert providers[1][1]["enable_cuda_graph"] == "0"
    assert {node.domain for node in model.graph.node} == {""}  # it knows ONNX alone
    assert model.graph.input[0].type.tensor_type.shape.dim[0].dim_value == 2


def test_an_engine_belongs_to_its_weights_and_its_graph(gelu: Bundle) -> None:
    batch = batch_of(gelu)
    folders = {
        engine_folder(b"graph", batch),
        engine_folder(b"another", batch),
        engine_folder(b"graph", replace(batch, weights="of another bundle")),
    }
    assert len(folders) == 3
    assert engine_folder(b"graph", batch_of(gelu)) in folders


def test_without_a_batch_it_is_cuda(gelu: Bundle) -> None:
    # The text tower: its shapes vary, and it is run once for each prompt.
    graph = pruned_graph(gelu.folder / "text.onnx", ["text_embed"])
    try:
        found = open_session(graph, gelu.folder, device="tensorrt").provider
    except ProviderUnavailable as error:  # no GPU, as ever: what was tried is in its first words
        found = str(error)
    assert found.startswith(("--device cuda: ", ALL[1]))


def test_all_options_are_strings(tmp_path: Path) -> None:
    name, options = tensorrt_provider(tmp_path / "engine", half=True)
    assert name == "TensorrtExecutionProvider"
    assert all(isinstance(value, str) for value in options.values())
