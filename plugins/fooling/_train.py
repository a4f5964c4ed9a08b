"""``detect train fooling``: a classifier from genuine pictures and fooling ones."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer
from numpy.typing import NDArray

from clipvet.detectors import (
    Artefact,
    Context,
    FrameError,
    Host,
    UsageError,
    check_free,
    counted,
    find_images,
    read_frame,
)
from clipvet.detectors.clip import Device, Runtime, find_bundle
from clipvet.plugins.fooling._classifier import GENUINE, Classifier
from clipvet.plugins.fooling._genuine import Genuine
from clipvet.plugins.fooling._options import ID, FoolingOptions
from clipvet.plugins.fooling._pixels import pixel_statistics
from clipvet.plugins.fooling._prompts import prompt_bank
from clipvet.plugins.fooling._reference import Reference

__all__ = ["train"]

FOLDS = 5
# Of the inverse penalty; one value, for a choice would be made on the pictures that are reported.
_STRENGTH = 0.1
_LEAST = 16

Floats = NDArray[np.float64]


def train(  # noqa: PLR0917 - Typer makes options of them
    good: Annotated[Path, typer.Option(metavar="DIR", help="Genuine images, nothing else.")],
    prints: Annotated[
        Path, typer.Option(metavar="DIR", help="Images mined to fool the model of the bundle.")
    ],
    out: Annotated[Path, typer.Option(metavar="DIR", help="The artefact's folder: new or empty.")],
    typographic: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Images with text pasted on.")
    ] = None,
    bundle: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="Model bundle, name or folder; else the embedded one."),
    ] = None,
    device: Annotated[Device, typer.Option(help="Of the image tower.")] = "auto",
) -> None:
    """Train the classifier of method=trained; torch is not needed.

    Half of the genuine images say where such images are, the other half and the fooling ones
    train it. It knows the kinds of attack that it was shown.
    """
    check_free(out)
    folders = {GENUINE: good, "print": prints}
    if typographic is not None:
        folders["typographic"] = typographic
    files = {kind: find_images(folder) for kind, folder in folders.items()}
    opened = find_bundle(bundle, Host.load().bundles)
    with Runtime(opened, needs={"cls_embed"}, device=device) as runtime:
        context = Context(bundle=runtime.info, encode_text=runtime.encode_text)
        options = FoolingOptions(method="trained")
        seen = {kind: list(_pictures(paths, runtime)) for kind, paths in files.items()}
        for kind, pictures in seen.items():
            if len(pictures) < _LEAST:
                found = counted(len(pictures), "usable image")
                raise UsageError(f"{found} in {folders[kind]}: give {_LEAST} or more")
        known = seen[GENUINE][::2]
        genuine = Genuine(
            np.stack([embedding for embedding, _ in known]),
            np.stack([pixel_statistics(pixels) for _, pixels in known]).astype(np.float32),
            len(known),
        )
        bank = prompt_bank(options, context)
        reference = Reference.of(genuine, bank, options, scale=runtime.info.logit_scale)
        seen[GENUINE] = seen[GENUINE][1::2]
        rows = np.stack([reference.features(*one) for all_ in seen.values() for one in all_])
        labels = np.repeat(np.arange(len(seen)), [len(all_) for all_ in seen.values()])
        counts = {kind: len(pictures) for kind, pictures in seen.items()}
        checked = _cross_validated(rows, labels, tuple(seen))
        classifier = _fitted(rows, labels, tuple(seen))
        out.mkdir(parents=True, exist_ok=True)
        Artefact(
            detector=ID,
            bundle=runtime.info,
            facts={
                "genuine": len(known),
                "kinds": counts,
                "settings": options.settings(),
                "cross_validation": checked,
            },
            tensors={**genuine.tensors(), **classifier.tensors()},
        ).save(out)
    shown = ", ".join(f"{n} {kind}" for kind, n in counts.items())
    typer.echo(f"{out}: trained on {shown}; {len(known)} more genuine images as reference")
    for kind, auroc in checked.items():
        typer.echo(f"  {FOLDS}-fold cross-validation, genuine against {kind}: AUROC {auroc:.3f}")
    typer.echo("it says nothing about other kinds of attack than these")
    typer.echo(f"use it: detect IMAGES -d {ID} --artefact {ID}={out}")


def _fitted(rows: Floats, labels: NDArray[np.int_], kinds: tuple[str, ...]) -> Classifier:
    from sklearn.linear_model import LogisticRegression

    mean, spread = rows.mean(axis=0), rows.std(axis=0) + 1e-9
    model: Any = LogisticRegression(C=_STRENGTH, class_weight="balanced", max_iter=5000)
    model.fit((rows - mean) / spread, labels)
    weights, bias = model.coef_, model.intercept_
    if len(kinds) == 2:  # scikit-learn keeps the row of the second class alone
        weights, bias = np.concatenate([-weights, weights]) / 2, np.concatenate([-bias, bias]) / 2
    return Classifier(kinds, weights, bias, mean, spread)


def _cross_validated(
    rows: Floats, labels: NDArray[np.int_], kinds: tuple[str, ...]
) -> dict[str, float]:
    """AUROC of genuine pictures against each other kind, by classifiers that saw neither."""
    from sklearn.metrics import roc_auc_score
    from sklearn.model_selection import StratifiedKFold

    scores = np.zeros(len(rows))
    folds = StratifiedKFold(FOLDS, shuffle=True, random_state=0)
    for inside, outside in folds.split(rows, labels):
        classifier = _fitted(rows[inside], labels[inside], kinds)
        scores[outside] = [1 - classifier.probabilities(rows[i])[GENUINE] for i in outside]
    found = {}
    for number, kind in enumerate(kinds):
        if kind != GENUINE:
            mine = np.isin(labels, [kinds.index(GENUINE), number])
            auroc = roc_auc_score(labels[mine] == number, scores[mine])
            found[kind] = round(float(auroc), 4)
    return found


def _pictures(
    files: list[Path], runtime: Runtime
) -> Iterator[tuple[NDArray[np.float32], NDArray[np.uint8]]]:
    """Embedding and pixels of each picture that can be read."""
    for path in files:
        try:
            pixels = read_frame(path).pixels
        except FrameError as error:
            typer.echo(f"left out: {error}", err=True)
            continue
        yield runtime.encode_views([pixels])["cls_embed"][0], pixels
