"""A run over images, into a run folder."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from clipvet.detectors.engine._engine import FeatureRuntime
from clipvet.detectors.host._host import Host
from clipvet.detectors.recipes._drift import LineWatch
from clipvet.detectors.records._ids import Labels
from clipvet.detectors.records._records import Record
from clipvet.detectors.runs._config import RunConfig
from clipvet.detectors.runs._folder import RunFolder
from clipvet.detectors.runs._images import count_images, image_source
from clipvet.detectors.runs._late_scores import LateScores, is_spooled
from clipvet.detectors.runs._pipeline import make_records
from clipvet.detectors.runs._regions import write_regions
from clipvet.detectors.runs._report import Progress, RunReport
from clipvet.detectors.runs._sets import finish_sets
from clipvet.detectors.runs._setup import RunSetup, set_up
from clipvet.detectors.runs._sinks import HeatmapFiles, write_table
from clipvet.detectors.runs._stages import StageClock
from clipvet.detectors.runs._tally import RunSummary, SetSummary, Tally

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
        on_record: called with every record of the folder, those of a resumed run first; with
            those that only the end of the run completes after it.
        runtime_factory: for tests, see :class:`Engine`.

    Raises:
        UsageError, UnfitEnvironment: before the first image. A bad image stops nothing.
    """
    total = count_images(config, host)
    setup = set_up(config, host=host, runtime_factory=runtime_factory)
    tally = Tally()
    watch = None if setup.recipe is None else LineWatch(setup.recipe)

    def take(record: Record) -> None:
        tally.add(record)
        if watch is not None:
            watch.see(record)
        if not is_spooled(record):  # else it is not complete yet
            on_record(record)

    with (
        setup.engine,
        RunFolder.open(
            config.out, setup.configuration, fresh=config.fresh, verify=config.verify, each=take
        ) as folder,
    ):
        source = image_source(config, host, Labels(folder.roots), folder.is_done)
        clock = StageClock()
        report = RunReport(folder, setup, tally, source, clock, total=total, watch=watch)
        heatmaps = HeatmapFiles(folder=folder.path, mode=config.heatmaps)
        try:
            report.save("running")
            images = (found for found in source if found is None or not report.passes(found))
            for record in make_records(
                images, setup, heatmaps, threads=config.threads, clock=clock
            ):
                if record is None:
                    report.idle()
                    continue
                with clock.work("write"):
                    report.before(record)
                    folder.add(record)
                    take(record)
                    progress(report.progress())
            folder.sync()
            table, regions, sets = _write_sinks(config, setup, folder, tally, on_record)
        except KeyboardInterrupt:
            report.save("interrupted")
            if total is None:  # nobody knew an end: this is it
                folder.sync()
                _, _, sets = _write_sinks(config, setup, folder, tally, on_record)
                report.save("interrupted", sets=_by_detector(sets))
            raise
        except BaseException:
            report.save("failed")
            raise
        report.save("finished", sets=_by_detector(sets))
        return report.summary(table, regions, sets)


def _write_sinks(
    config: RunConfig,
    setup: RunSetup,
    folder: RunFolder,
    tally: Tally,
    on_record: Callable[[Record], None],
) -> tuple[Path | None, Path | None, Sequence[SetSummary]]:
    """What is made of all records together: what only a set can tell, the table, the regions."""
    late = LateScores(
        HeatmapFiles(folder=config.out, mode=config.heatmaps),
        setup.engine,
        setup.recipe,
        roots=folder.roots,
        read=setup.reader.read,
    )
    sets = finish_sets(folder, setup.engine.slots, late, tally, on_record)
    table = write_table(config.out, config.table)
    regions = None if config.regions is None else write_regions(config.out, config.regions)
    return table, regions, sets


def _by_detector(sets: Sequence[SetSummary]) -> dict[str, dict[str, Any]]:
    return {one.detector: asdict(one) for one in sets}
