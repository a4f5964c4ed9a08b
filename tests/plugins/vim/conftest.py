from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from clipvet.plugins.vim import Head, Statistics, VimOptions
from clipvet.plugins.vim._fitting import fit_rule

Arrays = Mapping[str, NDArray[Any]]
Scores = Callable[..., NDArray[np.float64]]


@pytest.fixture(scope="session")
def golden() -> Arrays:
    with np.load(Path(__file__).parents[2] / "golden" / "vim.npz") as arrays:
        return dict(arrays)


@pytest.fixture(scope="session")
def head(golden: Arrays) -> Head:
    weights, bias = (golden[name].astype(np.float64) for name in ("W", "b"))
    return Head(classes=tuple("abcdefghij"), weights=weights, bias=bias)


@pytest.fixture(scope="session")
def statistics(golden: Arrays, head: Head) -> Statistics:
    seen = Statistics(64, head)
    seen.update(golden["train_features"], golden["train_labels"])
    return seen


@pytest.fixture
def scores(golden: Arrays, head: Head, statistics: Statistics) -> Scores:
    """Of the golden test features, one row at a time."""

    def of(method: str, *, seen: Statistics | None = None, **options: Any) -> NDArray[np.float64]:
        rule = fit_rule(VimOptions(method=method, **options), head, seen or statistics)  # type: ignore[arg-type]
        rows = golden["test_features"].astype(np.float64)
        return np.array([rule.score(row) for row in rows])

    return of
