"""CLIPMasterPrints of the embedded model: ``python -m training.mine_prints METHOD OUT``.

One picture that is near to many unrelated captions at once (arXiv 2307.03798; methods/safety.md
2.2): each print maximises the smallest cosine to the captions of 25 names. ``sgd`` moves the pixels
of a noise image with Adam, ``pgd`` moves the pixels of a render by at most 15 grey levels, and
``black_box`` searches a coarse colour field with an evolution strategy that sees nothing but
scores. OUT gets PNG files and ``prints.json`` with what each was mined for. The same arguments
give the same pictures on one machine. ``--side held_out`` draws other names and renders: for
measuring, and never for learning.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, get_args

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from clipvet.detectors.clip import Bundle, Runtime
from training import model as clip
from training.catalogue.variants import Side
from training.evolution import SeparableCma
from training.render import render
from training.scenes import make_program
from training.seeds import SEEDS
from training.synonyms import NAMES
from training.warm_start import weights

__all__ = ["CAPTION", "MINI", "SHIFT", "Print", "Victim", "black_box", "main", "mine", "pgd", "sgd"]

MINI = Path(__file__).resolve().parents[1] / "detectors/clip/mini"
CAPTION = "a photo of a {}."
SHIFT = 0.25
"""Lambda of the embedding shift in the paper (section 2.3)."""
_BUDGET, _RATE = 15, 0.1
_CELLS = 12
# Far from the seeds that other detectors learn from and that the benchmarks measure on.
_FIRST = 600_000

Pixels = NDArray[np.uint8]
Vectors = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True, eq=False)
class Print:
    """A mined picture, uint8 RGB [S, S, 3], and the names that it was mined for."""

    pixels: Pixels
    names: tuple[str, ...]


class Victim:
    """The embedded model in torch, for gradients with respect to pixels.

    Args:
        runtime: of the bundle, with ``cls_embed``; its scores are those that count.
        shift: lambda of the embedding shift under which prints are mined (section 2.3).
        image_mean: mean of genuine image embeddings [E], not normalised; for a shift.
    """

    def __init__(
        self, runtime: Runtime, *, shift: float = 0.0, image_mean: Vectors | None = None
    ) -> None:
        self.runtime = runtime
        self.side = runtime.info.image_size
        self._text = {
            name: row.astype(np.float64)
            for name, row in zip(
                NAMES, runtime.encode_text([CAPTION.format(name) for name in NAMES]), strict=True
            )
        }
        self._away = np.zeros(runtime.info.embed_dim)
        if image_mean is not None:
            self._away = shift * (image_mean - np.mean(list(self._text.values()), axis=0))
        self._model = clip.build(clip.config())
        self._model.load_state_dict(weights(runtime.bundle.folder, text=False), strict=False)
        self._model.requires_grad_(False).eval()
        vision = runtime.bundle.manifest.vision
        self._table = clip.positions(vision.grid, vision.width)

    def captions(self, names: tuple[str, ...]) -> Vectors:
        """Unit text embeddings [n, E]."""
        return _unit(np.stack([self._text[name] for name in names]) + self._away)

    def cosines(self, views: list[Pixels], captions: Vectors) -> Vectors:
        """Of pictures as the runtime sees them, with captions: [views, captions]."""
        embeddings = self.runtime.encode_views(views)["cls_embed"].astype(np.float64)
        cosines: Vectors = _unit(embeddings - self._away) @ captions.T
        return cosines

    def embed(self, pixels: Tensor) -> Tensor:
        """Unit image embeddings of float pixels 0..255 [B, S, S, 3]; can be differentiated."""
        with torch.autocast("cpu", torch.bfloat16):
            x = clip.finish(self._model, clip.tokens(self._model, pixels, self._table))[:, 0]
        out: Tensor = self._model.visual.ln_post(x.float()) @ self._model.visual.proj
        return torch.nn.functional.normalize(out - torch.from_numpy(self._away).float(), dim=-1)

    def smallest_cosine(self, pixels: Tensor, captions: Vectors) -> Tensor:
        """What mining maximises, of one picture [1, S, S, 3]."""
        text = torch.from_numpy(captions).float()
        return (self.embed(pixels) @ text.T).min()


def sgd(victim: Victim, captions: Vectors, seed: int, steps: int) -> Pixels:
    """Pixels from uniform noise by Adam at rate 0.1, clamped to 0..1."""
    torch.manual_seed(seed)
    x = torch.rand(1, victim.side, victim.side, 3).requires_grad_()
    optimiser = torch.optim.Adam([x], lr=_RATE)
    for _ in range(steps):
        optimiser.zero_grad()
        loss = -victim.smallest_cosine(255 * x, captions)
        loss.backward()  # type: ignore[no-untyped-call]
        optimiser.step()
        with torch.no_grad():
            x.clamp_(0, 1)
    return np.asarray((x.detach()[0] * 255).round().numpy(), np.uint8)


def pgd(victim: Victim, captions: Vectors, source: Pixels, steps: int) -> Pixels:
    """A picture moved along the sign of the gradient by 1 a step, at most 15 grey levels away."""
    start = torch.from_numpy(source.astype(np.float32))[None]
    low, high = (start - _BUDGET).clamp(0, 255), (start + _BUDGET).clamp(0, 255)
    x = start.clone()
    for _ in range(steps):
        x.requires_grad_()
        (slope,) = torch.autograd.grad(victim.smallest_cosine(x, captions), x)
        x = torch.minimum(torch.maximum(x.detach() + slope.sign(), low), high)
    return np.asarray(x[0].numpy(), np.uint8)


def black_box(victim: Victim, captions: Vectors, seed: int, steps: int) -> Pixels:
    """The best of a search that sees scores alone, over a field of 12x12 colours.

    In place of the paper's latent of a diffusion model: no such model ships with this project.
    """
    search = SeparableCma(3 * _CELLS * _CELLS, seed=seed)
    best, least = _field(search.mean, victim.side), np.inf
    for _ in range(steps):
        latents = search.ask()
        views = [_field(latent, victim.side) for latent in latents]
        losses = -victim.cosines(views, captions).min(axis=1)
        search.tell(losses)
        if losses.min() < least:
            best, least = views[int(losses.argmin())], float(losses.min())
    return best


def mine(
    victim: Victim, method: str, *, count: int, steps: int, side: Side, captions: int, seed: int
) -> list[Print]:
    """``count`` prints, each for captions of its own draw of part names.

    Args:
        victim: whose prints.
        method: ``sgd``, ``pgd`` or ``black_box``.
        count: how many.
        steps: of the optimiser; generations of the search.
        side: which renders PGD begins with, and a stream of draws of its own.
        captions: names each is mined for.
        seed: of draws and noise.
    """
    prints = []
    for i in range(count):
        stream = [seed, i, len(method), side == "train"]
        drawn = np.random.default_rng([53, *stream]).permutation(NAMES)[:captions]
        names = tuple(map(str, drawn))
        text = victim.captions(names)
        number = int(np.random.default_rng([59, *stream]).integers(2**31))
        if method == "sgd":
            pixels = sgd(victim, text, number, steps)
        elif method == "pgd":
            pixels = pgd(victim, text, _source(side, i, victim.side), steps)
        else:
            pixels = black_box(victim, text, number, steps)
        prints.append(Print(pixels=pixels, names=names))
    return prints


def write(prints: list[Print], victim: Victim, out: Path, facts: dict[str, Any]) -> None:
    """PNG files, and what is known of them."""
    out.mkdir(parents=True, exist_ok=True)
    rows = []
    for i, one in enumerate(prints):
        name = f"{i:03}.png"
        Image.fromarray(one.pixels).save(out / name)
        cosines = victim.cosines([one.pixels], victim.captions(one.names))[0]
        rows.append(
            {"file": name, "names": one.names, "least": cosines.min(), "mean": cosines.mean()}
        )
    text = json.dumps({**facts, "prints": rows}, indent=1)
    (out / "prints.json").write_text(text + "\n", "utf-8")


def _source(side: Side, index: int, size: int) -> Pixels:
    """A good render that PGD begins with."""
    return render(make_program(SEEDS[side].start + _FIRST + index), 0, size=(size, size)).image


def _field(latent: Vectors, side: int) -> Pixels:
    """Colours [12 x 12 x 3] around grey, enlarged to a picture."""
    field = latent.reshape(_CELLS, _CELLS, 3).astype(np.float32)
    smooth = cv2.resize(field, (side, side), interpolation=cv2.INTER_CUBIC)
    return np.asarray(np.clip(127.5 + 64 * smooth, 0, 255).round(), np.uint8)


def _unit(rows: Vectors) -> Vectors:
    unit: Vectors = rows / np.linalg.norm(rows, axis=-1, keepdims=True)
    return unit


@dataclass(frozen=True, kw_only=True)
class _Plan:
    count: int
    steps: int
    side: Side
    captions: int
    seed: int


def _genuine_mean(runtime: Runtime, side: Side) -> Vectors:
    first = SEEDS[side].start + _FIRST + 50_000
    size = (runtime.info.image_size,) * 2
    views = [render(make_program(first + i), 0, size=size).image for i in range(200)]
    mean: Vectors = runtime.encode_views(views)["cls_embed"].astype(np.float64).mean(axis=0)
    return mean


def main() -> None:
    """Mine from the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("method", choices=["sgd", "pgd", "black_box"])
    parser.add_argument("out", type=Path)
    parser.add_argument("--count", type=int, default=24)
    parser.add_argument("--steps", type=int, default=100)
    parser.add_argument("--side", choices=get_args(Side), default="train")
    parser.add_argument("--captions", type=int, default=25)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--shift", type=float, default=0.0, help="mine under an embedding shift")
    args = parser.parse_args()
    plan = _Plan(
        count=args.count,
        steps=args.steps,
        side=args.side,
        captions=args.captions,
        seed=args.seed,
    )
    with Runtime(Bundle.open(MINI), needs={"cls_embed"}, device="cpu") as runtime:
        mean = _genuine_mean(runtime, "train") if args.shift else None
        victim = Victim(runtime, shift=args.shift, image_mean=mean)
        prints = mine(victim, args.method, **asdict(plan))
        facts = {"method": args.method, "shift": args.shift, **asdict(plan)}
        write(prints, victim, args.out, facts)
    print(f"{args.out}: {len(prints)} prints")


if __name__ == "__main__":
    main()
