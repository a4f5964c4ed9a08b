from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.testing import CliRunner, Result

from clipvet.cli import plugins, x
from clipvet.detectors.errors import UnfitEnvironment, UsageError
from tests.tiny import openai_tokenizer, tiny_bundle

PLUGIN = '''
from typing import Literal
import typer
from pydantic import Field
from clipvet.detectors import Detector, DetectorOptions, Score, hookimpl

class Options(DetectorOptions):
    rate: float = Field(0.5, description="how fast")
    mode: Literal["a", "b"] = Field("a", description="which way")

class Mean(Detector):
    """Mean of the image embedding."""
    id, task, version = "mean", "quality", "3"
    needs = frozenset({"cls_embed"})
    queries = frozenset({"object"})
    Options = Options

    def score(self, batch):
        return [
            [Score(value=float(row.mean()), details={"method": "mean"}) for _ in queries]
            for row, queries in zip(batch.features["cls_embed"], batch.queries, strict=True)
        ]

class Noisy(Mean):
    """Prints."""
    id = "noisy"

    def score(self, batch):
        print("scoring")
        return super().score(batch)

@hookimpl
def clipvet_register_detectors(register):
    register(Mean)
    register(Noisy)

@hookimpl
def clipvet_register_commands(register):
    def double(number: int):
        """Twice the number."""
        typer.echo(2 * number)

    group = typer.Typer()

    @group.command()
    def up(): typer.echo("went up")

    @group.command()
    def down(): typer.echo("went down")

    register("double", double)
    register("lift", group)
'''


@pytest.fixture(autouse=True)
def local_plugins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    folder = tmp_path / "local"
    folder.mkdir()
    (folder / "mine.py").write_text(PLUGIN, "utf-8")
    (folder / "broken.py").write_text("import no_such_module_at_all", "utf-8")
    monkeypatch.setenv("CLIPVET_PLUGINS_DIR", str(folder))
    monkeypatch.delenv("CLIPVET_PLUGINS", raising=False)
    monkeypatch.delenv("CLIPVET_PLUGINS_STRICT", raising=False)
    yield folder
    sys.modules.pop("clipvet_local_plugins_mine", None)


def call(app: typer.Typer, *arguments: str) -> Result:
    return CliRunner().invoke(app, list(arguments))


def test_list_names_what_is_there_and_what_failed() -> None:
    result = call(plugins.app, "list")
    assert result.exit_code == 0
    assert "clipvet " in result.output
    assert (
        "mine.py local (mine)\n  detectors  mean, noisy\n  commands   double, lift" in result.output
    )
    assert "plugin broken.py local (broken), load: ModuleNotFoundError" in result.output


def test_list_as_json() -> None:
    result = call(plugins.app, "list", "--json")
    listed: dict[str, Any] = json.loads(result.stdout)
    mine = next(plugin for plugin in listed["plugins"] if plugin["dist"] == "mine.py")
    assert mine == {
        "dist": "mine.py",
        "version": "local",
        "entry_point": "mine",
        "builtin": False,
        "hooks": ["clipvet_register_commands", "clipvet_register_detectors"],
        "detectors": ["mean", "noisy"],
        "bundles": [],
        "readers": [],
        "commands": ["double", "lift"],
        "trainers": [],
    }
    assert listed["detectors"]["mean"]["plugin"] == "mine.py:mine"
    failure = next(f for f in listed["failures"] if f["dist"] == "broken.py")
    assert set(failure) == {"dist", "version", "entry_point", "phase", "exception", "message"}
    assert "no_such_module_at_all" in failure["message"]


