"""The images of a run: its source, and how many there are."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from clipvet.detectors.errors import UsageError
from clipvet.detectors.frames._frames import is_candidate
from clipvet.detectors.host._host import Host
from clipvet.detectors.records._ids import Labels
from clipvet.detectors.runs._config import RunConfig
from clipvet.detectors.sources._given import Given, check_watched
from clipvet.detectors.sources._source import Source
from clipvet.detectors.sources._watch import Watch

__all__ = ["count_images", "image_source", "no_image"]


def image_source(
    config: RunConfig, host: Host, labels: Labels, is_done: Callable[[str], bool]
) -> Source:
    """What gives the images of a run.

    Args:
        config: of the run.
        host: whose readers say what is an image, too.
        labels: of earlier calls of the run.
        is_done: whether an id has a record.
    """

    def takes(path: Path) -> bool:
        return path.suffix.lower() in host.readers or is_candidate(path)

    if config.watching is not None:
        return Watch(
            folders=check_watched(config.sources),
            watching=config.watching,
            is_done=is_done,
            all_files=config.all_files,
            takes=takes,
            labels=labels,
        )
    return Given(
        names=config.sources,
        sampling=config.sampling,
        reconnect=config.reconnect,
        is_done=is_done,
        all_files=config.all_files,
        takes=takes,
        shard=config.shard,
        labels=labels,
    )


def count_images(config: RunConfig, host: Host) -> int | None:
    """How many images there are, for the progress; None if nobody can know.

    Raises:
        UsageError: there is none, or a name stands for nothing.
    """
    source = image_source(config, host, Labels(), lambda _id: False)
    total = source.count()
    if total == 0 and not source.problems:
        raise no_image(config, source)
    return total


def no_image(config: RunConfig, source: Source) -> UsageError:
    """The error of a run that found nothing."""
    places = ", ".join(str(name) for name in config.sources)
    passed = ", ".join(f"{count} {why}" for why, count in sorted(source.ignored.items()))
    shard = "" if config.shard is None else f"shard {config.shard} of "
    return UsageError(f"no image in {shard}{places}{f' (passed over: {passed})' if passed else ''}")
