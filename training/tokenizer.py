"""A word-level tokenizer over the closed vocabulary, as a Hugging Face ``tokenizers`` object."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers

from training.vocabulary import WORDS

__all__ = ["CONTEXT", "END", "PAD", "START", "UNKNOWN", "build_tokenizer", "encode"]

CONTEXT = 32
PAD, UNKNOWN, START, END = "[PAD]", "[UNK]", "<start>", "<end>"


def build_tokenizer() -> Tokenizer:
    """Lower-cases, splits at spaces and punctuation, maps unknown words to ``[UNK]``.

    ``<end>`` has the largest id, so that CLIP's argmax pooling finds it. Start, end and padding
    are left to :func:`encode` and to the runtime, as for CLIP's own tokenizer.
    """
    vocabulary = {word: i for i, word in enumerate([PAD, UNKNOWN, START, *WORDS, END])}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token=UNKNOWN))
    tokenizer.normalizer = normalizers.Sequence(
        [
            normalizers.NFKC(),
            normalizers.Lowercase(),
            normalizers.Replace("_", " "),
        ]
    )
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    return tokenizer


def encode(tokenizer: Tokenizer, texts: Sequence[str]) -> NDArray[np.int64]:
    """Token ids [len(texts), CONTEXT]: start, words, end, padding; a long text keeps its end."""
    ids_of = tokenizer.get_vocab()
    out = np.full((len(texts), CONTEXT), ids_of[PAD], np.int64)
    for row, words in zip(out, tokenizer.encode_batch(list(texts)), strict=True):
        ids = [ids_of[START], *words.ids[: CONTEXT - 2], ids_of[END]]
        row[: len(ids)] = ids
    return out
