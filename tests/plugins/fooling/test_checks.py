"""The promises that every detector makes."""

from __future__ import annotations

import pytest

from clipvet.detectors.testing import Check, parametrize_with_checks
from clipvet.plugins.fooling import Fooling


@parametrize_with_checks(Fooling)
def test_best(check: Check) -> None:
    check()


@parametrize_with_checks(Fooling, options={"method": "pixels"})
def test_pixels(check: Check) -> None:
    check()


@parametrize_with_checks(Fooling, options={"method": "statistics", "shift": 0.25})
def test_shifted(check: Check) -> None:
    check()


def test_options_say_what_they_refuse() -> None:
    with pytest.raises(ValueError, match="for the name"):
        Fooling.Options(template="a photo")
