"""CLIPN's two losses. Imports torch."""

from __future__ import annotations

from torch import Tensor
from torch.nn.functional import logsigmoid

__all__ = ["opposite_semantics", "true_and_false"]

# Of the reference: the square root has no derivative at 0.
_EPSILON = 1e-4


def true_and_false(images: Tensor, yes: Tensor, no: Tensor, own: Tensor, *, scale: float) -> Tensor:
    """ITBO, image-text binary-opposite loss (CLIPN, equations 4 and 5; loss.py).

    An image's own captions must not be negated, all others must. The reference knows one own
    caption for each image, the diagonal, to which this reduces.

    Args:
        images: unit rows [N, E].
        yes: unit text rows of the yes tower [N, E].
        no: of the no tower [N, E].
        own: bool [N, N], which caption is true of which image.
        scale: factor on cosines.
    """
    # log of a sigmoid, not of a softmax that may have become 0 as in the reference.
    margin = scale * images @ (yes - no).T
    right = -(logsigmoid(margin) * own).sum() / own.sum()
    wrong = -(logsigmoid(-margin) * ~own).sum() / (~own).sum().clamp(min=1)
    return right + wrong


def opposite_semantics(yes: Tensor, no: Tensor) -> Tensor:
    """TSO, text semantic-opposite loss, 0..2: 0 where both embeddings are opposite (equation 6).

    Args:
        yes: unit text rows of the yes tower [N, E].
        no: of the no tower [N, E].
    """
    return (2 - (2 - 2 * (yes * no).sum(dim=-1) + _EPSILON).sqrt()).mean()
