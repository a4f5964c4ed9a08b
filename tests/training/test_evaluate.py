from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from training.evaluate import main, nearest, real

UNIT = np.eye(4, dtype=np.float32)


def test_a_reference_is_at_distance_zero_from_itself_and_place_does_not_matter() -> None:
    references = np.stack([UNIT, UNIT[::-1]])
    assert np.allclose(nearest(UNIT[::-1], references), 0)


def test_the_distance_is_half_of_one_minus_the_cosine() -> None:
    found = nearest(np.stack([UNIT[3], -UNIT[0]]), UNIT[None, :1])
    assert np.allclose(found, [0.5, 1.0])


def test_real_sets_need_a_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("CLIPVET_EVAL_DATA", raising=False)
    monkeypatch.setattr("sys.argv", ["evaluate", "real"])
    with pytest.raises(SystemExit):
        main()
    with pytest.raises(ValueError, match="no images"):
        real(None, "hidden_4", tmp_path)  # type: ignore[arg-type]
