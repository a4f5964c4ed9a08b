"""Two hashes of a picture: one that any change changes, and one that hardly any does."""

from __future__ import annotations

import hashlib

import numpy as np
from numpy.typing import NDArray

__all__ = ["fingerprint", "perceptual_hash"]

_SIDE, _LOW = 64, 16

Pixels = NDArray[np.uint8]


def fingerprint(small: Pixels) -> str:
    """16 hex digits of a shrunk picture's size and pixels."""
    digest = hashlib.blake2b(repr(small.shape).encode(), digest_size=8)
    digest.update(small.tobytes())
    return digest.hexdigest()


def perceptual_hash(small: Pixels) -> str:
    """64 hex digits: which of the 16 x 16 lowest cosines exceed their median (pHash, 256 bits).

    Of the luminance at 64 x 64. Scaling, compression and some light change few bits.
    """
    import cv2

    luma = cv2.cvtColor(small, cv2.COLOR_RGB2GRAY)
    square = cv2.resize(luma, (_SIDE, _SIDE), interpolation=cv2.INTER_AREA)
    low = cv2.dct(square.astype(np.float32))[:_LOW, :_LOW].ravel()
    return np.packbits(low > np.median(low[1:])).tobytes().hex()
