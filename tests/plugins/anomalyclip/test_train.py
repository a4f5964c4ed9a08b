"""A few steps on the tiny CLIP: that the loss is the paper's, falls, and ends in an artefact."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from typer import Typer
from typer.testing import CliRunner

from clipvet.detectors import Context, UsageError
from clipvet.plugins.anomalyclip import AnomalyClip
from clipvet.plugins.anomalyclip._bundle_text import assemble
from clipvet.plugins.anomalyclip._losses import anomalyclip_loss, dice_loss, focal_loss
from clipvet.plugins.anomalyclip._pictures import Picture, find_pictures, read_mask
from clipvet.plugins.anomalyclip._torch_text import TextTower
from clipvet.plugins.anomalyclip._train import train
from clipvet.plugins.anomalyclip._training import TrainConfig, train_prompts

TESTS = Path(__file__).parents[2]


@pytest.fixture
def data(images: Any, tmp_path: Path) -> Path:
    """Images 0 and 2 are good, the others carry a rectangle."""
    with np.load(TESTS / "golden" / "images.npz") as arrays:
        boxes = arrays["defect_yx0yx1"]
    root = tmp_path / "data"
    for folder in ("good", "defect/patch", "masks/patch"):
        (root / folder).mkdir(parents=True)
    for index, (pixels, (y0, x0, y1, x1)) in enumerate(zip(images, boxes, strict=True)):
        if y1 == 0:
            Image.fromarray(pixels).save(root / "good" / f"{index}.png")
            continue
        mask = np.zeros((96, 96), np.uint8)
        mask[y0:y1, x0:x1] = 255
        Image.fromarray(pixels).save(root / "defect" / "patch" / f"{index}.png")
        Image.fromarray(mask).save(root / "masks" / "patch" / f"{index}_mask.png")
    return root


def test_torch_text_tower_is_the_exported_one(bundle: Any, golden: Any) -> None:
    context = np.concatenate([golden["learned_ctx_pos"][0], golden["learned_ctx_neg"][0]])
    tokens, end = assemble(bundle, context)
    np.testing.assert_allclose(tokens, golden["prompt_embeddings"][:, : tokens.shape[1]], atol=1e-7)
    assert end.tolist() == [15, 16]
    deep = [
        torch.from_numpy(golden[f"learned_compound_prompts_text_{i}"]).half().float()
        for i in (0, 1)
    ]
    tower = TextTower(bundle, torch.device("cpu"))
    got = tower(torch.from_numpy(tokens), torch.from_numpy(end), deep)
    np.testing.assert_allclose(got.numpy(), golden["text_features_raw"], atol=1e-5)


def test_losses_by_their_plain_formulas() -> None:
    rng = np.random.default_rng(0)
    chance = rng.uniform(0.05, 0.95, (2, 5, 5)).astype(np.float32)
    mask = (rng.uniform(size=(2, 5, 5)) > 0.7).astype(np.float32)
    both = torch.from_numpy(np.stack([1 - chance, chance], axis=1))
    right = np.where(mask == 1, chance, 1 - chance)
    expected = -((1 - right) ** 2 * np.log(right)).mean()
    assert focal_loss(both, torch.from_numpy(mask)).item() == pytest.approx(expected, abs=1e-4)
    dice = [
        (2 * (c * m).sum() + 1) / (c.sum() + m.sum() + 1) for c, m in zip(chance, mask, strict=True)
    ]
    got = dice_loss(torch.from_numpy(chance), torch.from_numpy(mask)).item()
    assert got == pytest.approx(1 - np.mean(dice), abs=1e-5)


def test_loss_of_golden_features_uses_the_golden_maps(golden: Any) -> None:
    """Its parts from the reference's own maps and scores."""
    unit = torch.nn.functional.normalize
    image = unit(torch.from_numpy(golden["image_features_raw"]), dim=-1)
    patches = unit(torch.from_numpy(golden["patch_features"][2, :, 1:]), dim=-1)
    masks = torch.zeros(6, 96, 96)
    masks[1:4, 20:50, 30:70] = 1
    defective = torch.tensor([False, True, True, True, False, False])
    prototypes = torch.from_numpy(golden["text_features"])
    got = anomalyclip_loss(image, patches, prototypes, masks, defective, temperature=0.07)
    anomalous = torch.from_numpy(golden["layer_maps"][:, 2])
    score = torch.from_numpy(golden["image_score"])
    entropy = -torch.where(defective, score, 1 - score).log().mean()
    maps = torch.stack([1 - anomalous, anomalous], dim=1)
    local = (
        focal_loss(maps, masks) + dice_loss(anomalous, masks) + dice_loss(1 - anomalous, 1 - masks)
    )
    assert got.item() == pytest.approx((entropy + 4 * local).item(), abs=1e-4)


