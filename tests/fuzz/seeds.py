"""Good files to start fuzzing from, all made here."""

from __future__ import annotations

import hashlib
import io
import tempfile
import zipfile
from collections.abc import Iterator
from dataclasses import replace
from importlib.resources import files
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from clipvet.detectors import Artefact, ImageFacts, Query, Record, Region, Tiling
from clipvet.detectors.clip._gate import GATE_FILE
from clipvet.detectors.clip._manifest import FileFacts, Manifest
from clipvet.detectors.engine._results import DetectorSpec
from clipvet.detectors.recipes._bad_images import ThresholdRule, divide
from clipvet.detectors.recipes._calibration import Calibration
from clipvet.detectors.recipes._recipe import BoundBundle, Recipe
from clipvet.detectors.recipes._tables import BadImage
from clipvet.detectors.recipes._validation import validate
from clipvet.detectors.testing._fake_runtime import FAKE_BUNDLE
from clipvet.plugins.fooling._pixels import NAMES
from clipvet.plugins.quality._options import CHECKS
from clipvet.plugins.vim._statistics import Statistics
from tests.detectors.test_records import FULL

__all__ = [
    "CALIBRATION", "CONTENT", "FILES", "RECORD", "SEPARATOR", "archives", "artefacts", "gates",
    "manifests", "pictures", "recipe", "records",
]  # fmt: skip

RECORD: Final = Record(image=ImageFacts(id="a/b.png"))
CALIBRATION: Final = "calibrations/winclip.json"
FILES: Final = ("tokenizer.json", "vision.onnx", "weights.bin")
"""What the bundle of the manifest holds, each with this:"""
CONTENT: Final = b"0123456789"
SEPARATOR: Final = b"\n\0\n"
"""Between the header and the tensors of an artefact, where both are one input."""

_EMBEDDED: Final = Path(str(files("clipvet.detectors.clip.mini")))
_FORMATS: Final[dict[str, tuple[dict[str, Any], ...]]] = {
    "JPEG": ({}, {"progressive": True}),
    "PNG": ({}, {"optimize": True}),
    "WEBP": ({}, {"lossless": True}),
    "TIFF": ({}, {"compression": "tiff_lzw"}, {"compression": "jpeg"}),
    "BMP": ({},),
    "GIF": ({},),
    "JPEG2000": ({},),
    "AVIF": ({},),
    "PPM": ({},),
    "TGA": ({}, {"compression": "tga_rle"}),
    "ICO": ({},),
    "PCX": ({},),
    "SGI": ({},),
    "DDS": ({},),
}
_KINDS_16 = ("PNG", "TIFF", "PPM")


def pictures() -> Iterator[bytes]:
    """Every format that Pillow writes and a run reads, small; some deep, turned and animated."""
    colour = _noise((12, 16, 3))
    exif = Image.Exif()
    exif[274] = 6
    for kind, variants in _FORMATS.items():
        for options in variants:
            yield _encoded(Image.fromarray(colour), kind, **options)
    for kind in ("JPEG", "PNG", "TIFF", "WEBP"):
        yield _encoded(Image.fromarray(colour), kind, exif=exif)
    for kind in ("GIF", "PNG", "WEBP", "TIFF"):
        more = [Image.fromarray(_noise((12, 16, 3), seed)) for seed in (1, 2)]
        yield _encoded(Image.fromarray(colour), kind, save_all=True, append_images=more)
    for kind in _KINDS_16:
        yield _encoded(Image.fromarray(_noise((9, 7)).astype(np.uint16) * 257), kind)
    yield _encoded(Image.fromarray(colour).convert("P"), "PNG", transparency=3)
    yield _encoded(Image.fromarray(_noise((9, 7, 4))), "PNG")
    yield _encoded(Image.fromarray(_noise((9, 7)) > 99), "TIFF", compression="group4")
    yield _encoded(Image.fromarray(colour).convert("CMYK"), "JPEG")


def archives() -> Iterator[bytes]:
    """ZIP files with pictures, folders, a hidden member and an archive."""
    picture = _encoded(Image.fromarray(_noise((4, 5, 3))), "PNG")
    for method in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA):
        buffer = io.BytesIO()
        with zipfile.ZipFile(buffer, "w", method) as file:
            file.writestr("a.png", picture)
            file.writestr("../up/ü.png", picture)
            file.writestr("none", b"text")
            file.writestr("in.zip", b"PK")
        yield buffer.getvalue()


def records() -> Iterator[bytes]:
    """Lines of a run: whole ones, and a torn one at the end."""
    lines = [FULL.to_json(), RECORD.to_json()]
    yield "".join(f"{line}\n" for line in lines).encode()
    yield "\n".join(lines).encode()[:-20]


