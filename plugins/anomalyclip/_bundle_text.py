"""Learned prompt vectors through a bundle's text tower, and the weights in its graphs."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from clipvet.detectors import UsageError, counted, unit_rows
from clipvet.detectors.clip import Bundle, open_session
from clipvet.plugins.anomalyclip._learned import Learned

__all__ = ["PromptVectors", "assemble", "learned_from", "suffix_ids"]

SUFFIXES = ("object.", "damaged object.")
"""What follows the learned context: the normal prompt, then the anomalous one."""


@dataclass(frozen=True, kw_only=True, eq=False)
class PromptVectors:
    """Everything about AnomalyCLIP's prompts that training moves.

    Attributes:
        context: float32 [2, n, Wt], normal and anomalous, between start token and suffix.
        deep: float32 [D, t, Wt]: overwrite positions 1..t before text blocks 1..D.
    """

    context: NDArray[np.float32]
    deep: NDArray[np.float32]


def learned_from(
    bundle: Bundle,
    vectors: PromptVectors,
    *,
    temperature: float,
    origin: str,
    facts: dict[str, object],
) -> Learned:
    """The artefact of some prompts: encoded once by ``text_embeds.onnx``, whatever made them.

    Raises:
        UsageError: the prompts do not fit the bundle's text tower.
    """
    tokens, end = assemble(bundle, vectors.context)
    layers = bundle.manifest.text.layers - 1
    depth, length, width = vectors.deep.shape
    if depth > layers:
        raise UsageError(
            f"the prompts have deep tokens for {counted(depth, 'text block')}, bundle "
            f"{bundle.manifest.name} can take {layers}: use the bundle that they were made for"
        )
    deep = np.zeros((1, layers, length, width), dtype=np.float32)
    # The original keeps them in half precision on every device (section 2, step 8).
    deep[0, :depth] = vectors.deep.astype(np.float16)
    graph = bundle.graph("text_embeds").SerializeToString()
    session = open_session(graph, bundle.home, device="cpu")
    inputs = {
        "token_embeds": tokens,
        "end": end,
        "deep_tokens": deep,
        "deep_layers": (np.arange(layers) < depth).astype(np.float32),
    }
    return Learned(
        bundle=bundle.info,
        prototypes=unit_rows(session.run(inputs)["text_embed"]).astype(np.float32),
        projection=bundle.weights("vision", ["visual.proj"])["visual.proj"],
        temperature=temperature,
        origin=origin,
        facts=facts,
    )


def assemble(
    bundle: Bundle, context: NDArray[np.float32]
) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Token embeddings of both prompts: start, context, suffix, end of text (section 2, step 7).

    Args:
        bundle: whose token embeddings surround the context.
        context: float32 [2, n, Wt].

    Returns:
        float32 [2, T, Wt] before positions are added, T reaching to the later end of text (the
        text tower is causal), and int64 [2] with the place of the end of text.

    Raises:
        UsageError: the context does not fit the bundle's text tower.
    """
    text = bundle.manifest.text
    _, count, width = context.shape
    if width != text.width:
        raise UsageError(
            f"the prompts are {width} wide, the text tower of bundle {bundle.manifest.name} is "
            f"{text.width} wide: use the bundle that they were made for"
        )
    table = bundle.weights("text", ["token_embedding.weight"])["token_embedding.weight"]
    suffixes = suffix_ids(bundle)
    end = np.array([count + len(ids) for ids in suffixes], dtype=np.int64)
    if end.max() >= text.context_length:
        raise UsageError(
            f"{counted(count, 'context token')} and a name do not fit the {text.context_length} "
            f"places of bundle {bundle.manifest.name}: take at most "
            f"{text.context_length - 1 - max(len(ids) for ids in suffixes)}"
        )
    tokens = np.tile(table[text.padding], (2, int(end.max()) + 1, 1))
    tokens[:, 0] = table[text.start]
    tokens[:, 1 : 1 + count] = context
    for row, ids in zip(tokens, suffixes, strict=True):
        row[1 + count : 1 + count + len(ids)] = table[ids]
    return tokens, end


def suffix_ids(bundle: Bundle) -> list[list[int]]:
    """Token ids of "object." and "damaged object.", each with the end of text.

    Raises:
        UsageError: a closed vocabulary does not know one of the words.
    """
    from tokenizers import Tokenizer

    text = bundle.manifest.text
    tokenizer = Tokenizer.from_file(str(bundle.folder / "tokenizer.json"))
    rows = [list(tokenizer.encode(suffix, add_special_tokens=False).ids) for suffix in SUFFIXES]
    for suffix, ids in zip(SUFFIXES, rows, strict=True):
        if text.unknown is not None and text.unknown in ids:
            raise UsageError(
                f"bundle {bundle.manifest.name} does not know all words of {suffix!r}, with which "
                "AnomalyCLIP's prompts end: use another bundle"
            )
    return [[*ids, text.end] for ids in rows]
