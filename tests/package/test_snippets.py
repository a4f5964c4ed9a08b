"""Every Python block of the docs runs, and every `detect` line of them names what there is."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from clipvet.detectors import Host, RunConfig
from clipvet.detectors import run as run_images
from docs._cli_page import commands
from tests.package._pages import PAGES, ROOT, blocks, command_lines, inline_commands
from tests.runs import save_video

# What a page may take for granted: an image as an array, and what lies in the folder ``given``.
GIVEN = (
    "import numpy, PIL.Image; array = pixels = "
    "numpy.asarray(PIL.Image.open('sample_data/parts/defect/wrong_colour/000.jpg'))"
)
CHEAP = ("plugins list", "plugins show", "bundles list", "bundles show", "schema")
PLACEHOLDER = re.compile(r"[A-Z]{2,}|[\[\]{}<>|]|\.\.\.")


def runnable(page: Path, *, slow: bool) -> str:
    """The page with nothing left of it but code, so that line numbers are those of the page."""
    lines = [""] * (page.read_text("utf-8").count("\n") + 1)
    for block in blocks(page):
        if block.language == "python" and ({"slow"} == block.marks if slow else not block.marks):
            code = block.code.splitlines()
            lines[block.line - 1 : block.line - 1 + len(code)] = code
    return "\n".join(lines)


@pytest.fixture(scope="module")
def given(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of the sample recipe, as two pages call it; a video, an archive, a watched folder."""
    folder = tmp_path_factory.mktemp("given")
    defects = ROOT / "sample_data" / "parts" / "defect"
    images = [defects / "wrong_colour" / "000.jpg", defects / "chip" / "000.jpg"]
    recipe, out = ROOT / "sample_data" / "recipe", folder / "clipvet-runs" / "demo"
    summary = run_images(RunConfig(sources=images, recipe=recipe, out=out), host=Host.load())
    assert summary.tally.verdicts == {"flag": 1, "pass": 1}
    shutil.copytree(out, folder / "shift7")
    save_video(folder / "clip.mp4", 10)
    with zipfile.ZipFile(folder / "batch.zip", "w") as archive:
        archive.write(images[0], "000.jpg")
    (folder / "in").mkdir()
    return folder


def run(page: Path, code: str, folder: Path, environment: dict[str, str]) -> None:
    (folder / "sample_data").symlink_to(ROOT / "sample_data")
    first, _, rest = code.partition("\n")
    assert not first, f"{page}: a block cannot start on the first line"
    script = folder / f"test_{page.stem.replace('-', '_')}.py"
    script.write_text(f"{GIVEN}\n{rest}", "utf-8")
    tests = ["-m", "pytest", "-q", "--rootdir", folder, "-c", "/dev/null", "-p", "no:cacheprovider"]
    command = [*tests, script] if "\ndef test_" in code else [script]
    done = subprocess.run(
        [sys.executable, *map(str, command)],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=280,
        check=False,
    )
    assert done.returncode == 0, f"{page.relative_to(ROOT)}\n{done.stdout}{done.stderr}"


def identity(page: Path) -> str:
    return str(page.relative_to(ROOT))


def having_code(*, slow: bool) -> list[Path]:
    return [page for page in PAGES if runnable(page, slow=slow).strip()]


@pytest.mark.parametrize(
    "page", [p for p in PAGES if runnable(p, slow=False).strip()], ids=identity
)
def test_the_python_of_a_page_runs(
    page: Path, tmp_path: Path, environment: dict[str, str], given: Path
) -> None:
    shutil.copytree(given, tmp_path, dirs_exist_ok=True)
    run(page, runnable(page, slow=False), tmp_path, environment)


@pytest.mark.slow
@pytest.mark.parametrize("page", having_code(slow=True), ids=identity)
def test_the_slow_python_of_a_page_runs(
    page: Path, tmp_path: Path, environment: dict[str, str]
) -> None:
    run(page, runnable(page, slow=True), tmp_path, environment)


@pytest.mark.parametrize("page", PAGES, ids=identity)
def test_a_block_that_does_not_run_says_why(page: Path) -> None:
    for block in blocks(page):
        assert block.language, f"{identity(page)}:{block.line - 1}: a fence without a language"
        known = {"slow"} | {mark for mark in block.marks if re.fullmatch(r"needs-[a-z-]+", mark)}
        assert block.marks <= known, f"{identity(page)}:{block.line - 1}: {sorted(block.marks)}"


@pytest.fixture(scope="module")
def offered() -> dict[str, tuple[bool, set[str]]]:
    """Command -> whether it is a group, and its options."""
    return {
        words: (
            hasattr(command, "list_commands"),
            {"--help", *(o for p in command.params for o in [*p.opts, *p.secondary_opts])},
        )
        for words, command, _ in commands()
    }


@pytest.mark.parametrize("page", PAGES, ids=identity)
def test_commands_and_options_of_a_page_exist(
    page: Path, offered: dict[str, tuple[bool, set[str]]]
) -> None:
    for words in [*command_lines(page), *inline_commands(page)]:
        shown = f"{identity(page)}: {' '.join(words)}"
        command = resolve(words, offered, shown)
        options = offered[command][1] | offered["detect"][1]
        if command in ("detect x", "detect train"):  # of a plugin that the page tells about
            continue
        for word in words:
            option = re.match(r"\[?(--?[a-z0-9][a-z-]*)", word)
            if option is not None:
                assert option[1] in options, f"{shown}: {command} has no {option[1]}"


@pytest.mark.parametrize("page", PAGES, ids=identity)
def test_options_of_detectors_on_a_page_exist(page: Path) -> None:
    detectors = Host.load(select="", strict=False).detectors
    for name, key in re.findall(r"--set (\w[\w-]*)\.([a-z]\w*)=", page.read_text("utf-8")):
        if name in detectors:  # else one that the page tells how to write
            options = detectors[name].cls.Options.model_fields
            assert key in options, f"{identity(page)}: --set {name}.{key}"


def resolve(words: list[str], offered: dict[str, tuple[bool, set[str]]], shown: str) -> str:
    """The command that the words name; `run` may be left out."""
    command = "detect"
    names = [word for word in words[1:] if word not in offered["detect"][1]]
    for word in names:
        if not offered[command][0]:
            break
        if f"{command} {word}" in offered:
            command = f"{command} {word}"
        elif command == "detect":  # a path, a camera, or an option of run
            assert re.search(r"[A-Z/._:-]", word), f"{shown}: no command {word!r}"
            return "detect run"
        else:
            plugin = command in ("detect x", "detect train")
            assert plugin or PLACEHOLDER.search(word), f"{shown}: {command} has no {word!r}"
            break
    return command


def test_cheap_commands_of_the_pages_run(
    detect: Callable[..., subprocess.CompletedProcess[str]],
) -> None:
    lines = {" ".join(words[1:]) for page in PAGES for words in command_lines(page)}
    cheap = [
        line for line in sorted(lines) if line.startswith(CHEAP) and not PLACEHOLDER.search(line)
    ]
    assert cheap
    for line in cheap:
        done = detect(*line.split())
        assert done.returncode == 0, f"detect {line}: {done.stderr}"
