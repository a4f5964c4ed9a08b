"""CLIPN's and ViM's protocol: a set of known classes against sets of other things.

ID is positive (methods/ood.md 0): FPR95 is the share of OOD images that pass where 95 % of the ID
images pass. ViM's code puts the threshold at the floor(.95 n)-th best ID score, CLIPN's
interpolates; each part follows its own. Known images are those of ``val``; vim learns from
``train``, at most 200 000 of them, with the labels of their folders.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import roc_auc_score

from benchmarks._paper import (
    Setup,
    Unmeasured,
    batch_of,
    context_of,
    encoded,
    false_positive_rate,
    images,
    interpolated_rate,
    rounded,
)
from clipvet.detectors import Batch, ClipvetError, Detector, Query, unit_rows
from clipvet.detectors.clip import Runtime
from clipvet.plugins.clipn import Clipn, ClipnOptions
from clipvet.plugins.clipn._options import Method as ClipnMethod
from clipvet.plugins.vim import Statistics, Vim, VimOptions
from clipvet.plugins.vim._head import text_head
from clipvet.plugins.vim._options import Method as VimMethod

__all__ = ["class_folders", "clipn", "vim"]

Numbers = dict[str, Any]
Rate = Callable[[NDArray[Any], NDArray[Any]], float]

FIT_IMAGES = 200_000
"""Of ViM's paper (methods/ood.md 1.1)."""

_LAYOUT = "DATA/imagenet/val/<class>/* and DATA/ood/<name>/*"
_INSIDE = "known"


@dataclass(frozen=True)
class _Sets:
    """Class names, each once, and the files of every set; those of "known" are ID."""

    classes: tuple[str, ...]
    files: Mapping[str, Sequence[Path]]

    @classmethod
    def of(cls, setup: Setup) -> _Sets:
        val = setup.folder("imagenet/val", _LAYOUT)
        ood = setup.folder("ood", _LAYOUT)
        names = class_folders(setup, val)
        files = {_INSIDE: [file for folder in names for file in images(folder)]}
        files |= {path.name: images(path) for path in sorted(ood.iterdir()) if path.is_dir()}
        if len(files) == 1 or not all(files.values()):
            raise Unmeasured(f"a set below {setup.data} holds no image: wants {_LAYOUT}")
        return cls(tuple(dict.fromkeys(names.values())), files)

    @property
    def counts(self) -> dict[str, int]:
        return {name: len(files) for name, files in self.files.items()}


def class_folders(setup: Setup, folder: Path) -> dict[Path, str]:
    """The class of each folder below ``folder``, sorted by folder.

    Names are the lines of DATA/imagenet/classes.txt, in the order of the sorted folders; without
    that file they are the folders' own, underscores as spaces.

    Raises:
        Unmeasured: there are more or fewer names than folders.
    """
    folders = sorted(path for path in folder.iterdir() if path.is_dir())
    listed = _lines(setup.data / "imagenet" / "classes.txt")
    if listed and len(listed) != len(folders):
        raise Unmeasured(
            f"classes.txt names {len(listed)} classes and {folder} has {len(folders)} folders: "
            "write one line for each folder, in their sorted order"
        )
    names = listed or [path.name.replace("_", " ") for path in folders]
    return dict(zip(folders, names, strict=True))


def clipn(setup: Setup) -> Numbers:
    """Every method of ``clipn``, in one pass over the images."""
    sets = _Sets.of(setup)
    bundle = setup.opened()
    query = Query(classes=sets.classes)
    needs = {"cls_embed", "local_embed"} & set(bundle.manifest.features)
    scores: dict[str, dict[str, list[float]]] = {}
    ready: dict[str, Clipn] = {}
    methods: dict[str, str] = {}
    skipped: dict[str, str] = {}
    with Runtime(bundle, needs=needs) as runtime:
        for method in get_args(ClipnMethod):
            detector = Clipn(ClipnOptions(method=method, **_clipn_files(setup, method)))
            try:
                if detector.options.uses_no_tower and "clipn" in setup.artefacts:
                    detector.load(setup.artefacts["clipn"])
                if not detector.needs <= needs:
                    raise Unmeasured(f"the bundle cannot give {', '.join(detector.needs - needs)}")
                detector.prepare(context_of(runtime))
                ready[method] = detector
            except (ClipvetError, Unmeasured) as error:
                skipped[method] = str(error)
        for name, files in sets.files.items():
            for features in encoded(runtime, files):
                batch = batch_of(features, query)
                for method, detector in list(ready.items()):
                    try:
                        found, methods[method] = _scored(detector, batch)
                    except ClipvetError as error:
                        skipped[method] = str(error)
                        del ready[method]
                        continue
                    scores.setdefault(method, {}).setdefault(name, []).extend(found)
    measured = {method: _measured(scores[method], interpolated_rate) for method in ready}
    return _result(sets, {method: methods[method] for method in ready}, measured, skipped)


