"""Each room has one public surface, and imports only the rooms that the design lets it."""

from __future__ import annotations

import ast
import importlib
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
ROOMS = {"detectors": "clipvet.detectors", "plugins": "clipvet.plugins", "cli": "clipvet.cli"}
SURFACES = [
    "clipvet.detectors",
    "clipvet.detectors.clip",
    "clipvet.detectors.clip.export",
    "clipvet.detectors.errors",
    "clipvet.detectors.testing",
    "clipvet.plugins",
    "clipvet.plugins.anomalyclip",
    "clipvet.plugins.clipn",
    "clipvet.plugins.fooling",
    "clipvet.plugins.inappropriate",
    "clipvet.plugins.mini",
    "clipvet.plugins.mutual",
    "clipvet.plugins.quality",
    "clipvet.plugins.unanswerable",
    "clipvet.plugins.vim",
    "clipvet.plugins.winclip",
    "clipvet.cli",
]


def sources(room: str) -> list[Path]:
    return sorted((ROOT / room).rglob("*.py"))


def imported(path: Path) -> Iterator[str]:
    """Every absolute module that a file imports anywhere, also inside functions."""
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path} has a relative import"
            yield node.module or ""


@pytest.mark.parametrize("name", SURFACES)
def test_public_surface_is_sorted_and_exists(name: str) -> None:
    module = importlib.import_module(name)
    assert list(module.__all__) == sorted(module.__all__)
    assert [entry for entry in module.__all__ if not hasattr(module, entry)] == []


@pytest.mark.parametrize("name", ["clipvet.detectors", "clipvet.detectors.clip"])
def test_public_surface_is_complete(name: str) -> None:
    """What a user can see without an underscore is either declared or a module."""
    module = importlib.import_module(name)
    visible = {
        entry
        for entry, value in vars(module).items()
        if not entry.startswith("_") and not isinstance(value, type(importlib))
    }
    assert visible - {"annotations"} == {
        entry for entry in module.__all__ if not isinstance(getattr(module, entry), type(importlib))
    }


def test_sdk_imports_neither_plugins_nor_cli() -> None:
    wrong = [
        f"{path.relative_to(ROOT)}: {name}"
        for path in sources("detectors")
        for name in imported(path)
        if name.startswith(("clipvet.plugins", "clipvet.cli", "training", "typer"))
    ]
    assert wrong == []


def test_plugins_import_only_the_public_sdk() -> None:
    for path in sources("plugins"):
        own = "clipvet.plugins." + path.relative_to(ROOT / "plugins").parts[0].removesuffix(".py")
        allowed = (
            "clipvet.detectors",
            "clipvet.detectors.clip",
            "clipvet.detectors.clip.export",
            "clipvet.detectors.testing",
        )
        wrong = [
            name
            for name in imported(path)
            if name.startswith("clipvet.") and name not in allowed and not name.startswith(own)
        ]
        assert wrong == [], path.relative_to(ROOT)


def test_cli_imports_only_public_sdk_modules() -> None:
    for path in sources("cli"):
        for name in imported(path):
            if name.startswith("clipvet.detectors"):
                assert "._" not in name, f"{path.relative_to(ROOT)} imports {name}"
            assert not name.startswith("clipvet.plugins"), f"{path} imports {name}"


@pytest.mark.parametrize("room", sorted(ROOMS))
def test_modules_stay_short(room: str) -> None:
    long = {
        str(path.relative_to(ROOT)): count
        for path in sources(room)
        if (count := len(path.read_text("utf-8").splitlines())) > 300
    }
    assert long == {}
