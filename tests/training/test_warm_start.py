"""A bundle's weights as a run's beginning, and the blocks written out for speed."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from tokenizers import Tokenizer, models

torch = pytest.importorskip("torch", reason="training needs the export extra")
pytest.importorskip("open_clip", reason="training needs the export extra")

from clipvet.detectors.clip import Bundle, Runtime  # noqa: E402
from training import model as clip  # noqa: E402
from training.tokenizer import build_tokenizer, vocabulary_size  # noqa: E402
from training.warm_start import translated, weights  # noqa: E402

MINI = Path(__file__).resolve().parents[2] / "detectors/clip/mini"


@pytest.fixture(scope="module")
def embedded() -> Bundle:
    return Bundle.open(MINI)


def test_blocks_written_out_equal_open_clip_s() -> None:
    torch.manual_seed(1)
    model = clip.build(clip.config())
    x = torch.randn(2, 17, model.visual.conv1.out_channels)
    with torch.no_grad():
        expected = model.visual.transformer(model.visual.ln_pre(x))
        np.testing.assert_allclose(clip.finish(model, x), expected, atol=1e-5)


def test_a_run_takes_up_the_weights_of_the_bundle(embedded: Bundle, tmp_path: Path) -> None:
    model = clip.build(clip.config())
    state = weights(embedded.folder, text=False)  # the words that are known differ from run to run
    missing, unknown = model.load_state_dict(state, strict=False)
    assert unknown == []
    assert [k for k in missing if k.startswith("visual.")] == ["visual.positional_embedding"]
    size = embedded.manifest.preprocessing.size
    pixels = np.random.default_rng(0).integers(0, 256, (2, size, size, 3), dtype=np.uint8)
    with Runtime(embedded, needs={"hidden_4"}, device="cpu", cache_folder=tmp_path) as runtime:
        expected = runtime.encode_views(list(pixels))["hidden_4"]
    table = clip.positions(embedded.manifest.vision.grid, embedded.manifest.vision.width)
    with torch.no_grad():
        found = clip.finish(model, clip.tokens(model, torch.from_numpy(pixels), table))
    np.testing.assert_allclose(found, expected, atol=2e-3 * float(np.abs(expected).max()))


def test_the_image_tower_can_be_taken_alone(embedded: Bundle) -> None:
    names = weights(embedded.folder, text=False)
    assert names
    assert all(name.startswith("visual.") for name in names)


def test_words_keep_their_rows_when_the_tokenizer_changes() -> None:
    theirs = Tokenizer(models.WordLevel({"[UNK]": 0, "gear": 1, "zeppelin": 2}, "[UNK]"))
    rows, drawn = torch.randn(3, 4), torch.randn(vocabulary_size(), 4)
    ours = build_tokenizer()
    out = translated(rows, theirs, drawn, ours)
    place = ours.get_vocab()
    assert torch.equal(out[place["gear</w>"]], rows[1])
    assert torch.equal(out[place["[UNK]"]], rows[0])
    changed = (out != drawn).any(dim=1).nonzero()[:, 0].tolist()
    assert changed == sorted([place["gear</w>"], place["[UNK]"]])
