"""Folders that judge themselves: ``python -m benchmarks.mutual --data FOLDER``.

Image AUROC of ``mutual`` over whole folders, good and defective images together and no label
used, for several choices of features and neighbourhoods. Maps of single choices are means of the
maps of their parts, so each feature and neighbourhood is compared once.
"""

from __future__ import annotations

import argparse
import json
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import roc_auc_score

from benchmarks._metrics import pixel_auroc, resized_map, resized_mask
from benchmarks._real_sets import REAL_SETS, find
from clipvet.detectors import read_frame, top_mean, unit_rows
from clipvet.detectors.clip import Bundle, Runtime
from clipvet.plugins.mutual._cells import centred, grid_of, local_vectors
from clipvet.plugins.mutual._folder import Compared, merged_map, score_each_other
from clipvet.plugins.mutual._options import MutualOptions
from clipvet.plugins.mutual._scores import rescored
from training.render import render
from training.scenes import make_program
from training.seeds import SEEDS

HERE = Path(__file__).resolve().parent
CHOICES = (
    "hidden_1:1+3",
    "hidden_3:1+3",
    "hidden_4:1+3",
    "hidden_1+hidden_4:1+3",
    "hidden_3+hidden_4:1+3",
    "hidden_1+hidden_2+hidden_3+hidden_4:1+3",
    "hidden_1+hidden_2+hidden_3+hidden_4:1+3+5",
)
RESCORING = (1, 2, 3)
GOOD, BAD = 20, 8


@dataclass(frozen=True)
class Folder:
    """Images of one part: pixels, whether each is defective, and masks if all have one."""

    name: str
    images: Sequence[NDArray[np.uint8]]
    bad: NDArray[np.bool_]
    masks: NDArray[np.bool_] | None


@dataclass(frozen=True)
class Choice:
    """Features and sides of neighbourhoods whose maps are averaged."""

    features: tuple[str, ...]
    sides: tuple[int, ...]

    @classmethod
    def parse(cls, text: str) -> Choice:
        """Read ``hidden_1+hidden_4:1+3``."""
        features, _, sides = text.partition(":")
        return cls(tuple(features.split("+")), tuple(map(int, sides.split("+"))))

    def __str__(self) -> str:
        return f"{'+'.join(self.features)}:{'+'.join(map(str, self.sides))}"


def rendered(programs: int, side: int) -> Iterator[Folder]:
    """Held-out programs, 20 good and 8 defective images each."""
    for seed in range(SEEDS["held_out"].start, SEEDS["held_out"].start + programs):
        program = make_program(seed)
        shown = [render(program, i, size=(side, side)) for i in range(GOOD)]
        shown += [render(program, GOOD + i, defect="any", size=(side, side)) for i in range(BAD)]
        yield Folder(
            "rendered",
            [one.image for one in shown],
            np.array([bool(one.facts.defect) for one in shown]),
            np.stack([resized_mask(one.mask) for one in shown]),
        )


def real(data: Path, name: str) -> Folder:
    """A real set."""
    good, bad, files = find(data, name)
    masks = None
    if all(files):
        drawn = [resized_mask(read_frame(file).pixels[..., 0] > 127) for file in files if file]
        masks = np.stack([*[np.zeros_like(drawn[0])] * len(good), *drawn])
    labels = np.array([False] * len(good) + [True] * len(bad))
    return Folder(name, [read_frame(path).pixels for path in (*good, *bad)], labels, masks)


def judge(
    runtime: Runtime, folder: Folder, choices: Sequence[Choice], options: MutualOptions
) -> dict[str, dict[str, float]]:
    """Choice -> numbers of one folder."""
    features = sorted({name for choice in choices for name in choice.features})
    vectors: dict[str, list[NDArray[Any]]] = {name: [] for name in features}
    embeddings = []
    for image in folder.images:
        encoded = runtime.encode_views([image])
        embeddings.append(encoded["cls_embed"][0])
        for name in features:
            vectors[name].append(centred(local_vectors(name, encoded[name][0])))
    grids = {name: grid_of(name, len(vectors[name][0]), runtime.info.grid) for name in features}
    count = len(folder.images)
    compared = Compared([number.to_bytes(4, "big") for number in range(count)], range(count))
    parts = {
        (name, side): score_each_other(
            lambda image, of: vectors[of][image],
            {name: grids[name]},
            compared,
            options.model_copy(update={"neighbourhoods": (side,)}),
        )
        for name in features
        for side in sorted({s for c in choices if name in c.features for s in c.sides})
    }
    units = unit_rows(np.stack(embeddings))
    found: dict[str, dict[str, float]] = {}
    for choice in choices:
        own = {name: grids[name] for name in choice.features}
        maps = []
        for place in range(count):
            sides = {n: [parts[n, side][place] for side in choice.sides] for n in own}
            maps.append(merged_map({n: np.mean(of, axis=0) for n, of in sides.items()}, own))
        found[str(choice)] = _numbers(np.stack(maps), max(own.values()), units, folder, options)
    return found


def _numbers(
    maps: NDArray[np.float64],
    grid: tuple[int, int],
    units: NDArray[np.float64],
    folder: Folder,
    options: MutualOptions,
) -> dict[str, float]:
    scores = np.array([top_mean(one, options.top_share) for one in maps])
    numbers = {
        "largest": float(roc_auc_score(folder.bad, maps.max(axis=1))),
        "image": float(roc_auc_score(folder.bad, scores)),
        "rescored": float(roc_auc_score(folder.bad, rescored(scores, units, RESCORING))),
    }
    if folder.masks is not None:
        drawn = [resized_map(one.reshape(grid).astype(np.float32)) for one in maps]
        numbers["pixel"] = pixel_auroc(np.stack(drawn), folder.masks)
    return numbers


def main() -> None:
    """Print one line of JSON for each set and choice."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--bundle", type=Path, default=HERE.parent / "detectors/clip/mini")
    parser.add_argument("--data", type=Path, default=os.environ.get("CLIPVET_EVAL_DATA"))
    parser.add_argument("--only", action="append", metavar="SET", help="these; rendered is one")
    parser.add_argument("--programs", type=int, default=20)
    parser.add_argument("--choice", action="append", metavar="FEATURES:SIDES", help="a+b:1+3")
    parser.add_argument("--set", action="append", default=[], metavar="NAME=JSON")
    parser.add_argument("--release", action="store_true", help="look at every real set")
    args = parser.parse_args()
    given = {key: json.loads(value) for key, _, value in (s.partition("=") for s in args.set)}
    options, choices = MutualOptions(**given), [Choice.parse(c) for c in args.choice or CHOICES]
    free = [name for name, one in REAL_SETS.items() if one.free or args.release]
    sets = args.only or ["rendered", *(free if args.data is not None else ())]
    needs = {"cls_embed", *(name for choice in choices for name in choice.features)}
    with Runtime(Bundle.open(args.bundle), needs=needs, device="cpu", batch_size=1) as runtime:
        for name in sets:
            rows = [
                judge(runtime, folder, choices, options)
                for folder in (
                    rendered(args.programs, runtime.info.image_size)
                    if name == "rendered"
                    else [real(args.data, name)]
                )
            ]
            for choice in map(str, choices):
                mean = {
                    key: round(float(np.mean([row[choice][key] for row in rows])), 4)
                    for key in rows[0][choice]
                }
                print(json.dumps({"set": name, "choice": choice, **mean}), flush=True)


if __name__ == "__main__":
    main()
