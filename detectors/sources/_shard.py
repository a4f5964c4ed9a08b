"""One of several equal parts of the work, chosen by record id and by nothing else."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from typing import Self

from clipvet.detectors.errors import UsageError

__all__ = ["Shard"]


@dataclass(frozen=True, kw_only=True)
class Shard:
    """The images whose id falls into one of ``of`` parts; a new file moves no other.

    Attributes:
        number: which part, from 1.
        of: how many there are.
    """

    number: int
    of: int

    def __post_init__(self) -> None:
        if not 1 <= self.number <= self.of:
            raise UsageError(f"there is no shard {self}: write 1/{self.of} to {self.of}/{self.of}")

    def __str__(self) -> str:
        return f"{self.number}/{self.of}"

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read ``2/4``.

        Raises:
            UsageError: it is nothing of that kind.
        """
        match = re.fullmatch(r"(\d{1,9})/([1-9]\d{0,8})", text)
        if match is None:
            raise UsageError(f"--shard {text}: write one part of several, like 2/4")
        return cls(number=int(match[1]), of=int(match[2]))

    def takes(self, image_id: str) -> bool:
        """True if the image of this record id belongs to this part."""
        digest = hashlib.blake2b(image_id.encode(), digest_size=8).digest()
        return int.from_bytes(digest, "big") % self.of == self.number - 1
