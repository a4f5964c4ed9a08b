"""Prompts to text embeddings: batched, cached, and the same whatever they are batched with."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from clipvet.detectors.clip._bundle import Bundle
from clipvet.detectors.clip._pruning import pruned_graph
from clipvet.detectors.clip._session import Device, Session, open_session
from clipvet.detectors.clip._shipped_text import read_shipped_text
from clipvet.detectors.clip._text_cache import TextCache
from clipvet.detectors.clip._tokenizer import Tokenizer
from clipvet.detectors.errors import BundleError

__all__ = ["TextEncoder"]

# Every call has these shapes, so that a prompt's bits do not depend on its batch mates: rows are
# padded to _ROWS, and a prompt's own length is rounded up to a multiple of _STEP (what lies
# after the end of text is behind the causal mask and never read).
_ROWS = 16
_STEP = 8


class TextEncoder:
    """The text tower of a bundle; its session is made at the first prompt that is not at hand."""

    def __init__(
        self, bundle: Bundle, cache: TextCache, *, device: Device, threads: int | None
    ) -> None:
        self._bundle = bundle
        self._cache = cache
        self._shipped = read_shipped_text(bundle.folder, bundle.info.sha256)
        self._device = device
        self._threads = threads
        self._session: Session | None = None
        self._lock = threading.Lock()
        self.tokenizer = Tokenizer(bundle.folder / "tokenizer.json", bundle.manifest.text)

    def __call__(self, prompts: Sequence[str]) -> NDArray[np.float32]:
        """Text embeddings float32 [len(prompts), E], not normalised."""
        wanted = list(dict.fromkeys(prompts))
        known = {prompt: self._shipped[prompt] for prompt in wanted if prompt in self._shipped}
        known |= self._cache.get(prompt for prompt in wanted if prompt not in known)
        new = [prompt for prompt in wanted if prompt not in known]
        if new:
            encoded = dict(zip(new, self._encode(new), strict=True))
            self._cache.put(encoded)
            known |= encoded
        width = self._bundle.manifest.embed_dim
        if not prompts:
            return np.empty((0, width), dtype=np.float32)
        return np.stack([known[prompt] for prompt in prompts])

    def close(self) -> None:
        """Free the session."""
        with self._lock:
            if self._session is not None:
                self._session.close()
                self._session = None

    def _encode(self, prompts: Sequence[str]) -> NDArray[np.float32]:
        ids = self.tokenizer(prompts)
        out = np.empty((len(prompts), self._bundle.manifest.embed_dim), dtype=np.float32)
        with self._lock:
            if self._session is None:
                path = self._bundle.folder / "text.onnx"
                with self._bundle.unchanged():
                    session = open_session(
                        pruned_graph(path, ["text_embed"]),
                        self._bundle.home,
                        device=self._device,
                        threads=self._threads,
                    )
                self._session = session
            for rows, padded in _batches(ids, ids.argmax(axis=1) + 1):
                out[rows] = self._session.run({"input_ids": padded})["text_embed"][: len(rows)]
        for prompt, row in zip(prompts, out, strict=True):
            if not np.isfinite(row).all():
                name = self._bundle.manifest.name
                raise BundleError(
                    f"bundle {name} gave numbers that are not finite for the prompt {prompt!r}: "
                    f"check it with `detect bundles verify {name}`"
                )
        return out


def _batches(
    ids: NDArray[np.int64], lengths: NDArray[np.int64]
) -> Iterator[tuple[NDArray[np.intp], NDArray[np.int64]]]:
    """Row numbers, and their ids padded to one of few fixed shapes."""
    context = ids.shape[1]
    steps = np.minimum(-(-lengths // _STEP) * _STEP, context)
    for step in np.unique(steps):
        same = np.flatnonzero(steps == step)
        for first in range(0, len(same), _ROWS):
            rows = same[first : first + _ROWS]
            padded = np.repeat(ids[rows[:1], :step], _ROWS, axis=0)
            padded[: len(rows)] = ids[rows, :step]
            yield rows, padded
