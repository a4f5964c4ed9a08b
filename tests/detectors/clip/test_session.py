from __future__ import annotations

import shutil
import sys
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest

from clipvet.detectors.clip import Bundle, Runtime, available_providers, open_session
from clipvet.detectors.clip._pruning import pruned_graph
from clipvet.detectors.errors import BundleError, ProviderUnavailable

without_cuda = pytest.mark.skipif(
    "CUDAExecutionProvider" in onnxruntime.get_available_providers(),
    reason="this onnxruntime can use CUDA: its absence cannot be tested",
)


@pytest.fixture
def graph(gelu: Bundle) -> bytes:
    return pruned_graph(gelu.folder / "vision.onnx", ["cls_embed"])


@without_cuda
def test_a_device_that_is_not_there_is_refused(gelu: Bundle, graph: bytes) -> None:
    with pytest.raises(ProviderUnavailable, match="--device cuda: onnxruntime has no working"):
        open_session(graph, gelu.folder, device="cuda")
    with pytest.raises(ProviderUnavailable, match="--device cpu"):
        Runtime(gelu, needs=["cls_embed"], device="cuda").warmup()


@without_cuda
def test_auto_falls_back_to_the_cpu(gelu: Bundle, graph: bytes) -> None:
    assert open_session(graph, gelu.folder, device="auto").provider == "CPUExecutionProvider"
    assert "CPUExecutionProvider" in available_providers()


def test_a_provider_that_is_silently_replaced_is_refused(
    gelu: Bundle, graph: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    # onnxruntime-gpu without its libraries lists CUDA and then runs on the CPU.
    listed = ["CUDAExecutionProvider", "CPUExecutionProvider"]
    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: listed)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # which of the versions warn here differs
        with pytest.raises(ProviderUnavailable, match="no working CUDAExecutionProvider"):
            open_session(graph, gelu.folder, device="cuda")
        session = open_session(graph, gelu.folder, device="auto")
        assert session.provider == "CPUExecutionProvider"
        assert session.notes[0].startswith("the CPU is used: --device cuda: onnxruntime has no")
        with pytest.raises(ProviderUnavailable, match="no working CUDAExecutionProvider"):
            Runtime(gelu, needs=["cls_embed"], device="cuda").warmup()


def test_cuda_libraries_of_pip_are_loaded_before_the_session(
    gelu: Bundle, graph: bytes, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    # The dynamic linker does not look into site-packages; without this an onnxruntime-gpu that
    # pip installed with its CUDA libraries runs on the CPU (seen with 1.31.1).
    order: list[str] = []
    make = onnxruntime.InferenceSession
    listed = ["CUDAExecutionProvider", "CPUExecutionProvider"]

    def preload() -> None:
        order.append("libraries")
        sys.stdout.write("Failed to load libcublas\n")

    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: listed)
    monkeypatch.setattr(onnxruntime, "preload_dlls", preload)

    def session(graph: bytes, options: object, providers: list[Any], **_settings: Any) -> object:
        order.append(providers[0][0])
        return make(graph, options, providers=["CPUExecutionProvider"])

    monkeypatch.setattr(onnxruntime, "InferenceSession", session)
    with pytest.raises(ProviderUnavailable):
        open_session(graph, gelu.folder, device="cuda")
    assert order == ["libraries", "CUDAExecutionProvider"]
    assert capsys.readouterr().out == ""


def test_an_error_of_onnxruntime_comes_without_its_source_file(
    gelu: Bundle, graph: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*_args: Any, **_settings: Any) -> None:
        raise RuntimeError(
            "/src/state.cc:729 void ort::python::Register(Options&, const ort::Provider&) "
            "Please install TensorRT libraries\nand so on."
        )

    monkeypatch.setattr(onnxruntime, "InferenceSession", fails)
    with pytest.raises(BundleError, match=r": Please install TensorRT libraries and so on\.$"):
        open_session(graph, gelu.folder, device="cpu")


def test_a_closed_session_says_so(gelu: Bundle, graph: bytes) -> None:
    session = open_session(graph, gelu.folder)
    session.close()
    with pytest.raises(RuntimeError, match="this session is closed"):
        session.run({"pixel_values": np.zeros((1, 3, 96, 96), np.float32)})


def test_a_graph_that_onnxruntime_refuses(gelu: Bundle) -> None:
    with pytest.raises(BundleError, match=r"onnxruntime .* refuses a graph of"):
        open_session(b"garbage", gelu.folder)


def test_truncated_weights_are_refused_by_size(
    bundles: Callable[..., Bundle], tmp_path: Path
) -> None:
    folder = tmp_path / "cut"
    shutil.copytree(bundles().folder, folder)
    with (folder / "weights.bin").open("r+b") as file:
        file.truncate(1000)
    with pytest.raises(BundleError, match=r"weights\.bin has 1000 bytes"):
        Bundle.open(folder)