def manifests() -> Iterator[bytes]:
    """The embedded bundle's, with the files of the target's folder."""
    manifest = Manifest.read(_EMBEDDED)
    facts = FileFacts(bytes=10, sha256=hashlib.sha256(CONTENT).hexdigest())
    small = manifest.model_copy(update={"files": dict.fromkeys(FILES, facts)})
    yield small.model_dump_json(by_alias=True, indent=1).encode()


def gates() -> Iterator[bytes]:
    """The embedded bundle's gate."""
    yield (_EMBEDDED / GATE_FILE).read_bytes()


def recipe() -> Recipe:
    """Two detectors and a gate, a region, tiles, and bad images that chose the threshold."""
    images = tuple(f"good/{i:02d} ü.png" for i in range(9))
    scores = np.random.default_rng(0).normal(size=(3, 9))
    calibrations = {
        name: Calibration(
            images=images,
            scores=row,
            map_maxima=row + 1 if name == "winclip" else np.zeros(0),
            map_low=0.1 if name == "winclip" else None,
            provider="CPUExecutionProvider",
            fitted_on=("good/first.png",),
        )
        for name, row in zip(("winclip", "dist:bank", "vim"), scores, strict=True)
    }
    found = [
        BadImage(image=f"bad/{i}.png", kind="scratch", scores=dict.fromkeys(calibrations, 2.0 + i))
        for i in range(4)
    ]
    bad = divide(found, ThresholdRule(recall=None))
    given = Recipe(
        specs=(
            DetectorSpec(id="winclip", options={"temperature": 0.07, "scales": [2, 3]}),
            DetectorSpec(id="dist:bank"),
            DetectorSpec(id="vim"),
        ),
        bundles=(
            BoundBundle(
                name="mini", id="mini", sha256=FAKE_BUNDLE.sha256,
                preprocessing_sha256=FAKE_BUNDLE.preprocessing_sha256,
            ),
        ),
        calibrations=calibrations,
        rate=0.2,
        gates=("vim",),
        combination="any",
        threshold="max-f1",
        bad=bad,
        query=Query(object="metal nut", choices=("yes", "no")),
        region=Region(box=(1, 2, 30, 40)),
        tiling=Tiling(32, 8),
        provider="CPUExecutionProvider",
        created="2026-01-02T03:04:05+00:00",
        version="0.1.0",
    )  # fmt: skip
    table = validate(given, {one.image: "flag" for one in given.bad})
    return replace(given, validation=table)


def artefacts() -> Iterator[bytes]:
    """Of each detector that learns numbers: header, separator, tensors."""
    statistics = Statistics(3, None, reservoir=8)
    statistics.update(np.random.default_rng(0).normal(size=(12, 3)))
    unit = np.array([[1, 0, 0, 0], [0, 1, 0, 0]], np.float32)
    classifier = {"weights": (2, 4), "bias": (2,), "mean": (4,), "spread": (4,)}
    learned: list[tuple[str, dict[str, Any], dict[str, NDArray[Any]]]] = [
        ("quality", {"images": 9}, {k: np.ones(len(CHECKS)) for k in ("centre", "spread")}),
        ("anomalyclip", {"temperature": 0.07, "origin": "trained"},
         {"prototypes": unit, "projection": np.ones((3, 4), np.float32)}),
        ("fooling", {"genuine": 5}, {"genuine.embeddings": np.ones((5, 4), np.float32),
                                     "genuine.pixels": np.ones((5, len(NAMES)))}),
        ("fooling", {"kinds": ["genuine", "noise"]},
         {f"classifier.{k}": np.ones(shape, np.float32) for k, shape in classifier.items()}),
        ("unanswerable", {"bank": 5}, {"mean": np.ones(4), "covariance": np.eye(4)}),
    ]  # fmt: skip
    made = [
        Artefact(detector=detector, bundle=FAKE_BUNDLE, facts=facts, tensors=tensors)
        for detector, facts, tensors in learned
    ]
    for artefact in [*made, statistics.artefact(FAKE_BUNDLE)]:
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            artefact.save(folder)
            header, tensors = folder / "artefact.json", folder / "artefact.safetensors"
            yield header.read_bytes() + SEPARATOR + tensors.read_bytes()


def _noise(shape: tuple[int, ...], seed: int = 0) -> NDArray[np.uint8]:
    return np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)


def _encoded(image: Image.Image, kind: str, **options: Any) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, format=kind, **options)
    return buffer.getvalue()
