from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from clipvet.detectors.clip import Bundle, DomainGate, Runtime
from clipvet.detectors.clip._gate import GATE_FILE, describe
from clipvet.detectors.errors import BundleError

FEATURES = ("cls_raw", "hidden_4")


def gate_for(bundle: Bundle, *, threshold: float = 0.0, names: tuple[str, ...] = FEATURES) -> Any:
    length = 3 * bundle.manifest.vision.width if names == FEATURES else 7
    rng = np.random.default_rng(3)
    return DomainGate(
        features=names,
        mean=rng.normal(size=length).astype(np.float32).astype(np.float64),
        scale=np.full(length, 2.0),
        weight=rng.normal(size=length).astype(np.float32).astype(np.float64),
        bias=0.5,
        threshold=threshold,
        inside=threshold - 1.0,
    )


@pytest.fixture
def gated(gelu: Bundle, tmp_path: Path) -> Path:
    folder = Path(shutil.copytree(gelu.folder, tmp_path / "gated"))
    gate_for(gelu, threshold=1.25).add_to(folder)
    return folder


def test_a_bundle_without_a_gate_has_none(gelu: Bundle) -> None:
    assert gelu.gate is None


def test_a_gate_is_read_back_and_changes_the_hash_of_its_bundle(gated: Path, gelu: Bundle) -> None:
    bundle = Bundle.open(gated)
    bundle.verify()
    assert bundle.info.sha256 != gelu.info.sha256
    assert bundle.gate is not None
    assert (bundle.gate.features, bundle.gate.threshold) == (FEATURES, 1.25)
    assert bundle.gate.inside == 0.25
    np.testing.assert_array_equal(bundle.gate.weight, gate_for(gelu).weight)


def test_the_score_is_linear_in_the_mean_and_spread_of_the_tokens(
    gated: Path, images: list[Any]
) -> None:
    bundle = Bundle.open(gated)
    assert bundle.gate is not None
    with Runtime(bundle, needs=set(FEATURES), device="cpu", batch_size=3) as runtime:
        assert runtime.gate is bundle.gate
        features = runtime.encode_views(images)
        alone = [runtime.gate.score(runtime.encode_views([image]))[0] for image in images]
    x = np.concatenate(
        [features["cls_raw"], features["hidden_4"].mean(1), features["hidden_4"].std(1)], axis=1
    )
    gate = bundle.gate
    expected = 0.5 + ((x - gate.mean) / gate.scale) @ gate.weight
    np.testing.assert_allclose(gate.score(features), expected, atol=1e-4)
    np.testing.assert_array_equal(gate.score(features), alone)
    assert describe(features, FEATURES).dtype == np.float64


def test_a_runtime_that_computes_less_has_no_gate(gated: Path) -> None:
    with Runtime(Bundle.open(gated), needs={"cls_raw"}, device="cpu") as runtime:
        assert runtime.gate is None


@pytest.mark.parametrize("damage", ["nan", "lengths", "schema", "missing", "crossed", "truncated"])
def test_a_damaged_gate_is_refused_in_one_sentence(gated: Path, damage: str) -> None:
    path = gated / GATE_FILE
    tensors = load_file(path)
    facts = {"schema": "clipvet.gate/1", "features": "cls_raw,hidden_4"}
    if damage == "nan":
        tensors["weight"][3] = np.nan
    elif damage == "lengths":
        tensors["mean"] = tensors["mean"][:-1]
    elif damage == "schema":
        facts["schema"] = "clipvet.gate/9"
    elif damage == "missing":
        del tensors["bias"]
    elif damage == "crossed":
        tensors["inside"] = tensors["threshold"] + 1
    save_file(tensors, path, metadata=facts)
    if damage == "truncated":
        path.write_bytes(path.read_bytes()[:-5])
    with pytest.raises(BundleError, match=r"gate\.safetensors is not a domain gate"):
        DomainGate.read(gated)


def test_a_gate_that_reads_what_the_bundle_lacks_is_refused(gelu: Bundle, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(gelu.folder, tmp_path / "odd"))
    gate_for(gelu, names=("no_such_feature",)).add_to(folder)
    with pytest.raises(BundleError, match="reads no_such_feature"):
        _ = Bundle.open(folder).gate
