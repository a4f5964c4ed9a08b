"""Every error that clipvet raises on purpose.

    ClipvetError                    handled: the command line prints it as one line
    ├── UsageError                  the request contradicts itself or names nothing (exit 2)
    ├── UnfitEnvironment            this machine or its files cannot do it (exit 4)
    │   ├── MissingDependency       an optional package is not installed
    │   ├── ProviderUnavailable     the execution provider asked for is not the one got
    │   ├── OfflineError            the network is needed and is off or unreachable
    │   ├── BundleError             a model bundle is absent, damaged or not what it says
    │   └── RecipeError             a recipe, calibration or artefact is damaged or bound to
    │                               another bundle or preprocessing
    ├── FrameError                  one image cannot be judged; becomes its record's status
    │   ├── FrameUnreadable         damaged, empty, truncated, or not an image at all
    │   ├── FrameUnsupported        a format or an array type that clipvet does not decode
    │   └── FrameRefused            decodable, but only with a policy that was not given
    └── DetectorError               one detector cannot score; costs its own scores only
        ├── QueryMissing            it needs an object name, classes or questions: not applicable
        └── ArtefactMissing         it needs something learned that it was not given

A message is one line: what happened, to which file or plugin, and what to do about it.
Anything else that escapes is a bug and keeps its traceback.
"""

from __future__ import annotations

from typing import ClassVar

__all__ = [
    "ArtefactMissing",
    "BundleError",
    "ClipvetError",
    "DetectorError",
    "FrameError",
    "FrameRefused",
    "FrameUnreadable",
    "FrameUnsupported",
    "MissingDependency",
    "OfflineError",
    "ProviderUnavailable",
    "QueryMissing",
    "RecipeError",
    "UnfitEnvironment",
    "UsageError",
]


class ClipvetError(Exception):
    """Base of all handled errors. ``exit_code`` is what the command line exits with."""

    exit_code: ClassVar[int] = 70

    def __str__(self) -> str:
        """The message on one line, whatever the names and files that it quotes hold."""
        text = super().__str__()
        return "".join(char if char.isprintable() else ascii(char)[1:-1] for char in text)


class UsageError(ClipvetError):
    """The request contradicts itself or names something that does not exist."""

    exit_code = 2


class UnfitEnvironment(ClipvetError):
    """The machine or the files that a run rests on cannot do what was asked."""

    exit_code = 4


class MissingDependency(UnfitEnvironment):
    """An optional package is needed; the message says which and how to install it."""

    def __init__(self, package: str, purpose: str, extra: str) -> None:
        super().__init__(
            f"{purpose} needs {package}, which is not installed: "
            f"pip install 'clipvet[{extra}]' (or your own build of {package})"
        )
        self.package = package


class ProviderUnavailable(UnfitEnvironment):
    """The execution provider that was asked for is not the one that the session got."""


class OfflineError(UnfitEnvironment):
    """Something must be downloaded, but the network is off or cannot be reached."""


class BundleError(UnfitEnvironment):
    """A model bundle is absent, damaged, or not what its manifest says."""


class RecipeError(UnfitEnvironment):
    """A recipe, calibration or artefact is damaged or belongs to another bundle."""


class FrameError(ClipvetError):
    """One image cannot be judged. ``status`` is what its record will say.

    Args:
        reason: what is wrong and what to do. A record says this, and the id of its image.
        file: which it is, in the message for whoever gave it.
    """

    status: ClassVar[str] = "unreadable"
    exit_code = 3

    def __init__(self, reason: str, *, file: str | None = None) -> None:
        super().__init__(reason if file is None else f"{file}: {reason}")
        self.reason = reason
        self.file = file


class FrameUnreadable(FrameError):
    """The file is damaged, empty, truncated, gone, or not an image."""


class FrameUnsupported(FrameError):
    """The format, mode or array type is not one that clipvet decodes."""

    status = "unsupported"


class FrameRefused(FrameError):
    """The image can be decoded only by a rule that has not been given, or is absurdly large."""

    status = "refused"


class DetectorError(ClipvetError):
    """One detector cannot score; its own scores are lost and nothing else."""

    exit_code = 3


class QueryMissing(DetectorError):
    """The detector needs an object name, classes or questions: ``not_applicable``."""


class ArtefactMissing(DetectorError):
    """The detector needs something learned that it was not given."""
