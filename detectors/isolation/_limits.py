"""What a detector in a process of its own may take before it is stopped."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

from clipvet.detectors.errors import UsageError

__all__ = ["SLOW_FACTOR", "Isolation"]

SLOW_FACTOR: Final = 10
"""What is not scoring may take so many times as long: starting, preparing, learning, finishing."""

_LEAST_GIB = 0.25


@dataclass(frozen=True, kw_only=True)
class Isolation:
    """Limits of a worker process, which runs one detector of a plugin.

    Attributes:
        seconds: for one batch. Everything else (to import and load, to prepare, to learn from
            one batch, to finish) may take ten times as long. The worker's own time counts, not
            that of what it asks clipvet for.
        gib: memory of the process, in GiB, as Linux counts it for ``RLIMIT_DATA``: heap and
            private anonymous mappings, but not files that are mapped.

    Raises:
        UsageError: no time, or less memory than the worker itself needs.
    """

    seconds: float = 60.0
    gib: float = 4.0

    def __post_init__(self) -> None:
        if not (self.seconds > 0 and math.isfinite(self.seconds)):
            raise UsageError(f"{self.seconds:g} seconds for a batch are none: give more than 0")
        if not (self.gib >= _LEAST_GIB and math.isfinite(self.gib)):
            raise UsageError(
                f"{self.gib:g} GiB are too little for a worker process: "
                f"give {_LEAST_GIB} GiB or more"
            )

    @property
    def memory(self) -> int:
        """The memory limit in bytes."""
        return int(self.gib * 2**30)
