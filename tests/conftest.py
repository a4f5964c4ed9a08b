from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from tests.tiny import openai_tokenizer, tiny_bundle

Detect = Callable[..., subprocess.CompletedProcess[str]]


def pytest_configure() -> None:
    """Make a run in the background like one in the foreground, and give each worker its cores.

    A shell starts what it puts into the background with SIGINT ignored, and so would the commands
    be that tests interrupt. Threads of other workers that spin would slow one on shared cores.
    """
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    worker = os.environ.get("PYTEST_XDIST_WORKER")
    if worker is not None:
        count = int(os.environ["PYTEST_XDIST_WORKER_COUNT"])
        own = sorted(os.sched_getaffinity(0))[int(worker.removeprefix("gw")) :: count]
        if own:
            os.sched_setaffinity(0, own)


@pytest.fixture(scope="session")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A real bundle with random weights."""
    folder = tmp_path_factory.mktemp("bundle") / "tiny"
    tiny_bundle(folder, tokenizer=openai_tokenizer())
    return folder


@pytest.fixture(scope="session")
def environment(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Of a command that must not see the user's caches, plugins or terminal."""
    folder = tmp_path_factory.mktemp("home")
    own = {
        "CLIPVET_CACHE": str(folder / "cache"),
        "CLIPVET_BUNDLES": str(folder / "bundles"),
        "CLIPVET_PLUGINS_DIR": str(folder / "plugins"),
        "OMP_NUM_THREADS": "1",
        "NO_COLOR": "1",
        "COLUMNS": "100",
    }
    return {**os.environ, **own}


@pytest.fixture(scope="session")
def command() -> str:
    """The installed script."""
    return str(Path(sys.executable).with_name("detect"))


@pytest.fixture(scope="session")
def start_in(command: str, environment: dict[str, str]) -> Detect:
    """Run ``detect`` in a given folder and return what came of it."""

    def run(
        *arguments: object, cwd: Path, text: str | None = None, env: dict[str, str] | None = None
    ) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [command, *map(str, arguments)],
            env=env or environment,
            cwd=cwd,
            input=text,
            text=True,
            capture_output=True,
            timeout=240,
            check=False,
        )

    return run


@pytest.fixture
def detect(start_in: Detect, tmp_path: Path) -> Detect:
    """Run ``detect`` in an empty folder of its own and return what came of it."""
    return partial(start_in, cwd=tmp_path)
