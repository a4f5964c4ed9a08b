"""Train the heads on frozen embeddings. Imports torch.

Form and warm-up of the projection are CLIP-UP's (methods/safety.md 3.3). A linear read-out with a
cross-entropy over the kinds stands for the frozen VLM and its language-model loss, and inputs are
standardised, which is folded into the weights afterwards, so that ordinary learning rates serve.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from clipvet.detectors import BundleIdentity, unit_rows
from clipvet.plugins.unanswerable._blind import BlindChoices, BlindQuestion, option_counts
from clipvet.plugins.unanswerable._heads import Mlp, Projection
from clipvet.plugins.unanswerable._kinds import ANSWERABLE, KINDS, SLOTS
from clipvet.plugins.unanswerable._learned import Learned, Open
from clipvet.plugins.unanswerable._samples import Sample
from clipvet.plugins.unanswerable._vectors import Floats, padded, pooled

__all__ = ["TrainConfig", "supervised_contrastive", "train_heads"]

Ints = NDArray[np.int64]


@dataclass(frozen=True, kw_only=True)
class TrainConfig:
    """How to train.

    Attributes:
        epochs: at most; a tenth of the images chooses the one that is kept.
        batch, rate, decay: of AdamW.
        hidden, dropout: of the pooled head.
        token_width: of the projection.
        temperature: of the contrastive warm-up, which lasts one epoch.
        seed: of the split, the first weights and the order.
    """

    epochs: int = 20
    batch: int = 128
    rate: float = 1e-3
    decay: float = 1e-2
    hidden: int = 64
    dropout: float = 0.2
    token_width: int = 64
    temperature: float = 0.07
    seed: int = 0


@dataclass(frozen=True, eq=False)
class _Data:
    """Inputs [n, P], kinds [n] (0 is answerable), and which rows choose the epoch [n]."""

    inputs: Floats
    kinds: Ints
    inner: NDArray[np.bool_]
    choices: Ints | None = None  # to be put in another order for every batch


def train_heads(samples: Sequence[Sample], bundle: BundleIdentity, config: TrainConfig) -> Learned:
    """Train all heads and baselines; the same seed gives the same numbers on the same machine.

    Args:
        samples: with and without choices; those with choices hold two kinds at least.
        bundle: whose embeddings they are.
        config: how.
    """
    asked = [sample for sample in samples if sample.row.choices]
    kinds = (ANSWERABLE, *(k for k in KINDS if any(s.row.kind == k for s in asked)))
    labels = np.array([kinds.index(str(s.row.kind)) for s in asked])
    inner = _inner(asked, config.seed)
    images = {s.row.image: s.image for s in samples}
    # Every image counts once, however often it is asked about.
    usual = unit_rows(np.mean(list(images.values()), axis=0)[None])[0]
    counts = np.array([len(s.texts.options) for s in asked])
    few = [i for i, count in enumerate(counts) if count <= SLOTS]
    data = _Data(np.array([pooled(s.image, s.texts) for s in asked]), labels, inner)
    blind = _Data(np.array([pooled(usual, s.texts) for s in asked]), labels, inner)
    vectors = _Data(
        np.array([padded(asked[i].image, asked[i].texts, SLOTS) for i in few]),
        labels[few],
        inner[few],
        counts[few],
    )
    return Learned(
        bundle=bundle,
        kinds=kinds,
        pooled=_mlp(data, len(kinds), config),
        projection=_projection(vectors, len(kinds), config),
        blind=BlindChoices(
            question=_blind_question(asked, labels > 0),
            counts=option_counts(counts, labels > 0),
            network=_mlp(blind, len(kinds), config),
            image=usual,
        ),
        open=_open(samples, config),
        facts={"questions": len(samples), "images": len(images), "training": asdict(config)},
    )


def supervised_contrastive(features: Tensor, labels: Tensor, temperature: float) -> Tensor:
    """Supervised contrastive loss (Khosla et al. 2020, equation 2) on rows of unit length.

    Args:
        features: [n, D], any length.
        labels: [n]; rows with equal ones attract each other.
        temperature: divides the cosines.
    """
    unit = functional.normalize(features, dim=1)
    logits = unit @ unit.T / temperature
    own = torch.eye(len(labels), dtype=torch.bool)
    same = (labels[:, None] == labels[None]) & ~own
    likely = logits - torch.logsumexp(logits.masked_fill(own, -torch.inf), dim=1, keepdim=True)
    paired = same.any(dim=1)
    mean = (likely * same).sum(dim=1)[paired] / same.sum(dim=1)[paired]
    return -mean.mean() if len(mean) else logits.sum() * 0


def _mlp(data: _Data, kinds: int, config: TrainConfig) -> Mlp:
    torch.manual_seed(config.seed)
    first = nn.Linear(data.inputs.shape[1], config.hidden)
    last = nn.Linear(config.hidden, kinds)
    gelu, dropout = nn.GELU(approximate="tanh"), nn.Dropout(config.dropout)
    mean, spread = _standard(data)
    _descend(nn.Sequential(first, gelu, dropout, last), data, (mean, spread), config)
    hidden, bias = _folded(first, mean, spread)
    return Mlp(hidden, bias, _array(last.weight), _array(last.bias))


def _projection(data: _Data, kinds: int, config: TrainConfig) -> Projection:
    torch.manual_seed(config.seed)
    first = nn.Linear(data.inputs.shape[1], config.token_width)
    last = nn.Linear(config.token_width, kinds)
    mean, spread = _standard(data)
    _descend(nn.Sequential(first, last), data, (mean, spread), config, warm_up=first)
    weight, bias = _folded(first, mean, spread)
    return Projection(weight, bias, _array(last.weight), _array(last.bias))


def _open(samples: Sequence[Sample], config: TrainConfig) -> Open | None:
    """Questions alone: those that fit their image, and those that do not, each pair once."""
    found = {
        (s.row.image, s.row.question): s
        for s in samples
        if s.row.kind in {ANSWERABLE, "incompatible_question"}
    }
    chosen = list(found.values())
    labels = np.array([int(s.row.kind != ANSWERABLE) for s in chosen])
    if len(set(labels.tolist())) < 2:
        return None
    inputs = np.array([padded(s.image, s.texts, 1) for s in chosen])
    data = _Data(inputs, labels, _inner(chosen, config.seed))
    return Open(_projection(data, 2, config), _blind_question(chosen, labels > 0))


def _blind_question(samples: Sequence[Sample], unanswerable: NDArray[np.bool_]) -> BlindQuestion:
    from sklearn.linear_model import LogisticRegression

    questions = np.array([s.texts.question for s in samples])
    model = LogisticRegression(class_weight="balanced", max_iter=1000).fit(questions, unanswerable)
    return BlindQuestion(model.coef_[0].astype(np.float64), model.intercept_.astype(np.float64))


def _descend(
    network: nn.Module,
    data: _Data,
    standard: tuple[Floats, Floats],
    config: TrainConfig,
    warm_up: nn.Module | None = None,
) -> None:
    """AdamW on the weighted cross-entropy; the network ends with its best weights.

    The kinds of unanswerable questions weigh alike, and together as much as the answerable ones.
    """
    rng = np.random.default_rng(config.seed)
    labels = torch.from_numpy(data.kinds)
    weight = _class_weights(data.kinds)
    optimiser = torch.optim.AdamW(network.parameters(), lr=config.rate, weight_decay=config.decay)
    outer, inner = np.flatnonzero(~data.inner), np.flatnonzero(data.inner)

    def inputs(rows: NDArray[np.intp], shuffle: bool) -> Tensor:
        values = data.inputs[rows]
        if shuffle and data.choices is not None:
            values = _reordered(values, data.choices[rows], rng)
        return torch.from_numpy(((values - standard[0]) / standard[1]).astype(np.float32))

    def epoch(loss: Callable[[Tensor, Tensor], Tensor]) -> None:
        order = rng.permutation(outer)
        for begin in range(0, len(order), config.batch):
            rows = order[begin : begin + config.batch]
            optimiser.zero_grad()
            loss(inputs(rows, shuffle=True), labels[rows]).backward()  # type: ignore[no-untyped-call]
            optimiser.step()

    if warm_up is not None:
        epoch(lambda x, y: supervised_contrastive(warm_up(x), (y > 0).long(), config.temperature))
    best, least = _state(network), np.inf
    for _ in range(config.epochs):
        network.train()
        epoch(lambda x, y: functional.cross_entropy(network(x), y, weight=weight))
        network.eval()
        with torch.no_grad():
            checked = functional.cross_entropy(
                network(inputs(inner, shuffle=False)), labels[inner], weight=weight
            ).item()
        if checked < least:
            best, least = _state(network), checked
    network.load_state_dict(best)


def _reordered(vectors: Floats, counts: Ints, rng: np.random.Generator) -> Floats:
    """Each row's choices in a random order; the unused places stay at the end."""
    slots = vectors.reshape(len(vectors), SLOTS, -1)
    keys = rng.random((len(vectors), SLOTS)) + (np.arange(SLOTS) >= counts[:, None])
    order = keys.argsort(axis=1)
    moved: Floats = np.take_along_axis(slots, order[:, :, None], axis=1).reshape(vectors.shape)
    return moved