def vim(setup: Setup) -> Numbers:
    """Every method of ``vim``, on the text head's logits; learned from labelled images."""
    train = setup.folder("imagenet/train", "DATA/imagenet/train/<class>/* to learn from")
    sets = _Sets.of(setup)
    query = Query(classes=sets.classes)
    measured: Numbers = {}
    methods: dict[str, str] = {}
    skipped: dict[str, str] = {}
    with (
        tempfile.TemporaryDirectory() as learned,
        Runtime(setup.opened(), needs={"cls_embed"}) as runtime,
    ):
        statistics = _statistics(setup, runtime, train, sets.classes)
        statistics.artefact(runtime.info).save(Path(learned))
        batches = {
            name: [batch_of(features, query) for features in encoded(runtime, files)]
            for name, files in sets.files.items()
        }
        for method in get_args(VimMethod):
            detector = Vim(VimOptions(method=method))
            scores: dict[str, list[float]] = {name: [] for name in batches}
            try:
                detector.load(Path(learned))
                detector.prepare(context_of(runtime))
                for name, of_set in batches.items():
                    for batch in of_set:
                        found, methods[method] = _scored(detector, batch)
                        scores[name] += found
            except ClipvetError as error:
                skipped[method] = str(error)
                methods.pop(method, None)
                continue
            measured[method] = _measured(scores, false_positive_rate)
    out = _result(sets, methods, measured, skipped)
    out["n"]["fit"] = statistics.count
    return out


def _statistics(setup: Setup, runtime: Runtime, train: Path, classes: Sequence[str]) -> Statistics:
    labelled = [
        (file, classes.index(name))
        for folder, name in class_folders(setup, train).items()
        if name in classes
        for file in images(folder)
    ]
    chosen = np.sort(np.random.default_rng(0).permutation(len(labelled))[:FIT_IMAGES])
    if not len(chosen):
        raise Unmeasured(f"{train} holds no image of a class of val: wants its <class> folders")
    labels = np.array([labelled[i][1] for i in chosen])
    head = text_head(
        classes,
        VimOptions().templates,
        encode_text=runtime.encode_text,
        scale=runtime.info.logit_scale,
    )
    statistics = Statistics(runtime.info.embed_dim, head, reservoir=FIT_IMAGES)
    for features in encoded(runtime, [labelled[i][0] for i in chosen]):
        rows = unit_rows(features["cls_embed"])
        statistics.update(rows, labels[statistics.count : statistics.count + len(rows)])
    return statistics


def _clipn_files(setup: Setup, method: str) -> Numbers:
    """Templates of CLIPN's authors and words of NegLabel's, where they are there."""
    if method in {"atd", "ctw"}:
        templates = _lines(setup.data / "imagenet" / "templates.txt")
        return {"templates": tuple(templates)} if templates else {}
    files = {"nouns": "words/nouns.txt", "adjectives": "words/adjectives.txt"}
    there = {key: str(setup.data / name) for key, name in files.items()}
    return there if method == "neglabel" and all(Path(p).is_file() for p in there.values()) else {}


def _lines(path: Path) -> list[str]:
    if not path.is_file():
        return []
    return [line for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]


def _scored(detector: Detector, batch: Batch) -> tuple[list[float], str]:
    rows = [of_view[0] for of_view in detector.score(batch)]
    return [row.value for row in rows], str(rows[0].details["method"])


def _measured(scores: Mapping[str, Sequence[float]], rate: Rate) -> dict[str, dict[str, float]]:
    """AUROC and FPR95 of each OOD set, and their mean."""
    inside = np.array(scores[_INSIDE])
    out = {}
    for name, values in scores.items():
        if name != _INSIDE:
            outside = np.array(values)
            label = np.r_[np.zeros(len(inside)), np.ones(len(outside))]
            out[name] = {
                "auroc": rounded(roc_auc_score(label, np.r_[inside, outside])),
                "fpr95": rounded(rate(inside, outside)),
            }
    out["mean"] = {
        key: rounded(np.mean([row[key] for row in out.values()])) for key in ("auroc", "fpr95")
    }
    return out


def _result(
    sets: _Sets, methods: Mapping[str, str], measured: Numbers, skipped: Mapping[str, str]
) -> Numbers:
    return {
        "n": {"classes": len(sets.classes), **sets.counts},
        "method": dict(methods),
        "positive": "ID",
        "metrics": measured,
        "not measured": dict(skipped),
    }
