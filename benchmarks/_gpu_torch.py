"""The torch arms of benchmarks/gpu.py: the same tower, from the same parameters."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from clipvet.detectors.clip import Preprocessing
from clipvet.detectors.clip.export import ClipConfig

__all__ = ["KINDS", "TorchTower", "torch_rate"]

KINDS = ("eager", "sdpa", "compiled")
_BLOCK = "visual.transformer.resblocks.{}."
Call = Callable[[NDArray[np.uint8]], NDArray[np.float32]]


@dataclass(frozen=True)
class TorchTower:
    """An image tower in halves on a device, as a function of uint8 pixels.

    Attributes:
        config: sizes of the model.
        settings: normalisation, done on the device.
        parameters: open_clip names -> float16 tensors.
        device: of torch.
    """

    config: ClipConfig
    settings: Preprocessing
    parameters: Mapping[str, Any]
    device: str

    @classmethod
    def load(
        cls,
        config: ClipConfig,
        settings: Preprocessing,
        state: Mapping[str, NDArray[Any]],
        device: str,
    ) -> TorchTower:
        """Put the parameters on the device."""
        import torch

        parameters = {
            name: torch.from_numpy(np.ascontiguousarray(value)).to(device, torch.float16)
            for name, value in state.items()
            if name.startswith("visual.")
        }
        return cls(config, settings, parameters, device)

    def call(self, kind: str, rows: int, mode: str) -> Call:
        """Host pixels [rows, S, S, 3] to host embeddings.

        Args:
            kind: ``eager`` writes attention out, ``sdpa`` calls scaled_dot_product_attention,
                ``compiled`` is that through ``torch.compile``.
            rows: batch size.
            mode: of ``torch.compile``.
        """
        import torch

        def forward(pixels: Any) -> Any:
            return self._embed(pixels, fused=kind != "eager")

        run: Any = torch.compile(forward, mode=mode) if kind == "compiled" else forward
        side = self.config.vision.image_size
        on_gpu = self.device != "cpu"
        staged = torch.empty((rows, side, side, 3), dtype=torch.uint8, pin_memory=on_gpu)
        pixels = torch.empty((rows, side, side, 3), dtype=torch.uint8, device=self.device)

        def call(squares: NDArray[np.uint8]) -> NDArray[np.float32]:
            with torch.inference_mode():
                staged.copy_(torch.from_numpy(squares))
                pixels.copy_(staged, non_blocking=True)
                found: NDArray[np.float32] = run(pixels).float().cpu().numpy()
            return found

        return call

    def _embed(self, pixels: Any, *, fused: bool) -> Any:
        import torch
        from torch.nn import functional

        p, vision = self.parameters, self.config.vision
        mean, std = (
            torch.tensor(values, device=self.device)
            for values in (self.settings.mean, self.settings.std)
        )
        x = ((pixels / 255.0 - mean) / std).permute(0, 3, 1, 2).half()
        x = functional.conv2d(x, p["visual.conv1.weight"], stride=vision.patch_size)
        x = x.flatten(2).transpose(1, 2)
        first = p["visual.class_embedding"].expand(len(x), 1, -1)
        x = torch.cat([first, x], dim=1) + p["visual.positional_embedding"]
        x = self._norm(x, "visual.ln_pre.")
        for number in range(vision.layers):
            name = _BLOCK.format(number)
            x = x + self._attention(self._norm(x, f"{name}ln_1."), f"{name}attn.", fused=fused)
            hidden = self._linear(self._norm(x, f"{name}ln_2."), f"{name}mlp.c_fc.")
            if self.config.quick_gelu:
                hidden = hidden * torch.sigmoid(1.702 * hidden)
            else:
                hidden = functional.gelu(hidden)
            x = x + self._linear(hidden, f"{name}mlp.c_proj.")
        return self._norm(x[:, 0], "visual.ln_post.") @ p["visual.proj"]

    def _attention(self, x: Any, name: str, *, fused: bool) -> Any:
        from torch.nn import functional

        p, heads = self.parameters, self.config.vision.heads
        qkv = functional.linear(x, p[f"{name}in_proj_weight"], p[f"{name}in_proj_bias"])
        q, k, v = qkv.reshape(*qkv.shape[:2], 3, heads, -1).permute(2, 0, 3, 1, 4)
        if fused:
            mixed = functional.scaled_dot_product_attention(q, k, v)
        else:
            logits = (q * q.shape[-1] ** -0.5) @ k.transpose(-1, -2)
            mixed = logits.softmax(dim=-1) @ v
        return self._linear(mixed.transpose(1, 2).flatten(2), f"{name}out_proj.")

    def _linear(self, x: Any, name: str) -> Any:
        from torch.nn import functional

        return functional.linear(
            x, self.parameters[f"{name}weight"], self.parameters[f"{name}bias"]
        )

    def _norm(self, x: Any, name: str) -> Any:
        from torch.nn import functional

        weight, bias = self.parameters[f"{name}weight"], self.parameters[f"{name}bias"]
        return functional.layer_norm(x, x.shape[-1:], weight, bias, 1e-5)


def torch_rate(size: int, device: str, repeats: int) -> Callable[[], float]:
    """Seconds of ``repeats`` square products in float16, as a call."""
    import time

    import torch

    left, right = (torch.randn(size, size, device=device).half() for _ in range(2))

    def call() -> float:
        if device != "cpu":
            torch.cuda.synchronize()
        start = time.perf_counter()
        for _ in range(repeats):
            left @ right
        if device != "cpu":
            torch.cuda.synchronize()
        return time.perf_counter() - start

    return call
