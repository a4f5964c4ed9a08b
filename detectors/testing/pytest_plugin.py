"""Fixtures for the tests of plugins: name this module in ``pytest_plugins``.

Named in a top ``conftest.py`` and not loaded by itself: whoever has clipvet installed for
another reason keeps a clean pytest.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from clipvet.detectors.testing import FakeRuntime, textures

__all__ = ["fake_runtime", "image_folder"]


@pytest.fixture
def fake_runtime() -> Iterator[FakeRuntime]:
    """A runtime without a model that gives every feature."""
    with FakeRuntime() as runtime:
        yield runtime


@pytest.fixture
def image_folder(tmp_path: Path) -> Path:
    """A folder of small pictures, good and bad.

    ``good/0.png`` .. ``good/3.png`` are RGB; ``grey.png`` is 8-bit grey, ``deep.png`` 16-bit;
    ``truncated.jpg`` ends halfway, ``text.jpg`` is text and ``empty.png`` has no bytes.
    """
    folder = tmp_path / "images"
    (folder / "good").mkdir(parents=True)
    pictures = textures(4, seed=4)
    for index, pixels in enumerate(pictures):
        Image.fromarray(pixels).save(folder / "good" / f"{index}.png")
    grey = pictures[0][:, :, 0]
    Image.fromarray(grey).save(folder / "grey.png")
    Image.fromarray(grey.astype(np.uint16) * 16).save(folder / "deep.png")
    whole = folder / "truncated.jpg"
    Image.fromarray(pictures[1]).save(whole)
    whole.write_bytes(whole.read_bytes()[: whole.stat().st_size // 2])
    (folder / "text.jpg").write_text("this is no picture\n", encoding="utf-8")
    (folder / "empty.png").touch()
    return folder
