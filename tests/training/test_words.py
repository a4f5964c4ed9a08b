from __future__ import annotations

import json

import numpy as np
import pytest

from clipvet.detectors.clip._manifest import TextFacts
from clipvet.detectors.clip._tokenizer import Tokenizer
from clipvet.detectors.clip.export import closed_tokenizer
from training.captions import Caption, caption, class_prompts, state_pair
from training.defects import DEFECTS
from training.imagined import imagined_facts, imagined_layout
from training.layouts.facts import LayoutFacts
from training.layouts.names import PICTOGRAM_WORDS
from training.palette import COLOURS, MATERIALS
from training.render import Facts, render
from training.scenes import make_program
from training.seeds import NEVER_TRAINED
from training.synonyms import NAMES, called
from training.tokenizer import (
    CONTEXT,
    END,
    FILE,
    PAD,
    START,
    UNKNOWN,
    build_tokenizer,
    encode,
    learned,
    vocabulary_size,
)
from training.vocabulary import (
    BAD_STATES,
    DEFECT_NOUNS,
    DEFECT_PHRASES,
    GOOD_STATES,
    TEMPLATES,
    WORDS,
    words_of,
)

# Names of the public benchmarks that WinCLIP's prompts are asked with, where they are rendered.
PRODUCTS = (
    "bottle",
    "cable",
    "capsule",
    "capsules",
    "carpet",
    "grid",
    "leather",
    "metal_nut",
    "pill",
    "screw",
    "tile",
    "transistor",
    "wood",
    "zipper",
    "cookie",
    "commutator",
    "object",
    "pcb1",
    "solar cell",
)


@pytest.fixture(scope="module")
def runtime_tokenizer() -> Tokenizer:
    files = closed_tokenizer(FILE.read_text(), start=START, end=END, padding=PAD, unknown=UNKNOWN)
    assert files.json == FILE.read_text()
    return Tokenizer(
        FILE,
        TextFacts(
            width=8,
            layers=1,
            heads=1,
            context_length=CONTEXT,
            start=files.start,
            end=files.end,
            padding=files.padding,
            unknown=files.unknown,
            cleaning=files.cleaning,
            vocabulary=files.vocabulary,
        ),
    )


def made(count: int) -> list[tuple[Caption, Facts | LayoutFacts]]:
    rng = np.random.default_rng(7)
    facts = [imagined_facts(rng) for _ in range(count)]
    return [(caption(f, rng), f) for f in facts]


def test_the_committed_tokenizer_knows_the_words_of_today() -> None:
    # A new name, colour or sentence needs: python -m training.tokenizer (before a run begins).
    anew = learned()
    assert anew == learned()
    assert json.loads(FILE.read_text())["normalizer"] == json.loads(anew)["normalizer"]
    assert FILE.stat().st_size < 100_000
    tokenizer = build_tokenizer()
    assert not [word for word in WORDS if UNKNOWN in tokenizer.encode(word).tokens]


def test_winclip_prompts_hold_no_unknown_word(runtime_tokenizer: Tokenizer) -> None:
    for name in PRODUCTS:
        for state in (*GOOD_STATES, *BAD_STATES):
            for template in TEMPLATES:
                assert runtime_tokenizer.unknown_words(template.format(state.format(name))) == []


def test_an_unknown_word_is_named_and_becomes_one_token(runtime_tokenizer: Tokenizer) -> None:
    text = "A photo of a flawless Zeppelin, a gearbox77 and a gear."
    assert runtime_tokenizer.unknown_words(text) == ["Zeppelin", "gearbox", "77"]
    assert build_tokenizer().encode("a zeppelin qqq").tokens[1:] == [UNKNOWN, UNKNOWN]
    assert runtime_tokenizer.unknown_words("日本 naïve") == ["日本", "naïve"]


def test_words_that_nothing_shows_are_unknown(runtime_tokenizer: Tokenizer) -> None:
    for word in ("zeppelin", "elephant", "guitar", "volcano", "senator"):
        assert runtime_tokenizer.unknown_words(f"a photo of a {word}.") == [word]
    known = set(WORDS)
    for name in NEVER_TRAINED:
        assert not set(words_of(name)) <= known, name


def test_training_and_runtime_give_the_same_ids(runtime_tokenizer: Tokenizer) -> None:
    texts = [c.text for c, _ in made(50)] + ["photo " * 80, "", "A Zeppelin_with 3 dents?!"]
    np.testing.assert_array_equal(runtime_tokenizer(texts), encode(build_tokenizer(), texts))


