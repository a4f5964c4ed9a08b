"""CLIPN's "no" text tower as an artefact: a small bundle of its own, bound to an image tower.

An artefact folder holds ``artefact.json`` and ``artefact.safetensors`` as every artefact does; the
tensors are the weights of ``text.onnx`` beside them, which with ``tokenizer.json`` and
``manifest.json`` makes the folder a bundle that encodes text and no images. So the prompts of the
"no" tower are batched and cached as all others are.
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from clipvet.detectors import Artefact, BundleError, BundleIdentity, RecipeError
from clipvet.detectors.clip import Bundle, Runtime

__all__ = ["EMBEDDED", "FILES", "HAND_CRAFTED", "ID", "LEARNED", "NoTower"]

ID = "clipn"

EMBEDDED = Path(__file__).parent / "mini"
"""The tower trained for the embedded bundle."""

FILES = ("artefact.json", "artefact.safetensors", "text.onnx", "tokenizer.json", "manifest.json")

LEARNED, HAND_CRAFTED = "learned", "hand-crafted"
"""How a tower is told "no": by prompts that were learned, or by templates that say it."""


@dataclass(frozen=True, eq=False)
class NoTower:
    """A "no" text tower on disk, whole and of known origin.

    Attributes:
        artefact: its header; the weights stay on disk.
        bundle: the folder as a bundle of one text graph.
    """

    artefact: Artefact
    bundle: Bundle

    @classmethod
    def load(cls, folder: Path) -> NoTower:
        """Check that all of it is there, and unchanged.

        Raises:
            ArtefactMissing: there is no artefact.
            RecipeError: a file is missing, damaged, or another detector's.
        """
        return cls._of(Artefact.load(folder, detector=ID), folder)

    @classmethod
    def for_bundle(cls, bundle: BundleIdentity) -> NoTower | None:
        """The tower that comes with the package, if it was trained for this bundle."""
        stored = Artefact.for_bundle(EMBEDDED, detector=ID, bundle=bundle)
        return None if stored is None else cls._of(stored, EMBEDDED)

    @classmethod
    def _of(cls, stored: Artefact, folder: Path) -> NoTower:
        try:
            bundle = Bundle.open(folder)
            if set(bundle.manifest.files) != set(FILES) - {"artefact.json", "manifest.json"}:
                raise ValueError("its manifest lists other files")
            tower = cls(replace(stored, tensors={}), bundle)
            if tower.prompt_kind not in {LEARNED, HAND_CRAFTED} or not tower.origin:
                raise ValueError("it does not say what its prompts are")
        except (BundleError, KeyError, ValueError) as error:
            raise RecipeError(
                f"{ID}: the artefact in {folder} is damaged ({error}): train or import it again"
            ) from error
        return tower

    @property
    def origin(self) -> str:
        """Where it comes from, in words, for ``details.method``."""
        return str(self.artefact.facts["origin"])

    @property
    def prompt_kind(self) -> str:
        """``learned``: it takes the prompts of the yes tower; ``hand-crafted``: ones with "no"."""
        return str(self.artefact.facts["prompt_kind"])

    @property
    def facts(self) -> Mapping[str, Any]:
        """How it was made."""
        return self.artefact.facts

    def save(self, folder: Path) -> None:
        """Copy all files into an existing folder."""
        for name in FILES:
            shutil.copyfile(self.bundle.folder / name, folder / name)

    def check(self, bundle: BundleIdentity, *, embed_dim: int) -> None:
        """Raise :class:`RecipeError` if it belongs to another bundle, or is of another width."""
        self.artefact.check(bundle)
        if self.bundle.manifest.embed_dim != embed_dim:
            raise RecipeError(
                f"{ID}: the artefact's vectors are {self.bundle.manifest.embed_dim} wide, those of "
                f"bundle {bundle.id} {embed_dim}: train or import it again"
            )

    def encode_text(self, prompts: Sequence[str]) -> NDArray[np.float32]:
        """Embeddings of the "no" side float32 [len(prompts), E], not normalised; cached on disk.

        Always on the CPU: a list of classes is encoded once.

        Raises:
            RecipeError: onnxruntime refuses the graph, or it gives what is not finite.
        """
        try:
            with Runtime(self.bundle, needs=(), device="cpu") as runtime:
                return runtime.encode_text(prompts)
        except BundleError as error:
            raise RecipeError(
                f"{ID}: the artefact in {self.bundle.folder} is damaged ({error}): train or import "
                "it again"
            ) from error
