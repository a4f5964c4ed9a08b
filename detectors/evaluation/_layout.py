"""Which images of a folder are good, which show what kind of defect, and where their masks are.

mvtec      DIR/test/<good name>, DIR/test/<type>, DIR/ground_truth/<type>; DIR/test is DIR, too
visa       DIR/Data/Images/{Normal,Anomaly}, DIR/Data/Masks/Anomaly
training   DIR/good, DIR/defect/<type>, DIR/masks/<type>, as sample_data and `detect train`
folders    DIR/<good name>, DIR/<type>, and masks in DIR/masks or DIR/ground_truth, if any
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeAlias

from clipvet.detectors._counting import counted
from clipvet.detectors.errors import UsageError
from clipvet.detectors.frames._frames import is_candidate
from clipvet.detectors.sources._walk import Walk

__all__ = ["GOOD_NAMES", "LayoutName", "TestImage", "TestSet", "find_test_set"]

LayoutName: TypeAlias = Literal["mvtec", "visa", "training", "folders"]

GOOD_NAMES = frozenset({"defect_free", "good", "no_defect", "normal", "ok", "pass"})
"""Names of folders, in any case, whose images are good; every other folder is a defect type."""

_MASKS = ("ground_truth", "masks", "mask")
_NOT_TYPES = frozenset({*_MASKS, "train"})
_EXPECTED = (
    "wants folders named for what they show, one of them "
    f"{', '.join(sorted(GOOD_NAMES))}, every other one a defect type, with images in both; or a "
    "category of MVTec AD (test/, ground_truth/) or VisA (Data/)"
)


@dataclass(frozen=True, kw_only=True)
class TestImage:
    """One labelled image.

    Attributes:
        path: of the file, absolute.
        kind: the defect type; None for a good image.
        mask: white where the defect is; None without one.
    """

    __test__ = False  # pytest: not a test in spite of its name

    path: Path
    kind: str | None
    mask: Path | None = None


@dataclass(frozen=True, kw_only=True)
class TestSet:
    """Labelled images.

    Attributes:
        folder: that was given.
        layout: as which it was read.
        sources: the folders that hold the images, good ones first.
        images: good ones first, then by type.
        notes: sentences about what was left out.
    """

    __test__ = False

    folder: Path
    layout: LayoutName
    sources: Sequence[Path]
    images: Sequence[TestImage]
    notes: Sequence[str] = ()

    @property
    def kinds(self) -> list[str]:
        """The defect types."""
        return list(dict.fromkeys(one.kind for one in self.images if one.kind is not None))


@dataclass(frozen=True)
class _Kind:
    folder: Path
    name: str | None  # None: good


@dataclass(frozen=True)
class _Layout:
    name: LayoutName
    root: Path
    kinds: Sequence[_Kind]
    masks: Path | None


def find_test_set(
    folder: Path, *, masks: Path | None = None, takes: Callable[[Path], bool] = is_candidate
) -> TestSet:
    """Read the labels of a folder from its layout.

    Args:
        folder: see the head of this module.
        masks: where masks are, if not where the layout has them: each has the relative path of
            its image within ``<type>/...``, with any suffix, and perhaps ``_mask`` behind the
            name.
        takes: whether a file is an image.

    Raises:
        UsageError: the layout cannot be told, good or defective images are lacking, or no image
            has a mask in ``masks``.
    """
    if not folder.is_dir():
        raise UsageError(f"{folder} is no folder: {_EXPECTED}")
    folder = Path(os.path.abspath(folder))  # noqa: PTH100 - resolve() would follow links
    layout = _tell(folder, takes)
    by_stem = _masks_in(layout.masks if masks is None else masks)
    images = [
        TestImage(path=path, kind=kind.name, mask=_mask_of(path, kind, by_stem))
        for kind in layout.kinds
        for path in _images_in(kind.folder, takes)
    ]
    for wanted, there in (
        ("good", any(one.kind is None for one in images)),
        ("defective", any(one.kind is not None for one in images)),
    ):
        if not there:
            raise UsageError(f"{folder} has no {wanted} images: eval {_EXPECTED}")
    if masks is not None and not any(one.mask for one in images):
        shown = next(one for one in images if one.kind is not None)
        raise UsageError(
            f"--masks {masks} has no mask of any image: {masks / str(shown.kind)}/"
            f"{shown.path.stem}.png would be that of {shown.path}"
        )
    held = {one.kind for one in images}
    return TestSet(
        folder=folder,
        layout=layout.name,
        sources=[kind.folder for kind in layout.kinds if kind.name in held],
        images=images,
        notes=_notes(layout, takes),
    )


def _tell(folder: Path, takes: Callable[[Path], bool]) -> _Layout:
    if (folder / "test").is_dir():
        return _Layout("mvtec", folder / "test", _kinds(folder / "test"), _mask_folder(folder))
    if folder.name == "test" and (folder.parent / "ground_truth").is_dir():
        return _Layout("mvtec", folder, _kinds(folder), folder.parent / "ground_truth")
    visa = folder / "Data" / "Images"
    if visa.is_dir():
        return _Layout("visa", visa, _kinds(visa), folder / "Data" / "Masks")
    defect = folder / "defect"
    types = [_Kind(path, path.name) for path in _folders(defect)]
    if (folder / "good").is_dir() and types and not _loose(defect, takes):
        good = _Kind(folder / "good", None)
        return _Layout("training", folder, [good, *types], _mask_folder(folder))
    return _Layout("folders", folder, _kinds(folder), _mask_folder(folder))


def _kinds(root: Path) -> list[_Kind]:
    """Good folders first."""
    found = [
        _Kind(path, None if path.name.lower() in GOOD_NAMES else path.name)
        for path in _folders(root)
        if path.name.lower() not in _NOT_TYPES
    ]
    return sorted(found, key=lambda kind: kind.name is not None)


def _folders(root: Path) -> list[Path]:
    if not root.is_dir():
        return []
    return sorted(p for p in root.iterdir() if p.is_dir() and not p.name.startswith("."))


def _mask_folder(folder: Path) -> Path | None:
    return next((folder / name for name in _MASKS if (folder / name).is_dir()), None)


def _images_in(folder: Path, takes: Callable[[Path], bool]) -> Iterator[Path]:
    return (found.path for found in Walk(sources=[folder], takes=takes))


def _masks_in(folder: Path | None) -> dict[Path, Path]:
    """Relative path without suffix and ``_mask`` -> mask."""
    if folder is None:
        return {}
    if not folder.is_dir():
        raise UsageError(f"--masks {folder} is no folder: give the folder of the masks")
    folder = Path(os.path.abspath(folder))  # noqa: PTH100
    return {
        _stem(path.relative_to(folder), mask=True): path
        for path in _images_in(folder, is_candidate)
    }


def _mask_of(path: Path, kind: _Kind, by_stem: dict[Path, Path]) -> Path | None:
    if kind.name is None:
        return None
    return by_stem.get(kind.name / _stem(path.relative_to(kind.folder), mask=False))


def _stem(path: Path, *, mask: bool) -> Path:
    return path.with_name(path.stem.removesuffix("_mask") if mask else path.stem)


def _loose(folder: Path, takes: Callable[[Path], bool]) -> int:
    """Images that lie in a folder itself."""
    files = (path for path in folder.iterdir() if not path.name.startswith("."))
    return sum(1 for path in files if path.is_file() and takes(path))


def _notes(layout: _Layout, takes: Callable[[Path], bool]) -> list[str]:
    notes = []
    if loose := _loose(layout.root, takes):
        have = "has" if loose == 1 else "have"
        beside = f"{counted(loose, 'image')} beside the folders of {layout.root}"
        notes.append(f"{beside} {have} no label: left out")
    if (layout.root / "train").is_dir():
        notes.append(f"{layout.root / 'train'} is not tested")
    return notes
