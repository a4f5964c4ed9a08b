"""A bundle on disk: a CLIP exported to ONNX, with its tokenizer and its manifest."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import NDArray

from clipvet.detectors._features import FEATURES
from clipvet.detectors._hashing import sha256_of
from clipvet.detectors.clip._gate import GATE_FILE, DomainGate
from clipvet.detectors.clip._graph_check import read_graph
from clipvet.detectors.clip._manifest import FileFacts, Manifest
from clipvet.detectors.clip._verified import FileState, verified_state
from clipvet.detectors.clip._windows import window_indices
from clipvet.detectors.errors import BundleError, UsageError

if TYPE_CHECKING:
    import onnx

__all__ = ["Bundle", "BundleInfo"]


@dataclass(frozen=True, kw_only=True)
class BundleInfo:
    """Facts of a bundle that detectors and records rest on.

    Attributes:
        id: its name.
        sha256: of the manifest, which holds the hash of every other file.
        embed_dim: width E of the joint image-text space.
        vision_width: width W of the image tower.
        image_size: side of the square input in pixels.
        grid: patches (rows, columns).
        logit_scale: factor on cosines that the model was trained with.
        features: names of the features that this bundle can give.
        vocabulary: ``open``, or ``closed`` if unknown words lose their meaning.
        preprocessing_sha256: hash of the preprocessing settings.
        resize: how a view becomes square, see :class:`Preprocessing`.
        licence, description: of the weights, in words.
        trunk_grids: feature of a convolutional trunk -> its cells (rows, columns); empty where
            the bundle has no trunk.
    """

    id: str
    sha256: str
    embed_dim: int
    vision_width: int
    image_size: int
    grid: tuple[int, int]
    logit_scale: float
    features: frozenset[str]
    vocabulary: Literal["open", "closed"]
    preprocessing_sha256: str
    resize: str
    licence: str
    description: str
    trunk_grids: Mapping[str, tuple[int, int]] = field(default_factory=dict, hash=False)

    def feature_grid(self, name: str) -> tuple[int, int]:
        """Cells (rows, columns) of a feature, in row-major order.

        Where ``FEATURES[name].tokens`` is ``class+grid``, the class token stands before them.

        Raises:
            UsageError: the feature has no grid.
        """
        if FEATURES[name].tokens not in {"grid", "class+grid"}:
            raise UsageError(f"feature {name} has no grid")
        return self.trunk_grids.get(name, self.grid)

    def window_indices(self, side: int) -> NDArray[np.int64]:
        """Patches of each window behind ``win<side>_embed``: int64 [n, side * side]."""
        return window_indices(self.grid[0], side)


@dataclass(frozen=True)
class Bundle:
    """A folder with ``vision.onnx``, ``text.onnx``, ``text_embeds.onnx``, ``weights.bin``,
    ``tokenizer.json`` and ``manifest.json``."""  # noqa: D205, D209 - the list is the summary

    folder: Path
    manifest: Manifest

    @classmethod
    def open(cls, folder: str | Path) -> Bundle:
        """Read the manifest and check every file against it.

        Raises:
            BundleError: not a bundle, or a file is absent, is not the one that was exported, or
                lies elsewhere; see :meth:`check`.
        """
        folder = Path(folder)
        bundle = cls(folder, Manifest.read(folder))
        bundle.check()
        return bundle

    @property
    def home(self) -> Path:
        """Where its files really are: a folder may hold links to all files of another one."""
        return (self.folder / "manifest.json").resolve().parent

    def check(self) -> tuple[FileState, ...]:
        """Compare every file with the manifest: its place, its size, its hash.

        A file of 1 MB or more that was hashed before on this machine, and that nobody has touched
        since, is not hashed again: :mod:`clipvet.detectors.clip._verified` says what that means.

        Returns:
            the state of each file, which changes whenever the file does.

        Raises:
            BundleError: a file is absent, is not the one that was exported, or is a link to
                another place than the manifest's.
        """
        home = self.home
        files = self.manifest.files.items()
        return tuple(self._checked(name, facts, home) for name, facts in files)

    def verify(self) -> None:
        """Compare the hash of every file with the manifest, whatever is remembered of it.

        Raises:
            BundleError: a file is not the one that was exported.
        """
        for name, facts in self.manifest.files.items():
            if sha256_of(self.folder / name) != facts.sha256:
                raise BundleError(self._another(name, "sha256 differs"))

    @contextmanager
    def unchanged(self) -> Iterator[None]:
        """Around the loading of files: they are checked before, and are the same after.

        Raises:
            BundleError: as :meth:`check`, or a file was written to or replaced meanwhile.
        """
        before = self.check()
        yield
        if self.check() != before:
            raise BundleError(
                f"a file of bundle {self.folder} was replaced while it was loaded: start again"
            )

    def graph(self, name: str) -> onnx.ModelProto:
        """One of its graphs, checked, without the data of its weights.

        Args:
            name: "vision", "text" or "text_embeds".

        Raises:
            BundleError: it holds what no exporter writes, or points to another file.
        """
        return read_graph(self.folder / f"{name}.onnx")

    def weights(
        self, graph: str, names: Collection[str] | None = None
    ) -> dict[str, NDArray[np.float32]]:
        """Weights as float32, by their names in a graph. Needs onnx, from the extra ``export``.

        Linear weights are called ``weight_t`` there and lie as in x out.

        Args:
            graph: "vision", "text" or "text_embeds".
            names: those wanted; all weights when None.

        Raises:
            BundleError: one of ``names`` is not there.
        """
        import onnx
        from onnx import numpy_helper
        from onnx.external_data_helper import load_external_data_for_tensor

        found = {}
        for tensor in self.graph(graph).graph.initializer:
            external = tensor.data_location == onnx.TensorProto.EXTERNAL
            if external and (names is None or tensor.name.removesuffix(".scale") in names):
                load_external_data_for_tensor(tensor, str(self.folder))
                found[tensor.name] = numpy_helper.to_array(tensor).astype(np.float32)
        for name in [name for name in found if f"{name}.scale" in found]:
            found[name] *= found.pop(f"{name}.scale")
        missing = sorted(set(names or ()) - set(found))
        if missing:
            raise BundleError(
                f"{graph}.onnx of bundle {self.folder} lacks {missing[0]}: export it again"
            )
        return found

    @cached_property
    def gate(self) -> DomainGate | None:
        """What tells pictures of its world from others; None if it was made without.

        Raises:
            BundleError: the file is damaged, or reads a feature that the bundle cannot give.
        """
        if GATE_FILE not in self.manifest.files:
            return None
        gate = DomainGate.read(self.folder)
        missing = sorted(set(gate.features) - set(self.manifest.features))
        if missing:
            raise BundleError(f"bundle {self.folder}: its domain gate reads {missing[0]}")
        return gate

    @cached_property
    def info(self) -> BundleInfo:
        """The facts for detectors and records."""
        manifest, trunk = self.manifest, self.manifest.trunk
        return BundleInfo(
            id=manifest.name,
            sha256=sha256_of(self.folder / "manifest.json"),
            embed_dim=manifest.embed_dim,
            vision_width=manifest.vision.width,
            image_size=manifest.preprocessing.size,
            grid=(manifest.vision.grid, manifest.vision.grid),
            logit_scale=manifest.logit_scale,
            features=frozenset(manifest.features),
            vocabulary=manifest.text.vocabulary,
            preprocessing_sha256=manifest.preprocessing.sha256,
            resize=manifest.preprocessing.resize,
            licence=manifest.licence,
            description=manifest.description,
            trunk_grids={name: trunk.grid(name) for name in trunk.strides} if trunk else {},
        )

    def _checked(self, name: str, facts: FileFacts, home: Path) -> FileState:
        path = self.folder / name
        if not os.path.isfile(path):  # noqa: PTH113 - takes any name
            raise BundleError(f"bundle {self.folder} lacks {name}: export or pull it again")
        if path.resolve() != home / name:
            raise BundleError(
                f"bundle {self.folder}: {name} is a link to another place than its manifest's: "
                "copy the file"
            )
        size = path.stat().st_size
        if size != facts.bytes:
            raise BundleError(
                f"bundle {self.folder}: {name} has {size} bytes, its manifest says "
                f"{facts.bytes}: export or pull it again"
            )
        try:
            return verified_state(path, facts.sha256)
        except (OSError, ValueError) as error:
            raise BundleError(self._another(name, str(error))) from None

    def _another(self, name: str, why: str) -> str:
        return (
            f"bundle {self.folder}: {name} is not the file that its manifest describes "
            f"({why}): export or pull it again"
        )
