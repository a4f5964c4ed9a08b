import numpy as np
import pytest
from clipvet_example import Nearest
from clipvet_example.npy import read_npy

from clipvet.detectors.testing import parametrize_with_checks, textures

GOOD = textures(4, seed=3)


@parametrize_with_checks(Nearest, good=GOOD, pair=(GOOD[0], 255 - GOOD[0]))
def test_keeps_every_promise(check):
    check()


def test_reads_grey_and_colour(tmp_path):
    for shape in ((4, 5), (4, 5, 3)):
        np.save(tmp_path / "a.npy", np.zeros(shape, dtype=np.uint8))
        assert read_npy(tmp_path / "a.npy").shape == shape


@pytest.mark.parametrize("array", [np.zeros((4, 4)), np.zeros((2, 4, 4), dtype=np.uint8)])
def test_refuses_what_is_no_image(tmp_path, array):
    np.save(tmp_path / "a.npy", array)
    with pytest.raises(ValueError, match="not uint8"):
        read_npy(tmp_path / "a.npy")
