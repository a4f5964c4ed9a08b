"""The starting point that ``detect plugins new DIR`` writes: a distribution with one detector."""

from __future__ import annotations

import re
from importlib.metadata import version
from pathlib import Path
from string import Template

from clipvet.detectors.errors import UsageError

__all__ = ["new_plugin"]

PYPROJECT = Template("""\
[build-system]
requires = ["setuptools>=77"]
build-backend = "setuptools.build_meta"

[project]
name = "$dist"
version = "0.1.0"
description = "A detector for clipvet."
requires-python = ">=3.11"
dependencies = ["clipvet>=$version", "numpy"]

[project.optional-dependencies]
test = ["pytest"]

[project.entry-points.clipvet]
$module = "$module"

[tool.setuptools]
packages = ["$module"]
""")

MODULE = Template('''\
"""A detector for clipvet: how unevenly the patches of a picture look alike."""

from __future__ import annotations

import numpy as np

from clipvet.detectors import Batch, Detector, Score, hookimpl


class $cls(Detector):
    """Distance of the odd patch: 1 - cosine to the mean patch of its picture, 0..2."""

    id = "$id"
    task = "anomaly"
    needs = frozenset({"patch_embed"})

    def score(self, batch: Batch) -> list[list[Score]]:
        """One score for each view: its oddest patch."""
        return [[self._score(patches)] for patches in batch.features["patch_embed"]]

    def _score(self, patches: np.ndarray) -> Score:
        unit = patches / np.linalg.norm(patches, axis=-1, keepdims=True)
        mean = unit.mean(axis=0) / np.linalg.norm(unit.mean(axis=0))
        distance = 1.0 - unit @ mean
        side = int(np.sqrt(len(distance)))
        heatmap = distance.reshape(side, side).astype(np.float32)
        return Score(value=float(heatmap.max()), heatmap=heatmap, details={"method": "odd patch"})


@hookimpl
def clipvet_register_detectors(register):
    register($cls)
''')

TEST = Template("""\
from clipvet.detectors.testing import parametrize_with_checks

from $module import $cls


@parametrize_with_checks($cls)
def test_keeps_every_promise(check):
    check()
""")

README = Template("""\
# $dist

A detector plugin for clipvet.

    pip install -e '.[test]'
    detect plugins list
    detect plugins check $id
    pytest
""")


def new_plugin(folder: Path) -> list[Path]:
    """Write a working distribution with one detector and its tests.

    Args:
        folder: to be made; its name gives the names of the distribution and the detector.

    Returns:
        the files, in the order in which one reads them.

    Raises:
        UsageError: the folder holds something, or its name makes no Python name.
    """
    words = re.findall(r"[a-z0-9]+", folder.resolve().name.lower())
    if not words or not words[0][0].isalpha():
        raise UsageError(
            f"{folder}: the folder's name must start with a letter, it names the plugin"
        )
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise UsageError(f"{folder} exists and is not an empty folder: name another one")
    module, detector = "_".join(words), [w for w in words if w != "clipvet"] or ["mine"]
    names = {
        "dist": "-".join(words),
        "module": module,
        "id": "-".join(detector),
        "cls": "".join(word.capitalize() for word in detector),
        "version": version("clipvet"),
    }
    files = {
        folder / "README.md": README,
        folder / "pyproject.toml": PYPROJECT,
        folder / module / "__init__.py": MODULE,
        folder / "tests" / f"test_{module}.py": TEST,
    }
    for path, template in files.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(template.substitute(names), encoding="utf-8")
    return list(files)
