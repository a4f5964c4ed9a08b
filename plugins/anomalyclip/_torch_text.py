"""A bundle's text tower in torch, so that gradients reach the prompts. Imports torch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812 - its usual name

from clipvet.detectors.clip import Bundle

__all__ = ["TextTower"]


class TextTower:
    """The same numbers as ``text_embeds.onnx``, differentiable; its own weights are frozen.

    Args:
        bundle: whose text tower it is.
        device: of torch.
    """

    def __init__(self, bundle: Bundle, device: torch.device) -> None:
        weights = bundle.weights("text_embeds")
        self._weights: Mapping[str, Tensor] = {
            name: torch.from_numpy(value).to(device) for name, value in weights.items()
        }
        self._layers = bundle.manifest.text.layers
        self._heads = bundle.manifest.text.heads
        self._quick = bundle.manifest.activation == "quickgelu"

    def __call__(self, tokens: Tensor, end: Tensor, deep: Sequence[Tensor]) -> Tensor:
        """Text embeddings.

        Args:
            tokens: token embeddings before positions [M, T, Wt].
            end: place of the end of text, int64 [M].
            deep: [t, Wt] each; the i-th overwrites positions 1..t before block i + 1.

        Returns:
            [M, E], not normalised.
        """
        x = tokens + self._weights["positional_embedding"][: tokens.shape[1]]
        for layer in range(self._layers):
            if 0 < layer <= len(deep):
                new = deep[layer - 1].expand(len(x), -1, -1)
                x = torch.cat([x[:, :1], new, x[:, 1 + new.shape[1] :]], dim=1)
            x = self._block(x, f"transformer.resblocks.{layer}")
        read = self._norm(x, "ln_final")[torch.arange(len(x), device=x.device), end]
        return read @ self._weights["text_projection"]

    def _block(self, x: Tensor, prefix: str) -> Tensor:
        batch, length, width = x.shape
        joint = self._linear(self._norm(x, f"{prefix}.ln_1"), f"{prefix}.attn.in_proj")
        q, k, v = (
            part.reshape(batch, length, self._heads, -1).transpose(1, 2)
            for part in joint.chunk(3, dim=-1)
        )
        mixed = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        merged = mixed.transpose(1, 2).reshape(batch, length, width)
        x = x + self._linear(merged, f"{prefix}.attn.out_proj")
        hidden = self._linear(self._norm(x, f"{prefix}.ln_2"), f"{prefix}.mlp.c_fc")
        hidden = hidden * torch.sigmoid(1.702 * hidden) if self._quick else F.gelu(hidden)
        return x + self._linear(hidden, f"{prefix}.mlp.c_proj")

    def _norm(self, x: Tensor, name: str) -> Tensor:
        weight, bias = self._weights[f"{name}.weight"], self._weights[f"{name}.bias"]
        return F.layer_norm(x, (x.shape[-1],), weight, bias, eps=1e-5)

    def _linear(self, x: Tensor, name: str) -> Tensor:
        return x @ self._weights[f"{name}.weight_t"] + self._weights[f"{name}.bias"]
