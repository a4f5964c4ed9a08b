"""A copy of a bundle's text tower in torch, to be trained. Imports torch."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 - its usual name

from clipvet.detectors.clip import Bundle

__all__ = ["TextTower"]


class TextTower(nn.Module):
    """The numbers of ``text.onnx``, differentiable; begins as a copy of the given weights.

    Args:
        bundle: whose sizes it has.
        weights: by their names in the graph.
    """

    def __init__(self, bundle: Bundle, weights: Mapping[str, NDArray[np.float32]]) -> None:
        super().__init__()
        self._names = list(weights)
        self._parameters_by_name = nn.ParameterList(
            [nn.Parameter(torch.from_numpy(value.copy())) for value in weights.values()]
        )
        self._layers = bundle.manifest.text.layers
        self._heads = bundle.manifest.text.heads
        self._quick = bundle.manifest.activation == "quickgelu"

    def weights(self) -> dict[str, NDArray[np.float32]]:
        """What it holds now, by the names of the graph."""
        return {
            name: value.detach().cpu().numpy()
            for name, value in zip(self._names, self._parameters_by_name, strict=True)
        }

    def forward(self, ids: Tensor, added: Tensor) -> Tensor:
        """Text embeddings.

        Args:
            ids: token ids int64 [M, T]; the end of text is the largest of a row.
            added: to the tokens of each position, [M or 1, context length, Wt].

        Returns:
            [M, E], not normalised.
        """
        weights = dict(zip(self._names, self._parameters_by_name, strict=True))
        length = ids.shape[1]
        x = F.embedding(ids, weights["token_embedding.weight"])
        x = x + weights["positional_embedding"][:length] + added[:, :length]
        for layer in range(self._layers):
            x = self._block(x, weights, f"transformer.resblocks.{layer}")
        end = ids.argmax(dim=1)
        read = _norm(x, weights, "ln_final")[torch.arange(len(x), device=x.device), end]
        embedding: Tensor = read @ weights["text_projection"]
        return embedding

    def _block(self, x: Tensor, weights: Mapping[str, Tensor], prefix: str) -> Tensor:
        batch, length, width = x.shape
        joint = _linear(_norm(x, weights, f"{prefix}.ln_1"), weights, f"{prefix}.attn.in_proj")
        q, k, v = (
            part.reshape(batch, length, self._heads, -1).transpose(1, 2)
            for part in joint.chunk(3, dim=-1)
        )
        mixed = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        merged = mixed.transpose(1, 2).reshape(batch, length, width)
        x = x + _linear(merged, weights, f"{prefix}.attn.out_proj")
        hidden = _linear(_norm(x, weights, f"{prefix}.ln_2"), weights, f"{prefix}.mlp.c_fc")
        hidden = hidden * torch.sigmoid(1.702 * hidden) if self._quick else F.gelu(hidden)
        return x + _linear(hidden, weights, f"{prefix}.mlp.c_proj")


def _norm(x: Tensor, weights: Mapping[str, Tensor], name: str) -> Tensor:
    weight, bias = weights[f"{name}.weight"], weights[f"{name}.bias"]
    return F.layer_norm(x, (x.shape[-1],), weight, bias, eps=1e-5)


def _linear(x: Tensor, weights: Mapping[str, Tensor], name: str) -> Tensor:
    return x @ weights[f"{name}.weight_t"] + weights[f"{name}.bias"]
