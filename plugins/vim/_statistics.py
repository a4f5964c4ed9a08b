"""What one pass over good images leaves behind; any number of shards merge into one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from clipvet.detectors import Artefact, BundleIdentity, RecipeError, UsageError
from clipvet.plugins.vim._head import Floats, Head, softmax
from clipvet.plugins.vim._options import ID
from clipvet.plugins.vim._reservoir import Reservoir

__all__ = ["Moments", "Statistics"]


@dataclass(frozen=True, kw_only=True, eq=False)
class Moments:
    """Count, mean [F] and scatter [F, F] about the mean of some rows, in float64."""

    count: int
    mean: Floats
    scatter: Floats

    @classmethod
    def of(cls, rows: Floats) -> Moments:
        """Of one batch [n, F], n at least 1."""
        mean = rows.mean(axis=0)
        centred = rows - mean
        return cls(count=len(rows), mean=mean, scatter=centred.T @ centred)

    def merge(self, other: Moments) -> Moments:
        """Of both (Chan, Golub and LeVeque 1979): nothing cancels, however far the means are."""
        if not self.count or not other.count:
            return self if self.count else other
        count = self.count + other.count
        step = other.mean - self.mean
        return Moments(
            count=count,
            mean=self.mean + step * (other.count / count),
            scatter=self.scatter
            + other.scatter
            + np.outer(step, step) * (self.count * other.count / count),
        )

    def about(self, point: Floats) -> Floats:
        """Second moment [F, F] about a point [F] (not a covariance, unless it is the mean)."""
        step = self.mean - point
        moment: Floats = self.scatter / self.count + np.outer(step, step)
        return moment


class Statistics:
    """Sums over good images, for every method of the family.

    Args:
        width: F.
        head: of the classes, or None; then there is nothing by class.
        reservoir: the most rows that are kept as a sample.

    Attributes:
        moments: of all rows.
        reservoir: a uniform sample of them.
        top_logits: sum of the largest logit of each row.
        labelled: how many rows came with a label; the others count for their predicted class.
        class_counts, class_sums: float64 [C] and [C, F], by label.
        predicted_counts, predicted_softmax: float64 [C] and [C, C], by prediction.
    """

    def __init__(self, width: int, head: Head | None = None, *, reservoir: int = 20_000) -> None:
        classes = 0 if head is None else len(head.classes)
        self.width = width
        self.head = head
        self.moments = Moments(count=0, mean=np.zeros(width), scatter=np.zeros((width, width)))
        self.reservoir = Reservoir(reservoir, width)
        self.top_logits = 0.0
        self.labelled = 0
        self.class_counts = np.zeros(classes)
        self.class_sums = np.zeros((classes, width))
        self.predicted_counts = np.zeros(classes)
        self.predicted_softmax = np.zeros((classes, classes))

    @property
    def count(self) -> int:
        """Rows seen so far."""
        return self.moments.count

    def update(
        self, features: NDArray[np.floating], labels: NDArray[np.integer] | None = None
    ) -> None:
        """See some rows.

        Args:
            features: [n, F], as the head takes them (unit length for a text head).
            labels: [n], the class of each row, -1 where it is not known; None: nowhere.

        Raises:
            UsageError: numbers that are not finite, or another width.
        """
        rows = np.asarray(features, dtype=np.float64)
        if rows.ndim != 2 or rows.shape[1] != self.width:
            raise UsageError(f"{ID}: features have shape {rows.shape}, not (n, {self.width})")
        if not np.isfinite(rows).all():
            raise UsageError(f"{ID}: a good image has features that are not finite: leave it out")
        if not len(rows):
            return
        self.moments = self.moments.merge(Moments.of(rows))
        self.reservoir.offer(rows)
        if self.head is not None:
            logits = self.head.logits(rows)
            predicted = logits.argmax(axis=1)
            given = np.full(len(rows), -1) if labels is None else np.asarray(labels)
            classes = np.where(given >= 0, given, predicted)
            self.top_logits += float(logits.max(axis=1).sum())
            self.labelled += int((given >= 0).sum())
            np.add.at(self.class_counts, classes, 1)
            np.add.at(self.class_sums, classes, rows)
            np.add.at(self.predicted_counts, predicted, 1)
            np.add.at(self.predicted_softmax, predicted, softmax(logits))

    def merge(self, other: Statistics) -> Statistics:
        """The statistics of the rows of both, as one pass over all of them would give.

        Raises:
            UsageError: they were made for different classes or features.
        """
        same = other.head is None if self.head is None else self.head.same_as(other.head)
        if self.width != other.width or not same:
            raise UsageError(
                f"{ID}: these shards were made with different classes, templates or features: "
                "make all of them with the same"
            )
        merged = Statistics(self.width, self.head)
        merged.moments = self.moments.merge(other.moments)
        merged.reservoir = self.reservoir.merge(other.reservoir)
        for name in ("top_logits", "labelled", *_BY_CLASS):
            setattr(merged, name, getattr(self, name) + getattr(other, name))
        return merged

    def within_scatter(self) -> Floats:
        """Scatter [F, F] about the class means; about the one mean without classes."""
        if self.head is None:
            return self.moments.scatter
        known = self.class_counts > 0
        steps = self.class_sums[known] / self.class_counts[known, None] - self.moments.mean
        scatter: Floats = self.moments.scatter - (steps.T * self.class_counts[known]) @ steps
        return (scatter + scatter.T) / 2

    def for_head(self, head: Head | None) -> Statistics:
        """The same images by other classes: what depends on them comes from the sample."""
        if head is None or head.same_as(self.head):
            return self
        other = Statistics(self.width, head, reservoir=self.reservoir.capacity)
        other.update(self.reservoir.rows)
        sampled = other.count / self.count
        other.moments, other.reservoir = self.moments, self.reservoir
        other.top_logits /= sampled
        for name in _BY_CLASS:
            setattr(other, name, getattr(other, name) / sampled)
        return other

    def artefact(self, bundle: BundleIdentity) -> Artefact:
        """As it is written; any number of them merge into one."""
        facts: dict[str, Any] = {
            "count": self.count,
            "capacity": self.reservoir.capacity,
            "top_logits": self.top_logits,
            "labelled": self.labelled,
            "classes": None if self.head is None else list(self.head.classes),
        }
        tensors: dict[str, NDArray[Any]] = {
            "mean": self.moments.mean,
            "scatter": self.moments.scatter,
            "reservoir": self.reservoir.rows,
        }
        if self.head is not None:
            tensors |= {"weights": self.head.weights, "bias": self.head.bias}
            tensors |= {name: getattr(self, name) for name in _BY_CLASS}
        return Artefact(detector=ID, bundle=bundle, facts=facts, tensors=tensors)

    @classmethod
    def of(cls, stored: Artefact) -> Statistics:
        """What :meth:`artefact` holds; raises :class:`RecipeError` if it does not fit together."""
        facts, tensors = stored.facts, stored.tensors
        try:
            names, mean = facts["classes"], tensors["mean"]
            head = None
            if names is not None:
                head = Head(classes=tuple(names), weights=tensors["weights"], bias=tensors["bias"])
            found = cls(len(mean), head, reservoir=int(facts["capacity"]))
            found.moments = Moments(
                count=int(facts["count"]), mean=mean, scatter=tensors["scatter"]
            )
            found.reservoir.offer(tensors["reservoir"])
            found.top_logits, found.labelled = float(facts["top_logits"]), int(facts["labelled"])
            for name in _BY_CLASS if head is not None else ():
                if getattr(found, name).shape != tensors[name].shape:
                    raise ValueError(f"{name} has shape {tensors[name].shape}")
                setattr(found, name, tensors[name])
            found._check_numbers()
        except (KeyError, TypeError, ValueError, IndexError) as error:
            raise RecipeError(f"{ID}: the artefact is damaged ({error}): fit it again") from error
        return found

    def _check_numbers(self) -> None:
        moments, rows = self.moments, self.reservoir.rows
        if self.count < 1 or moments.scatter.shape != (self.width, self.width):
            raise ValueError(f"{self.count} images, scatter {moments.scatter.shape}")
        if not rows.size or not all(
            np.isfinite(x).all() for x in (moments.mean, moments.scatter, rows)
        ):
            raise ValueError("its numbers are not finite, or there are none")


_BY_CLASS = ("class_counts", "class_sums", "predicted_counts", "predicted_softmax")
