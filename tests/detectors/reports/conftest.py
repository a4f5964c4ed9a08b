from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from benchmarks._browser import NO_BROWSER, find_browser, open_browser

if TYPE_CHECKING:
    from selenium.webdriver import Chrome


@pytest.fixture(scope="session")
def downloads(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("downloads")


@pytest.fixture(scope="session")
def chrome(downloads: Path) -> Iterator[Chrome]:
    """One browser for all tests; each opens its own page."""
    if find_browser() is None:
        pytest.skip(NO_BROWSER)
    with open_browser(downloads=downloads) as browser:
        yield browser
