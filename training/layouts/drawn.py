"""Pictograms of harm that are drawn here, since few open fonts have them: contours as masks."""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np
from numpy.typing import NDArray

from training import shapes as sh

__all__ = ["DRAWN"]

Mask = NDArray[np.uint8]
_SIDE = 128


def _painted(*strokes: tuple[sh.Points, int]) -> Mask:
    """Outlines in -1..1, painted one over the other with 0 or 255."""
    canvas = np.zeros((4 * _SIDE, 4 * _SIDE), np.uint8)
    for points, tone in strokes:
        pixels = np.round((points + 1) * 2 * _SIDE).astype(np.int32)
        cv2.fillPoly(canvas, [pixels], tone)
    return np.asarray(cv2.resize(canvas, (_SIDE, _SIDE), interpolation=cv2.INTER_AREA), np.uint8)


def _turned(points: sh.Points, angle: float) -> sh.Points:
    c, s = np.cos(angle), np.sin(angle)
    out: sh.Points = points @ np.array([[c, s], [-s, c]])
    return out


def _blade(start: float, end: float, inner: float, outer: float) -> sh.Points:
    a = np.linspace(start, end, 20)
    arc = np.stack([np.cos(a), np.sin(a)], axis=1)
    return np.concatenate([inner * arc, outer * arc[::-1]])


def _radioactive() -> Mask:
    blades = [
        (_blade(a - np.pi / 6, a + np.pi / 6, 0.28, 0.95), 255)
        for a in np.pi / 2 + np.arange(3) * 2 * np.pi / 3 + np.pi
    ]
    return _painted(*blades, (sh.circle(0, 0, 0.18), 255))


def _biohazard() -> Mask:
    """Three open horns around a ring."""
    angles = -np.pi / 2 + np.arange(3) * 2 * np.pi / 3
    at = [(0.42 * np.cos(a), 0.42 * np.sin(a), a) for a in angles]
    horns = [(sh.circle(x, y, 0.5), 255) for x, y, _ in at]
    hollow = [(sh.circle(1.35 * x, 1.35 * y, 0.4), 0) for x, y, _ in at]
    gaps = [(_turned(sh.rect(0.9, 0, 0.25, 0.1), a), 0) for *_, a in at]
    slits = [(_turned(sh.rect(0.1, 0, 0.12, 0.03), a + np.pi), 0) for *_, a in at]
    ring = [(_blade(0, 2 * np.pi, 0.48, 0.6), 255)]
    cuts = [(_turned(_blade(-0.32, 0.32, 0.44, 0.64), a), 0) for a in angles]
    return _painted(*horns, *hollow, *gaps, (sh.circle(0, 0, 0.12), 0), *slits, *ring, *cuts)


def _skull() -> Mask:
    knobs = [sh.circle(s * 0.85, t * 0.1, 0.12) for s in (-1, 1) for t in (-1, 1)]
    bones = [
        (_turned(outline, angle) + np.array([0, 0.45]), 255)
        for angle in (0.5, np.pi - 0.5)
        for outline in (sh.rect(0, 0, 0.8, 0.09), *knobs)
    ]
    gap = [(sh.ellipse(0, -0.2, 0.66, 0.72), 0), (sh.rounded(0, 0.3, 0.42, 0.32, 0.1), 0)]
    head = [(sh.ellipse(0, -0.25, 0.58, 0.6), 255), (sh.rounded(0, 0.25, 0.34, 0.28, 0.1), 255)]
    eyes = [(sh.ellipse(s * 0.25, -0.2, 0.17, 0.19), 0) for s in (-1, 1)]
    nose = [(np.array([[0, 0.0], [0.1, 0.18], [-0.1, 0.18]]), 0)]
    teeth = [(sh.rect(x, 0.42, 0.025, 0.13), 0) for x in (-0.16, 0, 0.16)]
    return _painted(*bones, *gap, *head, *eyes, *nose, *teeth)


def _knife() -> Mask:
    blade = np.array([[-0.95, 0.1], [-0.6, -0.16], [0.25, -0.16], [0.25, 0.14], [-0.7, 0.14]])
    handle = sh.rounded(0.62, -0.01, 0.33, 0.15, 0.08)
    rivets = [(_turned(sh.circle(x, -0.01, 0.035), -0.7), 0) for x in (0.45, 0.62, 0.79)]
    guard = _turned(sh.rect(0.28, 0, 0.03, 0.2), -0.7)
    return _painted(
        (_turned(blade, -0.7), 255), (_turned(handle, -0.7), 255), (guard, 255), *rivets
    )


def _cleaver() -> Mask:
    blade = sh.rounded(-0.35, 0, 0.55, 0.36, 0.06)
    handle = sh.rounded(0.58, -0.2, 0.38, 0.1, 0.08)
    return _painted((blade, 255), (sh.circle(-0.75, -0.2, 0.07), 0), (handle, 255))


