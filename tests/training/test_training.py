from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="training needs torch (extra: export)")
open_clip = pytest.importorskip("open_clip", reason="training needs open_clip (extra: export)")

from training import losses  # noqa: E402
from training import model as clip  # noqa: E402
from training.export_mini import export_run, write_mini  # noqa: E402
from training.pool import RenderPool, make_batch  # noqa: E402
from training.tokenizer import build_tokenizer, encode  # noqa: E402
from training.train import Plan, Trainer  # noqa: E402

TINY = Plan(
    minutes=1e9,
    phases=((1.0, 32, 3),),
    windows=2,
    rate=1e-3,
    model=clip.config(
        image_size=32, width=64, layers=2, text_width=64, text_layers=1, embed_dim=32
    ),
)


def steps(trainer: Trainer, first: int, last: int) -> list[dict[str, float]]:
    done = []
    for step in range(first, last):
        batch = make_batch(10 * step, 3, 32)
        done.append(trainer.update(batch, np.random.default_rng(step)))
    return done


def test_three_steps_are_finite_and_move_the_weights(tmp_path: Path) -> None:
    trainer = Trainer(TINY, tmp_path)
    before = {k: v.clone() for k, v in trainer.model.state_dict().items()}
    for terms in steps(trainer, 0, 3):
        assert set(terms) == {
            "contrast",
            "dense",
            "image",
            "names",
            "near",
            "near_raw",
            "scene",
            "window",
        }
        assert all(np.isfinite(list(terms.values())))
    after = trainer.model.state_dict()
    moved = {k for k in after if not torch.equal(before[k], after[k])}
    assert set(after) - moved == {"visual.positional_embedding"}


def test_a_resumed_run_is_the_run(tmp_path: Path) -> None:
    whole = Trainer(TINY, tmp_path)
    steps(whole, 0, 2)
    whole.save()
    torch.manual_seed(5)
    steps(whole, 2, 3)
    again = Trainer(TINY, tmp_path)
    assert again.resume()
    assert again.step == 2
    torch.manual_seed(5)
    steps(again, 2, 3)
    for k, v in whole.model.state_dict().items():
        assert torch.equal(v, again.model.state_dict()[k]), k


def test_towers_equal_open_clips_own_forward() -> None:
    model = clip.build(TINY.model).eval()
    pixels = torch.randint(0, 256, (2, 32, 32, 3), dtype=torch.uint8)
    normal = (pixels.float() / 255 - torch.tensor(clip.MEAN)) / torch.tensor(clip.STD)
    ids = torch.from_numpy(encode(build_tokenizer(), ["a photo of a gear.", "damaged wood"]))
    with torch.no_grad():
        tokens = clip.finish(model, clip.tokens(model, pixels, clip.positions(4, 64)))
        image = model.visual.ln_post(tokens[:, 0]) @ model.visual.proj
        torch.testing.assert_close(image, model.encode_image(normal.permute(0, 3, 1, 2)))
        torch.testing.assert_close(clip.encode_text(model, ids), model.encode_text(ids))


def test_a_window_that_covers_everything_is_the_image() -> None:
    # A 2x2 grid has one 2x2 window, so its logit is the class token's.
    model = clip.build({**TINY.model, "vision_cfg": {**TINY.model["vision_cfg"], "image_size": 16}})
    with torch.no_grad():
        embedded = clip.tokens(
            model, torch.randint(0, 256, (1, 16, 16, 3), dtype=torch.uint8), clip.positions(2, 64)
        )
        pair = torch.randn(1, 2, 32)
        image = model.visual.ln_post(clip.finish(model, embedded)[:, 0]) @ model.visual.proj
        logit = losses.pair_logit(image, pair)
        goal = losses.Target(torch.ones(1, 4), torch.ones(1, 4))
        with pytest.raises(RuntimeError):  # and a 3x3 window does not fit
            losses.window(model, embedded, pair, goal, 2)
    assert torch.isfinite(logit).all()


