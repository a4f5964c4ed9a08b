"""Every named output once more, in plain torch, written apart from the exporter."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise

import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812

from clipvet.detectors.clip.export import ClipConfig

State = Mapping[str, Tensor]


def reference_features(
    config: ClipConfig, state: State, pixels: Tensor, vv_start: int
) -> dict[str, Tensor]:
    """Outputs of the image tower for pixels [V, 3, S, S]."""
    vision = config.vision
    patches = F.conv2d(pixels, state["visual.conv1.weight"], stride=vision.patch_size)
    patches = patches.flatten(2).transpose(1, 2)
    first = state["visual.class_embedding"].expand(len(pixels), 1, -1)
    tokens = torch.cat([first, patches], 1) + state["visual.positional_embedding"]

    inputs, mids, vvs, outputs = [], [], [], []
    x = norm(state, "visual.ln_pre", tokens)
    for layer in range(vision.layers):
        inputs.append(x)
        q, k, v = projections(config, state, layer, x)
        mids.append(x + mixed(config, state, layer, (q, k, v)))
        vvs.append(mixed(config, state, layer, (v, v, v)))
        x = mids[-1] + mlp(config, state, layer, mids[-1])
        outputs.append(x)

    def project(y: Tensor) -> Tensor:
        return norm(state, "visual.ln_post", y) @ state["visual.proj"]

    ends = [vision.layers * k // 4 for k in range(5)]
    stages = [torch.stack(vvs[a:b]).sum(0) for a, b in pairwise(ends)]
    vv_local = inputs[vv_start] + torch.stack(vvs[vv_start:]).sum(0)
    last = vision.layers - 1
    alone = inputs[last] + output(state, last, projections(config, state, last, inputs[last])[2])
    local = alone + mlp(config, state, last, alone)
    return {
        "cls_raw": x[:, 0],
        "cls_embed": project(x[:, 0]),
        "patch_tokens": norm(state, "visual.ln_post", x)[:, 1:],
        "patch_embed": project(x[:, 1:]),
        "local_embed": project(local[:, 1:]),
        "vv_local": vv_local,
        "vv_local_embed": project(vv_local),
        **{f"hidden_{k}": outputs[ends[k] - 1] for k in range(1, 5)},
        **{f"mid_{k}": mids[ends[k]] for k in range(1, 4)},
        **{f"vv_stage_{k}": stage for k, stage in enumerate(stages, 1)},
        **{f"vv_stage_{k}_embed": project(stage) for k, stage in enumerate(stages, 1)},
        **{f"win{s}_embed": project(windows(config, state, tokens, s)) for s in (2, 3)},
    }


def windows(config: ClipConfig, state: State, tokens: Tensor, side: int) -> Tensor:
    """Class token of each window's own pass, one window after the other."""
    grid, found = config.vision.grid, []
    for row in range(grid - side + 1):
        for column in range(grid - side + 1):
            members = [0] + [
                1 + (row + i) * grid + column + j for i in range(side) for j in range(side)
            ]
            found.append(tokens[:, members])
    x = torch.stack(found, 1)
    views, count = x.shape[:2]
    x = norm(state, "visual.ln_pre", x.flatten(0, 1))
    for layer in range(config.vision.layers):
        x = x + mixed(config, state, layer, projections(config, state, layer, x))
        x = x + mlp(config, state, layer, x)
    return torch.unflatten(x[:, 0], 0, (views, count))


def norm(state: State, name: str, x: Tensor) -> Tensor:
    mean, var = x.mean(-1, keepdim=True), x.var(-1, unbiased=False, keepdim=True)
    return (x - mean) / torch.sqrt(var + 1e-5) * state[f"{name}.weight"] + state[f"{name}.bias"]


def projections(config: ClipConfig, state: State, layer: int, x: Tensor) -> list[Tensor]:
    block = f"visual.transformer.resblocks.{layer}"
    y = norm(state, f"{block}.ln_1", x) @ state[f"{block}.attn.in_proj_weight"].T
    joint = y + state[f"{block}.attn.in_proj_bias"]
    return list(torch.split_with_sizes(joint, [config.vision.width] * 3, -1))


def mixed(config: ClipConfig, state: State, layer: int, qkv: Sequence[Tensor]) -> Tensor:
    heads = config.vision.heads
    q, k, v = (torch.unflatten(t, -1, (heads, -1)).movedim(-2, 1) for t in qkv)
    attention = torch.softmax(q @ k.transpose(-1, -2) / q.shape[-1] ** 0.5, -1)
    return output(state, layer, (attention @ v).movedim(1, -2).flatten(-2))


def output(state: State, layer: int, x: Tensor) -> Tensor:
    name = f"visual.transformer.resblocks.{layer}.attn.out_proj"
    return x @ state[f"{name}.weight"].T + state[f"{name}.bias"]


def mlp(config: ClipConfig, state: State, layer: int, x: Tensor) -> Tensor:
    block = f"visual.transformer.resblocks.{layer}"
    x = norm(state, f"{block}.ln_2", x) @ state[f"{block}.mlp.c_fc.weight"].T
    x = x + state[f"{block}.mlp.c_fc.bias"]
    x = x * torch.sigmoid(1.702 * x) if config.quick_gelu else x * 0.5 * (1 + torch.erf(x / 2**0.5))
    return x @ state[f"{block}.mlp.c_proj.weight"].T + state[f"{block}.mlp.c_proj.bias"]
