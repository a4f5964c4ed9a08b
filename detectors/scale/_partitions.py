"""The folder of a partitioned run: ``run.json``, and ``records/`` with one file a partition.

A file of a partition appears whole, under a name that says which images it is about. So a worker
may die at any moment, and a partition may be judged twice: the second file is the first one.
"""

from __future__ import annotations

import io
import json
from collections.abc import Collection, Iterable, Iterator, Mapping
from itertools import chain
from typing import Any, Final, Self

from clipvet.detectors._parsing import parse_json
from clipvet.detectors.errors import UsageError
from clipvet.detectors.records._records import Record
from clipvet.detectors.runs._folder import check_same, configuration_sha256
from clipvet.detectors.runs._removal import RUN
from clipvet.detectors.runs._sinks import parquet_schema, table_rows
from clipvet.detectors.scale._storage import Storage

__all__ = ["PARTITIONED_SCHEMA", "PartitionFolder", "write_partition"]

# Begins as that of a run folder does, so that no walk takes its pictures for input.
PARTITIONED_SCHEMA: Final = "clipvet.run/1-partitioned"
_RECORDS: Final = "records"
_RECORD: Final = "record"


class PartitionFolder:
    """The output of one partitioned run.

    Attributes:
        storage: where it is.
        state: what ``run.json`` says.
    """

    def __init__(self, storage: Storage, state: dict[str, Any]) -> None:
        self.storage = storage
        self.state = state

    @classmethod
    def open(cls, storage: Storage, configuration: Mapping[str, Any], partition: int) -> Self:
        """Make a folder, or go on with one of the same configuration.

        Args:
            storage: new, empty, or of a partitioned run.
            configuration: JSON-able; everything that changes scores or files.
            partition: images in each part.

        Raises:
            UsageError: it holds something else, or another configuration.
        """
        if any(not name.endswith(".part") for name in storage.names()):
            folder = cls.read(storage)
            check_same(storage.url, folder.state, configuration)
            if folder.state["partition"] != partition:
                raise UsageError(
                    f"{storage.url} holds partitions of {folder.state['partition']} images: give "
                    f"--partition {folder.state['partition']}, or choose another --out"
                )
            return folder
        return cls(
            storage,
            {
                "schema": PARTITIONED_SCHEMA,
                "status": "running",
                "configuration": dict(configuration),
                "configuration_sha256": configuration_sha256(configuration),
                "partition": partition,
                "sources": {},
            },
        )

    @classmethod
    def read(cls, storage: Storage) -> Self:
        """The folder of a run that was started before.

        Raises:
            UsageError: it is none.
        """
        try:
            state = parse_json(storage.read(RUN).decode("utf-8"))
            if state["schema"] == PARTITIONED_SCHEMA:
                return cls(storage, dict(state))
        except (FileNotFoundError, ValueError, KeyError, TypeError):
            pass
        raise UsageError(
            f"{storage.url} is not empty and no partitioned run of clipvet: choose another --out"
        )

    def names(self) -> list[str]:
        """The partitions that have their records, in the order of the walk."""
        names = self.storage.names(_RECORDS)
        return [name for name in names if name.startswith("part-") and name.endswith(".parquet")]

    def records(self, name: str) -> Iterator[Record]:
        """Records of a partition, in the order of its images."""
        from pyarrow import parquet

        content = self.storage.read(f"{_RECORDS}/{name}")
        table = parquet.read_table(io.BytesIO(content), columns=[_RECORD])
        for line in table.column(0).to_pylist():
            if line is not None:
                yield Record.from_json(line)

    def drop_all_but(self, names: Collection[str]) -> None:
        """Remove partitions of images that have changed or moved, and what dead workers left."""
        for name in self.storage.names(_RECORDS):
            if name.startswith("part-") and name not in names:
                self.storage.remove(f"{_RECORDS}/{name}")

    def save(self, **facts: Any) -> None:
        """Update ``run.json``, whole or not at all."""
        self.state.update(facts)
        text = json.dumps(self.state, indent=1, allow_nan=False) + "\n"
        self.storage.write(RUN, text.encode())


def write_partition(storage: Storage, name: str, records: Iterable[Record]) -> None:
    """Write the records of a partition: the rows of ``records.parquet``, with one more column.

    ``record`` holds the whole record as JSON, in the first row of each image.
    """
    import pyarrow as pa
    from pyarrow import parquet

    rows = chain.from_iterable(_rows(record) for record in records)
    schema = parquet_schema().append(pa.field(_RECORD, pa.string()))
    buffer = io.BytesIO()
    table = pa.Table.from_pylist(list(rows), schema=schema)
    parquet.write_table(table, buffer, compression="zstd")
    storage.write(f"{_RECORDS}/{name}", buffer.getvalue())


def _rows(record: Record) -> Iterator[dict[str, Any]]:
    for number, row in enumerate(table_rows(record)):
        yield {**row, _RECORD: None if number else record.to_json()}
