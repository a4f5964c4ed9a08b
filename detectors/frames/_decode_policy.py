"""What to do where a file does not say how it becomes 8-bit RGB."""

from __future__ import annotations

from dataclasses import dataclass

from clipvet.detectors.errors import FrameRefused, FrameUnreadable, UsageError
from clipvet.detectors.frames._bit_depth import PERCENTILES

__all__ = ["HIGH_BIT_HELP", "DecodePolicy"]

HIGH_BIT_HELP = (
    "say how to make 8 of them with --high-bit full-range, percentile or white=4095 "
    "(in Python: DecodePolicy(high_bit=...))"
)


@dataclass(frozen=True, kw_only=True)
class DecodePolicy:
    """What to do where a file does not say how it becomes 8-bit RGB.

    Attributes:
        high_bit: how more than 8 bits become 8: ``"full-range"`` (all the bits that the file
            declares), ``"percentile"`` (0.1 % to 99.9 % of each image's values), or the value
            that becomes white, in the file's units; None refuses such images.
        background: RGB colour behind transparent pixels.
        max_pixels: larger images are refused. Pillow has its own limit,
            ``2 * PIL.Image.MAX_IMAGE_PIXELS``, which is respected too.
        max_side: images wider or higher than this are refused.
    """

    high_bit: str | int | None = None
    background: tuple[int, int, int] = (0, 0, 0)
    max_pixels: int = 178_956_970
    max_side: int = 65_535

    def __post_init__(self) -> None:
        high_bit = self.high_bit
        if isinstance(high_bit, str) and high_bit not in ("full-range", "percentile"):
            message = f"high-bit policy {high_bit!r} is unknown: full-range, percentile, white=N"
            raise UsageError(message)
        if isinstance(high_bit, int) and not 1 <= high_bit <= 65535:
            raise UsageError(f"white level {high_bit} is not within 1..65535")

    @classmethod
    def parse(cls, text: str) -> DecodePolicy:
        """Read ``full-range``, ``percentile`` or ``white=4095``."""
        name, _, level = text.partition("=")
        if name != "white" or not level:
            return cls(high_bit=text)
        try:
            return cls(high_bit=int(level))
        except ValueError:
            raise UsageError(f"white level {level!r} is not a whole number") from None

    def describe(self) -> str:
        """One word for records: what happened, or would happen, to more than 8 bits."""
        if self.high_bit is None:
            return "8-bit"
        if self.high_bit == "percentile":
            return "percentile:{}-{}".format(*PERCENTILES)
        return self.high_bit if isinstance(self.high_bit, str) else f"white:{self.high_bit}"

    def check_size(self, width: int, height: int) -> None:
        """Raise a :class:`FrameError` if an image of this size is not to be decoded."""
        if width < 1 or height < 1:
            raise FrameUnreadable(f"the image is {width}x{height}: it has no pixels")
        if width > self.max_side or height > self.max_side:
            message = f"the image says it is {width}x{height}, above {self.max_side} px a side"
            raise FrameRefused(f"{message}: cut it, or raise DecodePolicy.max_side")
        if width * height > self.max_pixels:
            message = f"the image says it is {width}x{height}, above {self.max_pixels} pixels"
            raise FrameRefused(f"{message}: cut it, or raise DecodePolicy.max_pixels")
