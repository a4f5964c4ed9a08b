"""A terminal obeys escape sequences, rich obeys brackets: names and words of others are neither."""

from __future__ import annotations

import json
import logging
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

from PIL import Image

from clipvet.cli._text import LogFormatter, plain, shown
from tests.hostile_bundles import copy_of_mini, edit_manifest
from tests.plugin_dists import write_dist
from tests.runs import picture

Detect = Callable[..., subprocess.CompletedProcess[str]]

# Sets the title, clears the screen, rings, goes back over the line, turns the text around.
ANSI = "\x1b]0;owned\x07\x1b[2J\x1b[31m\r\b\x9b31m\u202e"
EVIL = f"a{ANSI}[red]b[/red]"


def is_plain(text: str) -> bool:
    return all(sign.isprintable() or sign == "\n" for sign in text)


def test_plain_is_one_line_of_printable_signs() -> None:
    assert plain("größer als  0,5 µm") == "größer als  0,5 µm"
    assert plain("two\nlines\tand\r\nmore") == "two lines and  more"
    assert plain(EVIL).isprintable()
    assert plain("\x1b[31m") == r"\x1b[31m"
    assert plain("\udcff") == r"\udcff"
    assert shown("[red]") == r"\[red]"


def test_a_run_over_evil_names(detect: Detect, tmp_path: Path) -> None:
    parts = tmp_path / "parts[red]"
    parts.mkdir()
    Image.fromarray(picture(1)).save(parts / "x.png")
    (parts / "x.png").rename(parts / f"{EVIL.replace('/', '')}.png")
    (parts / f"bad{EVIL.replace('/', '')}.png").write_bytes(b"no picture")
    done = detect("run", parts, "--out", f"out{ANSI}", "--device", "cpu")
    assert done.returncode == 3, done.stderr
    for text in (done.stdout, done.stderr):
        assert is_plain(text)
    assert "[red]" in done.stdout, "brackets are part of the name"
    again = detect("run", parts, "--out", "json", "--device", "cpu", "--json")
    assert is_plain(again.stdout)
    assert len(again.stdout.splitlines()) == 2
    gone = detect("run", f"no{EVIL}", "--out", "gone")
    assert gone.returncode == 2
    assert is_plain(gone.stderr)


def test_evil_bundles(detect: Detect, environment: dict[str, str], tmp_path: Path) -> None:
    home = tmp_path / "bundles"
    bundle = copy_of_mini(home / "evil")
    edit_manifest(bundle, lambda m: m.update(description=EVIL, licence=EVIL, name=EVIL))
    shutil.copytree(bundle, home / f"b{ANSI}")
    env = {**environment, "CLIPVET_BUNDLES": str(home)}
    for words in (["list"], ["show", "evil"], ["verify", "evil"], ["verify", f"b{ANSI}"]):
        done = detect("bundles", *words, env=env)
        assert done.returncode == 0, done.stderr
        assert is_plain(done.stdout)
    (bundle / "weights.bin").write_bytes(b"")
    done = detect("bundles", "list", env=env)
    assert is_plain(done.stdout)
    assert "damaged" in done.stdout
    Image.fromarray(picture(1)).save(tmp_path / "x.png")
    done = detect("run", "x.png", "--bundle", home / f"b{ANSI}", "--out", "o", env=env)
    assert is_plain(done.stdout + done.stderr), done.stdout


CODE = """
from clipvet.detectors import Detector, Score, hookimpl
EVIL = {evil!r}

class Evil(Detector):
    __doc__ = EVIL
    id = "evil"
    version = EVIL
    task = "quality"
    needs = frozenset({{"cls_embed"}})

    def prepare(self, context):
        context.warn(EVIL)

    def score(self, batch):
        raise RuntimeError(EVIL)

@hookimpl
def clipvet_register_detectors(register):
    register(Evil)
"""


def test_evil_plugins(detect: Detect, environment: dict[str, str], tmp_path: Path) -> None:
    """They are trusted with the machine; their words still do not pass for clipvet's."""
    site = tmp_path / "site"
    site.mkdir()
    write_dist(site, "evil-plugin", CODE.format(evil=EVIL))
    write_dist(site, "broken-plugin", f"raise ImportError({EVIL!r})")
    env = {**environment, "PYTHONPATH": str(site)}
    Image.fromarray(picture(1)).save(tmp_path / "x.png")
    for words in (
        ["plugins", "list"], ["plugins", "show", "evil"], ["plugins", "check", "evil"], ["doctor"],
        ["run", "x.png", "-d", "evil", "--out", "o", "--device", "cpu"],
    ):  # fmt: skip
        done = detect(*words, env=env)
        assert "Traceback" not in done.stderr
        assert is_plain(done.stdout), words
        assert is_plain(done.stderr), words
    listed = json.loads((tmp_path / "o" / "records.jsonl").read_text())
    assert "[red]" in listed["detections"][0]["error"]


def test_log_lines_are_lines() -> None:
    record = logging.LogRecord("x", logging.WARNING, "f.py", 1, "%s is torn", (EVIL,), None)
    line = LogFormatter("detect: %(message)s").format(record)
    assert line.startswith("detect: a")
    assert line.isprintable()
