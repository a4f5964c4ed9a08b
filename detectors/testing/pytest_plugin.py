"""Fixtures for the tests of plugins. pytest finds them by itself where clipvet is installed.

``pytest -p no:clipvet.detectors.testing.pytest_plugin`` leaves them out. Nothing here acts on a
test that does not name one of these fixtures.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from clipvet.detectors.testing import DetectProject, FakeRuntime, no_leaks, write_image_folder

__all__ = ["detect_project", "fake_runtime", "image_folder", "leak_guard"]


@pytest.fixture
def fake_runtime() -> Iterator[FakeRuntime]:
    """A runtime without a model that gives every feature."""
    with FakeRuntime() as runtime:
        yield runtime


@pytest.fixture
def image_folder(tmp_path: Path) -> Path:
    """A folder of small pictures, good and bad: ``IMAGE_FOLDER`` names them."""
    return write_image_folder(tmp_path / "images")


@pytest.fixture
def detect_project(tmp_path: Path) -> Callable[..., DetectProject]:
    """Makes a folder from ``{path: content}``, in which ``.run(...)`` runs ``detect``."""

    def make(files: dict[str, object] | None = None, name: str = "project") -> DetectProject:
        return DetectProject(tmp_path / name, files)  # type: ignore[arg-type]

    return make


@pytest.fixture
def leak_guard() -> Iterator[None]:
    """Fails a test that leaves environment variables or logging handlers behind.

    For all tests of a module: ``pytestmark = pytest.mark.usefixtures("leak_guard")``.
    """
    with no_leaks():
        yield
