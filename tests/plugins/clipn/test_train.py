"""That the losses are the paper's, fall, and end in an artefact that scores."""

from __future__ import annotations

import csv
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from typer import Typer
from typer.testing import CliRunner

from clipvet.detectors import Context, Host, Query, UsageError
from clipvet.detectors.clip import Runtime, find_bundle
from clipvet.plugins.clipn import Clipn
from clipvet.plugins.clipn._losses import opposite_semantics, true_and_false
from clipvet.plugins.clipn._no_tower import FILES, NoTower
from clipvet.plugins.clipn._pairs import read_pairs
from clipvet.plugins.clipn._tokens import token_ids
from clipvet.plugins.clipn._torch_text import TextTower
from clipvet.plugins.clipn._train import train
from clipvet.plugins.clipn._training import TrainConfig, train_no_tower

ROOT = Path(__file__).parents[3]


def unit(rows: Any) -> Any:
    return rows / rows.norm(dim=-1, keepdim=True)


@pytest.fixture(scope="module")
def data(tmp_path_factory: Any) -> Path:
    """A dozen rendered pairs."""
    if str(ROOT) not in sys.path:
        sys.path.append(str(ROOT))
    from training.caption_pairs import write_pairs

    folder = Path(tmp_path_factory.mktemp("pairs"))
    write_pairs(folder, 12)
    return folder


def test_losses_by_their_plain_formulas() -> None:
    generator = torch.Generator().manual_seed(0)
    images, yes, no = (unit(torch.randn(6, 8, generator=generator)) for _ in range(3))
    scale, n = 5.0, 6
    got = true_and_false(images, yes, no, torch.eye(n, dtype=torch.bool), scale=scale).item()
    expected = 0.0
    for i in range(n):
        for j in range(n):
            l, k = (scale * float(images[i] @ side[j]) for side in (yes, no))  # noqa: E741
            true = np.exp(l) / (np.exp(l) + np.exp(k))
            expected -= np.log(true) / n if i == j else np.log(1 - true) / (n * (n - 1))
    assert got == pytest.approx(expected, rel=1e-5)
    distance = np.sqrt(((yes - no).numpy() ** 2).sum(axis=1) + 1e-4)
    assert opposite_semantics(yes, no).item() == pytest.approx((2 - distance).mean(), abs=1e-6)
    assert opposite_semantics(yes, -yes).item() == pytest.approx(0, abs=1e-4)
    assert opposite_semantics(yes, yes).item() == pytest.approx(2, abs=0.02)


def test_a_loss_that_a_softmax_would_lose() -> None:
    """At 100 times the cosine the reference's softmax can be 0, and its logarithm infinite."""
    image = torch.tensor([[1.0, 0.0], [0.0, 1.0]])
    loss = true_and_false(image, -image, image, torch.eye(2, dtype=torch.bool), scale=100)
    assert torch.isfinite(loss)
    assert loss.item() == pytest.approx(200 + np.log(2), rel=1e-5)


def test_a_caption_that_is_true_of_another_picture_is_not_its_negative() -> None:
    images = unit(torch.randn(3, 8, generator=torch.Generator().manual_seed(0)))
    own = torch.eye(3, dtype=torch.bool)
    own[0, 1] = own[1, 0] = True
    yes, no = images.clone(), -images
    part = true_and_false(images, yes, no, own, scale=1.0)
    margin = images @ (yes - no).T
    right = -torch.nn.functional.logsigmoid(margin)[own].mean()
    wrong = -torch.nn.functional.logsigmoid(-margin)[~own].mean()
    assert part.item() == pytest.approx((right + wrong).item(), rel=1e-6)


@pytest.mark.parametrize("which", ["tiny", "mini"])
def test_torch_text_tower_is_the_exported_one(which: str, bundle: Any) -> None:
    opened = bundle if which == "tiny" else find_bundle(None, Host.load().bundles)
    texts = ["a photo of a bolt.", "two red circles &amp; a   Star", "x" * 400]
    with Runtime(opened, needs=(), device="cpu", threads=1) as runtime:
        expected = runtime.encode_text(texts)
    tower = TextTower(opened, opened.weights("text"))
    text = opened.manifest.text
    nothing = torch.zeros(1, text.context_length, text.width)
    got = tower(torch.from_numpy(token_ids(opened, texts)), nothing)
    np.testing.assert_allclose(got.detach().numpy(), expected, atol=2e-5)


