"""Nodes that another provider runs than the one that was asked for are counted and named."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest
from PIL import Image

from clipvet.detectors import DetectorSpec, Host, RunConfig, run
from clipvet.detectors.clip import Bundle, Placement, Runtime, open_session
from clipvet.detectors.clip._placement import RECORD_PLACEMENT, read_placement, stray_nodes
from clipvet.detectors.clip._pruning import pruned_graph
from clipvet.detectors.testing import FakeRuntime

told = pytest.mark.skipif(
    not hasattr(onnxruntime.InferenceSession, "get_provider_graph_assignment_info"),
    reason="this onnxruntime does not tell which nodes run where",
)

_SENTENCE = (
    "3 of 10 nodes of the image tower run on the CPU, not on CUDAExecutionProvider, and slow it "
    "down: Gelu (2), Shape (1)"
)


@told
def test_every_node_of_a_session_is_counted(gelu: Bundle) -> None:
    graph = pruned_graph(gelu.folder / "vision.onnx", ["cls_embed"])
    placement = open_session(graph, gelu.folder, device="cpu").placement
    assert placement is not None
    assert list(placement) == ["CPUExecutionProvider"]
    operators = placement["CPUExecutionProvider"]
    assert operators["Softmax"] == 6
    assert operators["LayerNormalization"] == 14
    assert list(operators) == sorted(operators)


@told
def test_nothing_is_told_of_a_session_that_did_not_record(gelu: Bundle) -> None:
    options = onnxruntime.SessionOptions()
    assert RECORD_PLACEMENT[0].startswith("session.")
    inner: Any = onnxruntime.InferenceSession(gelu.folder / "vision.onnx", options)
    with pytest.raises(Exception, match="record_ep_graph_assignment_info"):
        read_placement(inner)


def test_an_old_onnxruntime_tells_nothing() -> None:
    assert read_placement(object()) is None


@pytest.mark.parametrize(
    ("placement", "provider", "sentence"),
    [
        (None, "CUDAExecutionProvider", None),
        ({"CPUExecutionProvider": {"Add": 2}}, "CPUExecutionProvider", None),
        ({"CUDAExecutionProvider": {"Add": 2}}, "CUDAExecutionProvider", None),
        (
            {"CPUExecutionProvider": {"Gelu": 2, "Shape": 1}, "CUDAExecutionProvider": {"Add": 7}},
            "CUDAExecutionProvider",
            _SENTENCE,
        ),
    ],
)
def test_strays_are_named(placement: Any, provider: str, sentence: str | None) -> None:
    assert stray_nodes(placement, provider) == sentence


@told
def test_a_session_that_passes_for_cuda_is_warned_of(gelu: Bundle) -> None:
    with Runtime(gelu, needs=["cls_embed"], device="cpu") as runtime:
        assert not runtime.notes
        # The real nodes of a real session, under the name of the provider that it did not get.
        runtime._vision_session().provider = "CUDAExecutionProvider"
        (note,) = runtime.notes
    assert "run on the CPU, not on CUDAExecutionProvider" in note
    assert "Softmax (6)" in note


_STRAYED: Placement = {"CPUExecutionProvider": {"Gelu": 1}, "CUDAExecutionProvider": {"Add": 2}}


class _Strayed(FakeRuntime):
    placement = _STRAYED
    notes = ("1 of 3 nodes of the image tower run on the CPU",)


def _run(out: Path, pictures: Sequence[Path], host: Host, **settings: Any) -> dict[str, Any]:
    specs = [DetectorSpec(id="winclip", options={"max_references": 0})]
    config = RunConfig(sources=pictures, out=out, specs=specs, heatmaps="none", device="cpu")
    summary = run(config, host=host, **settings)
    state: dict[str, Any] = json.loads((out / "run.json").read_text())
    assert state["warnings"] == summary.warnings
    return state


def test_a_run_reports_them(tmp_path: Path) -> None:
    picture = tmp_path / "a.png"
    Image.fromarray(np.full((64, 64, 3), 90, np.uint8)).save(picture)
    host = Host.load()
    state = _run(tmp_path / "fake", [picture], host, runtime_factory=_Strayed)
    assert state["nodes"] == {"mini": {"CPUExecutionProvider": 1, "CUDAExecutionProvider": 2}}
    assert _Strayed.notes[0] in state["warnings"]
    state = _run(tmp_path / "real", [picture], host)
    assert list(state["nodes"]["mini"]) == ["CPUExecutionProvider"]
    assert not [text for text in state["warnings"] if "nodes" in text]
