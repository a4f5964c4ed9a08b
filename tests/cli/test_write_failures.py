"""A disk that ends a run: one line, exit code 4, and a resume that ends as if nothing had been."""

from __future__ import annotations

import os
import resource
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from benchmarks.kill import differences
from tests.conftest import Detect
from tests.runs import save_pictures

COUNT = 12
Limited = Callable[[int], subprocess.CompletedProcess[str]]


@pytest.fixture(scope="module")
def arguments(tmp_path_factory: pytest.TempPathFactory, tiny: Path) -> list[str]:
    parts = save_pictures(tmp_path_factory.mktemp("images") / "parts", COUNT)
    (parts / "005x.png").write_bytes(b"broken")
    return ["run", str(parts), "--bundle", str(tiny), "-q", "--format", "csv", "-d", "winclip",
            "-d", "quality"]  # fmt: skip


@pytest.fixture(scope="module")
def whole(arguments: list[str], start_in: Detect, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("undisturbed")
    assert start_in(*arguments, "--out", "whole", cwd=folder).returncode == 3
    return folder / "whole"


@pytest.fixture
def cut(tmp_path: Path) -> Path:
    """The run folder of a run that ends early."""
    return tmp_path / "cut"


@pytest.fixture
def rerun(arguments: list[str], detect: Detect) -> Detect:
    """The run, into a folder."""
    return lambda out: detect(*arguments, "--out", out)


@pytest.fixture
def limited(
    arguments: list[str], command: str, environment: dict[str, str], tmp_path: Path
) -> Limited:
    """The run, where no file may grow beyond some bytes."""

    def start(size: int) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [command, *arguments, "--out", "cut"], cwd=tmp_path, env=environment, text=True,
            capture_output=True, timeout=120, check=False,
            preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (size, size)),
        )  # fmt: skip

    return start


@pytest.mark.parametrize("share", [0.02, 0.4, 0.999])
def test_a_file_that_may_not_grow(
    share: float, whole: Path, cut: Path, limited: Limited, rerun: Detect
) -> None:
    done = limited(int(share * (whole / "records.jsonl").stat().st_size))
    assert done.returncode == 4, done.stderr
    assert done.stderr.count("\n") == 1
    assert "make room" in done.stderr
    assert rerun("cut").returncode == 3
    assert differences(whole, cut) == []


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 120 KiB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mounted = ["mount", "-t", "tmpfs", "-o", "size=120k", "none", str(folder)]
    if os.geteuid() or subprocess.run(mounted, capture_output=True, check=False).returncode:
        pytest.skip("a disk cannot be mounted here: it takes root")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


@pytest.mark.parametrize("spare", [0, 80_000])
def test_a_full_disk(spare: int, small_disk: Path, whole: Path, rerun: Detect) -> None:
    if spare:
        (small_disk / "other").write_bytes(bytes(spare))
    out = small_disk / "run"
    done = rerun(out)
    assert done.returncode == 4, done.stderr
    assert done.stderr.count("\n") == 1, done.stderr
    assert "No space left" in done.stderr
    (small_disk / "other").unlink(missing_ok=True)
    grown = ["mount", "-o", "remount,size=20m", str(small_disk)]
    subprocess.run(grown, check=True)
    assert rerun(out).returncode == 3
    assert differences(whole, out) == []


@pytest.mark.parametrize("existing", [False, True])
def test_a_folder_that_cannot_be_written(
    existing: bool, small_disk: Path, whole: Path, rerun: Detect
) -> None:
    subprocess.run(["mount", "-o", "remount,size=20m", str(small_disk)], check=True)
    out = small_disk / "run"
    if existing:
        shutil.copytree(whole, out)
        (out / "records.jsonl").write_bytes((whole / "records.jsonl").read_bytes()[:-900])
    subprocess.run(["mount", "-o", "remount,ro", str(small_disk)], check=True)
    done = rerun(out)
    assert (done.returncode, done.stderr.count("\n")) == (4, 1), done.stderr
    assert "Read-only file system" in done.stderr
    subprocess.run(["mount", "-o", "remount,rw", str(small_disk)], check=True)
    assert rerun(out).returncode == 3
    assert differences(whole, out) == []


def test_the_second_ctrl_c_waits_for_nothing(
    arguments: list[str], whole: Path, cut: Path, environment: dict[str, str], rerun: Detect
) -> None:
    """The first waits for what is under way: here a picture that is never finished."""
    under_way = cut.parent / "under-way"
    code = (
        "import pathlib, time\n"
        "from clipvet.detectors.runs import _pipeline\n"
        "real = _pipeline._finish\n"
        "def slow(setup, heatmaps, clock, one):\n"
        "    if one.found.id.endswith('009.png'):\n"
        f"        pathlib.Path({str(under_way)!r}).touch()\n"
        "        time.sleep(600)\n"
        "    return real(setup, heatmaps, clock, one)\n"
        "_pipeline._finish = slow\n"
        "from clipvet.cli import main\n"
        "main()\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code, *arguments, "--out", str(cut)], cwd=cut.parent, env=environment
    ) as process:
        records = cut / "records.jsonl"
        while process.poll() is None and (
            not under_way.exists() or records.read_bytes().count(b"\n") < 8
        ):
            time.sleep(0.01)
        process.send_signal(signal.SIGINT)
        with pytest.raises(subprocess.TimeoutExpired):
            process.wait(1.5)
        process.send_signal(signal.SIGINT)
        assert process.wait(120) == -signal.SIGINT  # long before the picture's ten minutes
    assert rerun("cut").returncode == 3
    assert differences(whole, cut) == []


def test_two_runs_do_not_share_a_folder_and_a_dead_one_holds_none(
    arguments: list[str], whole: Path, cut: Path, environment: dict[str, str], rerun: Detect
) -> None:
    slow = [*arguments, "--batch", "8", "--out", str(cut)]
    with subprocess.Popen(
        [str(Path(sys.executable).with_name("detect")), *slow], cwd=cut.parent, env=environment
    ) as process:
        while process.poll() is None and not (cut / "records.jsonl").exists():
            time.sleep(0.001)
        process.send_signal(signal.SIGSTOP)
        refused = rerun("cut")
        process.send_signal(signal.SIGKILL)
    assert process.returncode == -signal.SIGKILL
    assert refused.returncode == 2
    assert "another run is writing here" in refused.stderr
    assert rerun("cut").returncode == 3
    assert differences(whole, cut) == []
