"""Captions to token ids, as the bundle's text tower takes them."""

from __future__ import annotations

import html
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from clipvet.detectors.clip import Bundle

__all__ = ["token_ids"]


def token_ids(bundle: Bundle, texts: Sequence[str]) -> NDArray[np.int64]:
    """Start, text, end, padding: int64 [n, T], T up to the longest text; too long ones are cut."""
    from tokenizers import Tokenizer

    facts = bundle.manifest.text
    tokenizer = Tokenizer.from_file(str(bundle.folder / "tokenizer.json"))
    cleaned = [_clean(text) for text in texts] if facts.cleaning == "clip" else list(texts)
    rows = []
    for found in tokenizer.encode_batch(cleaned, add_special_tokens=False):
        ids = [facts.start, *found.ids, facts.end][: facts.context_length]
        ids[-1] = facts.end
        rows.append(ids)
    out = np.full((len(rows), max(map(len, rows))), facts.padding, dtype=np.int64)
    for row, ids in zip(out, rows, strict=True):
        row[: len(ids)] = ids
    return out


def _clean(text: str) -> str:
    """ftfy, HTML entities undone twice, white space folded, lower case: open_clip's "lower"."""
    import ftfy

    return " ".join(html.unescape(html.unescape(ftfy.fix_text(text))).split()).lower()
