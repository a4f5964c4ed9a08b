from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from clipvet.detectors.clip import (
    DEFAULT_BUNDLE,
    Bundle,
    bundles_folder,
    find_bundle,
    known_bundles,
)
from clipvet.detectors.errors import BundleError


@pytest.fixture
def copy(gelu: Bundle, tmp_path: Path) -> Path:
    return Path(shutil.copytree(gelu.folder, tmp_path / "copy"))


def edit(folder: Path, change: Callable[[dict[str, Any]], object]) -> None:
    path = folder / "manifest.json"
    content = json.loads(path.read_text())
    change(content)
    path.write_text(json.dumps(content))


def test_an_untouched_bundle_verifies(copy: Path, gelu: Bundle) -> None:
    bundle = Bundle.open(copy)
    bundle.verify()
    assert bundle.info == gelu.info


def test_one_changed_byte_is_found(copy: Path) -> None:
    with (copy / "weights.bin").open("r+b") as file:
        file.seek(12345)
        byte = file.read(1)
        file.seek(12345)
        file.write(bytes([byte[0] ^ 1]))
    with pytest.raises(BundleError, match=r"weights\.bin is not the file that its manifest"):
        Bundle.open(copy)


def test_a_missing_file_is_named(copy: Path) -> None:
    (copy / "text_embeds.onnx").unlink()
    with pytest.raises(BundleError, match=r"lacks text_embeds\.onnx"):
        Bundle.open(copy)


def test_a_folder_without_manifest(tmp_path: Path) -> None:
    with pytest.raises(BundleError, match=r"is not a bundle: cannot read manifest\.json"):
        Bundle.open(tmp_path)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda m: m.update(schema="clipvet.bundle/9"), "schema"),
        (lambda m: m.pop("preprocessing"), "preprocessing: Field required"),
        (lambda m: m.update(surprise=1), "surprise: Extra inputs"),
        (lambda m: m["preprocessing"].update(size=-1), "preprocessing.size"),
        (
            lambda m: m.update(files={"../x": {"bytes": 1, "sha256": "0" * 64}}),
            "outside of its folder",
        ),
    ],
)
def test_a_wrong_manifest_is_explained(
    copy: Path, change: Callable[[dict[str, Any]], object], message: str
) -> None:
    edit(copy, change)
    with pytest.raises(BundleError, match=message):
        Bundle.open(copy)


def test_the_id_of_a_bundle_covers_its_manifest(copy: Path, gelu: Bundle) -> None:
    edit(copy, lambda m: m.update(licence="changed"))
    assert Bundle.open(copy).info.sha256 != gelu.info.sha256


def install(gelu: Bundle, name: str) -> Path:
    return Path(shutil.copytree(gelu.folder, bundles_folder() / name))


def test_found_by_registered_name_own_name_and_path(
    gelu: Bundle, copy: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = install(gelu, "ViT-B-16-plus-240-laion400m_e31")
    registered = {"mini": gelu.folder}
    assert find_bundle(None, registered).folder == gelu.folder
    assert find_bundle(DEFAULT_BUNDLE, registered).folder == gelu.folder
    assert find_bundle(own.name, registered).folder == own
    assert find_bundle(copy, {}).folder == copy
    assert find_bundle(str(copy), {}).folder == copy
    monkeypatch.chdir(copy.parent)
    assert find_bundle("copy", {}).folder == Path("copy")
    assert find_bundle("./copy", {"copy": gelu.folder}).folder == Path("copy")
    assert find_bundle("copy", {"copy": gelu.folder}).folder == gelu.folder
    assert list(known_bundles(registered)) == [own.name, "mini"]


def test_a_registered_name_is_not_hidden_by_a_pulled_one(gelu: Bundle, quickgelu: Bundle) -> None:
    install(quickgelu, "mini")
    assert find_bundle("mini", {"mini": gelu.folder}).folder == gelu.folder


def test_an_unknown_name_names_the_nearest(gelu: Bundle) -> None:
    install(gelu, "ViT-B-16-plus-240")
    with pytest.raises(BundleError, match=r"no bundle named 'vit-b-16-plus-24'; did you mean ViT"):
        find_bundle("vit-b-16-plus-24", {"mini": gelu.folder})
    with pytest.raises(BundleError, match="there are: ViT-B-16-plus-240, mini; see"):
        find_bundle("zzz", {"mini": gelu.folder})
    shutil.rmtree(bundles_folder())
    with pytest.raises(BundleError, match="there is no bundle named 'mini'; there are: none"):
        find_bundle(None, {})


def test_a_path_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(BundleError, match="there is no bundle folder"):
        find_bundle(tmp_path / "nowhere", {})
    with pytest.raises(BundleError, match="there is no bundle folder nowhere/at/all"):
        find_bundle("./nowhere/at/all", {})
