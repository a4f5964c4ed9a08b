"""The names that an image is compared with."""

from __future__ import annotations

from clipvet.detectors import COMMON_WORDS, Context, UsageError, counted, read_words
from clipvet.plugins.fooling._options import FoolingOptions
from clipvet.plugins.fooling._statistics import PromptBank

__all__ = ["prompt_bank"]

_LEAST = 10


def prompt_bank(options: FoolingOptions, context: Context) -> PromptBank:
    """The user's names or the built-in ones, encoded.

    Raises:
        UsageError: the file cannot be read, or holds fewer than ten names.
    """
    names = (
        read_words(options.prompts)
        if options.prompts
        else COMMON_WORDS[context.bundle.vocabulary].nouns
    )
    if len(names) < _LEAST:
        raise UsageError(
            f"{options.prompts} holds {counted(len(names), 'name')}: write {_LEAST} or more"
        )
    embeddings = context.encode_text([options.template.format(name) for name in names])
    return PromptBank(names, embeddings, top_k=options.top_k)
