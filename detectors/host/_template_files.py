"""The texts of a new plugin; ``$names`` stand for those of the plugin."""

from __future__ import annotations

from string import Template

__all__ = ["template_files"]

PYPROJECT = Template("""\
[build-system]
requires = ["setuptools>=77"]
build-backend = "setuptools.build_meta"

[project]
name = "$dist"
version = "0.1.0"
description = "A detector for clipvet."
readme = "README.md"
requires-python = ">=3.11"
dependencies = ["clipvet>=$version", "numpy", "pydantic", "safetensors"]

[project.optional-dependencies]
test = ["clipvet[cpu,testing]"]

# The one line that makes this a plugin: the group is `clipvet`, the module holds the hooks.
[project.entry-points.clipvet]
$module = "$module"

[tool.pytest.ini_options]
testpaths = ["tests"]
""")

HOOKS = Template('''\
"""A plugin for clipvet: the detector ``$id``."""

from __future__ import annotations

from collections.abc import Callable

from clipvet.detectors import Detector, hookimpl

from $module.detector import $cls

__all__ = ["$cls"]


@hookimpl
def clipvet_register_detectors(register: Callable[[type[Detector]], None]) -> None:
    """Add the detector."""
    register($cls)
''')

_OPTIONS = '''\
class ${cls}Options(DetectorOptions):
    """Options of :class:`$cls`."""

    share: float = Field(
        0.05, gt=0, le=1, description="Share of the patches, the oddest, that the score averages."
    )
'''

DETECTOR = Template(
    '''\
"""The detector: how far the oddest patches of a picture are from its mean patch."""

from __future__ import annotations

import numpy as np
from clipvet.detectors import (
    Batch,
    Context,
    Detector,
    DetectorOptions,
    Score,
    top_mean,
    unit_rows,
)
from numpy.typing import NDArray
from pydantic import Field


'''
    + _OPTIONS
    + '''

class $cls(Detector):
    """1 - cosine of the oddest patches to the mean patch of their picture: 0..2."""

    id = "$id"
    task = "anomaly"
    needs = frozenset({"patch_embed"})
    Options = ${cls}Options
    options: ${cls}Options

    def prepare(self, context: Context) -> None:
        """Note how the patches lie in the picture."""
        self.grid_ = context.bundle.grid

    def score(self, batch: Batch) -> list[list[Score]]:
        """One score for each view, computed view by view: its company must not matter."""
        return [[self._one(patches)] for patches in batch.features["patch_embed"]]

    def _one(self, patches: NDArray[np.float32]) -> Score:
        unit = unit_rows(patches)
        distances = 1 - unit @ unit_rows(unit.mean(axis=0))
        heatmap = distances.reshape(self.grid_).astype(np.float32)
        value = top_mean(heatmap, self.options.share)
        return Score(value=value, heatmap=heatmap, details={"method": "odd patch"})
'''
)

LEARNER = Template(
    '''\
"""The detector: how far the patches of a picture are from the mean patch of good ones."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import numpy as np
from clipvet.detectors import (
    ArtefactMissing,
    Batch,
    Context,
    Detector,
    DetectorOptions,
    Score,
    top_mean,
    unit_rows,
)
from numpy.typing import NDArray
from pydantic import Field
from safetensors.numpy import load_file, save_file


'''
    + _OPTIONS
    + '''

class $cls(Detector):
    """1 - cosine of the oddest patches to the mean patch of good images: 0..2."""

    id = "$id"
    task = "anomaly"
    needs = frozenset({"patch_embed"})
    Options = ${cls}Options
    options: ${cls}Options
    learns = True

    def prepare(self, context: Context) -> None:
        """Note how the patches lie in the picture."""
        self.grid_ = context.bundle.grid

    def fit(self, batches: Iterable[Batch]) -> None:
        """Keep the mean patch, at unit length. Images stream by once."""
        means = [unit_rows(v).mean(axis=0) for b in batches for v in b.features["patch_embed"]]
        self.mean_ = unit_rows(np.mean(means, axis=0)).astype(np.float32)

    def save(self, folder: Path) -> None:
        """Write the mean patch: float32 [E]."""
        save_file({"mean": self.mean_}, folder / "mean.safetensors")

    def load(self, folder: Path) -> None:
        """Read the mean patch."""
        self.mean_ = load_file(folder / "mean.safetensors")["mean"]

    def score(self, batch: Batch) -> list[list[Score]]:
        """One score for each view, computed view by view: its company must not matter."""
        if not hasattr(self, "mean_"):
            raise ArtefactMissing("$id knows no good images: run `detect fit` first")
        return [[self._one(patches)] for patches in batch.features["patch_embed"]]

    def _one(self, patches: NDArray[np.float32]) -> Score:
        distances = 1 - unit_rows(patches) @ self.mean_
        heatmap = distances.reshape(self.grid_).astype(np.float32)
        value = top_mean(heatmap, self.options.share)
        return Score(value=value, heatmap=heatmap, details={"method": "distance to the mean"})
'''
)

TESTS = Template('''\
"""Every promise of a detector, and one run of the command."""

from clipvet.detectors.testing import parametrize_with_checks, textures

from $module import $cls

GOOD = textures(6, seed=3)


@parametrize_with_checks($cls, good=GOOD)
def test_keeps_every_promise(check):
    check()


def test_detect_finds_it(detect_project):
    shown = detect_project().run("plugins", "show", "$id")
    shown.assert_success()
    shown.assert_out("--set $id.share")


def test_detect_runs_it(detect_project):
    project = detect_project({f"good/{i}.png": pixels for i, pixels in enumerate(GOOD)})
    project.run("good", "-d", "$id", $references"--out", "out").assert_success()
    assert len(project.records()) == len(GOOD)
''')

README = Template("""\
# $dist

A detector plugin for clipvet.

    pip install -e '.[test]'
    detect plugins list
    detect plugins show $id
    pytest

The detector is in `src/$module/detector.py`; what it may read and must promise is told by
`detect plugins check $id` and the docstring of `clipvet.detectors.Detector`.
""")


def template_files(*, learns: bool) -> dict[Template, Template]:
    """Path -> text, in the order in which one reads them."""
    return {
        Template("README.md"): README,
        Template("pyproject.toml"): PYPROJECT,
        Template("src/$module/__init__.py"): HOOKS,
        Template("src/$module/detector.py"): LEARNER if learns else DETECTOR,
        Template("tests/test_$module.py"): TESTS,
    }
