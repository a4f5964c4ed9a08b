"""A run whose partitions are judged by a pool of actors on Ray Data."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from clipvet.detectors.errors import MissingDependency, UnfitEnvironment, UsageError
from clipvet.detectors.host._host import Host
from clipvet.detectors.records._ids import Labels
from clipvet.detectors.records._records import Record
from clipvet.detectors.runs._config import RunConfig
from clipvet.detectors.runs._images import no_image
from clipvet.detectors.runs._report import Progress
from clipvet.detectors.runs._setup import set_up
from clipvet.detectors.runs._tally import RunSummary
from clipvet.detectors.scale._listing import Listing, Partition, partitions
from clipvet.detectors.scale._partitions import PartitionFolder
from clipvet.detectors.scale._report import PartitionReport
from clipvet.detectors.scale._storage import Storage
from clipvet.detectors.scale._worker import Assignment, Attempts, Judge
from clipvet.detectors.sources._globs import has_wildcards
from clipvet.detectors.sources._urls import is_url
from clipvet.detectors.sources._walk import check_sources

__all__ = ["RayPool", "run_on_ray"]


@dataclass(frozen=True, kw_only=True)
class RayPool:
    """The workers of a run.

    Attributes:
        actors: how many; None takes one for each ``cpus`` of the cluster, or for each GPU.
        cpus: of each, which are also the threads of an operator and those that decode.
        partition: images that a worker judges at a time; more than that is never lost.
    """

    actors: int | None = None
    cpus: int = 1
    partition: int = 256

    def __post_init__(self) -> None:
        for name, value in vars(self).items():
            if value is not None and value < 1:
                raise UsageError(f"{name}: {value} is none: give at least 1")


def run_on_ray(
    config: RunConfig,
    *,
    host: Host,
    pool: RayPool = RayPool(),
    progress: Callable[[Progress], None] = lambda _progress: None,
    on_record: Callable[[Record], None] = lambda _record: None,
) -> RunSummary:
    """Judge every image of the sources on a Ray cluster and write a partitioned run.

    Scores are those of :func:`run`, bit for bit on one provider. It connects to the cluster that
    Ray is connected to or that ``RAY_ADDRESS`` names; else it starts one on this machine.

    Args:
        config: what to do. ``out`` and sources may be URLs that fsspec knows, ``s3://bucket/...``;
            sources may be parquet files that list paths or URLs. Device ``auto`` is the CPU.
        host: the plugins; workers load their own.
        pool: the workers.
        progress: called when a partition is done, in this thread.
        on_record: called with every record, in the order of the images.

    Raises:
        UsageError, UnfitEnvironment: before the first image, or when workers keep dying; what is
            finished then is not done again.
    """
    _check(config)
    config = replace(config, device="cpu" if config.device == "auto" else config.device)
    setup = set_up(config, host=host, threads=pool.cpus)
    with setup.engine:
        out = Storage.of(config.out)
        folder = PartitionFolder.open(out, setup.configuration, pool.partition)
        source = Listing(config=config, host=host, labels=Labels(_roots(folder)))
        report = PartitionReport(folder, setup, source, progress=progress, on_record=on_record)
        done, names = set(folder.names()), list[str]()
        waiting: list[Any] = []  # references to what is left with Ray
        with ExitStack() as stack:
            for part in partitions(source, pool.partition):
                names.append(part.name)
                report.expect(part)
                if part.name not in done:
                    if not waiting:  # a run that is finished starts no cluster
                        stack.enter_context(_cluster())
                    waiting.append(_put(part))
            if not names:
                raise no_image(config, source)
            report.save(
                "running"
            )  # before any record: whose folder it is, and what its labels mean
            assignment = Assignment(
                config=replace(config, sources=()),
                configuration=setup.configuration,
                roots=[root for root in source.labels.roots.values() if not is_url(root)],
                out=out,
                threads=pool.cpus,
            )
            try:
                report.resume(done)
                for row in _judged(waiting, assignment, pool) if waiting else ():
                    report.take(row)
                folder.drop_all_but(names)
            except KeyboardInterrupt:
                report.save("interrupted")
                raise
            except BaseException:
                report.save("failed")
                raise
        report.save("finished")
        return report.summary()


def _judged(
    waiting: Sequence[Any], assignment: Assignment, pool: RayPool
) -> Iterator[dict[str, Any]]:
    """One row for each partition, as they are finished."""
    import ray

    gpus = 1 if assignment.config.device == "cuda" else 0
    resource, each = ("GPU", 1) if gpus else ("CPU", pool.cpus)
    resources = ray.cluster_resources()  # type: ignore[no-untyped-call]
    free = int(resources.get(resource, 0) // each)
    actors = min(pool.actors or max(1, free), len(waiting))
    attempts = ray.remote(num_cpus=0)(Attempts).remote()
    results = ray.data.from_arrow_refs(list(waiting)).map_batches(
        Judge,
        fn_constructor_args=(assignment, attempts),
        batch_size=None,  # a partition stays whole
        batch_format="pyarrow",
        compute=ray.data.ActorPoolStrategy(size=actors),
        num_cpus=pool.cpus,
        num_gpus=gpus,
    )
    try:
        yield from results.iter_rows()
    except ray.exceptions.RayError as error:
        if isinstance(error, ray.exceptions.RayTaskError):
            raise  # a bug, with its traceback
        first = str(error).strip().partition("\n")[0]
        message = f"Ray gave up ({first}): the same command goes on with what is left"
        raise UnfitEnvironment(message) from error


def _put(part: Partition) -> Any:
    """Leave the images of a partition with Ray, which has room for a million of them."""
    import ray

    return ray.put(part.table)


@contextmanager
def _cluster() -> Iterator[None]:
    """Ray, connected and quiet; what was not connected before is not afterwards."""
    import ray
    import ray.data

    own = not ray.is_initialized()
    if own:
        os.environ.setdefault("RAY_BACKEND_LOG_LEVEL", "fatal")  # else it writes over the progress
        ray.init(logging_level=logging.ERROR, log_to_driver=False, include_dashboard=False)
    context = ray.data.DataContext.get_current()
    shown, context.enable_progress_bars = context.enable_progress_bars, False
    logger = logging.getLogger("ray.data")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logger.setLevel(level)
        context.enable_progress_bars = shown
        if own:
            ray.shutdown()


def _check(config: RunConfig) -> None:
    """Refuse what a partitioned run cannot do, before anything is opened."""
    refused = (
        ("--watch", config.watching is not None, "watch in a local run"),
        ("--fresh", config.fresh, "choose a new --out"),
        ("--verify", config.verify, "choose a new --out"),
        (f"--format {config.table}", config.table in {"csv", "sqlite"}, "detect merge writes it"),
        ("--regions", config.regions is not None, "detect merge writes them"),
    )
    for option, given, instead in refused:
        if given:
            raise UsageError(f"{option} does not go with --engine ray: {instead}")
    try:
        import ray.data  # noqa: F401
    except ImportError:
        raise MissingDependency("ray", "--engine ray", "ray") from None
    if isinstance(config.sources, Sequence):
        named = (Path(name) for name in config.sources if not is_url(name))
        check_sources(name for name in named if not has_wildcards(str(name)))


def _roots(folder: PartitionFolder) -> dict[str, Path]:
    return {label: Path(root) for label, root in folder.state["sources"].items()}
