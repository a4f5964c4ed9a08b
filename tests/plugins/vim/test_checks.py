"""The promises that every detector makes."""

from __future__ import annotations

from clipvet.detectors import Query
from clipvet.detectors.testing import Check, parametrize_with_checks
from clipvet.plugins.vim import Vim

CLASSES = Query(classes=("gear", "bottle", "wood"))


@parametrize_with_checks(Vim, query=CLASSES)
def test_vim(check: Check) -> None:
    check()


@parametrize_with_checks(Vim, query=CLASSES, options={"method": "knn"})
def test_knn(check: Check) -> None:
    check()


@parametrize_with_checks(Vim, query=CLASSES, options={"method": "gda"})
def test_gda(check: Check) -> None:
    check()


@parametrize_with_checks(Vim, options={"method": "mahalanobis"})
def test_mahalanobis_without_classes(check: Check) -> None:
    check()
