"""What ships beside code is named: in NOTICE, and in the bill of materials."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path
from typing import Any

import pytest

from docs import sbom

ROOT = Path(__file__).parents[2]


def wheel(folder: Path) -> Path:
    """As much of one as there is to name."""
    path = folder / "clipvet-0-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as archive:
        for room in ("cli", "detectors", "plugins"):
            for file in sorted((ROOT / room).rglob("*")):
                if file.is_file() and "__pycache__" not in file.parts:
                    archive.write(file, f"clipvet/{file.relative_to(ROOT)}")
    return path


def bom(folder: Path) -> Path:
    """What cyclonedx-py writes for an environment, with one package."""
    path = folder / "clipvet.cdx.json"
    content = {
        "bomFormat": "CycloneDX", "specVersion": "1.6", "version": 1,
        "metadata": {
            "component": {"type": "library", "bom-ref": "root-component", "name": "clipvet"}
        },
        "components": [{"type": "library", "bom-ref": "numpy==2", "name": "numpy"}],
        "dependencies": [
            {"ref": "numpy==2"}, {"ref": "root-component", "dependsOn": ["numpy==2"]}
        ],
    }  # fmt: skip
    path.write_text(json.dumps(content))
    return path


def test_every_model_in_the_wheel_is_a_component(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sbom, "_validate", lambda _text: None)  # cyclonedx is not here
    made, written = wheel(tmp_path), bom(tmp_path)
    sbom.main(made, written)
    content: dict[str, Any] = json.loads(written.read_text())
    named = {
        file["name"]: file["hashes"][0]["content"]
        for component in content["components"]
        for file in component.get("components", [])
    }
    with zipfile.ZipFile(made) as archive:
        data = {
            name
            for name in archive.namelist()
            if name.endswith((".bin", ".onnx", ".safetensors", "tokenizer.json"))
        }
    assert data, "the wheel holds models"
    assert data <= set(named), "a model that docs/sbom.py does not know"
    assert all(len(digest) == 64 for digest in named.values())
    models = [one for one in content["components"] if one["type"] == "machine-learning-model"]
    assert all(one["licenses"] == sbom.LICENCE for one in models)
    (root,) = (d for d in content["dependencies"] if d["ref"] == "root-component")
    assert {one["bom-ref"] for one in models} < set(root["dependsOn"])
    assert content["metadata"]["component"]["hashes"][0]["alg"] == "SHA-256"


def test_notice_names_what_ships() -> None:
    notice = (ROOT / "NOTICE").read_text()
    for folder in sbom.MODELS:
        assert "clipvet/detectors/clip/mini" in notice
        assert folder.startswith(("clipvet/detectors/clip/mini", "clipvet/plugins/"))
    assert sbom.WORDS in notice
    for font in ("Font Awesome", "Elusive Icons", "Material Icons", "Noto Sans Symbols"):
        assert font in notice, "as the model card says"
