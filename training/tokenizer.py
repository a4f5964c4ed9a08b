"""The tokenizer of the closed vocabulary: ``python -m training.tokenizer`` writes it anew.

Byte-pair pieces, learned from captions of the grammar. Pieces could spell any word, but a word that
no caption says has no meaning here, so the normaliser puts one sign in its place and that sign
becomes ``[UNK]``. Training, export and the runtime read the same file.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from tokenizers import Regex, Tokenizer, models, normalizers, pre_tokenizers, trainers

__all__ = [
    "CONTEXT",
    "END",
    "FILE",
    "PAD",
    "START",
    "UNKNOWN",
    "build_tokenizer",
    "encode",
    "learned",
    "main",
    "vocabulary_size",
]

CONTEXT = 32
PAD, UNKNOWN, START, END = "[PAD]", "[UNK]", "<start>", "<end>"
FILE = Path(__file__).with_name("tokenizer.json")

_PIECES = 1536
_CORPUS = 20_000
_SUFFIX = "</w>"
_STRANGE = "\N{REPLACEMENT CHARACTER}"
# A run of letters, a run of digits, or one other sign.
_UNIT = r"\p{L}+|\p{N}+|[^\s\p{L}\p{N}]"


def build_tokenizer() -> Tokenizer:
    """The committed tokenizer.

    ``<end>`` has the largest id, so that CLIP's argmax pooling finds it. Start, end and padding
    are left to :func:`encode` and to the runtime, as for CLIP's own tokenizer.
    """
    return Tokenizer.from_file(str(FILE))


@cache
def vocabulary_size() -> int:
    """Rows of the token embedding."""
    return int(build_tokenizer().get_vocab_size())


def encode(tokenizer: Tokenizer, texts: Sequence[str]) -> NDArray[np.int64]:
    """Token ids [len(texts), CONTEXT]: start, pieces, end, padding; a long text keeps its end."""
    vocabulary = tokenizer.get_vocab()
    pad, start, end = (vocabulary[name] for name in (PAD, START, END))
    out = np.full((len(texts), CONTEXT), pad, np.int64)
    for row, pieces in zip(out, tokenizer.encode_batch(list(texts)), strict=True):
        ids = [start, *pieces.ids[: CONTEXT - 2], end]
        row[: len(ids)] = ids
    return out


def learned(pieces: int = _PIECES) -> str:
    """``tokenizer.json``, learned from captions; the same text on every call."""
    from training.vocabulary import WORDS

    tokenizer = _untrained(models.BPE(unk_token=UNKNOWN, end_of_word_suffix=_SUFFIX), WORDS)
    letters = sorted(set("".join(WORDS)))
    alphabet = [*letters, *(letter + _SUFFIX for letter in letters)]
    tokenizer.train_from_iterator(
        [*WORDS, *_corpus()],
        trainers.BpeTrainer(
            vocab_size=pieces - 4,
            end_of_word_suffix=_SUFFIX,
            # Fixed ids for the letters: among pairs that are equally frequent, ids decide.
            special_tokens=alphabet,
            show_progress=False,
        ),
    )
    merges = _merges(tokenizer)
    found = [PAD, UNKNOWN, START, *alphabet, *("".join(pair) for pair in merges), END]
    whole = _untrained(
        models.BPE(
            {piece: i for i, piece in enumerate(found)},
            merges,
            unk_token=UNKNOWN,
            end_of_word_suffix=_SUFFIX,
        ),
        WORDS,
    )
    data = json.loads(whole.to_str())
    # One string a merge: older releases of tokenizers read nothing else.
    data["model"]["merges"] = [" ".join(pair) for pair in merges]
    return json.dumps(data, ensure_ascii=True, separators=(",", ":")) + "\n"


def _merges(tokenizer: Tokenizer) -> list[tuple[str, str]]:
    found = json.loads(tokenizer.to_str())["model"]["merges"]
    return [(a, b) for a, b in (m.split() if isinstance(m, str) else m for m in found)]


def _untrained(model: models.Model, words: Sequence[str]) -> Tokenizer:
    tokenizer = Tokenizer(model)
    tokenizer.normalizer = normalizers.Sequence(
        [
            normalizers.NFKC(),
            normalizers.Lowercase(),
            normalizers.Replace("_", " "),
            normalizers.Replace(Regex(_outside(words)), _STRANGE),
        ]
    )
    tokenizer.pre_tokenizer = pre_tokenizers.Split(Regex(_UNIT), behavior="removed", invert=True)
    return tokenizer


def _outside(words: Sequence[str]) -> str:
    """A pattern of whole words and numbers that are none of ``words``."""
    letters = "|".join(word for word in words if word.isalpha())
    digits = "|".join(word for word in words if word.isdigit())
    return (
        rf"(?<!\p{{L}})(?!(?:{letters})(?!\p{{L}}))\p{{L}}+"
        rf"|(?<!\p{{N}})(?!(?:{digits})(?!\p{{N}}))\p{{N}}+"
    )


def _corpus() -> Iterator[str]:
    """Captions and prompts of facts that are drawn, not rendered."""
    from training.captions import caption, state_pair
    from training.imagined import imagined_facts

    rng = np.random.default_rng(0)
    for _ in range(_CORPUS):
        facts = imagined_facts(rng)
        yield caption(facts, rng).text
        if name := getattr(facts, "name", ""):
            yield from state_pair(name, rng)


def main() -> None:
    """Write the tokenizer from the command line."""
    argparse.ArgumentParser(description=__doc__).parse_args()
    FILE.write_text(learned(), "utf-8")
    print(f"{FILE}: {vocabulary_size()} pieces, {FILE.stat().st_size} bytes")


if __name__ == "__main__":
    main()
