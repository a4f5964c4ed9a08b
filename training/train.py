"""Train ``mini``: ``python -m training.train --out training/runs/mini --minutes 50``.

The schedule follows the time spent, so the run ends when its budget does; a killed run resumes
from its last checkpoint when the same command is given again.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import math
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from tokenizers import Tokenizer
from torch import Tensor

from training import losses
from training import model as clip
from training.objective import terms
from training.pool import Batch, RenderPool
from training.seeds import SEEDS
from training.tokenizer import build_tokenizer, encode
from training.warm_start import translated, weights

__all__ = ["Plan", "Trainer", "main"]


@dataclasses.dataclass(frozen=True)
class Plan:
    """Budget and sizes of a run. Phases are (share of the time, side, episodes a step)."""

    minutes: float = 50.0
    phases: tuple[tuple[float, int, int], ...] = ((0.8, 128, 16), (1.0, 192, 8))
    rate: float = 7e-4
    pool: int = 2500
    windows: int = 6
    model: dict[str, Any] = dataclasses.field(default_factory=clip.config)


class Trainer:
    """Weights, their running mean, optimiser and counters of one run; saved and resumed whole."""

    def __init__(self, plan: Plan, out: Path, device: str = "cpu") -> None:
        torch.manual_seed(0)
        self.plan, self.out, self.device = plan, out, device
        self.model = clip.build(plan.model).to(device)
        self.heads = losses.Heads(plan.model["vision_cfg"]["width"]).to(device)
        self.tokenizer = build_tokenizer()
        self.mean = {k: v.detach().clone() for k, v in self.model.state_dict().items()}
        named = [(k, p) for k, p in self.model.named_parameters() if p.requires_grad]
        decayed = [p for k, p in named if p.dim() > 1 and "embedding" not in k]
        rest = [p for k, p in named if not (p.dim() > 1 and "embedding" not in k)]
        heads = list(self.heads.parameters())
        self.optimiser = torch.optim.AdamW(
            [
                {"params": decayed, "weight_decay": 0.05, "faster": 1},
                {"params": rest, "weight_decay": 0.0, "faster": 1},
                # Margins and scales are few and far from where they end up.
                {"params": heads, "weight_decay": 0.0, "faster": 10},
            ],
            lr=plan.rate,
            betas=(0.9, 0.98),
        )
        self.step, self.seconds, self.views, self.seed = 0, 0.0, 0, SEEDS["train"].start

    def save(self) -> None:
        """Write the checkpoint; the previous one is replaced only when it is complete."""
        part = self.out / "checkpoint.part"
        torch.save(
            {
                "model": self.model.state_dict(),
                "heads": self.heads.state_dict(),
                "mean": self.mean,
                "optimiser": self.optimiser.state_dict(),
                "step": self.step,
                "seconds": self.seconds,
                "views": self.views,
                "seed": self.seed,
                "plan": dataclasses.asdict(self.plan),
                "tokenizer": self.tokenizer.to_str(),
            },
            part,
        )
        part.replace(self.out / "checkpoint.pt")

    def resume(self) -> bool:
        """Take up the checkpoint, if there is one."""
        path = self.out / "checkpoint.pt"
        if not path.exists():
            return False
        saved = torch.load(path, weights_only=True, map_location=self.device)
        if saved["tokenizer"] != self.tokenizer.to_str():
            raise ValueError(f"{path} was trained with other words (training/tokenizer.json)")
        self.model.load_state_dict(saved["model"])
        self.heads.load_state_dict(saved["heads"])
        self.optimiser.load_state_dict(saved["optimiser"])
        self.mean, self.step, self.seconds = saved["mean"], saved["step"], saved["seconds"]
        self.views, self.seed = saved["views"], saved["seed"]
        return True

    def begin(self, bundle: Path, *, text: bool) -> None:
        """Take the weights of a bundle; words that it does not know stay as drawn."""
        state = weights(bundle, text=text)
        if text:
            state["token_embedding.weight"] = translated(
                state["token_embedding.weight"],
                Tokenizer.from_file(str(bundle / "tokenizer.json")),
                self.model.token_embedding.weight.detach().cpu(),
                self.tokenizer,
            )
        _, unknown = self.model.load_state_dict(state, strict=False)
        if unknown:
            raise ValueError(f"these weights are not of this model: {unknown[:3]}")
        self.mean = {k: v.detach().clone() for k, v in self.model.state_dict().items()}

    @property
    def progress(self) -> float:
        """Share of the time budget that is spent, 0..1."""
        return min(1.0, self.seconds / (60 * self.plan.minutes))

    def phase(self) -> tuple[int, int]:
        """Side and episodes a step that are due now."""
        return next((side, n) for end, side, n in self.plan.phases if self.progress <= end)

    def update(self, batch: Batch, rng: np.random.Generator) -> dict[str, float]:
        """One optimiser step; the value of every term."""
        warm = min(1.0, (self.step + 1) / 100)
        cosine = 0.5 * (1 + math.cos(math.pi * self.progress))
        rate = self.plan.rate * warm * (0.02 + 0.98 * cosine)
        for group in self.optimiser.param_groups:
            group["lr"] = rate * group["faster"]
        with torch.autocast(self.device, dtype=torch.bfloat16):
            found = terms(
                self.model, self.heads, self._encode, batch, rng, windows=self.plan.windows
            )
        loss = torch.stack(list(found.values())).sum()
        if not torch.isfinite(loss):
            raise RuntimeError(f"the loss is not finite at step {self.step}: {found}")
        self.optimiser.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
        self.optimiser.step()
        with torch.no_grad():
            self.model.logit_scale.clamp_(0, float(np.log(100)))
            keep = min(0.998, (self.step + 1) / (self.step + 10))
            for k, v in self.model.state_dict().items():
                self.mean[k].lerp_(v, 1 - keep)
        self.step += 1
        self.views += 2 * len(batch.episodes) + len(batch.layouts) + len(batch.scenes)
        return {k: float(v.detach()) for k, v in found.items()}

    def _encode(self, texts: Sequence[str]) -> Tensor:
        ids = torch.from_numpy(encode(self.tokenizer, texts)).to(self.device)
        return clip.encode_text(self.model, ids).float()


def run(trainer: Trainer, *, save_every: float = 180.0, max_steps: int | None = None) -> None:
    """Train until the budget is spent, logging and saving on the way."""
    log = (trainer.out / "log.jsonl").open("a")
    last_save, pool, side = time.monotonic(), None, 0
    while trainer.progress < 1 and (max_steps is None or trainer.step < max_steps):
        started = time.monotonic()
        wanted, count = trainer.phase()
        if wanted != side:
            if pool is not None:
                pool.close()
            side = wanted
            pool = RenderPool(trainer.seed, side, trainer.plan.pool)
        assert pool is not None
        rng = np.random.default_rng([3, trainer.step])
        found = trainer.update(pool.draw(rng, count), rng)
        trainer.seed = pool.next_seed
        trainer.seconds += time.monotonic() - started
        if trainer.step % 20 == 0:
            line = {
                "step": trainer.step,
                "seconds": round(trainer.seconds),
                "side": side,
                "rendered": trainer.seed,
                **{k: round(v, 4) for k, v in found.items()},
            }
            log.write(json.dumps(line) + "\n")
            log.flush()
        if time.monotonic() - last_save > save_every:
            trainer.save()
            last_save = time.monotonic()
    trainer.save()
    log.close()
    if pool is not None:
        pool.close()


def main() -> None:
    """Train from the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--minutes", type=float, default=Plan.minutes)
    parser.add_argument("--rate", type=float, default=Plan.rate, help="peak learning rate")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--start", type=Path, help="begin with the weights of this bundle")
    parser.add_argument("--start-vision", type=Path, help="the same, its image tower alone")
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    args.out.mkdir(parents=True, exist_ok=True)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    trainer = Trainer(Plan(minutes=args.minutes, rate=args.rate), args.out, device)
    if trainer.resume():
        print(f"resumed at step {trainer.step}, {trainer.seconds / 60:.1f} minutes spent")
    elif args.start or args.start_vision:
        trainer.begin(args.start or args.start_vision, text=bool(args.start))
    run(trainer)
    print(f"{trainer.step} steps, {trainer.views} views, {trainer.seconds / 60:.1f} minutes")


if __name__ == "__main__":
    main()
