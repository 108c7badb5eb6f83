"""Pages of tables: Parquet and CSV, a hundred rows at a time."""

from __future__ import annotations

import csv
import itertools
import math
from typing import TYPE_CHECKING, Any

from pytorch_designer.errors import shorten

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

TABLE_SUFFIXES = frozenset({".parquet", ".csv", ".tsv"})
_ROWS = 100
_MAX_COLUMNS = 60
_MAX_CELL = 300
_MAX_LINE_ROWS = 1_000_000


def table_page(path: Path, offset: int) -> dict[str, Any]:
    """The rows of a table from `offset` on.

    Raises:
        OSError: It cannot be read.
        ValueError: It is no such table.
    """
    return _parquet(path, offset) if path.suffix.lower() == ".parquet" else _lines(path, offset)


def _parquet(path: Path, offset: int) -> dict[str, Any]:
    from pyarrow import parquet

    file = parquet.ParquetFile(path)
    columns = file.schema_arrow.names[:_MAX_COLUMNS]
    rows: list[list[Any]] = []
    passed = 0
    for group in range(file.num_row_groups):
        size = file.metadata.row_group(group).num_rows
        if passed + size > offset and len(rows) < _ROWS:
            start = max(offset - passed, 0)
            part = file.read_row_group(group, columns=columns).slice(start, _ROWS - len(rows)).to_pydict()
            rows += [list(row) for row in zip(*part.values(), strict=True)]
        passed += size
    return _page(columns, rows, file.metadata.num_rows, offset)


def _lines(path: Path, offset: int) -> dict[str, Any]:
    delimiter = "\t" if path.suffix.lower() == ".tsv" else ","
    with path.open(encoding="utf-8-sig", errors="replace", newline="") as stream:
        reader = csv.reader(stream, delimiter=delimiter)
        columns = next(reader, [])[:_MAX_COLUMNS]
        rows = [row[:_MAX_COLUMNS] for row in itertools.islice(reader, offset, offset + _ROWS)]
        num_after = sum(1 for _ in itertools.islice(reader, _MAX_LINE_ROWS))
    return _page(columns, rows, offset + len(rows) + num_after, offset)


def _page(columns: list[str], rows: list[list[Any]], total: int, offset: int) -> dict[str, Any]:
    end = offset + len(rows)
    return {
        "kind": "table",
        "columns": [shorten(name, _MAX_CELL) for name in columns],
        "rows": [list(_cells(row)) for row in rows],
        "total": total,
        "next_offset": end if end < total else None,
    }


def _cells(row: list[Any]) -> Iterator[str | int | float | None]:
    for value in row:
        if value is None or isinstance(value, (bool, int)):
            yield str(value).lower() if isinstance(value, bool) else value
        elif isinstance(value, float):
            yield value if math.isfinite(value) else str(value)
        else:
            yield shorten(str(value), _MAX_CELL)
