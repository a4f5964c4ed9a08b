"""A run over files and folders, into a run folder."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from clipvet.detectors.engine._engine import FeatureRuntime
from clipvet.detectors.errors import UsageError
from clipvet.detectors.frames._frames import is_candidate
from clipvet.detectors.host._host import Host
from clipvet.detectors.recipes._drift import LineWatch
from clipvet.detectors.records._ids import Labels
from clipvet.detectors.records._records import Record
from clipvet.detectors.runs._config import RunConfig
from clipvet.detectors.runs._folder import RunFolder
from clipvet.detectors.runs._pipeline import make_records
from clipvet.detectors.runs._report import Progress, RunReport
from clipvet.detectors.runs._setup import set_up
from clipvet.detectors.runs._sinks import HeatmapFiles, write_table
from clipvet.detectors.runs._tally import RunSummary, Tally
from clipvet.detectors.runs._walk import Walk, check_sources

__all__ = ["run"]


def run(
    config: RunConfig,
    *,
    host: Host,
    progress: Callable[[Progress], None] = lambda _progress: None,
    on_record: Callable[[Record], None] = lambda _record: None,
    runtime_factory: Callable[..., FeatureRuntime] | None = None,
) -> RunSummary:
    """Judge every image of the sources and write a run folder.

    Args:
        config: what to do.
        host: the plugins.
        progress: called after every image, in this thread.
        on_record: called with every record of the folder, those of a resumed run first.
        runtime_factory: for tests, see :class:`Engine`.

    Raises:
        UsageError, UnfitEnvironment: before the first image. A bad image stops nothing.
    """
    total = _count(config, host)
    setup = set_up(config, host=host, runtime_factory=runtime_factory)
    tally = Tally()
    watch = None if setup.recipe is None else LineWatch(setup.recipe)

    def take(record: Record) -> None:
        tally.add(record)
        if watch is not None:
            watch.see(record)
        on_record(record)

    with (
        setup.engine,
        RunFolder.open(
            config.out, setup.configuration, fresh=config.fresh, verify=config.verify, each=take
        ) as folder,
    ):
        walk = _walk(config, host, Labels(folder.roots))
        report = RunReport(folder, setup, tally, walk, total=total, watch=watch)
        heatmaps = HeatmapFiles(folder=folder.path, mode=config.heatmaps)
        try:
            report.save("running")
            files = (found for found in walk if not report.passes(found))
            for made in make_records(files, setup, heatmaps, threads=config.threads):
                report.before(made)
                folder.add(made.record)
                take(made.record)
                progress(report.progress())
            folder.sync()
            table = write_table(config.out, config.table)
        except BaseException as error:
            report.save("interrupted" if isinstance(error, KeyboardInterrupt) else "failed")
            raise
        report.save("finished")
        return report.summary(table)


def _walk(config: RunConfig, host: Host, labels: Labels) -> Walk:
    return Walk(
        sources=config.sources,
        all_files=config.all_files,
        takes=lambda path: path.suffix.lower() in host.readers or is_candidate(path),
        labels=labels,
    )


def _count(config: RunConfig, host: Host) -> int | None:
    """How many files there are, for the progress; None for a stream of them."""
    if not isinstance(config.sources, Sequence):
        return None
    check_sources(config.sources)
    walk = _walk(config, host, Labels())
    total = sum(1 for _ in walk)
    if not total and not walk.problems:
        places = ", ".join(str(source) for source in config.sources)
        passed = ", ".join(f"{count} {why}" for why, count in sorted(walk.ignored.items()))
        raise UsageError(f"no image in {places}{f' (passed over: {passed})' if passed else ''}")
    return total
