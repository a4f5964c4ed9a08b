"""The text tower inside its world: which name a picture has, and which caption is its own."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from clipvet.detectors.clip import Runtime

__all__ = ["caption_retrieval", "classify_names"]


def classify_names(runtime: Runtime, programs: int) -> dict[str, Any]:
    """Zero-shot accuracy over all names of the catalogue, on good renders of held-out programs.

    A name's vector is the mean of its unit prompt embeddings over the neutral templates. Names that
    no training program has are unknown words: their prompts fit every picture a little, so accuracy
    is given among the known names, and once more with the unknown ones as candidates.
    """
    from training.render import render
    from training.scenes import make_program
    from training.seeds import SEEDS

    side = runtime.info.image_size
    first = SEEDS["held_out"].start + 500_000
    made = [make_program(seed) for seed in range(first, first + programs)]
    names = _names()
    images = [render(program, 0, size=(side, side)).image for program in made]
    vectors = _unit(runtime.encode_views(images)["cls_embed"])
    classes = _unit(np.stack([_unit(runtime.encode_text(_prompts(n))).mean(0) for n in names]))
    order = np.argsort(-(vectors @ classes.T), axis=1)
    right = np.array([names.index(p.name) for p in made])
    unseen = np.array([p.name in _never_trained() for p in made])
    hit, near = order[:, 0] == right, (order[:, :5] == right[:, None]).any(1)
    known = np.array([name not in _never_trained() for name in names])
    among = np.argsort(-(vectors @ classes.T)[:, known], axis=1)
    spot = np.flatnonzero(known)[among] == right[:, None]
    return {
        "names": int(known.sum()),
        "pictures": int((~unseen).sum()),
        "accuracy": _share(spot[~unseen, 0]),
        "top5": _share(spot[~unseen, :5].any(1)),
        "with_unknown_names": {
            "accuracy": _share(hit[~unseen]),
            "top5": _share(near[~unseen]),
        },
        "never_trained": {
            "names": sorted(_never_trained()),
            "pictures": int(unseen.sum()),
            "accuracy": _share(hit[unseen]),
        },
    }


def caption_retrieval(runtime: Runtime, pictures: int) -> dict[str, Any]:
    """Recall at 1 and 5 of a true caption among one caption for each picture, and back.

    Parts and surfaces (every second one defective) and layouts (shapes, pictograms) apart. A
    caption counts as right for every picture of which it is true, so the chance level is given
    beside.
    """
    from training.layouts import make_layout
    from training.render import render
    from training.scenes import make_program
    from training.seeds import SEEDS

    side = runtime.info.image_size
    first = SEEDS["held_out"].start + 600_000
    parts = [
        render(make_program(first + i), i, defect="any" if i % 2 else None, size=(side, side))
        for i in range(pictures)
    ]
    layouts = [make_layout(first + i, side) for i in range(pictures)]
    return {
        "parts": _retrieved(runtime, [p.image for p in parts], [p.facts for p in parts]),
        "layouts": _retrieved(runtime, [p for p, _ in layouts], [f for _, f in layouts]),
    }


def _retrieved(
    runtime: Runtime, images: Sequence[NDArray[np.uint8]], facts: Sequence[Any]
) -> dict[str, Any]:
    from training.captions import caption

    rng = np.random.default_rng(0)
    captions = [caption(f, rng) for f in facts]
    fits = np.array([[c.fits(f) for c in captions] for f in facts])
    seen = _unit(runtime.encode_views(images)["cls_embed"])
    similar = seen @ _unit(runtime.encode_text([c.text for c in captions])).T
    return {
        "pictures": len(images),
        "to_text": _recall(similar, fits),
        "to_image": _recall(similar.T, fits.T),
    }


def _recall(similar: NDArray[np.float32], fits: NDArray[np.bool_]) -> dict[str, float]:
    order = np.argsort(-similar, axis=1)
    found = np.take_along_axis(fits, order, axis=1)
    return {
        "at_1": _share(np.asarray(found[:, 0])),
        "at_5": _share(np.asarray(found[:, :5].any(1))),
        "chance_at_1": _share(np.asarray(fits)),
    }


def _names() -> list[str]:
    from training.catalogue.parts import PARTS
    from training.catalogue.surfaces import SURFACES

    return sorted([*PARTS, *SURFACES])


def _never_trained() -> frozenset[str]:
    from training.seeds import NEVER_TRAINED

    return NEVER_TRAINED


def _prompts(name: str) -> Sequence[str]:
    from training.captions import class_prompts

    return class_prompts(name)


def _unit(x: NDArray[np.float32]) -> NDArray[np.float32]:
    out: NDArray[np.float32] = x / np.linalg.norm(x, axis=-1, keepdims=True)
    return out


def _share(x: NDArray[np.bool_]) -> float:
    return round(float(np.mean(x)), 4) if x.size else float("nan")
