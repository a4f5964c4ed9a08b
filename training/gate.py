"""The domain gate of the embedded bundle: ``python -m training.gate [BUNDLE]``.

A logistic regression between renders of training programs (inside) and rendered everyday scenes
(outside, ``clutter.py``), on mean and spread of the tokens after the last block. The threshold is
exceeded by 0.3 % of other renders of training programs, because held-out things exceed it about
five times as often (NOTES.md); "inside for certain" ends where 20 % of them lie beyond, which
keeps most photographs out. No photograph takes part: on those, and on held-out programs, it is only
measured (``benchmarks/mini.py gate``).
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression

from clipvet.detectors.clip import Bundle, DomainGate, Runtime
from training.clutter import clutter
from training.render import render
from training.scenes import make_program

__all__ = ["FEATURES", "learn", "main", "part"]

FEATURES = ("hidden_4",)
# The end of the training range: no run has come that far.
_FIRST = 9_000_000
_FALSE_ALARMS = 0.003
_NOT_SURELY_INSIDE = 0.2
_C = 0.001


def learn(runtime: Runtime, *, inside: int, outside: int) -> DomainGate:
    """Learn from ``inside`` parts and ``outside`` scenes; as many parts again set the threshold."""
    side = runtime.info.image_size
    parts = _described(runtime, lambda i: part(_FIRST + i, side), 2 * inside)
    scenes = _described(runtime, lambda i: clutter(i, side), outside)
    x = np.concatenate([parts[:inside], scenes])
    mean, scale = x.mean(axis=0), x.std(axis=0) + 1e-6
    model = LogisticRegression(C=_C, max_iter=5000, class_weight="balanced")
    model.fit((x - mean) / scale, np.arange(len(x)) >= inside)
    weight, bias = model.coef_[0], float(model.intercept_[0])
    others = bias + (parts[inside:] - mean) / scale @ weight
    certain, limit = np.quantile(others, [1 - _NOT_SURELY_INSIDE, 1 - _FALSE_ALARMS])
    return DomainGate(FEATURES, mean, scale, weight, bias, float(limit), float(certain))


def part(seed: int, side: int) -> NDArray[np.uint8]:
    """A render of a program, every second one with a defect."""
    shown = render(make_program(seed), 0, defect="any" if seed % 2 else None, size=(side, side))
    return shown.image


def _described(
    runtime: Runtime, draw: Callable[[int], NDArray[np.uint8]], count: int
) -> NDArray[np.float64]:
    from clipvet.detectors.clip._gate import describe

    def batches() -> Iterator[NDArray[np.float64]]:
        for first in range(0, count, 64):
            views = [draw(i) for i in range(first, min(first + 64, count))]
            yield describe(runtime.encode_views(views), FEATURES)

    return np.concatenate(list(batches()))


def main() -> None:
    """Learn the gate of a bundle and add it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("bundle", type=Path, nargs="?", default=Path("detectors/clip/mini"))
    parser.add_argument("--inside", type=int, default=800)
    parser.add_argument("--outside", type=int, default=800)
    args = parser.parse_args()
    with Runtime(Bundle.open(args.bundle), needs=set(FEATURES), device="cpu") as runtime:
        gate = learn(runtime, inside=args.inside, outside=args.outside)
    gate.add_to(args.bundle)
    print(
        f"{args.bundle}: outside above {gate.threshold:.3f}, inside for certain up to "
        f"{gate.inside:.3f}"
    )


if __name__ == "__main__":
    main()
