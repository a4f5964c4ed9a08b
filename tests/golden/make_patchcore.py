"""Writes patchcore.npz: anomalib's PatchCore on made-up features.

    python tests/golden/make_patchcore.py        # in an environment with anomalib 2.7.0

``PatchcoreModel`` runs as it is, in float64, with three things put in its place: the features of a
backbone (random maps of two layers, 8x8 and 4x4), the projection of ``KCenterGreedy`` (none), and
its random start (the patch nearest to the mean of all). Images 0 to 3 are learned from.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import torch
from anomalib.models.components import KCenterGreedy
from anomalib.models.image.patchcore.anomaly_map import AnomalyMapGenerator
from anomalib.models.image.patchcore.torch_model import PatchcoreModel

LEARNED, IMAGES, SHARE, SIGMA = 4, 6, 0.1, 1.0


class Given(torch.nn.Module):
    """Stands for a backbone: gives some of the stored features, whatever it is shown."""

    def __init__(self, features: dict[str, torch.Tensor]) -> None:
        super().__init__()
        self.features = features
        self.shown = slice(0, 0)

    def forward(self, _images: torch.Tensor) -> dict[str, torch.Tensor]:
        """Features of the images that ``shown`` names."""
        return {name: values[self.shown] for name, values in self.features.items()}


class NoProjection:
    """Stands for ``SparseRandomProjection``."""

    def fit(self, _vectors: torch.Tensor) -> None:
        """Nothing to learn."""

    def transform(self, vectors: torch.Tensor) -> torch.Tensor:
        """The vectors themselves."""
        return vectors


def main() -> None:
    """Run the model and write the file beside this one."""
    rng = np.random.default_rng(2106_08265)
    fine = rng.standard_normal((IMAGES, 12, 8, 8)).astype(np.float32)
    coarse = (2 * rng.standard_normal((IMAGES, 20, 4, 4)) + 0.5).astype(np.float32)
    given = Given({"fine": torch.tensor(fine).double(), "coarse": torch.tensor(coarse).double()})
    model = PatchcoreModel(layers=["layer1"], backbone="resnet18", pre_trained=False).double()
    model.layers = ["fine", "coarse"]
    model.feature_extractor = given
    picture = torch.zeros(IMAGES, 3, 64, 64)

    model.train()
    given.shown = slice(0, LEARNED)
    embedding = model(picture[:LEARNED])
    start = int(((embedding - embedding.mean(0)) ** 2).sum(1).argmin())
    sampler = KCenterGreedy(embedding=embedding, sampling_ratio=SHARE)
    sampler.model = NoProjection()
    with mock.patch.object(torch, "randint", return_value=torch.tensor([start])):
        chosen = sampler.select_coreset_idxs()
    model.embedding_store.clear()
    model.memory_bank = embedding[chosen]

    model.eval()
    given.shown = slice(0, IMAGES)
    patches = model.reshape_embedding(
        model.generate_embedding({k: model.feature_pooler(v) for k, v in given(picture).items()})
    )
    distances, locations = model.nearest_neighbors(patches, 1)
    scores: dict[str, Any] = {}
    for neighbours in (1, 3, 9, 100):
        model.num_neighbors = neighbours
        scores[f"score_{neighbours}"] = model(picture).pred_score.numpy()
    grid = distances.reshape(IMAGES, 1, 8, 8)
    smoothed = AnomalyMapGenerator(sigma=SIGMA).double()(grid)
    np.savez_compressed(
        Path(__file__).with_name("patchcore.npz"),
        fine=tokens(fine),
        coarse=tokens(coarse),
        patches=patches.reshape(IMAGES, 64, -1).numpy().astype(np.float32),
        coreset=np.array(chosen),
        distances=distances.reshape(IMAGES, 8, 8).numpy(),
        locations=locations.reshape(IMAGES, 64).numpy(),
        smoothed=smoothed[:, 0].numpy(),
        **scores,
    )


def tokens(maps: np.ndarray) -> np.ndarray:
    """Maps [n, D, rows, columns] as features of clipvet: [n, rows * columns, D]."""
    return np.ascontiguousarray(maps.reshape(*maps.shape[:2], -1).swapaxes(1, 2))


if __name__ == "__main__":
    main()
