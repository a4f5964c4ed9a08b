"""The domain gate of a bundle: does a picture belong to the world that the model was trained on?

Two limits cut its score: above ``threshold`` a picture is outside; up to ``inside`` it is inside
for certain. What lies between may be either, and is not vouched for.

A linear score of what the shared pass computes anyway. It is learned together with the bundle
(``training/gate.py`` for the embedded one) and lies beside its weights as ``gate.safetensors``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

from clipvet.detectors._hashing import sha256_of
from clipvet.detectors.clip._manifest import FileFacts, Manifest
from clipvet.detectors.errors import BundleError

__all__ = ["GATE_FILE", "DomainGate", "describe"]

GATE_FILE = "gate.safetensors"
"""Name of a domain gate's file in the folder of its bundle."""
_SCHEMA = "clipvet.gate/1"


@dataclass(frozen=True, eq=False)
class DomainGate:
    """Score above ``threshold``: outside of the bundle's world; up to ``inside``: surely in it.

    Attributes:
        features: names of the features that it reads, in order; see :func:`describe`.
        mean, scale, weight: float64 [D]; the score is ``bias + weight @ (x - mean) / scale``.
        bias: shifts the score, so that 0 is as likely inside as outside of what it learned from.
        threshold: exceeded by the share of pictures inside that its maker accepted.
        inside: at most ``threshold``, and as far below it as it takes to keep others out.
    """

    features: tuple[str, ...]
    mean: NDArray[np.float64]
    scale: NDArray[np.float64]
    weight: NDArray[np.float64]
    bias: float
    threshold: float
    inside: float

    @classmethod
    def read(cls, folder: Path) -> DomainGate:
        """Read ``gate.safetensors`` of a bundle; raises :class:`BundleError` if it is damaged."""
        path = folder / GATE_FILE
        try:
            with safe_open(path, framework="numpy") as file:
                facts = file.metadata() or {}
                values = {name: file.get_tensor(name).astype(np.float64) for name in file.keys()}  # noqa: SIM118
            if facts.get("schema") != _SCHEMA:
                raise ValueError(f"its schema is {facts.get('schema')}, not {_SCHEMA}")
            gate = cls(
                features=tuple(facts["features"].split(",")),
                mean=values["mean"],
                scale=values["scale"],
                weight=values["weight"],
                bias=float(values["bias"][0]),
                threshold=float(values["threshold"][0]),
                inside=float(values["inside"][0]),
            )
            if not gate.mean.shape == gate.scale.shape == gate.weight.shape or gate.mean.ndim != 1:
                raise ValueError("its vectors differ in length")
            if not all(np.isfinite(part).all() for part in values.values()):
                raise ValueError("it holds a value that is not finite")
            if gate.inside > gate.threshold:
                raise ValueError("its limit of what is inside lies above that of what is outside")
        except (OSError, SafetensorError, LookupError, ValueError, AttributeError) as error:
            raise BundleError(f"{path} is not a domain gate: {error}") from None
        return gate

    def add_to(self, folder: Path) -> None:
        """Write it into a bundle and enter it in the manifest: the bundle's hash changes."""
        tensors = {
            "mean": self.mean.astype(np.float32),
            "scale": self.scale.astype(np.float32),
            "weight": self.weight.astype(np.float32),
            "bias": np.array([self.bias], np.float32),
            "threshold": np.array([self.threshold], np.float32),
            "inside": np.array([self.inside], np.float32),
        }
        facts = {"schema": _SCHEMA, "features": ",".join(self.features)}
        path = folder / GATE_FILE
        save_file(tensors, path, metadata=facts)
        manifest = Manifest.read(folder)
        entry = FileFacts(bytes=path.stat().st_size, sha256=sha256_of(path))
        changed = manifest.model_copy(update={"files": {**manifest.files, GATE_FILE: entry}})
        changed.write(folder)

    def score(self, features: Mapping[str, NDArray[np.float32]]) -> NDArray[np.float64]:
        """Scores [V] of the views of a batch; each from its own numbers alone."""
        x = describe(features, self.features)
        if x.shape[1] != len(self.weight):
            raise BundleError(f"its domain gate reads {len(self.weight)} numbers, not {x.shape[1]}")
        # Elementwise product and sum, not a matrix product: the same bits whatever the batch.
        out: NDArray[np.float64] = self.bias + ((x - self.mean) / self.scale * self.weight).sum(1)
        return out


def describe(
    features: Mapping[str, NDArray[np.float32]], names: tuple[str, ...]
) -> NDArray[np.float64]:
    """One vector for each view [V, D]: vectors as they are, of tokens the mean and the spread.

    Tokens [V, n, W] give their mean and standard deviation over n, one after the other. A
    feature with class token and patches counts both; its class token is one of many.
    """
    parts = []
    for name in names:
        values = features[name].astype(np.float64)
        parts += [values] if values.ndim == 2 else [values.mean(axis=1), values.std(axis=1)]
    return np.concatenate(parts, axis=1)
