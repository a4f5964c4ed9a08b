from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from clipvet.detectors.clip import Bundle
from clipvet.detectors.clip.export import TokenizerFiles
from tests.tiny import openai_tokenizer, tiny_bundle

GOLDEN = Path(__file__).parents[2] / "golden"
Arrays = Mapping[str, NDArray[Any]]


@pytest.fixture(autouse=True)
def _own_folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No test reads or writes the user's caches and bundles."""
    monkeypatch.setenv("CLIPVET_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("CLIPVET_BUNDLES", str(tmp_path / "bundles"))


@pytest.fixture(scope="session")
def golden() -> Callable[[str], Arrays]:
    def load(name: str) -> Arrays:
        with np.load(GOLDEN / f"{name}.npz") as arrays:
            return dict(arrays)

    return load


@pytest.fixture(scope="session")
def images(golden: Callable[[str], Arrays]) -> list[NDArray[np.uint8]]:
    """Six pictures of 96 pixels, the size of the tiny model."""
    return list(golden("images")["images"])


@pytest.fixture(scope="session")
def tokenizer() -> TokenizerFiles:
    return openai_tokenizer()


@pytest.fixture(scope="session")
def bundles(
    tmp_path_factory: pytest.TempPathFactory, tokenizer: TokenizerFiles
) -> Callable[..., Bundle]:
    """Tiny bundles by their options, each written once."""
    folder, made = tmp_path_factory.mktemp("tiny"), dict[str, Bundle]()

    def make(**options: Any) -> Bundle:
        key = repr(sorted(options.items()))
        if key not in made:
            made[key] = tiny_bundle(folder / str(len(made)), tokenizer=tokenizer, **options)
        return made[key]

    return make


@pytest.fixture(scope="session")
def gelu(bundles: Callable[..., Bundle]) -> Bundle:
    return bundles()


@pytest.fixture(scope="session")
def quickgelu(bundles: Callable[..., Bundle]) -> Bundle:
    return bundles(quick_gelu=True)
