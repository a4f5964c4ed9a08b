"""What is eaten, swallowed or burnt down: food, medicine and candles."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from training import shapes as sh
from training.catalogue import food, medicine, nuts_and_pasta
from training.catalogue.curves import arc, flame, profile, shifted, spun
from training.catalogue.pieces import coloured, coloured_body, row, sector, taper
from training.catalogue.variants import Variants
from training.layers import Part

__all__ = ["PARTS"]

_WAX = ("white", "beige", "red", "yellow", "green", "purple", "pink", "blue", "orange", "white")


def _candle_pillar(p: Part) -> None:
    """A pillar from the side, on a plate: melted top with drips, wick, flame, a ribbon or words."""
    p.upright = True
    w, top = p.rng.uniform(0.22, 0.5), p.rng.uniform(-0.45, -0.1)
    wax = coloured_body(
        p,
        "plastic",
        _WAX,
        taper(0, (top + 0.84) / 2, w * p.rng.uniform(0.8, 1), w, (0.84 - top) / 2),
        relief=1.0,
    )
    plate = p.rng.uniform(w + 0.1, 0.85)
    dish = profile([(0.78, plate), (0.84, plate * 0.95), (0.95, w * 0.8)])
    p.detail(
        dish, like=coloured(p, p.pick("metal", "ceramic"), "silver", "gold", "white"), relief=0.6
    )
    drips = [
        shifted(_drip(long), x, top - 0.02)
        for x in row(int(p.rng.integers(3, 7)), w * 0.85)
        for long in [p.rng.uniform(0.12, 0.55)]
    ]
    p.detail(*drips, like=wax, shade=1.2, relief=0.6)
    p.detail(
        sh.ellipse(0, top, w * 0.97, p.rng.uniform(0.05, 0.1)), like=wax, shade=1.3, relief=0.2
    )
    if p.rng.random() < 0.7:
        y, h = p.rng.uniform(0.3, 0.6), p.rng.uniform(0.05, 0.12)
        band = coloured(p, "fabric", "red", "gold", "green", "blue", "white")
        p.detail(sh.rect(0, y, w, h), like=band, relief=0.3)
        gems = [sh.ngon(x, y, h * 0.6, 4) for x in row(int(p.rng.integers(2, 6)), w * 0.9)]
        p.detail(*gems, like=band, shade=p.rng.choice([0.5, 1.7]), relief=0.4)
    else:
        p.print(*sh.glyphs(p.rng, 0, 0.45, 3, w * 0.35))
    wick = np.array([[0, top + 0.02], [0.01, top - 0.1], [p.rng.uniform(-0.04, 0.04), top - 0.18]])
    p.detail(sh.stroke(wick, 0.04), like=coloured(p, "fabric", "black"), relief=0.5)
    if p.rng.random() < 0.65:
        _burn(p, 0, top - 0.1, p.rng.uniform(0.09, 0.14), p.rng.uniform(0.3, 0.45))


def _candle_tealight(p: Part) -> None:
    """A tealight from above: fluted metal cup, wax, its melted pool, the wick on its plate."""
    flutes = int(p.rng.integers(24, 56))
    cup = sh.cog(0, 0, 0.94, flutes, p.rng.uniform(0.015, 0.04))
    metal = coloured_body(p, "metal", ("silver", "silver", "grey", "gold"), cup, relief=0.9)
    ticks = sh.ring_of(sh.rect(0, 0, 0.03, 0.012), flutes, 0.87)
    p.detail(*ticks, like=metal, shade=0.55, relief=-0.2)
    p.detail(sector(0, 0, 0.8, 0.84), like=metal, shade=0.5, relief=-0.5)
    r = p.rng.uniform(0.74, 0.8)
    wax = p.detail(sh.circle(0, 0, r), like=coloured(p, "plastic", *_WAX), relief=0.3)
    if p.rng.random() < 0.6:
        pool = sh.blob(p.rng, 0, 0, r * p.rng.uniform(0.45, 0.8), 0.08)
        p.detail(pool, like=wax, shade=p.rng.uniform(0.75, 0.9), relief=-0.4)
    x, y = p.rng.normal(0, 0.03, 2)
    plate = p.rng.uniform(0.14, 0.24)
    p.detail(sh.circle(x, y, plate), like=metal, shade=p.rng.uniform(0.8, 1.1), relief=0.2)
    p.detail(sh.circle(x, y, plate * 0.45, 20), like=metal, shade=0.7, relief=0.4)
    a, long = p.rng.uniform(0, 2 * np.pi), p.rng.uniform(0.1, 0.34)
    wick = np.stack([np.linspace(0, long, 5), p.rng.normal(0, 0.03) * np.linspace(0, 1, 5) ** 2], 1)
    line = spun(wick, a, x, y)
    p.detail(
        sh.stroke(line, 0.065), like=coloured(p, "fabric", "white", "black", "beige"), relief=0.9
    )
    p.detail(
        shifted(sh.circle(0, 0, 0.04, 14), float(line[-1, 0]), float(line[-1, 1])),
        like=coloured(p, "fabric", "black", "brown"),
        relief=0.6,
    )


def _candle_holder(p: Part) -> None:
    """A twisted taper in a holder with foot and ring handle, seldom without its flame."""
    p.upright = True
    w, low, top = p.rng.uniform(0.08, 0.14), p.rng.uniform(0.3, 0.5), p.rng.uniform(-0.6, -0.45)
    socket, foot = w * p.rng.uniform(1.5, 2.0), p.rng.uniform(0.45, 0.7)
    stand = profile(
        [
            (low - 0.04, socket),
            (low + 0.08, socket * 0.9),
            ((low + 0.85) / 2, w * 0.9),
            (0.78, w),
            (0.86, foot),
            (0.95, foot),
        ]
    )
    metal = p.body(p.pick("metal", "metal", "wood", "ceramic"), stand, relief=0.9)
    side = float(p.rng.choice([-1, 1]))
    if p.rng.random() < 0.6:
        grip = arc(side * (foot * 0.62), (low + 0.9) / 2, 0.17, 0, 2 * np.pi)
        p.detail(sh.stroke(grip, 0.06), like=metal, shade=0.9, relief=0.8)
    p.detail(
        sh.rounded(0, low + 0.02, socket * 1.15, 0.035, 0.03), like=metal, shade=1.3, relief=0.6
    )
    knob = [sh.rounded(0, (low + 0.85) / 2 + k, w * 1.5, 0.03, 0.03) for k in (-0.05, 0.05)]
    p.detail(*knob, like=metal, shade=0.8, relief=0.5)
    shaft = taper(0, (top + low) / 2, w * p.rng.uniform(0.5, 0.9), w, (low - top) / 2)
    wax = p.detail(shaft, like=coloured(p, "plastic", *_WAX), relief=1.0)
    pitch, slope = p.rng.uniform(0.1, 0.18), p.rng.uniform(0.08, 0.2) * side
    twists = []
    for y in np.arange(top + abs(slope), low - abs(slope), pitch):
        half = np.interp(y, [top, low], [np.ptp(shaft[shaft[:, 1] < top + 0.01, 0]) / 2, w])
        line = np.array([[-half, y + slope], [0, y + slope * 0.1], [half, y - slope]])
        twists.append(sh.stroke(line, pitch * 0.4))
    p.detail(*twists, like=wax, shade=p.rng.choice([0.55, 0.7, 1.5]), relief=0.3)
    p.detail(shifted(_drip(0.25), w * 0.6 * side, top - 0.01), like=wax, shade=1.25, relief=0.6)
    p.detail(sh.rect(0, top - 0.05, 0.016, 0.07), like=coloured(p, "fabric", "black"), relief=0.5)
    if p.rng.random() < 0.8:
        _burn(p, 0, top - 0.05, p.rng.uniform(0.08, 0.12), top + 0.9)


def _drip(long: float) -> sh.Points:
    """Wax that ran down from the origin."""
    return profile([(0, 0.055), (long * 0.7, 0.035), (long * 0.85, 0.055), (long, 0.015)])


def _burn(p: Part, x: float, y: float, w: float, h: float) -> None:
    """A flame with its bright core."""
    lean = p.rng.uniform(-0.06, 0.06)
    fire = coloured(p, "plastic", "orange", "yellow", "orange")
    p.detail(flame(x, y, w, h, lean), like=fire, relief=0.2)
    p.detail(flame(x, y, w * 0.55, h * 0.6, lean * 0.5), like=fire, shade=1.6, relief=0.1)


PARTS: dict[str, Variants[Callable[[Part], None]]] = {
    **food.PARTS,
    **medicine.PARTS,
    **nuts_and_pasta.PARTS,
    "candle": Variants(trained=(_candle_pillar, _candle_tealight), held_out=(_candle_holder,)),
}