def _gun() -> Mask:
    """A pistol: slide, grip, trigger guard."""
    slide = sh.rounded(-0.1, -0.42, 0.82, 0.16, 0.04)
    grip = np.array([[0.25, -0.3], [0.72, -0.3], [0.85, 0.6], [0.45, 0.62]])
    guard = sh.rounded(0.08, -0.08, 0.24, 0.2, 0.1)
    hole = sh.rounded(0.08, -0.1, 0.16, 0.13, 0.08)
    sight = [(sh.rect(-0.85, -0.61, 0.04, 0.05), 255), (sh.rect(0.62, -0.61, 0.06, 0.05), 255)]
    lines = [(sh.rect(x, -0.42, 0.015, 0.1), 0) for x in (0.45, 0.53, 0.61)]
    trigger = [(sh.rect(0.06, -0.15, 0.025, 0.08), 255)]
    return _painted((guard, 255), (hole, 0), (slide, 255), (grip, 255), *sight, *lines, *trigger)


def _revolver() -> Mask:
    barrel = sh.rect(-0.5, -0.38, 0.46, 0.08)
    drum = sh.rounded(0.1, -0.32, 0.2, 0.18, 0.04)
    frame = np.array(
        [[-0.1, -0.5], [0.45, -0.5], [0.6, -0.2], [0.95, 0.55], [0.62, 0.66], [0.2, -0.1]]
    )
    flutes = [(sh.rect(0.1, y, 0.12, 0.02), 0) for y in (-0.4, -0.32, -0.24)]
    guard = [(sh.circle(0.12, 0.02, 0.2), 255), (sh.circle(0.12, 0.02, 0.13), 0)]
    hammer = [(np.array([[0.45, -0.5], [0.62, -0.68], [0.7, -0.6], [0.56, -0.36]]), 255)]
    return _painted(*guard, (barrel, 255), (frame, 255), (drum, 255), *flutes, *hammer)


def _fish() -> Mask:
    body = sh.ellipse(-0.15, 0, 0.68, 0.36)
    tail = np.array([[0.4, 0], [0.95, -0.4], [0.8, 0], [0.95, 0.4]])
    fin = np.array([[-0.2, -0.3], [0.2, -0.58], [0.25, -0.25]])
    gills = sh.stroke(np.array([[-0.4, -0.2], [-0.34, 0], [-0.4, 0.2]]), 0.05)
    return _painted(
        (body, 255), (tail, 255), (fin, 255), (gills, 0), (sh.circle(-0.58, -0.08, 0.06), 0)
    )


def _cat() -> Mask:
    """A head with two ears and whiskers."""
    ears = [
        (np.array([[s * 0.62, -0.9], [s * 0.68, -0.1], [s * 0.12, -0.45]]), 255) for s in (-1, 1)
    ]
    eyes = [(sh.ellipse(s * 0.27, -0.05, 0.1, 0.14), 0) for s in (-1, 1)]
    nose = [(np.array([[-0.08, 0.22], [0.08, 0.22], [0, 0.32]]), 0)]
    hairs = [
        (sh.stroke(np.array([[s * 0.3, 0.3], [s * 0.95, 0.3 + d]]), 0.035), 255)
        for s in (-1, 1)
        for d in (-0.1, 0.08)
    ]
    lines = [(sh.stroke(np.array([[s * 0.15, 0.3], [s * 0.5, 0.28]]), 0.03), 0) for s in (-1, 1)]
    return _painted(*ears, (sh.ellipse(0, 0.1, 0.7, 0.6), 255), *hairs, *eyes, *nose, *lines)


def _dog() -> Mask:
    """A head with hanging ears and a snout."""
    ears = [(_turned(sh.ellipse(s * 0.68, -0.05, 0.2, 0.5), s * -0.15), 255) for s in (-1, 1)]
    edges = [(sh.stroke(np.array([[s * 0.5, -0.5], [s * 0.46, 0.1]]), 0.05), 0) for s in (-1, 1)]
    head = [(sh.ellipse(0, -0.15, 0.56, 0.6), 255), (sh.ellipse(0, 0.4, 0.36, 0.42), 255)]
    eyes = [(sh.circle(s * 0.22, -0.2, 0.08), 0) for s in (-1, 1)]
    snout = [(sh.ellipse(0, 0.2, 0.16, 0.11), 0), (sh.rect(0, 0.42, 0.02, 0.14), 0)]
    mouth = [(sh.stroke(np.array([[-0.2, 0.5], [0, 0.58], [0.2, 0.5]]), 0.04), 0)]
    return _painted(*head, *ears, *edges, *eyes, *snout, *mouth)


# name of a drawing -> its mask, uint8 [128, 128]
DRAWN: dict[str, Callable[[], Mask]] = {
    "biohazard": _biohazard,
    "cat": _cat,
    "cleaver": _cleaver,
    "dog": _dog,
    "fish": _fish,
    "gun": _gun,
    "knife": _knife,
    "radioactive": _radioactive,
    "revolver": _revolver,
    "skull": _skull,
}
