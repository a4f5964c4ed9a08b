"""Promises of detectors that learn, and of those that see a whole run; see ``_checks.py``."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import Any

from clipvet.detectors._counting import counted
from clipvet.detectors._detector import ImageGroup, ImageScores
from clipvet.detectors.errors import ArtefactMissing
from clipvet.detectors.testing._subject import Subject, same_scores

__all__ = ["LEARNING_CHECKS", "SET_CHECKS"]

PICKLE_SUFFIXES = {".pkl", ".pickle", ".pt", ".pth", ".joblib", ".ckpt", ".npy", ".npz"}


def unfitted_says_so(subject: Subject) -> None:
    """Without what it learns it scores as another method, or raises ArtefactMissing."""
    try:
        detector = subject.prepared(subject.cls(subject.options))
        unfitted = detector.score(subject.batch())
    except ArtefactMissing:
        return
    method = unfitted[0][0].details.get("method")
    fitted = subject.scores()[0].details.get("method")
    assert method != fitted, f"details['method'] is {method!r} with and without what it learned"


def fit_streams_and_repeats(subject: Subject) -> None:
    """fit() takes a one-pass iterator, and the same images give the same detector."""
    batch = subject.batch()
    first, second = subject.ready().score(batch), subject.ready().score(batch)
    assert same_scores(first, second), "fitting twice on the same images gave other scores"


def save_load_round_trip(subject: Subject) -> None:
    """What save() writes, load() reads: equal scores bit for bit, and no pickle on disk."""
    fitted = subject.ready()
    with tempfile.TemporaryDirectory() as folder:
        fitted.save(Path(folder))
        files = [path for path in Path(folder).rglob("*") if path.is_file()]
        for path in files:
            pickled = path.suffix in PICKLE_SUFFIXES or _begins_like_a_pickle(path)
            assert not pickled, f"{path.name} can run code when read: write safetensors and JSON"
        loaded = subject.cls(subject.options)
        loaded.load(Path(folder))
        subject.prepared(loaded)
    batch = subject.batch()
    assert same_scores(loaded.score(batch), fitted.score(batch)), (
        "the loaded detector scores otherwise"
    )


def kept_details_are_there(subject: Subject) -> None:
    """Every score has the details that finish() will read."""
    for score in subject.scores():
        missing = sorted(subject.ready().keeps - score.details.keys())
        assert not missing, f"details lack {', '.join(missing)}, which keeps names"


def groups_are_of_the_images(subject: Subject) -> None:
    """finish() takes any number of images, none included, and says sound things of them."""
    keeps, scores = subject.ready().keeps, subject.scores()
    details = [{name: score.details[name] for name in keeps} for score in scores]
    kept = [
        {**plain, **score.spool}
        for plain, score in zip(json.loads(json.dumps(details)), scores, strict=True)
    ]
    stores: tuple[list[dict[str, Any]], ...] = ([], kept, kept + kept)
    for store in stores if keeps else ():
        for group in subject.ready().finish(store):
            if isinstance(group, str):
                assert group.strip(), "a sentence for the summary is empty"
                continue
            if isinstance(group, ImageScores):
                assert 0 <= group.place < len(store), f"place {group.place} is no image"
                assert group.views, f"there is no score for the image at place {group.place}"
                assert not any(score.spool for score in group.views), "finish gave a pending score"
                continue
            assert isinstance(group, ImageGroup), f"{group!r} is not an ImageGroup"
            assert group.kind, "a group has no kind"
            json.dumps(dict(group.details), allow_nan=False)
            places = [int(place) for place in group.members]
            assert places, "a group is empty"
            outside = [place for place in places if not 0 <= place < len(store)]
            assert not outside, f"places {outside} of a store of {counted(len(store), 'image')}"


LEARNING_CHECKS = (unfitted_says_so, fit_streams_and_repeats, save_load_round_trip)
SET_CHECKS = (kept_details_are_there, groups_are_of_the_images)


def _begins_like_a_pickle(path: Path) -> bool:
    """Its first byte, then a protocol from 2 on; a safetensors file may begin so by chance."""
    head = path.read_bytes()[:9]
    return head[:1] == b"\x80" and b"\x02" <= head[1:2] <= b"\x05" and head[8:] != b"{"
