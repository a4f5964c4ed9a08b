"""The same model in int8: a bundle's weights exported again, and what that changes on pictures."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import roc_auc_score

from benchmarks._few_shot import Encoded, judge
from clipvet.detectors.clip import Bundle, Runtime
from clipvet.detectors.clip.export import ClipConfig, Source, TokenizerFiles, write_bundle
from clipvet.plugins.winclip import WinClip, WinClipOptions

__all__ = ["compared_on_pictures", "int8_twin"]

_REFERENCES, _GOOD, _DEFECTIVE = 4, 12, 12
# Share of good pictures that a threshold may flag.
_RATE = 0.1


def int8_twin(bundle: Bundle, out: Path) -> Bundle:
    """Export the weights of a bundle again, with the blocks of its image tower in int8."""
    facts, state = bundle.manifest, dict[str, NDArray[Any]]()
    for graph in ("vision", "text"):
        for name, value in bundle.weights(graph).items():
            linear = name.endswith(".weight_t")
            known = name.removesuffix("_t").replace(".in_proj.", ".in_proj_")
            state[known] = value.T if linear else value
    # The graph holds the class token with its position added, and the patches' positions apart.
    state["visual.class_embedding"] = state.pop("visual.class_token_with_position")[0, 0]
    patches = state.pop("visual.patch_positions")[0]
    state["visual.positional_embedding"] = np.concatenate([np.zeros_like(patches[:1]), patches])
    state["logit_scale"] = np.array(np.log(facts.logit_scale))
    vision, text = facts.vision, facts.text
    config = ClipConfig.model_validate(
        {
            "embed_dim": facts.embed_dim,
            "quick_gelu": facts.activation == "quickgelu",
            "vision": {
                "image_size": facts.preprocessing.size,
                "patch_size": vision.patch_size,
                "width": vision.width,
                "layers": vision.layers,
                "heads": vision.heads,
            },
            "text": {
                "context_length": text.context_length,
                "vocab_size": len(state["token_embedding.weight"]),
                "width": text.width,
                "layers": text.layers,
                "heads": text.heads,
            },
        }
    )
    return write_bundle(
        out,
        config=config,
        state=state,
        tokenizer=TokenizerFiles(
            json=(bundle.folder / "tokenizer.json").read_text("utf-8"),
            **text.model_dump(include={"start", "end", "padding", "unknown", "cleaning",
                                       "vocabulary"}),
        ),
        name=f"{facts.name}-int8",
        description=facts.description,
        licence=facts.licence,
        source=Source(model=facts.name, weights="another bundle"),
        precision="int8",
        mean=facts.preprocessing.mean,
        std=facts.preprocessing.std,
        vv_start=vision.vv_start,
        options=facts.options,
    )  # fmt: skip


def compared_on_pictures(first: Bundle, second: Bundle, programs: int) -> dict[str, Any]:
    """Verdicts, AUROC and embeddings of two bundles on the same rendered held-out pictures.

    winclip with the bundle's options and 4 references, 12 good and 12 defective pictures of each
    program; each bundle has its own references, and its own threshold for each program, the
    largest score but one of its good pictures (a tenth of them lies above).
    """
    from training.render import render
    from training.scenes import make_program
    from training.seeds import SEEDS

    options = WinClipOptions(**first.manifest.options.get("winclip", {}))
    needs = sorted(WinClip(options).needs)
    aurocs, flips, cosines, shifts, count = [], 0, [], [], 0
    queries = range(_REFERENCES, _REFERENCES + _GOOD + _DEFECTIVE)
    with Runtime(first, needs=needs) as one, Runtime(second, needs=needs) as other:
        side = one.info.image_size
        for seed in range(SEEDS["held_out"].start, SEEDS["held_out"].start + programs):
            program = make_program(seed)
            good = range(_REFERENCES + _GOOD)
            shown = [render(program, i, size=(side, side)) for i in good]
            more = range(len(good), len(good) + _DEFECTIVE)
            shown += [render(program, i, defect="any", size=(side, side)) for i in more]
            label = np.array([bool(shot.facts.defect) for shot in shown[_REFERENCES:]])
            found, encoded = [], []
            for runtime in (one, other):
                pictures = Encoded.of(runtime, [shot.image for shot in shown], program.name)
                encoded.append(pictures.features["cls_embed"])
                judged = judge(runtime, options, pictures, range(_REFERENCES), queries)
                found.append(judged.scores)
            cosines += list(_cosines(*encoded))
            aurocs.append([float(roc_auc_score(label, scores)) for scores in found])
            good_scores = [np.sort(scores[~label]) for scores in found]
            limits = [scores[int(len(scores) * (1 - _RATE))] for scores in good_scores]
            flagged = [scores > limit for scores, limit in zip(found, limits, strict=True)]
            flips += int((flagged[0] != flagged[1]).sum())
            shifts += list(np.abs(found[0] - found[1]) / max(found[0][~label].std(), 1e-12))
            count += len(label)
    means = np.mean(aurocs, axis=0)
    return {
        "pictures": count,
        "flips": flips,
        "auroc": [float(value) for value in means],
        "cosine": float(min(cosines)),
        "shift": float(np.median(shifts)),
    }


def _cosines(a: NDArray[np.float32], b: NDArray[np.float32]) -> NDArray[np.float32]:
    return np.asarray((a * b).sum(-1) / np.linalg.norm(a, axis=-1) / np.linalg.norm(b, axis=-1))
