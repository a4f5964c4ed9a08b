"""The names that an image is compared with."""

from __future__ import annotations

from pathlib import Path

from clipvet.detectors import COMMON_WORDS, Context, UsageError
from clipvet.plugins.fooling._options import ID, FoolingOptions
from clipvet.plugins.fooling._statistics import PromptBank

__all__ = ["prompt_bank"]

_LEAST = 10


def prompt_bank(options: FoolingOptions, context: Context) -> PromptBank:
    """The user's names or the built-in ones, encoded.

    Raises:
        UsageError: the file cannot be read, or holds fewer than ten names.
    """
    names = _read(options.prompts) if options.prompts else _built_in(context)
    embeddings = context.encode_text([options.template.format(name) for name in names])
    return PromptBank(names, embeddings, top_k=options.top_k)


def _built_in(context: Context) -> tuple[str, ...]:
    return COMMON_WORDS[context.bundle.vocabulary].nouns


def _read(name: str) -> tuple[str, ...]:
    try:
        lines = Path(name).read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"{ID}: {name} cannot be read as a list of names ({error})") from error
    names = tuple(dict.fromkeys(line.strip() for line in lines if line.strip()))
    if len(names) < _LEAST:
        raise UsageError(f"{ID}: {name} holds {len(names)} names: write {_LEAST} or more")
    return names