def test_an_equal_pair_of_images_has_no_distance() -> None:
    heads = losses.Heads(8)
    x = torch.randn(2, 9, 8)
    goal = losses.Target(torch.zeros(2, 9), torch.ones(2, 9))
    same = losses.episode(heads, 0, x, x.flip(1), goal)
    other = losses.episode(heads, 0, torch.randn(2, 9, 8), x, goal)
    assert same < other


def test_an_image_is_classified_by_every_name_that_is_true_of_it() -> None:
    names = torch.eye(3)
    sure = losses.classes(names[:1] * 5, names, torch.tensor([[1.0, 0, 0]]), torch.tensor(20.0))
    wrong = losses.classes(names[:1] * 5, names, torch.tensor([[0, 1.0, 0]]), torch.tensor(20.0))
    shared = losses.classes(
        (names[:1] + names[1:2]), names, torch.tensor([[1.0, 1.0, 0]]), torch.tensor(20.0)
    )
    assert sure < 1e-3 < wrong
    assert shared == pytest.approx(np.log(2), abs=1e-3)


def test_scenes_are_told_apart_by_mean_and_spread_of_the_tokens() -> None:
    heads = losses.Heads(4)
    torch.nn.init.zeros_(heads.scene.weight)
    torch.nn.init.zeros_(heads.scene.bias)
    raw = torch.randn(5, 9, 4)
    unsure = losses.scene(heads, raw, inside=4)
    # the one scene weighs as much as the four parts
    assert float(unsure.detach()) == pytest.approx(8 / 5 * np.log(2), abs=1e-4)
    (slope,) = torch.autograd.grad(unsure, heads.scene.weight)
    assert slope.abs().max() > 0


def test_open_clip_loads_the_export_and_the_bundle_is_written(tmp_path: Path) -> None:
    trainer = Trainer(TINY, tmp_path)
    steps(trainer, 0, 1)
    trainer.save()
    out = export_run(tmp_path, image_size=48)
    settings = json.loads((out / "config.json").read_text())
    from safetensors.torch import load_file

    model = open_clip.CLIP(settings["embed_dim"], settings["vision_cfg"], settings["text_cfg"])
    model.load_state_dict(load_file(out / "model.safetensors"))
    facts = json.loads((out / "facts.json").read_text())
    assert facts["steps"] == 1
    assert facts["views"] == 9  # three episodes, two layouts, one scene
    write_mini(out, tmp_path / "mini")
    from clipvet.detectors.clip import Bundle, Runtime

    with Runtime(Bundle.open(tmp_path / "mini"), needs={"cls_embed"}, device="cpu") as runtime:
        pixels = np.random.default_rng(0).integers(0, 256, (48, 48, 3), dtype=np.uint8)
        ours = runtime.encode_views([pixels])["cls_embed"][0]
        prompt = runtime.encode_text(["a photo of a damaged gear."])[0]
        assert runtime.unknown_words("a photo of a zeppelin") == ["zeppelin"]
    normal = (pixels / 255 - np.array(clip.MEAN)) / np.array(clip.STD)
    model.eval()
    with torch.no_grad():
        theirs = model.encode_image(torch.tensor(normal).float().permute(2, 0, 1)[None])[0].numpy()
        ids = torch.from_numpy(encode(build_tokenizer(), ["a photo of a damaged gear."]))
        words = model.encode_text(ids)[0].numpy()
    for a, b in ((ours, theirs), (prompt, words)):
        assert a @ b / np.linalg.norm(a) / np.linalg.norm(b) > 0.999  # fp16 on disk


def test_the_pool_renders_ahead_and_stops() -> None:
    pool = RenderPool(50, 32, 16)
    try:
        batch = pool.draw(np.random.default_rng(0), 5)
        assert [e.images.shape for e in batch.episodes] == [(2, 32, 32, 3)] * 5
        assert [picture.shape for picture, _ in batch.layouts] == [(24, 24, 3)] * 3
        assert batch.scenes.shape == (1, 32, 32, 3)
        assert pool.next_seed >= 62
    finally:
        pool.close()
