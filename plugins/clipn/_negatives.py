"""NegLabel's negative labels: words that are far from every class (Jiang et al., ICLR 2024)."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from clipvet.detectors import COMMON_WORDS, UsageError, read_words
from clipvet.plugins.clipn._heads import EncodeText, class_vectors
from clipvet.plugins.clipn._options import ClipnOptions

__all__ = ["Candidates", "Negatives"]

_QUANTILE = 0.95
_LEAST_IN_GROUP = 10
_ADJECTIVE = "This is a {} photo"
_PLAIN_ADJECTIVE = "a {} photo"
_ENDING = re.compile(r"(?<=..)(?:es|s)$")


@dataclass(frozen=True, eq=False)
class Candidates:
    """Words that may become negatives.

    Attributes:
        nouns, adjectives: each word once.
        source: "built-in words", or "own words".
        adjective_template: the prompt of an adjective.
    """

    nouns: tuple[str, ...]
    adjectives: tuple[str, ...]
    source: str
    adjective_template: str

    @classmethod
    def of(cls, options: ClipnOptions, *, closed: bool) -> Candidates:
        """The user's files, or the built-in lists.

        Args:
            options: names of the files.
            closed: take the words that rendered pictures are described with; others would be
                unknown to a bundle with a closed vocabulary.

        Raises:
            UsageError: a file cannot be read, or holds no word.
        """
        template = _PLAIN_ADJECTIVE if closed else _ADJECTIVE
        if options.nouns:
            adjectives = read_words(options.adjectives) if options.adjectives else ()
            return cls(read_words(options.nouns), adjectives, "own words", template)
        words = COMMON_WORDS["closed" if closed else "open"]
        return cls(words.nouns, words.adjectives, "built-in words", template)


@dataclass(frozen=True, eq=False)
class Negatives:
    """The negatives of one list of classes.

    Attributes:
        vectors: unit rows float64 [M, E], group after group.
        groups: how many; M is a multiple of it.
        words: number of words that they were chosen from.
        source: of the words.
    """

    vectors: NDArray[np.float64]
    groups: int
    words: int
    source: str

    @classmethod
    def mine(
        cls,
        classes: Sequence[str],
        vectors: NDArray[np.float64],
        candidates: Candidates,
        options: ClipnOptions,
        *,
        noun_template: str,
        encode_text: EncodeText,
    ) -> Negatives:
        """NegMining: of nouns and of adjectives the share that is farthest from the classes.

        A word's distance is its 0.95 quantile of cosines with the classes. Words that name a
        class, or a word of one, are left out: for a handful of classes a synonym could be among
        the farthest.

        Args:
            classes: C names.
            vectors: their unit vectors [C, E].
            candidates: the words.
            options: share and number of groups.
            noun_template: prompt of a noun, the same as of a class.
            encode_text: prompts -> float32 [n, E].

        Raises:
            UsageError: no word is left.
        """
        mined, total = [], 0
        for words, template in (
            (candidates.nouns, noun_template),
            (candidates.adjectives, candidates.adjective_template),
        ):
            left = _other_words(words, classes)
            if not left:
                continue
            total += len(left)
            rows = class_vectors(left, [template], encode_text)
            nearness = np.quantile(rows @ vectors.T, _QUANTILE, axis=1)
            count = max(1, round(options.negative_share * len(left)))
            # Ties in the order of the list, as a stable sort has them.
            mined.append(rows[np.argsort(nearness, kind="stable")[:count]])
        if not mined:
            raise UsageError("clipn: no word is left as a negative: give a longer list of nouns")
        negatives = np.concatenate(mined)
        groups = max(1, min(options.groups, len(negatives) // _LEAST_IN_GROUP))
        kept = len(negatives) - len(negatives) % groups
        # The reference permutes with torch's generator on the device at hand, so that its groups
        # differ from machine to machine; these do not.
        order = np.random.default_rng(0).permutation(kept)
        return cls(negatives[:kept][order], groups, total, candidates.source)

    def split(self, logits: NDArray[np.float64]) -> list[NDArray[np.float64]]:
        """Logits [M] of the negatives, by group."""
        return list(logits.reshape(self.groups, -1))


def _other_words(words: Sequence[str], classes: Sequence[str]) -> list[str]:
    named = [stems for stems in map(_stems, classes) if stems]
    return [
        word
        for word in words
        if not any(_stems(word) <= stems or stems <= _stems(word) for stems in named)
    ]


def _stems(name: str) -> frozenset[str]:
    return frozenset(_ENDING.sub("", part) for part in re.split(r"[\W_]+", name.lower()) if part)