def test_list_works_with_every_plugin_broken(
    local_plugins: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (local_plugins / "mine.py").write_text("raise SystemExit(9)", "utf-8")
    monkeypatch.setenv("CLIPVET_PLUGINS", "-clipvet")
    result = call(plugins.app, "list")
    assert result.exit_code == 0
    assert "no plugin is loaded" in result.output
    assert "2 failed" in result.output


def test_list_is_printed_before_strict_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CLIPVET_PLUGINS_STRICT", "1")
    result = call(plugins.app, "list")
    assert "mine.py local (mine)" in result.output
    assert isinstance(result.exception, UnfitEnvironment)


def test_show_tells_task_needs_queries_and_options() -> None:
    output = call(plugins.app, "show", "mean").output
    for part in (
        "mean  Mean of the image embedding.",
        "task      quality",
        "version   3",
        "from      mine.py local",
        "queries   object",
        "artefact  none: it learns nothing",
        "cls_embed: image embedding",
        "--set mean.rate (float, = 0.5)\n        how fast",
        "--set mean.mode (Literal['a', 'b'], = a)",
    ):
        assert part in output


def test_show_as_json() -> None:
    facts = json.loads(call(plugins.app, "show", "winclip", "--json").stdout)
    assert (facts["id"], facts["task"], facts["builtin"]) == ("winclip", "anomaly", True)
    assert facts["learns"]
    assert {"key", "type", "required", "default", "description"} == set(facts["options"][0])


def test_an_unknown_detector_is_a_usage_error() -> None:
    result = call(plugins.app, "show", "meen")
    assert isinstance(result.exception, UsageError)
    assert "did you mean 'mean'" in str(result.exception)


def test_check_passes_and_fails() -> None:
    passed = call(plugins.app, "check", "mean")
    assert passed.exit_code == 0
    assert "mean: 18 checks, 0 failed" in passed.output
    failed = call(plugins.app, "check", "noisy")
    assert failed.exit_code == 3
    assert "FAIL  prints_nothing\n      promised: Standard output belongs" in failed.output
    assert "noisy: 18 checks, 1 failed" in failed.output


def test_check_on_a_real_bundle(tmp_path: Path) -> None:
    tiny_bundle(tmp_path / "tiny", tokenizer=openai_tokenizer())
    result = call(plugins.app, "check", "winclip", "--bundle", str(tmp_path / "tiny"))
    assert result.exit_code == 0, result.output
    assert "winclip: 21 checks, 0 failed" in result.output


@pytest.mark.parametrize("learns", [False, True])
def test_new_writes_a_distribution_that_passes_its_tests(tmp_path: Path, learns: bool) -> None:
    folder, site = tmp_path / "clipvet-odd", tmp_path / "site"
    result = call(plugins.app, "new", str(folder), *(["--learns"] if learns else []))
    assert result.exit_code == 0, result.output
    assert "src/clipvet_odd/__init__.py" in result.output
    python("-m", "build", "--wheel", "--no-isolation", "--outdir", tmp_path, folder)
    (wheel,) = tmp_path.glob("*.whl")
    install = ("pip", "install", "--quiet", "--no-index", "--no-deps", "--target", site, wheel)
    python("-m", *install)
    checked = 21 if learns else 18
    tested = python(
        "-m", "pytest", "-q", "-p", "no:cacheprovider", "--rootdir", folder,
        "-c", folder / "pyproject.toml", folder / "tests", site=site,
    )  # fmt: skip
    assert f"{checked + 2} passed" in tested
    listed = python("-c", "from clipvet.cli import main; main(['plugins', 'list'])", site=site)
    assert "clipvet-odd 0.1.0 (clipvet_odd)\n  detectors  odd" in listed
    assert "1 failed\n  plugin broken.py" in listed  # of this module's other plugins
    style = ("--isolated", "--line-length", "100", "--no-cache")
    python("-m", "ruff", "check", *style, "--select", "E,F,I,N,UP", ".", cwd=folder)
    python("-m", "ruff", "format", *style, "--check", ".", cwd=folder)


@pytest.mark.parametrize(
    ("name", "part"),
    [
        ("123", "a letter first"),
        ("my plugin", "makes no package name"),
        ("größe", "makes no package name"),
        ("class", "makes no Python name: try clipvet-class-detector"),
        ("clipvet-2", "makes no Python name"),
        ("clipvet-mean", "there is a detector 'mean' already"),
        ("vim", "there is a detector 'vim' already"),
        ("pytest", "a package 'pytest' is installed already"),
        ("json", "a package 'json' is installed already"),
        ("full", "exists and is not an empty folder"),
        ("file", "exists and is not an empty folder"),
    ],
)
def test_new_refuses(tmp_path: Path, name: str, part: str) -> None:
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "thing.txt").touch()
    (tmp_path / "file").touch()
    result = call(plugins.app, "new", str(tmp_path / name))
    assert isinstance(result.exception, UsageError)
    assert part in str(result.exception)
    assert name in {"full", "file"} or not (tmp_path / name).exists()


def test_x_runs_commands_of_plugins() -> None:
    assert call(x.app, "double", "21").output == "42\n"
    assert call(x.app, "lift", "down").output == "went down\n"
    assert call(x.app, "triple").exit_code == 2
    listed = call(x.app, "--help").output
    assert "double" in listed
    assert "Twice the number." in listed


def python(*arguments: object, site: Path | None = None, cwd: Path | None = None) -> str:
    """Run this interpreter, with one folder more to import from; returns what it printed."""
    paths = [str(path) for path in (site, os.environ.get("PYTHONPATH")) if path]
    done = subprocess.run(
        [sys.executable, *map(str, arguments)],
        env={
            **os.environ,
            "PYTHONPATH": os.pathsep.join(paths),
            "PYTHONDONTWRITEBYTECODE": "1",
            "PIP_DISABLE_PIP_VERSION_CHECK": "1",
        },
        cwd=cwd,
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout
