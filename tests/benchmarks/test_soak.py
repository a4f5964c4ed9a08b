from __future__ import annotations

from pathlib import Path

from benchmarks.soak import mixed_images, soak


def test_nothing_grows_in_a_mixed_folder(tmp_path: Path) -> None:
    images = mixed_images(tmp_path)[::8]
    found = soak(images, seconds=10)
    assert found.images == found.rounds * len(images)
    assert {"ok", "unreadable"} <= set(found.statuses)
    # Eight rounds still warm up: the limits of the long soak are for minutes.
    assert found.memory_mb < 60, found
    assert found.files == 0, found
    assert found.threads < 2, found