def test_a_few_steps_lower_the_loss(bundle: Any, runtime: Any, data: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.mkdir()
    config = TrainConfig(epochs=6, batch=3, rate=5e-3)
    pictures = find_pictures(data)
    said: list[str] = []
    learned = train_prompts(
        bundle, pictures, config, scratch=out, device="cpu", progress=said.append
    )
    losses = learned.facts["loss"]
    assert len(losses) == 6
    assert losses[-1] < losses[0] - 0.05
    assert said[0] == "6 pictures encoded"
    assert len(said) == 7
    assert list(out.iterdir()) == []  # nothing is left of the features
    assert learned.origin == "prompts trained on 6 pictures"
    assert (learned.facts["normal_pictures"], learned.facts["defective_pictures"]) == (2, 4)
    assert learned.facts["deep_layers"] == 2  # the tower has three blocks
    again = train_prompts(bundle, pictures, config, scratch=out, device="cpu")
    np.testing.assert_array_equal(again.prototypes, learned.prototypes)
    learned.save(out)
    detector = AnomalyClip()
    detector.load(out)
    detector.prepare(Context(bundle=runtime.info, encode_text=runtime.encode_text))
    assert detector.learned_ is not None
    assert detector.learned_.facts["seed"] == 111


def test_the_command(bundle: Any, data: Path, tmp_path: Path) -> None:
    app = Typer()
    app.command()(train)
    out = tmp_path / "artefact"
    arguments = ["--data", str(data), "--out", str(out), "--bundle", str(bundle.folder)]
    done = CliRunner().invoke(app, [*arguments, "--epochs", "1", "--device", "cpu"])
    assert done.exit_code == 0, (done.output, done.exception)
    assert "epoch 1 of 1: loss" in done.output
    assert sorted(path.name for path in out.iterdir()) == ["artefact.json", "artefact.safetensors"]
    again = CliRunner().invoke(app, arguments)
    assert "choose another --out" in str(again.exception)


def test_pictures_of_the_samples() -> None:
    pictures = find_pictures(TESTS.parent / "sample_data" / "parts")
    assert sum(picture.mask is None for picture in pictures) == 60
    masked = [picture for picture in pictures if picture.mask is not None]
    assert {picture.path.stem for picture in masked} == {p.mask.stem for p in masked if p.mask}
    shares = [read_mask(picture, 192).mean() for picture in masked]
    assert min(shares) > 0
    assert max(shares) < 0.6


def test_objects_side_by_side_and_the_layout_of_mvtec(data: Path, tmp_path: Path) -> None:
    root = tmp_path / "many"
    benchmark = root / "nut"
    for source, target in (
        ("good", "test/good"),
        ("defect/patch", "test/patch"),
        ("masks/patch", "ground_truth/patch"),
    ):
        (benchmark / target).parent.mkdir(parents=True, exist_ok=True)
        (data / source).rename(benchmark / target)
    one = find_pictures(benchmark)
    assert [picture.mask is None for picture in one] == [True, True, False, False, False, False]
    (root / "nut").rename(root / "bolt")
    many = find_pictures(root)
    assert len(many) == 6
    assert all(picture.path.is_file() for picture in many)


def test_mask_is_cut_at_one_half(tmp_path: Path) -> None:
    mask = np.zeros((8, 8), np.uint8)
    mask[:4, :2] = 255
    Image.fromarray(mask).save(tmp_path / "m.png")
    picture = Picture(path=tmp_path / "p.png", mask=tmp_path / "m.png")
    np.testing.assert_array_equal(read_mask(picture, 8), mask > 0)
    np.testing.assert_array_equal(
        read_mask(picture, 4), np.pad(np.ones((2, 1), bool), ((0, 2), (0, 3)))
    )
    assert not read_mask(Picture(path=tmp_path / "p.png"), 4).any()
    Image.fromarray(mask // 255).save(tmp_path / "m.png")  # written as 0 and 1
    with pytest.raises(UsageError, match=r"m\.png has nothing white, its largest value is 1"):
        read_mask(picture, 4)


def test_data_that_do_not_serve(data: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="there is no such folder"):
        find_pictures(tmp_path / "absent")
    (tmp_path / "empty").mkdir()
    with pytest.raises(UsageError, match="has no normal pictures: give a folder with good/"):
        find_pictures(tmp_path / "empty")
    mask = next((data / "masks" / "patch").iterdir())
    mask.unlink()
    with pytest.raises(UsageError, match=r"\.png has no mask in .*masks/patch: draw one"):
        find_pictures(data)
    for path in (data / "defect" / "patch").iterdir():
        path.unlink()
    with pytest.raises(UsageError, match="has no defective pictures"):
        find_pictures(data)


def test_bundles_and_prompts_that_do_not_serve(bundle: Any, tmp_path: Path) -> None:
    def attempt(target: Any, **changes: Any) -> None:
        train_prompts(target, [], TrainConfig(**changes), scratch=tmp_path, device="cpu")

    with pytest.raises(UsageError, match="74 context tokens and a name do not fit"):
        attempt(bundle, context_tokens=74)
    with pytest.raises(UsageError, match="5 deep tokens would overwrite more than the 4"):
        attempt(bundle, context_tokens=4, deep_tokens=5)
    manifest = bundle.manifest
    crops = manifest.preprocessing.model_copy(update={"resize": "shortest"})
    cropping = type(bundle)(bundle.folder, manifest.model_copy(update={"preprocessing": crops}))
    with pytest.raises(UsageError, match="crops or pads pictures"):
        attempt(cropping)
