from __future__ import annotations

from pathlib import Path

from benchmarks.soak import mixed_images, soak


def test_nothing_grows_in_a_mixed_folder(tmp_path: Path) -> None:
    images = mixed_images(tmp_path)[::3]
    found = soak(images, seconds=10)
    assert found.images == found.rounds * len(images)
    assert {"ok", "unreadable"} <= set(found.statuses)
    assert not found.grew, found
