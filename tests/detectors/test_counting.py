from __future__ import annotations

from clipvet.detectors import counted


def test_one_is_singular_and_all_else_plural() -> None:
    assert [counted(n, "held-out good image") for n in (0, 1, 2)] == [
        "0 held-out good images",
        "1 held-out good image",
        "2 held-out good images",
    ]
    assert (counted(1, "query", "queries"), counted(3, "query", "queries")) == (
        "1 query",
        "3 queries",
    )
