"""What ``quality`` finds of rendered parts that a broken camera took: for benchmarks.detectors."""

from __future__ import annotations

import io
import tempfile
import time
from collections.abc import Callable, Iterator
from itertools import count, islice
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFilter

from clipvet.detectors import Batch, DetectorSpec, FitConfig, Host, Inspector, Query, View, fit
from training.render import render
from training.scenes import Program, make_program
from training.seeds import SEEDS

__all__ = ["FAULTS", "broken_cameras", "cost"]

Pixels = NDArray[np.uint8]
Numbers = dict[str, Any]

LEARNED, CALIBRATING, JUDGED = 16, 40, 20
RATE = 0.05
_SIZE = (192, 256)
_FIRST = 700_000
_POOR = {"blurry", "dark", "bright"}


def _gain(factor: float) -> Callable[[Pixels], Pixels]:
    return lambda x: np.clip(x * float(factor), 0, 255).astype(np.uint8)


def _blurred(sigma: float) -> Callable[[Pixels], Pixels]:
    return lambda x: np.asarray(Image.fromarray(x).filter(ImageFilter.GaussianBlur(sigma)))


def _dropped(rows: int) -> Callable[[Pixels], Pixels]:
    def fault(x: Pixels) -> Pixels:
        torn = x.copy()
        torn[len(x) // 3 : len(x) // 3 + rows] = 0
        return torn

    return fault


def _dead_column(x: Pixels) -> Pixels:
    torn = x.copy()
    torn[:, x.shape[1] // 2] = 255
    return torn


def _colourless(x: Pixels) -> Pixels:
    return np.repeat(np.asarray(Image.fromarray(x).convert("L"))[..., None], 3, axis=2)


def _hazy(x: Pixels) -> Pixels:
    return (0.3 * x + 110).astype(np.uint8)


# Fault -> what it does to a picture, and the checks that name it rightly.
FAULTS: Final[dict[str, tuple[Callable[[Pixels], Pixels], frozenset[str]]]] = {
    "light at 1/2": (_gain(0.5), frozenset({"dark", "exposure"})),
    "light at 1/4": (_gain(0.25), frozenset({"dark", "exposure"})),
    "light x 2": (_gain(2), frozenset({"exposure", "clipped"})),
    "light x 4": (_gain(4), frozenset({"exposure", "clipped"})),
    "blur 2 px": (_blurred(2), frozenset({"blurry"})),
    "blur 4 px": (_blurred(4), frozenset({"blurry"})),
    "haze": (_hazy, frozenset({"low_contrast", "exposure"})),
    "blank": (
        lambda x: np.full_like(x, 128),
        frozenset({"low_contrast", "low_information"}),
    ),
    "1 dropped row": (_dropped(1), frozenset({"lines"})),
    "3 dropped rows": (_dropped(3), frozenset({"lines"})),
    "dead column": (_dead_column, frozenset({"lines"})),
    "colour lost": (_colourless, frozenset({"colour"})),
}


def broken_cameras(parts: int) -> Numbers:
    """Of ``parts`` held-out parts: the share that each fault lifts above the limit, and is named.

    Each part has a recipe of its own, from 16 images to learn from and 40 that calibrate; then 20
    others are judged, as they are and with each fault.
    """
    above = dict.fromkeys(("none", *FAULTS), 0)
    named = dict.fromkeys(FAULTS, 0)
    coloured = 0
    host = Host.load()
    first = SEEDS["held_out"].start + _FIRST
    for seed in range(first, first + parts):
        program = make_program(seed)
        shots = list(islice(_sound(program), LEARNED + CALIBRATING + JUDGED))
        with tempfile.TemporaryDirectory() as scratch:
            good = Path(scratch, "good")
            good.mkdir()
            for number, pixels in enumerate(shots[:-JUDGED]):
                (good / f"{number}.png").write_bytes(_png(pixels))
            config = FitConfig(
                sources=(good,),
                out=Path(scratch, "recipe"),
                specs=(DetectorSpec(id="quality"),),
                rate=RATE,
                shots=LEARNED,
            )
            recipe = fit(config, host=host).out
            with Inspector.load(recipe, host=host) as inspector:
                is_coloured = bool(np.ptp(shots[0].astype(int), axis=2).mean() > 4)
                coloured += is_coloured
                for pixels in shots[-JUDGED:]:
                    above["none"] += inspector(pixels).verdict == "flag"
                    for name, (fault, right) in FAULTS.items():
                        if name == "colour lost" and not is_coloured:
                            continue
                        record = inspector(fault(pixels))
                        found = record.verdict == "flag"
                        above[name] += found
                        named[name] += found and record.detections[0].details["worst"] in right
    judged = dict.fromkeys(above, parts * JUDGED)
    judged["colour lost"] = coloured * JUDGED
    return {
        "n": judged,
        "promised": RATE,
        "above the limit": {name: round(above[name] / max(judged[name], 1), 3) for name in above},
        "named rightly": {name: round(named[name] / max(above[name], 1), 3) for name in named},
    }


def cost(rounds: int = 15) -> Numbers:
    """Milliseconds for one picture, one call at a time: median, smallest and largest."""
    import cv2

    program = make_program(SEEDS["held_out"].start + _FIRST)
    shot = render(program, 0, size=(480, 640)).image
    out: Numbers = {}
    for name, size in {"640 x 480": (640, 480), "4000 x 3000": (4000, 3000)}.items():
        pixels = np.asarray(cv2.resize(shot, size, interpolation=cv2.INTER_CUBIC), np.uint8)
        view = View(pixels=pixels, box=(0, 0, *size))
        batch = Batch(features={}, views=[view], queries=[(Query(),)])
        with Inspector(["quality"]) as inspector:
            detector = inspector.engine.slots[0].detector
            assert detector is not None
            times = []
            for _ in range(rounds + 1):
                start = time.perf_counter()
                detector.score(batch)
                times.append(1000 * (time.perf_counter() - start))
        times = sorted(times[1:])
        out[name] = [round(x, 1) for x in (times[len(times) // 2], times[0], times[-1])]
    return out


def _sound(program: Program) -> Iterator[Pixels]:
    """Good instances, without those that the renderer itself takes with a poor camera."""
    for instance in count():
        shot = render(program, instance, size=_SIZE)
        if not _POOR & set(shot.facts.camera):
            yield shot.image


def _png(pixels: Pixels) -> bytes:
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG")
    return file.getvalue()
