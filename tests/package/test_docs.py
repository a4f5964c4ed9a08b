"""The code polices its docs: what is public, raised, read or offered has its place there."""

from __future__ import annotations

import ast
import contextlib
import importlib
import inspect
import re
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import TypeGuard

import pytest

from clipvet.detectors import errors
from clipvet.detectors.testing import detector_checks
from docs._api_pages import PAGES
from docs._cli_page import commands
from tests.detectors.test_testing import Memory

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
ROOMS = ("detectors", "plugins", "cli")
# Tests of the surface itself name everything, and use nothing.
POLICE = {"test_rooms.py", "test_docs.py"}

ERRORS = [getattr(errors, name) for name in errors.__all__]
NAMES = [
    (page, module, name)
    for page, modules in PAGES.items()
    for module in modules
    for name in importlib.import_module(module).__all__
]


def page(name: str) -> str:
    return (DOCS / name).read_text("utf-8")


def sections(text: str) -> dict[str, str]:
    """Heading of the second level -> what stands below it."""
    parts = re.split(r"^## (.+)\n", text, flags=re.MULTILINE)
    return {head.strip("`"): body for head, body in zip(parts[1::2], parts[2::2], strict=True)}


@cache
def words_of_tests() -> frozenset[str]:
    """Every name that a test uses in code: more than a mention, more than an import."""
    files = [*(ROOT / "tests").rglob("*.py"), *(ROOT / "examples").rglob("test_*.py")]
    return frozenset(
        word for path in files if path.name not in POLICE for word in used(path.read_text("utf-8"))
    )


def used(code: str) -> Iterator[str]:
    for node in ast.walk(ast.parse(code)):
        if isinstance(node, ast.Name):
            yield node.id
        elif isinstance(node, ast.Attribute):
            yield node.attr
        elif isinstance(node, ast.Constant) and is_code(node.value):
            with contextlib.suppress(SyntaxError):
                yield from used(textwrap.dedent(node.value))


def is_code(value: object) -> TypeGuard[str]:
    """Plugins and subprocesses of a test are strings."""
    return isinstance(value, str) and bool(re.search(r"(?m)^\s*(from|import) ", value))


def test_the_generated_pages_are_up_to_date() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "docs.generate", "--check"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_every_error_is_in_the_tree_and_on_the_page_with_its_exit_code() -> None:
    classes = {
        cls
        for cls in vars(errors).values()
        if inspect.isclass(cls) and cls.__module__ == errors.__name__
    }
    assert classes == set(ERRORS)
    entries = sections(page("errors.md"))
    assert set(entries) == {cls.__name__ for cls in ERRORS}
    for cls in ERRORS:
        assert cls.__name__ in (errors.__doc__ or ""), f"{cls.__name__} is not in the tree"
        code = rf"\b[Ee]xit code {cls.exit_code}\b"
        assert re.search(code, entries[cls.__name__]), f"{cls.__name__}: no exit code"
        if issubclass(cls, errors.FrameError):
            assert f"`{cls.status}`" in entries[cls.__name__] or cls is errors.FrameError


@pytest.mark.parametrize("cls", ERRORS, ids=lambda cls: cls.__name__)
def test_every_error_is_met_in_a_test(cls: type[errors.ClipvetError]) -> None:
    """Where only subclasses are raised, one of these will do."""
    family = {one.__name__ for one in ERRORS if issubclass(one, cls)}
    assert family & words_of_tests()


def test_every_option_and_argument_is_in_the_reference() -> None:
    entries = sections(page("reference/cli.md"))
    for words, command, context in commands():
        assert words in entries, words
        for param in command.params:
            record = param.get_help_record(context)
            if record is None:
                continue
            names = [*param.opts, *param.secondary_opts]
            if param.param_type_name == "argument":
                names = [record[0].split(" ")[0]]
            for name in names:
                assert re.search(rf"^- `[^`]*{re.escape(name)}", entries[words], re.MULTILINE), (
                    f"{words} {name}"
                )
            assert param.help, f"{words} {names} has no help"


def test_every_option_is_given_in_a_test() -> None:
    """Those of clipvet's own commands; what plugins bring is tested as functions, too."""
    text = "\n".join(
        path.read_text("utf-8")
        for path in (ROOT / "tests").rglob("*.py")
        if path.name not in POLICE
    )
    for words, command, _ in commands():
        if words.startswith(("detect train ", "detect x ")):
            continue
        for param in command.params:
            spelled = "|".join(map(re.escape, [*param.opts, *param.secondary_opts]))
            if param.param_type_name == "option":
                assert re.search(rf'"(?:{spelled})["=]', text), f"{words} {spelled}: no test"


@pytest.mark.parametrize(("source", "module", "name"), NAMES, ids=str)
def test_every_public_name_is_told_in_the_reference(source: str, module: str, name: str) -> None:
    text = page(f"reference/{source}").split(f"# {module}\n")[1]
    entry = sections(text)[name].split("\n### ")[0]
    told = re.sub(r"```text\n.*?```", "", entry, flags=re.DOTALL).strip()
    assert told, f"{module}.{name} has no docstring (for a constant: a string below it)"


@pytest.mark.parametrize(
    ("source", "module", "name"),
    [entry for entry in NAMES if entry[1] != "clipvet.detectors.clip.export"],  # tested as commands
    ids=str,
)
def test_every_public_name_is_used_in_a_test(source: str, module: str, name: str) -> None:
    assert name in words_of_tests(), f"no test uses {module}.{name}"


def variables() -> set[str]:
    """Every CLIPVET_* variable that the code reads."""
    found = set()
    for path in [p for room in ROOMS for p in (ROOT / room).rglob("*.py")]:
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                found |= set(re.findall(r"\bCLIPVET_[A-Z_]*[A-Z]\b", node.value))
    return found


def test_every_environment_variable_is_on_its_page_and_in_a_test() -> None:
    listed = set(re.findall(r"^\| `(CLIPVET_[A-Z_]+)` \|", page("environment.md"), re.MULTILINE))
    assert listed == variables()
    tests = "\n".join(
        path.read_text("utf-8")
        for path in (ROOT / "tests").rglob("*.py")
        if path.name not in POLICE
    )
    assert [name for name in sorted(listed) if f'"{name}"' not in tests] == []


def test_every_check_is_on_its_page_with_its_promise() -> None:
    pair = (detector_checks(Memory)[0].subject.good[0],) * 2
    text = page("plugins/testing.md")
    for check in detector_checks(Memory, pair=pair):
        assert f"| `{check.name}` | {check.promise} |" in text, check.name


def test_every_fixture_is_on_its_page() -> None:
    plugin = importlib.import_module("clipvet.detectors.testing.pytest_plugin")
    assert all(f"| `{name}` |" in page("plugins/testing.md") for name in plugin.__all__)
