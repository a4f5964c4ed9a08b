from __future__ import annotations

from pathlib import Path

import pytest

from clipvet.detectors.clip.export import LockedFile, PullLock
from clipvet.detectors.errors import BundleError


def test_the_lock_keeps_its_first_entry(tmp_path: Path) -> None:
    lock = PullLock(tmp_path / "made")
    assert lock.get("x") is None
    lock.check("x", "a" * 64)
    first = LockedFile(revision="r1", sha256="a" * 64, licence="mit", date="2026-01-01")
    lock.record("x", first)
    lock.record("x", LockedFile(revision="r2", sha256="a" * 64))
    assert lock.get("x") == first
    with pytest.raises(BundleError, match="x has changed since it was pulled on"):
        lock.check("x", "b" * 64)
    lock.check("x", "b" * 64, accept=True)
    lock.record("x", LockedFile(revision="r3", sha256="b" * 64))
    lock.check("x", "b" * 64)
    assert [path.name for path in (tmp_path / "made").iterdir()] == ["pulls.json"]