def test_prompts_are_added_to_all_positions(bundle: Any, no_state: Any, golden: Any) -> None:
    """The reference's no-encoder, in the form that is trained."""
    from clipvet.plugins.clipn._checkpoint import _key

    weights = {
        name: no_state[_key(name, "_no")].T
        if name.endswith(".weight_t")
        else no_state[_key(name, "_no")]
        for name in bundle.weights("text")
    }
    tower = TextTower(bundle, weights)
    added = torch.from_numpy(no_state["prompt_no"]).mean(dim=0, keepdim=True)
    got = tower(torch.from_numpy(golden["tiny_tokens"]), added).detach().numpy()
    np.testing.assert_allclose(got, golden["tiny_text_no"], atol=1e-5)


def test_training_lowers_the_loss_and_repeats(data: Path, tmp_path: Path) -> None:
    mini = find_bundle(None, Host.load().bundles)
    config = TrainConfig(epochs=4, batch=12, rate=1e-3, prompts=2)
    towers = []
    for name in ("first", "second"):
        out = tmp_path / name
        out.mkdir()
        pairs = read_pairs(data)
        towers.append(train_no_tower(mini, pairs, config, out=out, device="cpu"))
    losses = towers[0].facts["loss"]
    assert losses[-1] < losses[0]
    assert len(losses) == 4
    # Sums of several threads may differ in their last bits.
    np.testing.assert_allclose(losses, towers[1].facts["loss"], rtol=1e-4)
    prompts = ["a photo of a bolt.", "a red circle."]
    first, second = (tower.encode_text(prompts) for tower in towers)
    np.testing.assert_allclose(first, second, atol=1e-2)
    with Runtime(mini, needs=(), device="cpu", threads=1) as runtime:
        yes = runtime.encode_text(["a photo of a bolt."])
    no = towers[0].encode_text(["a photo of a bolt."])
    assert np.abs(yes - no).max() > 1e-3


def test_the_command_end_to_end(data: Path, tmp_path: Path) -> None:
    app = Typer()
    app.command()(train)
    out = tmp_path / "artefact"
    arguments = ["--data", str(data), "--out", str(out), "--device", "cpu", "--epochs", "2"]
    done = CliRunner().invoke(app, [*arguments, "--batch", "5", "--precision", "int8"])
    assert done.exit_code == 0, (done.output, done.exception)
    assert "12 images and" in done.output
    assert "epoch 2 of 2: loss" in done.output
    assert sorted(path.name for path in out.iterdir()) == sorted(FILES)
    facts = NoTower.load(out).facts
    assert (facts["pairs"], facts["batch"], facts["prompts"]) == (12, 5, 16)
    mini = find_bundle(None, Host.load().bundles)
    with Runtime(mini, needs={"cls_embed"}, device="cpu", threads=1) as runtime:
        detector = Clipn()
        detector.load(out)
        detector.prepare(Context(bundle=runtime.info, encode_text=runtime.encode_text))
        from clipvet.detectors import Batch, View

        pixels = np.full((64, 64, 3), 90, np.uint8)
        batch = Batch(
            features=runtime.encode_views([pixels]),
            views=[View(pixels=pixels, box=(0, 0, 64, 64))],
            queries=[[Query(classes=("bolt", "nut"))]],
        )
        ((score,),) = detector.score(batch)
    assert 0 < score.value < 1
    assert score.details["method"] == "CLIPN-ATD (no-tower trained on 12 image-caption pairs)"
    again = CliRunner().invoke(app, arguments)
    assert "choose another --out" in str(again.exception)


def test_csv_says_the_same_as_jsonl(data: Path, tmp_path: Path) -> None:
    (tmp_path / "images").symlink_to(data / "images")
    rows = [json.loads(line) for line in (data / "captions.jsonl").read_text().splitlines()]
    with (tmp_path / "captions.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, ["image", "caption"])
        writer.writeheader()
        writer.writerows(rows)
    one, two = read_pairs(data), read_pairs(tmp_path)
    assert [pair.caption for pair in one] == [pair.caption for pair in two]
    assert [pair.image.name for pair in one] == [pair.image.name for pair in two]


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        (None, "neither captions.jsonl nor captions.csv"),
        (['{"image": "a.png", "caption": "x"}', "{"], "line 2 is no pair"),
        (['{"image": "a.png"}'], "line 1 is no pair"),
        (['{"image": "a.png", "caption": " "}'], "line 1 is no pair"),
        (["3"], "line 1 is no pair"),
        (['{"image": "b.png", "caption": "x"}'], r"line 1: there is no image .*b\.png"),
        (['{"image": "a.png", "caption": "x"}'] * 3, "fewer than two different captions"),
        ([], "fewer than two different captions"),
    ],
)
def test_pairs_that_do_not_serve(lines: Any, message: str, tmp_path: Path) -> None:
    Image.fromarray(np.zeros((8, 8, 3), np.uint8)).save(tmp_path / "a.png")
    if lines is not None:
        (tmp_path / "captions.jsonl").write_text("\n".join(lines))
    with pytest.raises(UsageError, match=message):
        read_pairs(tmp_path)
