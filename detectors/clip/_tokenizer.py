"""Texts to token ids, identical to open_clip's for CLIP bundles."""

from __future__ import annotations

import html
import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from clipvet.detectors.clip._manifest import TextFacts
from clipvet.detectors.errors import BundleError

__all__ = ["Tokenizer"]

# A run of letters, a run of digits, or one other sign.
_UNIT = re.compile(r"[^\W\d_]+|\d+|[^\w\s]")


class Tokenizer:
    """The tokenizer of a bundle.

    Args:
        path: its ``tokenizer.json``.
        facts: ids of the special tokens and the cleaning rule, from the manifest.
    """

    def __init__(self, path: Path, facts: TextFacts) -> None:
        from tokenizers import Tokenizer as Inner

        try:
            self._inner = Inner.from_file(str(path))
        except Exception as error:
            raise BundleError(f"{path} is not a readable tokenizer: {error}") from error
        self._facts = facts

    def __call__(self, texts: Sequence[str]) -> NDArray[np.int64]:
        """Token ids int64 [len(texts), context_length]: start, text, end, padding.

        A text that is too long is cut so that the end token remains, as open_clip does.
        """
        facts = self._facts
        out = np.full((len(texts), facts.context_length), facts.padding, dtype=np.int64)
        for row, text in zip(out, texts, strict=True):
            ids = [facts.start, *self._ids(text), facts.end][: facts.context_length]
            ids[-1] = facts.end
            row[: len(ids)] = ids
        return out

    def unknown_words(self, text: str) -> list[str]:
        """Words of ``text`` that a closed vocabulary does not know, in order, each once."""
        if self._facts.unknown is None:
            return []
        # Word by word: a normaliser may replace unknown words, and offsets are lost with them.
        words = list(dict.fromkeys(_UNIT.findall(text)))
        found = self._inner.encode_batch(words, add_special_tokens=False)
        return [
            word
            for word, pieces in zip(words, found, strict=True)
            if self._facts.unknown in pieces.ids
        ]

    def _ids(self, text: str) -> list[int]:
        if self._facts.cleaning == "clip":
            text = _clean_as_clip(text)
        return list(self._inner.encode(text, add_special_tokens=False).ids)


def _clean_as_clip(text: str) -> str:
    """ftfy, HTML entities undone twice, white space folded, lower case: open_clip's "lower"."""
    import ftfy

    text = html.unescape(html.unescape(ftfy.fix_text(text)))
    return " ".join(text.split()).lower()
