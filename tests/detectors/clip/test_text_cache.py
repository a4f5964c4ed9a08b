from __future__ import annotations

import os
import sqlite3
import stat
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from clipvet.detectors.clip import Bundle, Runtime
from clipvet.detectors.clip._text_cache import TextCache, default_cache_folder

PROMPTS = ["a photo of a bottle", "a broken bottle", "日本語", ""]


def encode(bundle: Bundle, folder: Path, prompts: list[str] = PROMPTS) -> np.ndarray:
    with Runtime(bundle, needs=[], cache_folder=folder) as runtime:
        return runtime.encode_text(prompts)


def files(folder: Path) -> list[Path]:
    return sorted((folder / "text").glob("*.sqlite"))


def test_a_second_runtime_reads_what_the_first_wrote(
    gelu: Bundle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = encode(gelu, tmp_path)
    runtime = Runtime(gelu, needs=[], cache_folder=tmp_path)

    def forbidden(*_args: object) -> None:
        raise AssertionError("a cached prompt was encoded again")

    monkeypatch.setattr(runtime._text, "_encode", forbidden)
    np.testing.assert_array_equal(runtime.encode_text(PROMPTS), first)
    with pytest.raises(AssertionError, match="encoded again"):
        runtime.encode_text([*PROMPTS, "something new"])


def test_bundles_do_not_share_rows(gelu: Bundle, quickgelu: Bundle, tmp_path: Path) -> None:
    a, b = encode(gelu, tmp_path), encode(quickgelu, tmp_path)
    assert len(files(tmp_path)) == 2
    assert np.abs(a - b).max() > 1e-3


@pytest.mark.parametrize("garbage", [b"", b"not a database at all" * 100, b"SQLite format 3\0junk"])
def test_heals_from_a_damaged_file(gelu: Bundle, tmp_path: Path, garbage: bytes) -> None:
    first = encode(gelu, tmp_path)
    (path,) = files(tmp_path)
    path.write_bytes(garbage)
    np.testing.assert_array_equal(encode(gelu, tmp_path), first)
    known = TextCache(tmp_path, gelu.info.sha256, 64).get(PROMPTS)
    assert set(known) == set(PROMPTS), "the file was not written anew"


def test_a_row_of_the_wrong_size_or_value_is_not_used(tmp_path: Path) -> None:
    TextCache(tmp_path, "a" * 64, 8).put({"x": np.ones(8, np.float32)})
    assert TextCache(tmp_path, "a" * 64, 16).get(["x"]) == {}
    TextCache(tmp_path, "b" * 64, 8).put({"x": np.full(8, np.nan, np.float32)})
    assert TextCache(tmp_path, "b" * 64, 8).get(["x"]) == {}


def test_a_folder_that_cannot_be_written_costs_nothing(gelu: Bundle, tmp_path: Path) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("a file where a folder should be")
    np.testing.assert_array_equal(encode(gelu, blocked), encode(gelu, tmp_path / "ok"))


def test_a_read_only_file_is_read_and_not_deleted(gelu: Bundle, tmp_path: Path) -> None:
    encode(gelu, tmp_path, PROMPTS[:1])
    (path,) = files(tmp_path)
    path.chmod(stat.S_IRUSR)
    before = path.read_bytes()
    if os.access(path, os.W_OK):
        pytest.skip("this user may write everything")
    encode(gelu, tmp_path)
    assert path.read_bytes() == before


def test_threads_share_one_file(gelu: Bundle, tmp_path: Path) -> None:
    alone = encode(gelu, tmp_path / "alone")
    found: list[np.ndarray] = []
    threads = [
        threading.Thread(target=lambda: found.append(encode(gelu, tmp_path / "shared")))
        for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 4
    for values in found:
        np.testing.assert_array_equal(values, alone)


def test_two_processes_share_one_file(
    gelu: Bundle, tmp_path: Path, golden: Callable[[str], object]
) -> None:
    code = (
        "import sys; import numpy as np; from pathlib import Path\n"
        "from clipvet.detectors.clip import Bundle, Runtime\n"
        "prompts = [f'a photo of part {i}' for i in range(int(sys.argv[3]), 40)]\n"
        "runtime = Runtime(Bundle.open(sys.argv[1]), needs=[], cache_folder=Path(sys.argv[2]))\n"
        "np.save(sys.argv[4], runtime.encode_text(prompts))\n"
    )
    running = [
        subprocess.Popen(
            [sys.executable, "-c", code, str(gelu.folder), str(tmp_path), str(first),
             str(tmp_path / f"{first}.npy")]
        )
        for first in (0, 8)
    ]  # fmt: skip
    assert [process.wait(timeout=120) for process in running] == [0, 0]
    whole, part = np.load(tmp_path / "0.npy"), np.load(tmp_path / "8.npy")
    np.testing.assert_array_equal(whole[8:], part)
    known = TextCache(tmp_path, gelu.info.sha256, 64).get(
        [f"a photo of part {i}" for i in range(40)]
    )
    assert len(known) == 40


def test_the_folder_follows_the_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CLIPVET_CACHE", str(tmp_path / "here"))
    assert default_cache_folder() == tmp_path / "here"
    monkeypatch.delenv("CLIPVET_CACHE")
    assert default_cache_folder().name == "clipvet"


def damage(path: Path, how: str) -> None:
    if how == "columns":
        path.unlink()
        with sqlite3.connect(path) as db:
            db.execute("CREATE TABLE text (something, else_)")
        db.close()
    elif how == "half":
        os.truncate(path, path.stat().st_size // 2)
    else:  # one byte of each embedding, or its length
        statement = {
            "bit": "UPDATE text SET value = CAST(X'00' || substr(value, 2) AS BLOB)",
            "shape": "UPDATE text SET value = CAST(substr(value, 9) AS BLOB)",
        }[how]
        with sqlite3.connect(path) as db:
            db.execute(statement)
        db.close()


@pytest.mark.parametrize("how", ["half", "columns", "bit", "shape"])
def test_no_damage_changes_a_result_and_all_of_it_heals(
    how: str, gelu: Bundle, tmp_path: Path
) -> None:
    first = encode(gelu, tmp_path)
    (path,) = files(tmp_path)
    damage(path, how)
    np.testing.assert_array_equal(encode(gelu, tmp_path), first)
    known = TextCache(tmp_path, gelu.info.sha256, 64).get(PROMPTS)
    assert set(known) == set(PROMPTS), "the file was not mended"


def test_ten_processes_begin_at_once_with_one_cache(gelu: Bundle, tmp_path: Path) -> None:
    code = (
        "import sys, numpy as np\n"
        "from clipvet.detectors.clip import Runtime, find_bundle\n"
        "runtime = Runtime(find_bundle('shared', {}), needs=[], threads=1)\n"
        "sys.stdin.read()\n"  # all are ready
        "np.save(sys.argv[1], runtime.encode_text([f'part {i}' for i in range(20)]))\n"
    )
    (tmp_path / "bundles").mkdir()
    (tmp_path / "bundles" / "shared").symlink_to(gelu.folder)
    environment = {
        **os.environ,
        "CLIPVET_CACHE": str(tmp_path / "cache"),
        "CLIPVET_BUNDLES": str(tmp_path / "bundles"),
    }
    outs = [tmp_path / f"{number}.npy" for number in range(10)]
    running = [
        subprocess.Popen(
            [sys.executable, "-c", code, str(out)], stdin=subprocess.PIPE, env=environment
        )
        for out in outs
    ]
    for process in running:
        assert process.stdin is not None
        process.stdin.close()
    assert [process.wait(timeout=120) for process in running] == [0] * 10
    for out in outs[1:]:
        np.testing.assert_array_equal(np.load(out), np.load(outs[0]))
    cache = TextCache(tmp_path / "cache", gelu.info.sha256, 64)
    assert len(cache.get([f"part {i}" for i in range(20)])) == 20
