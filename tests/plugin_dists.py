"""Distributions for tests of the host: real files that importlib.metadata finds, no installer."""

from __future__ import annotations

import textwrap
from pathlib import Path

__all__ = ["DETECTOR", "write_dist"]

DETECTOR = '''
from clipvet.detectors import Detector, Score, hookimpl

class {cls}(Detector):
    """Mean of the image embedding."""

    id = "{id}"
    task = "quality"
    needs = frozenset({{"cls_embed"}})

    def score(self, batch):
        rows = batch.features["cls_embed"]
        return [[Score(value=float(row.mean()), details={{"method": "mean"}})] for row in rows]

@hookimpl
def clipvet_register_detectors(register):
    register({cls})
'''


def write_dist(
    folder: Path,
    dist: str,
    code: str | None,
    *,
    version: str = "1.0",
    entry_point: str | None = None,
    module: str | None = None,
) -> str:
    """Write a module and its metadata as an installer would; returns the module's name.

    Args:
        folder: on sys.path.
        dist: name of the distribution.
        code: of the module; None writes no module at all.
        entry_point, module: names, by default the distribution's.
    """
    module = module or dist.replace("-", "_")
    if code is not None:
        (folder / f"{module}.py").write_text(textwrap.dedent(code), encoding="utf-8")
    info = folder / f"{dist.replace('-', '_')}-{version}.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text(
        f"Metadata-Version: 2.1\nName: {dist}\nVersion: {version}\n", encoding="utf-8"
    )
    (info / "entry_points.txt").write_text(
        f"[clipvet]\n{entry_point or module} = {module}\n", encoding="utf-8"
    )
    return module
