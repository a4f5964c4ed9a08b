from __future__ import annotations

import json

import numpy as np

from training.captions import caption, state_pair
from training.catalogue.parts import PARTS
from training.render import Facts, render
from training.scenes import make_program
from training.tokenizer import CONTEXT, END, PAD, START, UNKNOWN, build_tokenizer, encode
from training.vocabulary import (
    BAD_STATES,
    GOOD_STATES,
    PRESENT,
    RENDERED,
    TEMPLATES,
    WORDS,
)

# Names of the public benchmarks that WinCLIP's prompts are asked with.
PRODUCTS = (
    "bottle",
    "cable",
    "capsule",
    "carpet",
    "grid",
    "hazelnut",
    "leather",
    "metal_nut",
    "pill",
    "screw",
    "tile",
    "toothbrush",
    "transistor",
    "wood",
    "zipper",
    "cookie",
    "commutator",
    "object",
    "candle",
    "cashew",
    "pcb1",
    "macaroni1",
)


def unknown(text: str) -> list[str]:
    found = build_tokenizer().encode(text)
    return [
        text[a:b]
        for i, (a, b) in zip(found.ids, found.offsets, strict=True)
        if i == build_tokenizer().token_to_id(UNKNOWN)
    ]


def test_winclip_prompts_hold_no_unknown_word() -> None:
    for name in [*PRODUCTS, "solar cell"]:
        for state in (*GOOD_STATES, *BAD_STATES):
            for template in TEMPLATES:
                assert unknown(template.format(state.format(name))) == []


def test_an_unknown_word_is_marked_and_the_rest_is_kept() -> None:
    assert unknown("A photo of a flawless Zeppelin.") == ["Zeppelin"]
    tokens = build_tokenizer().encode("a zeppelin with damage").tokens
    assert tokens == ["a", UNKNOWN, "with", "damage"]


def test_end_has_the_largest_id_and_survives_a_cut() -> None:
    tokenizer = build_tokenizer()
    ids = tokenizer.get_vocab()
    assert ids[PAD] == 0
    assert ids[END] == max(ids.values()) == len(WORDS) + 3
    rows = encode(tokenizer, ["photo", "photo " * 80, ""])
    assert rows.shape == (3, CONTEXT)
    assert (rows[:, 0] == ids[START]).all()
    assert rows.argmax(axis=1).tolist() == [2, CONTEXT - 1, 1]


def test_the_vocabulary_is_what_the_lists_say() -> None:
    assert not set(RENDERED) & set(PRESENT)
    assert sorted({*RENDERED, *PRESENT}) == list(WORDS)
    saved = json.loads(build_tokenizer().to_str())
    assert len(saved["model"]["vocab"]) == len(WORDS) + 4


def test_captions_use_rendered_words_only_and_are_true() -> None:
    tokenizer = build_tokenizer()
    known = {*RENDERED, UNKNOWN}
    rng = np.random.default_rng(0)
    for seed in range(40):
        shot = render(make_program(seed), 0, defect="any" if seed % 2 else None, size=(48, 48))
        made = caption(shot.facts, rng)
        assert set(tokenizer.encode(made.text).tokens) <= known, made.text
        assert made.fits(shot.facts)


def test_a_caption_does_not_fit_other_facts() -> None:
    rng = np.random.default_rng(1)
    good = Facts("gear", "metal", "grey", "black")
    bad = Facts("gear", "metal", "grey", "black", "crack")
    for _ in range(30):
        assert not caption(good, rng).fits(bad)
        assert not caption(bad, rng).fits(good)


def test_state_pairs_differ_in_their_state_alone() -> None:
    rng = np.random.default_rng(2)
    good_words = {w for s in GOOD_STATES for w in s.split()} | {"without"}
    for name in sorted(PARTS):
        good, bad = state_pair(name, rng)
        extra = set(bad.replace(".", " ").split()) - set(good.replace(".", " ").split())
        assert not extra & (good_words - {"damage", "flaw", "defect"})
