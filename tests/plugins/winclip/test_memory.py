from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from clipvet.detectors import ArtefactMissing, Batch, DetectorError, RecipeError, View, unit_rows
from clipvet.plugins.winclip import WinClip, WinClipOptions
from clipvet.plugins.winclip._memory import CHUNK, nearest_distance

NAME = "carpet"


@pytest.fixture
def saved(
    request: Any, tmp_path: Path, make_detector: Any, make_batch: Any
) -> tuple[WinClip, Path]:
    detector = make_detector(**getattr(request, "param", {}))
    detector.fit([make_batch([0, 1])])
    detector.save(tmp_path)
    return detector, tmp_path


def test_saved_and_loaded_scores_are_identical(
    saved: Any, make_context: Any, make_batch: Any
) -> None:
    fitted, folder = saved
    files = ["artefact.json", "artefact.safetensors"]
    assert sorted(path.name for path in folder.iterdir()) == files
    loaded = WinClip()
    loaded.load(folder)
    loaded.prepare(make_context())
    for one, other in zip(
        fitted.score(make_batch(range(6), NAME)),
        loaded.score(make_batch(range(6), NAME)),
        strict=True,
    ):
        assert one[0].value == other[0].value
        assert other[0].heatmap is not None
        assert one[0].heatmap.tobytes() == other[0].heatmap.tobytes()
        assert other[0].details["method"] == "WinCLIP+ 2-shot"


def test_saving_twice_gives_the_same_bytes(saved: Any, tmp_path_factory: Any) -> None:
    fitted, folder = saved
    again = tmp_path_factory.mktemp("again")
    fitted.save(again)
    for path in folder.iterdir():
        assert path.read_bytes() == (again / path.name).read_bytes()


def test_another_bundle_is_refused(saved: Any, make_context: Any) -> None:
    detector = WinClip()
    detector.load(saved[1])
    with pytest.raises(RecipeError, match=r"learned on bundle tiny-test .* train it again"):
        detector.prepare(make_context(sha256="b" * 64))


@pytest.mark.parametrize("saved", [{"scales": (2,)}], indirect=True)
@pytest.mark.parametrize(
    ("options", "message"), [({"patch_tokens": "ln_post"}, "raw patch tokens"), ({}, "no 3x3")]
)
def test_other_options_are_refused(
    saved: Any, make_context: Any, options: dict[str, Any], message: str
) -> None:
    detector = WinClip(WinClipOptions(**options))
    detector.load(saved[1])
    with pytest.raises(RecipeError, match=message):
        detector.prepare(make_context())
    fewer = WinClip(WinClipOptions(scales=()))  # what is not needed may be there
    fewer.load(saved[1])
    fewer.prepare(make_context())


@pytest.mark.parametrize("name", ["artefact.json", "artefact.safetensors"])
def test_missing_and_damaged_files(saved: Any, name: str) -> None:
    path = saved[1] / name
    whole = path.read_bytes()
    for damaged in (b"", whole[:-20], b"[]", whole[:50] + b"\xff" + whole[51:]):
        path.write_bytes(damaged)
        with pytest.raises(RecipeError, match=r"is damaged .* train it again"):
            WinClip().load(saved[1])
    path.unlink()
    with pytest.raises(ArtefactMissing, match=f"{name} is missing"):
        WinClip().load(saved[1])


def test_header_of_another_schema(saved: Any) -> None:
    path = saved[1] / "artefact.json"
    header = json.loads(path.read_text())
    path.write_text(json.dumps({**header, "schema": "clipvet.artefact/2"}))
    with pytest.raises(RecipeError, match="not 'clipvet"):
        WinClip().load(saved[1])


def test_only_so_many_references_are_read(make_context: Any, make_batch: Any) -> None:
    said: list[str] = []
    read: list[int] = []

    def stream() -> Any:
        for image in range(6):
            read.append(image)
            yield make_batch([image])

    detector = WinClip(WinClipOptions(max_references=3))
    detector.prepare(make_context(warn=said.append))
    detector.fit(stream())
    assert detector.memory_ is not None
    assert detector.memory_.shots == 3
    assert len(detector.memory_.banks["patch"]) == 3 * 36
    assert read == [0, 1, 2, 3]  # the fourth shows that there are more, none is read after it
    assert len(said) == 1
    assert "first 3 good images" in said[0]


def test_tiles_of_one_image_are_one_shot(make_detector: Any, make_batch: Any) -> None:
    batch = make_batch([0, 1, 2, 3])
    views = [View(pixels=v.pixels, box=v.box, index=i % 2) for i, v in enumerate(batch.views)]
    detector = make_detector(max_references=1)
    detector.fit([Batch(features=batch.features, views=views, queries=batch.queries)])
    assert detector.memory_.shots == 1
    assert len(detector.memory_.banks["patch"]) == 2 * 36


def test_no_reference_at_all(make_detector: Any) -> None:
    with pytest.raises(DetectorError, match="no good image to refer to"):
        make_detector().fit([])


def test_zero_references_stay_zero_shot(
    tmp_path: Path, make_detector: Any, make_batch: Any
) -> None:
    detector = make_detector(max_references=0)
    detector.fit([make_batch([0])])
    detector.save(tmp_path)
    assert not list(tmp_path.iterdir())
    detector.load(tmp_path)
    assert detector.score(make_batch([0], NAME))[0][0].details["method"] == "WinCLIP zero-shot"


def test_nearest_distance_over_chunks() -> None:
    rng = np.random.default_rng(1)
    bank = unit_rows(rng.standard_normal((2 * CHUNK + 5, 8))).astype(np.float32)
    queries = unit_rows(rng.standard_normal((7, 8))).astype(np.float32)
    queries[0], queries[1], queries[2] = bank[0], bank[CHUNK], bank[-1]
    cosine = queries.astype(np.float64) @ bank.T.astype(np.float64)
    distance = nearest_distance(queries, bank)
    np.testing.assert_allclose(distance, (1 - cosine.max(axis=1)) / 2, atol=2e-6)
    assert not distance[:3].any()
    assert nearest_distance(queries[:1], -queries[:1]) == 1.0
