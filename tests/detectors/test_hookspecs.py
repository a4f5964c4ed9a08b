"""Every hook: one test by its name, one page of the docs with its exact signature."""

from __future__ import annotations

import ast
import inspect
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from clipvet.detectors.host import _hookspecs
from clipvet.detectors.host._hookspecs import HOOKS
from clipvet.detectors.host._host import Host
from clipvet.detectors.testing import check_detector

ROOT = Path(__file__).parents[2]
SPECS = ROOT / "detectors" / "host" / "_hookspecs.py"
DOCS = ROOT / "docs" / "plugins"

HEADER = "from pathlib import Path\nfrom clipvet.detectors import hookimpl\n@hookimpl\n"


@pytest.fixture
def load(tmp_path: Path) -> Callable[[str], Host]:
    def load(code: str) -> Host:
        (tmp_path / "hooked.py").write_text(HEADER + code, "utf-8")
        return Host.load(select="hooked", plugins_dir=tmp_path, strict=False)

    return load


def own_failures(host: Host) -> list[str]:
    return [failure.message for failure in host.failures if failure.dist == "hooked.py"]


def test_clipvet_register_detectors(load: Callable[[str], Host]) -> None:
    host = load(
        "def clipvet_register_detectors(register):\n"
        "    from clipvet.detectors import Detector\n"
        "    class Zero(Detector):\n"
        "        id, task = 'zero', 'ood'\n"
        "        def score(self, batch): return []\n"
        "    register(Zero)\n"
    )
    assert host.detectors["zero"].cls.__name__ == "Zero"
    assert own_failures(host) == []


def test_clipvet_register_bundles(load: Callable[[str], Host], tmp_path: Path) -> None:
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / "manifest.json").write_text("{}", "utf-8")
    host = load(
        "def clipvet_register_bundles(register):\n"
        "    here = Path(__file__).parent\n"
        "    register('big', here / 'b')\n"
        "    register('gone', here / 'c')\n"
        "    register('text', 'b')\n"
    )
    assert host.bundles["big"] == tmp_path / "b"
    gone, text = own_failures(host)
    assert "holds no manifest.json" in gone
    assert "must be a pathlib.Path" in text


def test_clipvet_register_readers(load: Callable[[str], Host], tmp_path: Path) -> None:
    host = load(
        "def clipvet_register_readers(register):\n"
        "    import numpy\n"
        "    register('.raw', lambda path: numpy.fromfile(path, numpy.uint8).reshape(2, 2))\n"
        "    register('raw', print)\n"
        "    register('.tga', None)\n"
    )
    (tmp_path / "x.raw").write_bytes(b"\0\1\2\3")
    assert np.array_equal(host.readers[".raw"](tmp_path / "x.raw"), [[0, 1], [2, 3]])
    suffix, function = own_failures(host)
    assert "starts with a dot" in suffix
    assert "not callable" in function


def test_clipvet_register_commands(load: Callable[[str], Host]) -> None:
    host = load(
        "def clipvet_register_commands(register):\n"
        "    register('tool', lambda: 'done')\n"
        "    register('Bad Name', print)\n"
        "    register('nope', 3)\n"
    )
    assert host.commands["tool"]() == "done"
    name, kind = own_failures(host)
    assert "'Bad Name'" in name
    assert "neither a typer.Typer nor a function" in kind


def test_clipvet_register_trainers(load: Callable[[str], Host]) -> None:
    host = load(
        "def clipvet_register_trainers(register):\n"
        "    register('mine', lambda: 'trained')\n"
        "    register('nope', 3)\n"
    )
    assert host.trainers["mine"]() == "trained"
    assert "mine" not in host.commands
    (kind,) = own_failures(host)
    assert "neither a typer.Typer nor a function" in kind


def test_the_detector_of_the_docs_keeps_every_promise(tmp_path: Path) -> None:
    snippet = (
        (DOCS.parent / "plugins.md").read_text("utf-8").split("```python\n")[1].split("```")[0]
    )
    assert len(snippet.split("class ")[1].split("@hookimpl")[0].strip().splitlines()) <= 15
    (tmp_path / "odd_patch.py").write_text(snippet, "utf-8")
    host = Host.load(select="odd_patch", plugins_dir=tmp_path, strict=False)
    assert [o for o in check_detector(host, "odd-patch") if o.message is not None] == []


def specs() -> dict[str, ast.FunctionDef]:
    tree = ast.parse(SPECS.read_text("utf-8"))
    return {
        node.name: node
        for node in tree.body
        if isinstance(node, ast.FunctionDef) and node.name.startswith("clipvet_")
    }


def test_the_list_of_hooks_is_complete() -> None:
    assert list(HOOKS) == sorted(specs())


def test_the_file_stays_small() -> None:
    assert len(SPECS.read_text("utf-8").splitlines()) < 120


@pytest.mark.parametrize("hook", HOOKS)
def test_every_hook_has_a_test_of_its_name(hook: str) -> None:
    assert callable(globals().get(f"test_{hook}"))


@pytest.mark.parametrize("hook", HOOKS)
def test_every_hook_has_a_page_with_its_signature(hook: str) -> None:
    page = (DOCS / f"{hook}.md").read_text("utf-8")
    assert page.startswith(f"# `{hook}({ast.unparse(specs()[hook].args)})`\n")
    for part in ("**When it is called.**", "**What is validated.**", "**A minimal one.**"):
        assert part in page
    assert f"](plugins/{hook}.md)" in (DOCS.parent / "plugins.md").read_text("utf-8")


@pytest.mark.parametrize("hook", HOOKS)
def test_the_minimal_plugin_of_every_page_works(hook: str, tmp_path: Path) -> None:
    page = (DOCS / f"{hook}.md").read_text("utf-8")
    code = page.split("**A minimal one.**")[1].split("```python\n")[1].split("```")[0]
    (tmp_path / "minimal.py").write_text(code, "utf-8")
    (tmp_path / "my_clip").mkdir()  # that of the page on bundles
    (tmp_path / "my_clip" / "manifest.json").write_text("{}", "utf-8")
    host = Host.load(select="minimal", plugins_dir=tmp_path, strict=False)
    assert [f for f in host.failures if f.dist == "minimal.py"] == []
    (plugin,) = [p for p in host.plugins if p.source.dist == "minimal.py"]
    assert plugin.hooks == (hook,)
    brought = getattr(plugin, hook.removeprefix("clipvet_register_"))
    assert len(brought) == 1


@pytest.mark.parametrize("hook", HOOKS)
def test_every_hook_is_typed_and_has_a_docstring(hook: str) -> None:
    node = specs()[hook]
    assert all(argument.annotation is not None for argument in node.args.args)
    assert inspect.getdoc(getattr(_hookspecs, hook))
