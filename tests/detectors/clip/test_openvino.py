"""OpenVINO beside onnxruntime on the same graphs: numbers, bits over batches, errors."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from clipvet.detectors import Host
from clipvet.detectors._features import TRUNK_FEATURES
from clipvet.detectors.clip import Bundle, Device, PixelBatch, Runtime, find_bundle, open_session
from clipvet.detectors.clip import _openvino as ours
from clipvet.detectors.errors import BundleError, MissingDependency, ProviderUnavailable

openvino = ours.openvino_module()
Views = list[NDArray[np.uint8]]
multiplies_bf16 = "BF16" in openvino.Core().get_property("CPU", "OPTIMIZATION_CAPABILITIES")
DEVICES = [
    "openvino",
    pytest.param(
        "openvino-bf16",
        marks=pytest.mark.skipif(
            not multiplies_bf16, reason="this processor does not multiply bfloat16"
        ),
    ),
]


@pytest.fixture(scope="module")
def mini() -> Bundle:
    return find_bundle(None, Host.load().bundles)


@pytest.fixture(scope="module")
def views() -> Views:
    rng = np.random.default_rng(0)
    sides = [(192, 192), (40, 90), (200, 96), (64, 64), (300, 10)]
    return [rng.integers(0, 256, (*side, 3), dtype=np.uint8) for side in sides]


def features(bundle: Bundle, views: Views, device: Device, **settings: Any) -> Mapping[str, Any]:
    with Runtime(bundle, needs=bundle.info.features, device=device, **settings) as runtime:
        return runtime.encode_views(views)


def test_the_embedded_bundle_gives_the_numbers_of_onnxruntime(mini: Bundle, views: Views) -> None:
    wanted, found = (features(mini, views, device) for device in ("cpu", "openvino"))
    for name, values in wanted.items():
        assert found[name].dtype == np.float32
        assert np.abs(found[name] - values).max() <= 1e-5 * np.abs(values).max(), name


@pytest.mark.parametrize("variant", ["gelu", "quickgelu"])
def test_so_do_random_towers(variant: str, images: Views, request: pytest.FixtureRequest) -> None:
    bundle = request.getfixturevalue(variant)
    wanted, found = (features(bundle, images, device) for device in ("cpu", "openvino"))
    for name, values in wanted.items():
        assert np.abs(found[name] - values).max() <= 1e-5 * np.abs(values).max(), name


def test_bundles_of_every_precision_open(bundles: Any, images: Views) -> None:
    for precision in ("fp32", "fp16", "int8"):
        bundle = bundles(precision=precision)
        wanted, found = (features(bundle, images, device) for device in ("cpu", "openvino"))
        cosine = _cosine(wanted["cls_embed"], found["cls_embed"])
        # onnxruntime quantises activations too, OpenVINO multiplies the int8 weights as floats.
        assert cosine > (0.999 if precision == "int8" else 1 - 1e-6), precision


@pytest.mark.skipif(not multiplies_bf16, reason="this processor does not multiply bfloat16")
def test_bfloat16_points_where_float32_does(mini: Bundle, views: Views) -> None:
    wanted, found = (features(mini, views, device) for device in ("cpu", "openvino-bf16"))
    assert not np.array_equal(wanted["cls_embed"], found["cls_embed"])
    for name, values in wanted.items():
        # Each channel's mean is taken off a cell of the trunk: what is left holds more rounding.
        least = 0.99 if name in TRUNK_FEATURES else 0.998
        assert _cosine(values, found[name]) > least, name


@pytest.mark.parametrize("device", DEVICES)
def test_a_view_alone_equals_itself_in_a_batch(mini: Bundle, views: Views, device: Device) -> None:
    needs = ["cls_embed", "patch_embed", "win2_embed", "win3_embed", "vv_stage_4_embed", "trunk_16"]
    found = []
    for batch_size, threads in ((1, 2), (3, 1), (8, 2)):
        with Runtime(
            mini, needs=needs, device=device, batch_size=batch_size, threads=threads
        ) as runtime:
            found.append(runtime.encode_views(views))
            backwards = runtime.encode_views(views[::-1])
        for name, values in found[-1].items():
            np.testing.assert_array_equal(values, found[0][name], err_msg=name)
            np.testing.assert_array_equal(values, backwards[name][::-1], err_msg=name)


@pytest.mark.parametrize("device", DEVICES)
def test_threads_share_a_session(mini: Bundle, views: Views, device: Device) -> None:
    with Runtime(mini, needs=["cls_embed"], device=device) as runtime:
        wanted = runtime.encode_views(views)["cls_embed"]
        with ThreadPoolExecutor(8) as pool:
            work = [pool.submit(runtime.encode_views, views) for _ in range(32)]
            for one in work:
                np.testing.assert_array_equal(one.result()["cls_embed"], wanted)


def test_the_provider_is_named_and_a_closed_session_refuses(mini: Bundle, views: Views) -> None:
    with Runtime(mini, needs=["cls_embed"], device="openvino") as runtime:
        assert (runtime.provider, runtime.placement, runtime.notes) == ("OpenVINO", None, ())
        session = runtime._vision_session()
    with pytest.raises(RuntimeError, match="closed"):
        session.run({})


def test_the_text_tower_stays_with_onnxruntime(mini: Bundle) -> None:
    prompts = ["a photo of a brass gear that nobody has encoded before"]
    with (
        Runtime(mini, needs=["cls_embed"], device="openvino") as one,
        Runtime(mini, needs=["cls_embed"], device="cpu") as other,
    ):
        np.testing.assert_array_equal(one.encode_text(prompts), other.encode_text(prompts))


def test_without_openvino_the_message_says_what_to_install(
    mini: Bundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "openvino", None)
    with pytest.raises(MissingDependency, match=r"needs openvino.*clipvet\[openvino\]"):
        Runtime(mini, needs=["cls_embed"], device="openvino").warmup()


def test_bfloat16_is_refused_where_it_would_be_slower(
    mini: Bundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Older:
        def get_property(self, _device: str, _name: str) -> list[str]:
            return ["FP32", "INT8"]

    monkeypatch.setattr(openvino, "Core", Older)
    with pytest.raises(ProviderUnavailable, match="does not multiply bfloat16"):
        Runtime(mini, needs=["cls_embed"], device="openvino-bf16").warmup()


def test_a_graph_that_openvino_refuses_is_one_sentence(mini: Bundle) -> None:
    from onnx import TensorProto, helper

    value = helper.make_tensor_value_info
    graph = helper.make_graph(
        [helper.make_node("NoSuchOperator", ["x"], ["y"], domain="elsewhere")],
        "odd",
        [value("x", TensorProto.FLOAT, [1])],
        [value("y", TensorProto.FLOAT, [1])],
    )
    opsets = [helper.make_opsetid("", 20), helper.make_opsetid("elsewhere", 1)]
    model = helper.make_model(graph, opset_imports=opsets, ir_version=9).SerializeToString()
    batch = PixelBatch(rows=1, preprocessing=mini.manifest.preprocessing, weights=mini.info.sha256)
    with pytest.raises(BundleError, match=r"openvino .* refuses a graph") as caught:
        open_session(model, mini.folder, device="openvino", batch=batch)
    assert "\n" not in str(caught.value)


def test_weights_are_read_from_the_named_files_alone(
    gelu: Bundle, images: Views, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    copied: list[str] = []
    copy = shutil.copyfile

    def watched(source: Path, target: Path) -> Path:
        copied.append(source.name)
        return copy(source, target)

    monkeypatch.setattr(shutil, "copyfile", watched)
    monkeypatch.setattr(ours, "TemporaryDirectory", _Kept(tmp_path / "made"))
    features(gelu, images[:1], "openvino")
    assert copied == ["weights.bin"]


class _Kept:
    """Stands for TemporaryDirectory, at a known place that must be empty of others' files."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __call__(self, **_settings: str) -> _Kept:
        return self

    def __enter__(self) -> str:
        self.folder.mkdir()
        return str(self.folder)

    def __exit__(self, *_error: object) -> None:
        assert sorted(path.name for path in self.folder.iterdir()) == [
            "pruned.onnx",
            "weights.bin",
        ]


