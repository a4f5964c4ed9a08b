"""All images of a run, wherever they are, in partitions that workers judge one at a time."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, field, replace
from itertools import count, groupby, islice
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from clipvet.detectors.errors import UsageError
from clipvet.detectors.frames._magic import has_image_suffix
from clipvet.detectors.host._host import Host
from clipvet.detectors.runs._config import RunConfig
from clipvet.detectors.runs._images import image_source
from clipvet.detectors.scale._objects import ObjectWalk, StoredImage, stored_image
from clipvet.detectors.scale._storage import open_url
from clipvet.detectors.sources._given import SourceName
from clipvet.detectors.sources._source import FoundImage, Source
from clipvet.detectors.sources._urls import as_url, is_url
from clipvet.detectors.sources._walk import FoundFile

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["Listing", "Partition", "images_of", "partitions"]


@dataclass(frozen=True, kw_only=True, eq=False)
class Partition:
    """Images that one worker judges together.

    Attributes:
        name: its file in the folder of records: its place in the order, and a hash of which
            images they are, how large and how old.
        table: one row an image: ``name``, ``id``, ``place``, ``size``, ``mtime_ns``.
    """

    name: str
    table: pa.Table


@dataclass(kw_only=True)
class Listing(Source):
    """What a run was given, in its order: files, folders, patterns, parquet files, URLs.

    Attributes:
        config: of the run.
        host: whose readers say what is an image, too.
    """

    config: RunConfig
    host: Host
    _named: set[str] = field(default_factory=set, init=False)

    def __iter__(self) -> Iterator[FoundImage]:
        names = (entry for name in self.config.sources for entry in _entries(name))
        shard = self.config.shard
        for remote, group in groupby(names, key=is_url):
            for found in self._objects(group) if remote else self._files(group):
                if shard is None or shard.takes(found.id):
                    yield found

    def _files(self, names: Iterable[SourceName]) -> Iterator[FoundImage]:
        config = replace(self.config, sources=names)
        source = image_source(config, self.host, self.labels, lambda _id: False)
        source.ignored, source.problems = self.ignored, self.problems
        for found in source:
            if not isinstance(found, FoundFile):
                name = "a camera" if found is None else found.id
                raise UsageError(
                    f"{name}: archives, videos and cameras are read by local runs only: unpack "
                    "them, or leave --engine ray out"
                )
            yield found

    def _objects(self, names: Iterable[SourceName]) -> Iterator[FoundImage]:
        for name in names:
            if str(name) in self._named:
                self.ignored["named twice"] += 1
                continue
            self._named.add(str(name))
            if isinstance(name, _Listed):
                yield stored_image(name, self)
            else:
                yield from ObjectWalk(
                    url=as_url(name),
                    all_files=self.config.all_files,
                    takes=self._takes,
                    labels=self.labels,
                    ignored=self.ignored,
                    problems=self.problems,
                )

    def _takes(self, name: PurePosixPath) -> bool:
        return has_image_suffix(name) or name.suffix.lower() in self.host.readers


class _Listed(str):
    """A URL from a list: it is one object, and nobody asks for more before it is judged."""

    __slots__ = ()


def partitions(images: Iterable[FoundImage], size: int) -> Iterator[Partition]:
    """Cut a stream of files and objects into partitions of ``size`` images."""
    import pyarrow as pa

    images = iter(images)
    for number in count():
        part = list(islice(images, size))
        if not part:
            return
        rows = [
            {"id": one.id, "place": _place(one), "size": one.size, "mtime_ns": one.mtime_ns}
            for one in part
        ]
        key = hashlib.sha256(repr([tuple(row.values()) for row in rows]).encode()).hexdigest()[:12]
        name = f"part-{number:05d}-{key}.parquet"
        schema = pa.schema(
            [("name", pa.string()), ("id", pa.string()), ("place", pa.binary()),
             ("size", pa.int64()), ("mtime_ns", pa.int64())]
        )  # fmt: skip
        table = pa.Table.from_pylist([{"name": name, **row} for row in rows], schema=schema)
        yield Partition(name=name, table=table)


def images_of(table: pa.Table, whole_files: Collection[str]) -> Iterator[FoundImage]:
    """The images of a partition.

    Args:
        table: of the partition.
        whole_files: suffixes that plugins read, from files.
    """
    for row in table.select(["id", "place", "size", "mtime_ns"]).to_pylist():
        place = os.fsdecode(row.pop("place"))
        if place.startswith("/"):
            yield FoundFile(path=Path(place), **row)
            continue
        suffix = PurePosixPath(place).suffix.lower()
        yield StoredImage(url=place, whole_file=suffix in whole_files, **row)


def _entries(name: SourceName) -> Iterator[SourceName]:
    """What a parquet file lists in its column ``path``, else its first; any other name as it is."""
    if not str(name).lower().endswith(".parquet"):
        yield name
        return
    import pyarrow as pa
    from pyarrow import parquet

    try:
        if is_url(name):
            system, path = open_url(as_url(name))
            file = parquet.ParquetFile(system.open(path, "rb"))
        else:
            file = parquet.ParquetFile(name)
        names = file.schema_arrow.names
        column = "path" if "path" in names else names[0]
        if not pa.types.is_string(file.schema_arrow.field(column).type):
            raise UsageError(f"{name}: its column {column!r} holds no paths: call that one 'path'")
        with file:
            for batch in file.iter_batches(columns=[column]):
                for entry in filter(None, batch.column(0).to_pylist()):
                    yield _Listed(entry) if is_url(entry) else Path(entry)
    except (OSError, pa.ArrowInvalid, IndexError) as error:
        raise UsageError(f"{name}: cannot be read as parquet ({error})") from error


def _place(image: FoundImage) -> bytes:
    if isinstance(image, StoredImage):
        return image.url.encode()
    assert isinstance(image, FoundFile)  # the listing refuses everything else
    return os.fsencode(image.path)