def test_end_has_the_largest_id_and_survives_a_cut() -> None:
    tokenizer = build_tokenizer()
    ids = tokenizer.get_vocab()
    assert ids[PAD] == 0
    assert ids[END] == max(ids.values()) == vocabulary_size() - 1
    rows = encode(tokenizer, ["photo", "photo " * 80, ""])
    assert rows.shape == (3, CONTEXT)
    assert (rows[:, 0] == ids[START]).all()
    assert rows.argmax(axis=1).tolist() == [2, CONTEXT - 1, 1]


def test_captions_are_true_fit_the_context_and_say_known_words_alone() -> None:
    tokenizer = build_tokenizer()
    for said, facts in made(3000):
        assert said.fits(facts), said
        assert set(words_of(said.text)) <= {*WORDS, "qqq"}, said.text
        assert len(tokenizer.encode(said.text).ids) <= CONTEXT - 2
        assert "{" not in said.text


def test_captions_of_renders_are_true() -> None:
    rng = np.random.default_rng(0)
    for seed in range(20):
        shot = render(make_program(seed), 0, defect="any" if seed % 2 else None, size=(48, 48))
        assert caption(shot.facts, rng).fits(shot.facts)


def test_a_caption_of_one_kind_fits_no_facts_of_another() -> None:
    rng = np.random.default_rng(1)
    part = Facts("gear", "metal", "grey", "black")
    shapes = LayoutFacts("shapes", "black", (("star", "red"), ("ring", "blue")), (2, 1))
    sign = LayoutFacts("pictogram", "black", pictogram="key", colour="red", sign="label")
    for _ in range(200):
        for own in (part, shapes, sign):
            said = caption(own, rng)
            assert [said.fits(f) for f in (part, shapes, sign)].count(True) == 1
            assert said.fits(own)


def test_a_caption_of_a_state_does_not_fit_the_other_state() -> None:
    rng = np.random.default_rng(1)
    good = Facts("gear", "metal", "grey", "black")
    bad = Facts("gear", "metal", "grey", "black", "crack")
    for said in [caption(f, rng) for f in (good, bad) for _ in range(200)]:
        if {"state", "defect"} & {claim[0] for claim in said.stated}:
            assert not (said.fits(good) and said.fits(bad))
    assert Caption("a gear without damage", (("called", "gear"), ("state", "good"))).fits(good)
    assert not Caption("a cracked gear", (("defect", "crack"),)).fits(good)


def test_counts_and_relations_are_checked() -> None:
    facts = LayoutFacts("shapes", "grey", (("star", "red"), ("star", "blue")), (2, 1), ("left of",))
    assert facts.holds(("exactly", "3", "star", ""))
    assert facts.holds(("exactly", "0", "ring", "red"))
    assert not facts.holds(("exactly", "3", "star", "red"))
    assert facts.holds(("relation", "left of", "star", "red", "star", "blue"))
    assert not facts.holds(("relation", "left of", "star", "blue", "star", "red"))
    assert not facts.holds(("relation", "above", "star", "red", "star", "blue"))
    assert not facts.holds(("shows", "star"))


def test_a_grey_camera_shows_no_colour() -> None:
    rng = np.random.default_rng(3)
    facts = Facts("gear", "metal", "gold", "blue", camera=("grey",))
    for _ in range(100):
        assert not {"colour", "ground"} & {claim[0] for claim in caption(facts, rng).stated}


def test_synonyms_are_true_of_each_other() -> None:
    nut, bolt = (Facts(name, "metal", "grey", "") for name in ("nut", "bolt"))
    shared = Caption("a fastener", (("called", "fastener"),))
    assert shared.fits(nut)
    assert shared.fits(bolt)
    assert not Caption("a bolt", (("called", "bolt"),)).fits(nut)
    for name in NAMES:
        assert len(called(name)) == len(set(called(name)))


def test_the_tables_cover_what_is_rendered() -> None:
    assert set(DEFECT_PHRASES) == set(DEFECT_NOUNS) == set(DEFECTS)
    assert all(words[0] == name for name, words in PICTOGRAM_WORDS.items())
    for text in (*COLOURS, *MATERIALS, *NAMES):
        assert set(words_of(text)) <= set(WORDS)
    rng = np.random.default_rng(0)
    assert {imagined_layout(rng).kind for _ in range(20)} == {"shapes", "pictogram"}


def test_state_pairs_differ_in_their_state_alone() -> None:
    rng = np.random.default_rng(2)
    good_words = {w for s in GOOD_STATES for w in s.split()} | {"without"}
    for name in NAMES:
        good, bad = state_pair(name, rng)
        extra = set(bad.replace(".", " ").split()) - set(good.replace(".", " ").split())
        assert not extra & (good_words - {"damage", "flaw", "defect"})


def test_class_prompts_claim_nothing_but_the_name() -> None:
    prompts = class_prompts("gear")
    assert len(prompts) >= 2
    assert all("gear" in p and "damaged" not in p and "blurry" not in p for p in prompts)
