"""Token ids against open_clip's SimpleTokenizer, on texts that tokenizers get wrong."""

from __future__ import annotations

import numpy as np
import open_clip
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from clipvet.detectors.clip import Bundle
from clipvet.detectors.clip._tokenizer import Tokenizer
from clipvet.detectors.errors import BundleError

NASTY = [
    "",
    " ",
    "\t\n  \r\n",
    "a photo of a bottle.",
    "A PHOTO of a BoTtLe!!!",
    "  leading, trailing   and \n inner\twhite space ",
    "don't can't we've I'm they'll he'd it's DON'T",
    "rock'n'roll 'quoted' ''double''",
    "snake_case and __dunder__ and kebab-case",
    "12345 3.14159 1e-5 2024-01-01 ½ ² Ⅷ",
    "&lt;b&gt;bold&lt;/b&gt; &amp;amp; &nbsp;&eacute; &#39; &#x27; &notanentity;",
    "<start_of_text>",
    "<end_of_text>",
    "before <end_of_text> after <start_of_text>",
    "<END_OF_TEXT> <|endoftext|>",
    "café naïve Zürich ÆØÅ ß ẞ İstanbul ĳ ﬁne ﬂow",
    "e\u0301 vs \u00e9 and n\u0303o\u0308",
    "zalgo: h̷̢̛e̶̡͝l̸̨͘l̵̛̗o̴̝͝",
    "日本語のテキスト 中文字符 한국어 文字列",
    "русский текст ελληνικά עברית العربية हिन्दी ไทย",
    "😀 👩‍👩‍👧‍👦 🇩🇪 👍🏽 ☃️ 🏳️‍🌈",
    "zero\u200bwidth\u200cjoiners\u200d and \ufeffbom \u2060word\u00adsoft",
    "non\u00a0breaking \u2003em \u3000ideographic",
    "control \x00\x01\x1f\x7f characters",
    "â€œmojibakeâ€\x9d schÃ¶n",
    "‘curly’ “quotes” – en — em … ellipsis",
    "ＦＵＬＬｗｉｄｔｈ １２３",
    "𝕞𝕒𝕥𝕙 𝒻𝓪𝓷𝓬𝔂 𐍈 𠜎",
    "!!!???... $€£¥ #hashtag @mention 100% a+b=c {}[]()<>|\\/~`^",
    "https://example.com/a?b=c&d=e",
    "a" * 300,
    "word " * 200,
    "😀" * 100,
    "! " * 150,
    "supercalifragilisticexpialidocious antidisestablishmentarianism",
    "ǅ ŉ ΐ ϒ ﷺ",
    "a\u0307\u0323 \u1e69 s\u0323\u0307",
]


@pytest.fixture(scope="module")
def tokenize(gelu: Bundle) -> Tokenizer:
    return Tokenizer(gelu.folder / "tokenizer.json", gelu.manifest.text)


@pytest.fixture(scope="module")
def reference() -> open_clip.tokenizer.SimpleTokenizer:
    return open_clip.tokenizer.SimpleTokenizer()


@pytest.mark.parametrize("text", NASTY, ids=range(len(NASTY)))
def test_ids_equal_open_clip(
    tokenize: Tokenizer, reference: open_clip.tokenizer.SimpleTokenizer, text: str
) -> None:
    np.testing.assert_array_equal(tokenize([text]), reference([text]).numpy())


def test_a_batch_equals_its_texts(
    tokenize: Tokenizer, reference: open_clip.tokenizer.SimpleTokenizer
) -> None:
    ids = tokenize(NASTY)
    assert ids.shape == (len(NASTY), 77)
    assert ids.dtype == np.int64
    np.testing.assert_array_equal(ids, reference(NASTY).numpy())


# Unassigned code points left out: whether they are letters depends on the Unicode version of
# the regular expression engine, which differs between open_clip and the tokenizers library.
@given(text=st.text(st.characters(exclude_categories=["Cn", "Cs"]), max_size=60))
@settings(
    max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_any_text_equals_open_clip(
    tokenize: Tokenizer, reference: open_clip.tokenizer.SimpleTokenizer, text: str
) -> None:
    np.testing.assert_array_equal(tokenize([text]), reference([text]).numpy())


def test_a_long_text_keeps_its_end(tokenize: Tokenizer) -> None:
    (row,) = tokenize(["word " * 200])
    assert row[0] == 49406
    assert row[-1] == 49407
    assert (row[1:-1] == row[1]).all()


def test_an_open_vocabulary_knows_every_word(tokenize: Tokenizer) -> None:
    assert tokenize.unknown_words("xyzzy 日本") == []


def test_a_damaged_file_is_named(gelu: Bundle, tmp_path_factory: pytest.TempPathFactory) -> None:
    path = tmp_path_factory.mktemp("broken") / "tokenizer.json"
    path.write_text("{}")
    with pytest.raises(BundleError, match="is not a readable tokenizer"):
        Tokenizer(path, gelu.manifest.text)
