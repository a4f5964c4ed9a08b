"""Text embeddings that lie beside a bundle: current, equal to the tower's, and never needed."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

from clipvet.detectors import Host, Inspector
from clipvet.detectors._hashing import sha256_of
from clipvet.detectors.clip import Bundle, Runtime, _shipped_text, find_bundle
from clipvet.detectors.clip._shipped_text import (
    SHIPPED_TEXT,
    read_shipped_text,
    write_shipped_text,
)
from training.warm_text import DETECTORS, usual_prompts


@pytest.fixture
def mini() -> Bundle:
    return find_bundle("mini", Host.load(select="").bundles)


@pytest.fixture
def no_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("CLIPVET_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def test_every_usual_prompt_of_the_embedded_bundle_is_shipped(mini: Bundle, no_cache: Path) -> None:
    """If this fails, prompts have changed: run `python -m training.warm_text`."""
    assert set(usual_prompts(mini.folder)) == set(read_shipped_text(mini.folder, mini.info.sha256))
    assert not (no_cache / "text").exists()  # nothing had to be encoded


def test_a_cold_start_makes_no_text_session(no_cache: Path) -> None:
    with Inspector(DETECTORS[:1]) as inspector:
        record = inspector(np.zeros((64, 64, 3), dtype=np.uint8))
        assert record.detections[0].score is not None
        (runtime,) = inspector.engine.runtimes.values()
        assert runtime._text._session is None  # type: ignore[attr-defined]
    assert not (no_cache / "text").exists()


def test_shipped_embeddings_are_what_the_tower_gives(
    mini: Bundle, no_cache: Path, tmp_path: Path
) -> None:
    bare = shutil.copytree(mini.folder, tmp_path / "bare", ignore=lambda *_: [SHIPPED_TEXT])
    shipped = read_shipped_text(mini.folder, mini.info.sha256)
    prompts = list(shipped)[::7]
    with Runtime(Bundle.open(bare), needs={"cls_embed"}, device="cpu") as runtime:
        encoded = runtime.encode_text(prompts)
    rows = np.stack([shipped[prompt] for prompt in prompts])
    # Another CPU may add in another order.
    np.testing.assert_allclose(rows, encoded, atol=1e-4 * float(np.abs(encoded).max()))


def test_what_cannot_be_read_is_not_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert read_shipped_text(tmp_path, "a") == {}
    write_shipped_text(tmp_path, "a", {"one": np.arange(3, dtype=np.float32)})
    assert read_shipped_text(tmp_path, "a") == {}  # not the file of the release
    monkeypatch.setattr(_shipped_text, "SHIPPED_SHA256", sha256_of(tmp_path / SHIPPED_TEXT))
    assert read_shipped_text(tmp_path, "b") == {}
    np.testing.assert_array_equal(read_shipped_text(tmp_path, "a")["one"], [0, 1, 2])
    content = (tmp_path / SHIPPED_TEXT).read_bytes()
    (tmp_path / SHIPPED_TEXT).write_bytes(content[:-1])
    assert read_shipped_text(tmp_path, "a") == {}
    monkeypatch.setattr(_shipped_text, "SHIPPED_SHA256", sha256_of(tmp_path / SHIPPED_TEXT))
    assert read_shipped_text(tmp_path, "a") == {}  # damaged, even if it were


def test_a_swapped_embedding_is_encoded_anew(mini: Bundle, no_cache: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(mini.folder, tmp_path / "swapped")
    shipped = read_shipped_text(mini.folder, mini.info.sha256)
    prompt, honest = next(iter(shipped.items()))
    write_shipped_text(folder, mini.info.sha256, {**shipped, prompt: -honest})
    with Runtime(Bundle.open(folder), needs={"cls_embed"}, device="cpu") as runtime:
        (row,) = runtime.encode_text([prompt])
    np.testing.assert_allclose(row, honest, atol=1e-4 * float(np.abs(honest).max()))
