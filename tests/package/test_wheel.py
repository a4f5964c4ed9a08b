"""The wheel holds every module of the tree, typed markers and data, and nothing else."""

from __future__ import annotations

import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
ROOMS = ("cli", "detectors", "plugins")
PAGE = {".css", ".html", ".js"}
DATA = {".onnx", ".bin", ".json", ".md", ".safetensors"}


@pytest.fixture(scope="module")
def names() -> set[str]:
    wheels = sorted((ROOT / "dist").glob("*.whl"))
    if not wheels:
        pytest.skip("no wheel in dist/: `make test` builds one first")
    with zipfile.ZipFile(wheels[-1]) as wheel:
        return {name for name in wheel.namelist() if ".dist-info/" not in name}


def test_wheel_equals_tree(names: set[str]) -> None:
    expected = {
        f"clipvet/{path.relative_to(ROOT)}"
        for room in ROOMS
        for path in (ROOT / room).rglob("*")
        if path.suffix == ".py"
        or path.name == "py.typed"
        or (path.parent.name == "mini" and path.suffix in DATA)
        or (path.parent.name == "page" and path.suffix in PAGE)
    }
    assert names == expected


def test_clipvet_is_a_namespace(names: set[str]) -> None:
    assert "clipvet/__init__.py" not in names