@pytest.mark.parametrize("device", DEVICES)
def test_a_run_on_it_from_the_command_line(
    device: str, tmp_path: Path, environment: dict[str, str], command: str
) -> None:
    # `import openvino` reports itself over the network, unless its telemetry cannot be imported.
    watch = tmp_path / "site" / "sitecustomize.py"
    watch.parent.mkdir()
    watch.write_text(
        "import sys\n"
        "seen = []\n"
        "sys.addaudithook(lambda event, _: event.startswith('socket.') and seen.append(event))\n"
        "import atexit\n"
        "atexit.register(lambda: sys.stderr.write(\n"
        "    f\"\\nnetwork: {seen} {'openvino_telemetry' in sys.modules}\"))\n"
    )
    good = Path(__file__).parents[3] / "sample_data" / "parts" / "good"
    parts = sorted(good.iterdir())[:3]
    done = subprocess.run(
        [command, "run", *map(str, parts), "--device", device, "--out", str(tmp_path / "out")],
        env={**environment, "PYTHONPATH": str(watch.parent)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode in {0, 1}, done.stderr
    assert done.stderr.endswith("network: [] False")
    provider = "OpenVINO" if device == "openvino" else "OpenVINO bfloat16"
    assert f'"{provider}"' in (tmp_path / "out" / "run.json").read_text()


def _cosine(one: NDArray[Any], other: NDArray[Any]) -> float:
    lengths = np.linalg.norm(one, axis=-1) * np.linalg.norm(other, axis=-1)
    return float(((one * other).sum(-1) / lengths).min())
