from __future__ import annotations

import json
from pathlib import Path

import numpy as np
from PIL import Image

from clipvet.plugins.clipn._pairs import read_pairs
from training.caption_pairs import naming_caption, write_pairs
from training.layouts import make_layout
from training.scenes import make_program
from training.seeds import SEEDS
from training.synonyms import NAMES, called


def test_pairs_are_what_clipn_trains_on(tmp_path: Path) -> None:
    write_pairs(tmp_path / "a", 8)
    pairs = read_pairs(tmp_path / "a")
    assert len(pairs) == 8
    for pair in pairs:
        assert np.asarray(Image.open(pair.image)).shape == (192, 192, 3)
    write_pairs(tmp_path / "b", 8)
    for file in sorted(path for path in (tmp_path / "a").rglob("*") if path.is_file()):
        assert file.read_bytes() == (tmp_path / "b" / file.relative_to(tmp_path / "a")).read_bytes()


def test_half_are_parts_that_their_captions_name(tmp_path: Path) -> None:
    write_pairs(tmp_path, 10)
    rows = [json.loads(line) for line in (tmp_path / "captions.jsonl").read_text().splitlines()]
    for row in rows[::2]:
        seed = int(Path(row["image"]).stem)
        name = make_program(seed).name
        assert seed in SEEDS["train"]
        assert name in NAMES
        assert any(word in row["caption"] for word in called(name))


def test_held_out_pairs_are_of_other_seeds(tmp_path: Path) -> None:
    write_pairs(tmp_path, 2, "held_out")
    seeds = [int(path.stem) for path in (tmp_path / "images").iterdir()]
    assert all(seed in SEEDS["held_out"] for seed in seeds)


def test_captions_name_what_is_shown_and_are_true() -> None:
    rng = np.random.default_rng(0)
    for seed in range(20):
        _, facts = make_layout(seed, 64)
        made = naming_caption(facts, rng)
        assert made.fits(facts)
        assert "?" not in made.text
