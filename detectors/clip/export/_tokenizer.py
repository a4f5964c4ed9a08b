"""Tokenizers as one JSON file that the ``tokenizers`` library reads."""

from __future__ import annotations

import gzip
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from tokenizers import AddedToken, Regex, Tokenizer, pre_tokenizers
from tokenizers.models import BPE

__all__ = ["TokenizerFiles", "clip_tokenizer", "closed_tokenizer"]

_MERGES = 49152 - 256 - 2
# CLIP's pattern for one word, number digit, or run of other signs; the text is
# lower-cased before (TextFacts.cleaning).
_WORDS = r"'s|'t|'re|'ve|'m|'ll|'d|[\p{L}]+|[\p{N}]|[^\s\p{L}\p{N}]+"


@dataclass(frozen=True, kw_only=True)
class TokenizerFiles:
    """A ``tokenizer.json`` and the ids that the text tower needs; see ``TextFacts``."""

    json: str
    start: int
    end: int
    padding: int = 0
    unknown: int | None = None
    cleaning: Literal["clip", "none"] = "clip"
    vocabulary: Literal["open", "closed"] = "open"


def clip_tokenizer(vocabulary: Path) -> TokenizerFiles:
    """CLIP's byte-pair tokenizer.

    Args:
        vocabulary: the ``bpe_simple_vocab_16e6.txt.gz`` that open_clip installs.
    """
    with gzip.open(vocabulary, "rt", encoding="utf-8") as file:
        lines = file.read().split("\n")[1 : _MERGES + 1]
    merges = [(line.split()[0], line.split()[1]) for line in lines]
    alphabet = _byte_alphabet()
    words = [*alphabet, *(sign + "</w>" for sign in alphabet), *map("".join, merges)]
    ids = {word: i for i, word in enumerate(words)}
    start, end = len(ids), len(ids) + 1
    ids |= {"<start_of_text>": start, "<end_of_text>": end}
    tokenizer = Tokenizer(BPE(ids, merges, end_of_word_suffix="</w>"))
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(_WORDS), behavior="removed", invert=True),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    tokenizer.add_special_tokens(
        [AddedToken(name, normalized=True) for name in ("<start_of_text>", "<end_of_text>")]
    )
    return TokenizerFiles(json=tokenizer.to_str(), start=start, end=end)


def closed_tokenizer(
    tokenizer_json: str, *, start: str, end: str, padding: str, unknown: str
) -> TokenizerFiles:
    """A tokenizer that maps words outside of a closed vocabulary to its unknown token.

    The text is kept as it is, so that a bundle holds the same file as training read; the end token
    must have the largest id.
    """
    tokenizer = Tokenizer.from_str(tokenizer_json)
    ids = tokenizer.get_vocab()
    missing = [name for name in (start, end, padding, unknown) if name not in ids]
    if missing:
        raise ValueError(f"the tokenizer lacks {', '.join(missing)}")
    if ids[end] != max(ids.values()):
        raise ValueError(f"{end} must have the largest id: the text tower is read there")
    return TokenizerFiles(
        json=tokenizer_json,
        start=ids[start],
        end=ids[end],
        padding=ids[padding],
        unknown=ids[unknown],
        cleaning="none",
        vocabulary="closed",
    )


def _byte_alphabet() -> list[str]:
    """CLIP's printable stand-ins for the 256 bytes, in its order of ids."""
    printable = [*range(ord("!"), ord("~") + 1), *range(0xA1, 0xAC + 1), *range(0xAE, 0xFF + 1)]
    others = [byte for byte in range(256) if byte not in printable]
    return [*map(chr, printable), *(chr(256 + i) for i in range(len(others)))]