def _class_weights(kinds: Ints) -> Tensor:
    counts = np.maximum(np.bincount(kinds), 1)
    shares = np.full(len(counts), 0.5 / max(1, len(counts) - 1))
    shares[0] = 0.5
    return torch.from_numpy((len(kinds) * shares / counts).astype(np.float32))


def _standard(data: _Data) -> tuple[Floats, Floats]:
    """Mean and standard deviation of each input; one where it never changes."""
    values = data.inputs[~data.inner]
    spread = values.std(axis=0)
    return values.mean(axis=0), np.where(spread > 1e-9, spread, 1.0)


def _folded(layer: nn.Linear, mean: Floats, spread: Floats) -> tuple[Floats, Floats]:
    """Weight and bias of a layer on standardised inputs, for inputs as they are."""
    weight = _array(layer.weight) / spread
    return weight, _array(layer.bias) - weight @ mean


def _inner(samples: Sequence[Sample], seed: int) -> NDArray[np.bool_]:
    """True for the questions about a tenth of the images, two images at least."""
    names = sorted({s.row.image for s in samples})
    rng = np.random.default_rng(seed)
    chosen = set(rng.permutation(names)[: max(2, round(0.1 * len(names)))].tolist())
    return np.array([s.row.image in chosen for s in samples])


def _state(network: nn.Module) -> dict[str, Tensor]:
    return {name: value.clone() for name, value in network.state_dict().items()}


def _array(parameter: Tensor) -> Floats:
    values: Floats = parameter.detach().numpy().astype(np.float64)
    return values
