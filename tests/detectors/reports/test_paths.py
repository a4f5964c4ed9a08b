"""What is left of the paths in a sentence."""

from __future__ import annotations

from pathlib import Path

import pytest

from clipvet.detectors.reports._paths import Masker

MASKER = Masker(roots={"good": Path("/data/line 3/good"), "g2": Path("/data/line 3/good/sub")})


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("/data/line 3/good/a b.png: empty", "good/a b.png: empty"),
        ("/data/line 3/good/sub/x.png: empty", "g2/x.png: empty"),
        ("/data/line 3/good: cannot be listed", "good: cannot be listed"),
        ("/data/line 3/goods", "/data/line 3/goods".replace("/data/", "…/")),
        ("read /usr/share/words.txt twice", "read …/words.txt twice"),
        ("'/usr/share/words.txt'", "'…/words.txt'"),
        ("~/models/b-16", "…/b-16"),
        ("a rate of 1/2/3 and/or https://x.org/a/b", "a rate of 1/2/3 and/or https://x.org/a/b"),
        ("images/sub/x.png", "images/sub/x.png"),
    ],
)
def test_masked(text: str, left: str) -> None:
    assert MASKER.text(text) == left
