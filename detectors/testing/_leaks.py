"""What a piece of code left behind in the process that other code would notice."""

from __future__ import annotations

import contextlib
import logging
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

__all__ = ["no_leaks"]

# Set by scikit-learn when it is first imported; pytest names the running test in the last one.
IGNORED = {"KMP_DUPLICATE_LIB_OK", "KMP_INIT_AT_FORK", "PYTEST_CURRENT_TEST"}


@contextlib.contextmanager
def no_leaks() -> Iterator[None]:
    """Fail if the block leaves the process other than it found it.

    Watched: environment variables, handlers and level of the root logger, the working
    directory, and numpy's error handling. The environment is put back in any case.

    Raises:
        AssertionError: something differs; the message names it.
    """
    variables, before = dict(os.environ), _state()
    try:
        yield
        after = _state()
        changed = [name for name in before if before[name] != after[name]]
        changed += [
            f"environment variable {name}"
            for name in sorted({*variables, *os.environ} - IGNORED)
            if variables.get(name) != os.environ.get(name)
        ]
        assert not changed, f"left behind: {', '.join(changed)}"
    finally:
        for name in {*variables, *os.environ} - IGNORED:
            if name in variables:
                os.environ[name] = variables[name]
            else:
                del os.environ[name]


def _state() -> dict[str, Any]:
    root = logging.getLogger()
    # pytest's own handlers come and go with the phases of a test.
    own = [h for h in root.handlers if not type(h).__module__.startswith("_pytest.")]
    return {
        "handlers of the root logger": own,
        "level of the root logger": root.level,
        "working directory": Path.cwd(),
        "numpy's error handling": np.geterr(),
    }
