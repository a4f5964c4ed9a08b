"""Bolts, nuts and screws; with the flat fasteners all that holds things together."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from training import shapes as sh
from training.catalogue import fasteners_flat
from training.catalogue.curves import arc, profile, shifted, spun
from training.catalogue.pieces import coloured_body, taper
from training.catalogue.variants import Variants
from training.layers import Part
from training.textures import Texture

__all__ = ["PARTS"]

_STEEL = ("silver", "grey", "silver", "gold", "black", "copper")


def _bolt_head(p: Part) -> None:
    """A head from above, round or hexagonal, with its drive."""
    hexagonal = p.rng.random() < 0.5
    head = sh.ngon(0, 0, 0.9, 6) if hexagonal else sh.circle(0, 0, 0.9)
    body = p.body(p.pick("metal", "metal", "plastic"), head, relief=0.8)
    p.detail(sh.circle(0, 0, 0.7), like=body, shade=1.12)
    w = p.rng.uniform(0.06, 0.12)
    drive = p.pick("slot", "cross", "hex")
    if drive == "hex":
        p.detail(sh.ngon(0, 0, 0.35, 6), like=body, shade=0.3, relief=-0.5)
    else:
        bars = [sh.rect(0, 0, 0.5, w)] + ([sh.rect(0, 0, w, 0.5)] if drive == "cross" else [])
        p.detail(*bars, like=body, shade=0.3, relief=-0.5)


def _bolt_hexagon(p: Part) -> None:
    """Lying: a hexagon head of three faces, a bare shank, a blunt threaded end."""
    w, head = p.rng.uniform(0.17, 0.27), p.rng.uniform(0.14, 0.2)
    h, neck = w * p.rng.uniform(1.8, 2.1), -0.95 + 2 * head
    start = p.rng.uniform(neck + 0.1, 0.35)
    # the chamfer of the head rounds its outer corners
    hexagon = np.array(
        [
            [neck, -h],
            [neck, h],
            [head - 0.95, h],
            [-0.94, h * 0.75],
            [-0.95, 0],
            [-0.94, -h * 0.75],
            [head - 0.95, -h],
        ]
    )
    shank = np.array(
        [[neck, -w], [0.88, -w], [0.95, 0.06 - w], [0.95, w - 0.06], [0.88, w], [neck, w]]
    )
    body = coloured_body(p, "metal", _STEEL, hexagon, shank, relief=0.9)
    middle, half = (neck - 0.95) / 2, head * 0.95
    p.detail(sh.rect(middle, h * 0.75, half * 0.93, h * 0.23), like=body, shade=0.6, relief=-0.2)
    p.detail(sh.rect(middle, -h * 0.75, half * 0.93, h * 0.23), like=body, shade=1.2, relief=-0.2)
    edges = [sh.rect(middle, s * h * 0.5, half, 0.012) for s in (-1, 1)]
    p.detail(*edges, like=body, shade=1.5, relief=0.2)
    p.detail(sh.rect(neck + 0.02, 0, 0.025, w), like=body, shade=0.4, relief=-0.3)
    _turns(p, body, (start, 0.87), w, p.rng.uniform(0.055, 0.1))


def _bolt_carriage(p: Part) -> None:
    """Standing: a mushroom head on a square neck, and a nut on a washer at the other end."""
    w, h = p.rng.uniform(0.11, 0.17), p.rng.uniform(0.4, 0.52)
    dome = profile([(-0.95, 0.02), (-0.93, h * 0.5), (-0.78, h), (-0.75, h * 0.96)])
    neck, start = p.rng.uniform(0.1, 0.16), p.rng.uniform(-0.2, 0.1)
    rod = sh.rounded(0, 0.1, w, 0.85, 0.05)
    body = coloured_body(p, "metal", _STEEL, rod, sh.rect(0, neck - 0.76, w * 1.3, neck), dome)
    p.detail(dome, like=body, relief=1.2)
    shine = arc(0, -0.4, 0.46, -2.2, -1.5, n=10)
    p.detail(sh.stroke(shine, 0.035), like=body, shade=1.7, relief=0.0)
    p.detail(sh.rect(0, neck - 0.74, w * 1.2, neck), like=body, shade=0.75, relief=0.4)
    ribs = _ridges((start, 0.92), w, p.rng.uniform(0.05, 0.085))
    p.detail(*[r[:, ::-1] for r in ribs], like=body, shade=0.5, relief=-0.4)
    y, tall = p.rng.uniform(0.25, 0.62), p.rng.uniform(0.12, 0.16)
    wide = w * p.rng.uniform(2.0, 2.4)
    if p.rng.random() < 0.7:
        plate = sh.rounded(0, y - tall - 0.035, wide * 1.35, 0.04, 0.02)
        p.detail(plate, like=body, shade=0.85, relief=0.9)
    nut = p.detail(sh.rounded(0, y, wide, tall, 0.05), like=body, shade=1.1, relief=1.0)
    split = p.rng.uniform(-0.25, 0.25) * wide
    p.detail(
        taper((split + wide) / 2, y, (wide - split) / 2, (wide - split) / 2.2, tall * 0.92),
        like=nut,
        shade=0.65,
        relief=-0.2,
    )
    p.detail(sh.rect(split, y, 0.012, tall * 0.9), like=nut, shade=1.4, relief=0.2)


def _nut_plain(p: Part) -> None:
    """From above: hexagonal or square, with a bore."""
    material, corners = p.pick("metal", "metal", "plastic"), int(p.pick("6", "6", "4"))
    body = p.body(material, sh.ngon(0, 0, 0.95, corners))
    p.detail(sh.circle(0, 0, 0.75), like=body, shade=1.15)
    radius = p.rng.uniform(0.35, 0.55)
    p.hole(sh.circle(0, 0, radius))


def _nut_wing(p: Part) -> None:
    """A threaded hub between two wings to turn it by hand."""
    r, lift = p.rng.uniform(0.3, 0.38), p.rng.uniform(0.0, 0.35)
    t = np.linspace(0, 1, 14)
    wings = []
    for s in (-1, 1):
        line = np.stack([s * (0.15 + 0.6 * t), -lift * t**1.5], axis=1)
        wings.append(sh.stroke(line, p.rng.uniform(0.26, 0.32) + 0.14 * np.sin(np.pi * t**1.6)))
        wings.append(sh.ellipse(s * 0.76, -lift, 0.18, 0.2, 24))
    body = p.body(p.pick("metal", "metal", "plastic"), *wings, relief=0.8)
    flutes = [sh.ellipse(s * 0.65, -lift * 0.78, 0.16, 0.09, 24) for s in (-1, 1)]
    p.detail(*flutes, like=body, shade=0.7, relief=-0.5)
    p.detail(sh.circle(0, 0, r + 0.06), like=body, shade=0.8, relief=0.8)
    p.detail(sh.circle(0, 0, r), like=body, shade=1.15, relief=0.5)
    bore = r * p.rng.uniform(0.6, 0.72)
    p.detail(sh.circle(0, 0, bore), like=body, shade=0.4, relief=-0.6)
    p.hole(sh.circle(0, 0, bore * 0.84))


def _nut_aslant(p: Part) -> None:
    """Seen from aside: a hexagonal block with its upright faces and threads down the bore."""
    squash, deep = p.rng.uniform(0.55, 0.75), p.rng.uniform(0.3, 0.55)
    turn, flat = p.rng.uniform(0, np.pi / 3), np.array([1, squash])
    top = shifted(sh.ngon(0, 0, 0.9, 6, turn) * flat, 0, -deep / 2)
    front = sorted(range(6), key=lambda k: top[k, 1])
    near = [k for k in range(6) if top[[k, (k + 1) % 6], 1].mean() > -deep / 2 + 0.05]
    faces = [_face(top[k], top[(k + 1) % 6], deep) for k in near]
    body = coloured_body(p, "metal", _STEEL, top, *faces, relief=0.6)
    for face, dim in zip(faces, p.rng.permutation([0.45, 0.6, 0.8, 0.95]), strict=False):
        p.detail(face, like=body, shade=float(dim), relief=0.3)
    seams = [sh.stroke(np.stack([top[k], top[k] + [0, deep]]), 0.02) for k in front[3:]]
    p.detail(*seams, like=body, shade=1.5, relief=0.2)
    p.detail(top, like=body, shade=0.8, relief=0.5)
    crown = shifted(sh.circle(0, 0, 0.77) * flat, 0, -deep / 2)
    p.detail(crown, like=body, shade=1.2, relief=0.3)
    bore = p.rng.uniform(0.42, 0.54)
    if p.rng.random() < 0.4:
        collar = shifted(sh.circle(0, 0, bore + 0.13) * flat, 0, -deep / 2)
        p.detail(collar, relief=0.5)
    mouth = shifted(sh.circle(0, 0, bore) * flat, 0, -deep / 2)
    inner = p.detail(mouth, like=body, shade=0.3, relief=-0.8)
    steps = np.arange(0.05, deep * 0.8, p.rng.uniform(0.07, 0.1))
    a = np.linspace(np.pi * 1.08, np.pi * 1.92, 16)
    turns = []
    for dy in steps:
        line = np.stack([bore * np.cos(a), bore * squash * np.sin(a) + dy - deep / 2], axis=1)
        lowest = squash * np.sqrt(bore**2 - line[:, 0] ** 2) - deep / 2
        line = line[line[:, 1] < lowest - 0.02]
        if len(line) > 1:
            turns.append(sh.stroke(line, 0.03))
    p.detail(*turns, like=inner, shade=2.6, relief=0.4)
    # the ground shows where the bore's far end lies within its mouth
    far = shifted(mouth * [0.92, 0.92], 0, deep * 0.75)
    far[:, 1] = np.minimum(far[:, 1], -deep / 2 + squash * np.sqrt(bore**2 - far[:, 0] ** 2))
    p.hole(far)


def _screw_fine(p: Part) -> None:
    """Lying: a rounded head, a pointed shank with turns across it."""
    w, length = p.rng.uniform(0.14, 0.24), 0.95
    head = sh.rounded(-0.78, 0, 0.16, w * p.rng.uniform(1.7, 2.3), 0.08)
    tip = np.array([[-0.7, -w], [length - 0.2, -w], [length, 0], [length - 0.2, w], [-0.7, w]])
    body = p.body("metal", head, tip, relief=0.9)
    pitch = p.rng.uniform(0.07, 0.12)
    turns = [
        sh.stroke(np.array([[x, -w * 1.15], [x + 0.04, 0], [x + 0.06, w * 1.15]]), pitch * 0.5)
        for x in np.arange(-0.35, 0.72, pitch)
    ]
    p.detail(*turns, like=body, shade=0.55, relief=0.3)


def _screw_wood(p: Part) -> None:
    """Standing: a countersunk head, a bare neck, a slim cone with a coarse saw-toothed thread."""
    w, h = p.rng.uniform(0.1, 0.16), p.rng.uniform(0.32, 0.45)
    start, pitch = p.rng.uniform(-0.5, 0.0), p.rng.uniform(0.11, 0.17)
    sink = np.array([[-h, -0.95], [h, -0.95], [h, -0.91], [w, -0.6], [-w, -0.6], [-h, -0.91]])
    core = np.array([[-w, -0.65], [w, -0.65], [w * 0.85, 0.55], [0.02, 0.95], [-w * 0.85, 0.55]])
    y = np.arange(start, 0.86, pitch)
    reach = w * np.interp(y, [start, 0.5, 0.95], [1.65, 1.6, 0.4])
    blades = [
        np.array([[-r, v + 0.2 * pitch], [r, v - 0.2 * pitch], [0.6 * r, v + 0.25 * pitch]])
        if k % 2
        else np.array([[-r, v + 0.3 * pitch], [r, v - 0.15 * pitch], [-0.6 * r, v - 0.1 * pitch]])
        for k, (v, r) in enumerate(zip(y, reach, strict=True))
    ]
    body = coloured_body(p, "metal", (*_STEEL, "gold"), sink, core, *blades, relief=0.6)
    p.detail(core * [0.9, 1], like=body, shade=0.75, relief=0.3)
    ridges = []
    for v, r in zip(y, reach, strict=True):
        line = np.array([[-r, v + 0.22 * pitch], [0, v + 0.08 * pitch], [r, v - 0.2 * pitch]])
        ridges.append(sh.stroke(line, pitch * 0.36))
    p.detail(*ridges, like=body, shade=1.25, relief=0.8)
    p.detail(sh.rect(0, -0.93, h * 0.96, 0.025), like=body, shade=1.4, relief=0.3)
    slot = h * p.rng.uniform(0.15, 0.3)
    p.detail(taper(0, -0.89, slot, slot * 0.7, 0.06), like=body, shade=0.25, relief=-0.5)


def _screw_drilling(p: Part) -> None:
    """Aslant: a hexagon washer head with a rubber seal, a helix, a drill for a tip."""
    turn, w = p.rng.uniform(-0.9, 0.9), p.rng.uniform(0.1, 0.14)
    h, brim = w * p.rng.uniform(1.8, 2.2), w * p.rng.uniform(2.8, 3.4)
    head = sh.rounded(-0.82, 0, 0.13, h, 0.04)
    disc = sh.rounded(-0.665, 0, 0.035, brim, 0.03)
    drill = np.array(
        [
            [0.55, -w],
            [0.64, -w * 0.62],
            [0.86, -w * 0.62],
            [0.97, 0.01],
            [0.86, w * 0.62],
            [0.64, w * 0.62],
            [0.55, w],
        ]
    )
    shank = sh.rect(-0.05, 0, 0.62, w)
    outline = [spun(s, turn) for s in (head, disc, shank, drill)]
    body = coloured_body(p, "metal", _STEEL, *outline, relief=0.7)
    faces = [spun(sh.rect(-0.83, s * h * 0.72, 0.11, h * 0.24), turn) for s in (-1, 1)]
    p.detail(*faces, like=body, shade=0.6, relief=-0.2)
    p.detail(spun(disc, turn), like=body, shade=1.25, relief=0.6)
    if p.rng.random() < 0.7:
        seal = sh.rounded(-0.6, 0, 0.035, brim * 0.9, 0.03)
        p.detail(spun(seal, turn), material="rubber", relief=0.7)
    pitch = p.rng.uniform(0.085, 0.125)
    t = np.linspace(-1, 1, 9)
    helix = []
    for x in np.arange(-0.48, 0.58, pitch):
        line = np.stack([x + pitch * 0.6 * np.sin(t * np.pi / 2), t * w * 1.5], axis=1)
        helix.append(spun(sh.stroke(line, pitch * 0.42 * (1.15 - t * t)), turn))
    p.detail(*helix, like=body, shade=p.rng.uniform(1.2, 1.5), relief=0.9)
    flute = np.array([[0.6, w * 0.15], [0.94, -w * 0.1], [0.84, w * 0.5], [0.64, w * 0.5]])
    p.detail(spun(flute, turn), like=body, shade=0.35, relief=-0.6)


def _ridges(reach: tuple[float, float], w: float, pitch: float) -> list[sh.Points]:
    """Slanted grooves across a lying rod of half height ``w``."""
    lean = np.array([[-0.3, -1.04], [0, 0], [0.3, 1.04]]) * [pitch, w]
    return [sh.stroke(shifted(lean, x, 0), pitch * 0.42) for x in np.arange(*reach, pitch)]


def _turns(p: Part, body: Texture, reach: tuple[float, float], w: float, pitch: float) -> None:
    """A thread on a lying rod: dark grooves, and a lit crest beside each."""
    grooves = _ridges(reach, w, pitch)
    p.detail(*grooves, like=body, shade=0.45, relief=-0.5)
    crests = [shifted(g * [1, 0.96], pitch * 0.45, 0) for g in grooves[:-1]]
    p.detail(*crests, like=body, shade=1.25, relief=0.4)


def _face(a: sh.Points, b: sh.Points, deep: float) -> sh.Points:
    """The upright face below an edge."""
    down = np.array([0, deep])
    return np.stack([a, b, b + down, a + down])


PARTS: dict[str, Variants[Callable[[Part], None]]] = {
    **fasteners_flat.PARTS,
    "bolt": Variants(trained=(_bolt_head, _bolt_hexagon), held_out=(_bolt_carriage,)),
    "nut": Variants(trained=(_nut_plain, _nut_wing), held_out=(_nut_aslant,)),
    "screw": Variants(trained=(_screw_fine, _screw_wood), held_out=(_screw_drilling,)),
}
