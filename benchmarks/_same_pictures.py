"""What a cheaper way to encode changes on pictures: verdicts, AUROC, embeddings."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import roc_auc_score

from benchmarks._few_shot import Encoded, judge
from clipvet.detectors.clip import Bundle, Device, Runtime
from clipvet.plugins.winclip import WinClip, WinClipOptions

__all__ = ["compared_on_pictures"]

_REFERENCES, _GOOD, _DEFECTIVE = 4, 12, 12
# Share of good pictures that a threshold may flag.
_RATE = 0.1

Encoder = tuple[Bundle, Device]


def compared_on_pictures(first: Encoder, second: Encoder, programs: int) -> dict[str, Any]:
    """Verdicts, AUROC and embeddings of two encoders on the same rendered held-out pictures.

    winclip with the bundle's options and 4 references, 12 good and 12 defective pictures of each
    program; each encoder has its own references, and its own threshold for each program, the
    largest score but one of its good pictures (a tenth of them lies above).
    """
    from training.render import render
    from training.scenes import make_program
    from training.seeds import SEEDS

    (bundle, device), (twin, other_device) = first, second
    options = WinClipOptions(**bundle.manifest.options.get("winclip", {}))
    needs = sorted(WinClip(options).needs)
    aurocs, flips, cosines, shifts, count = [], 0, [], [], 0
    queries = range(_REFERENCES, _REFERENCES + _GOOD + _DEFECTIVE)
    with (
        Runtime(bundle, needs=needs, device=device) as one,
        Runtime(twin, needs=needs, device=other_device) as other,
    ):
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
