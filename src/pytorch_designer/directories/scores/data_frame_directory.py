"""Scored images as a DataFrameDirectory, written batch by batch.

    DIRECTORY/_meta.yaml            type: DataFrameDirectory; format: Parquet; data: _data.parquet;
                                    schema: schema/_schema.json; extension.scored_by: model, weights
    DIRECTORY/_data.parquet         one row per image: id, file, category (of labeled images),
                                    Scored Probabilities_<class> for each class, Scored Labels
    DIRECTORY/_data.csv             the same, to look at; what looks like a formula has a `'` first
    DIRECTORY/schema/_schema.json   the roles of the columns (`data_frame_schema`)

`file` is what the user knows the image by (`ImageDirectory.name`). The old designer has no such column, and finds its
own by their roles.

A row that could not be scored has nulls in the score columns (in the CSV: empty fields). `scored_dataset` reads it.
"""

from __future__ import annotations

import json
import re
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

import numpy as np

from pytorch_designer.directories.meta import write_meta
from pytorch_designer.directories.scores.data_frame_schema import (
    FILE_COLUMN,
    ID_COLUMN,
    LABEL_COLUMN,
    SCORED_LABEL_COLUMN,
    build_schema,
    distinct_names,
    escape,
    probability_column,
)
from pytorch_designer.shown_text import FORMULA_STARTS

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path
    from types import TracebackType

    from numpy.typing import NDArray

DATA_FRAME_DIRECTORY = "DataFrameDirectory"
PARQUET_FORMAT = "Parquet"
DATA_FILE = "_data.parquet"
CSV_FILE = "_data.csv"
SCHEMA_FILE = "schema/_schema.json"

# Rows are collected into groups of this many numbers: few enough for memory, and enough that the file's footer, which
# has an entry for each column of each group, does not get larger than the data with a thousand classes.
_NUMBERS_PER_GROUP = 1 << 23
_MAX_ROWS_PER_GROUP = 1 << 16


class ScoredImagesWriter:
    """Writer of scored images in constant memory; a context manager.

    On leaving without an error the directory is complete. The folder is the one that `Output.stage` yields, which
    removes what was written when something goes wrong.
    """

    def __init__(
        self,
        folder: Path,
        *,
        class_names: Sequence[str],
        has_labels: bool,
        has_text_ids: bool,
        scored_by: Mapping[str, str] | None = None,
    ) -> None:
        """Write into `folder`, which exists.

        Args:
            folder: Where the files go.
            class_names: Names by class index; any text. A repeated name is numbered.
            has_labels: Whether there is a column of true labels.
            has_text_ids: Whether ids are strings, and not whole numbers.
            scored_by: What tells the model apart: its `model` and `weights`.
        """
        self._folder = folder
        self._class_names = distinct_names(class_names)
        self._has_labels = has_labels
        self._has_text_ids = has_text_ids
        self._extension = {} if scored_by is None else {"scored_by": dict(scored_by)}
        self._rows_per_group = max(1, min(_MAX_ROWS_PER_GROUP, _NUMBERS_PER_GROUP // max(1, len(class_names))))
        self._waiting: list[Any] = []
        self._num_waiting = 0
        self._writers: list[Any] = []
        self._files = ExitStack()

    def __enter__(self) -> ScoredImagesWriter:
        return self

    def __exit__(
        self, error_type: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        with self._files:
            if error is None:
                self._write_rest()
        if error is None:
            self._write_description()

    def write(
        self,
        *,
        ids: Sequence[int] | Sequence[str] | NDArray[np.int64],
        files: Sequence[str],
        labels: Sequence[str | None] | None = None,
        probabilities: NDArray[np.floating[Any]],
    ) -> None:
        """Append rows, in their order.

        Args:
            ids: The image's `id`, one per row.
            files: What the user knows the image by, one per row.
            labels: The true class, one per row (None where an image has none); None if `has_labels` is False.
            probabilities: float32 or float64 [n, k], the same dtype in all calls; a row of an image that could not be
                scored is NaN.

        Raises:
            ValueError: The lengths differ, or there are labels although `has_labels` is False.
            OSError: A file could not be written.
        """
        import pyarrow as pa

        num_rows = len(ids)
        if probabilities.shape != (num_rows, len(self._class_names)) or (labels is None) == self._has_labels:
            raise ValueError("ids, labels and probabilities do not describe the same rows and classes")
        is_scored_n = ~np.isnan(probabilities).any(axis=1)
        columns: dict[str, Any] = {ID_COLUMN: self._id_column(ids)}
        columns[FILE_COLUMN] = pa.array(map(escape, files), pa.string())
        if labels is not None:
            columns[LABEL_COLUMN] = pa.array((None if name is None else escape(name) for name in labels), pa.string())
        for index, name in enumerate(self._class_names):
            columns[probability_column(name)] = pa.array(probabilities[:, index], mask=~is_scored_n)
        columns[SCORED_LABEL_COLUMN] = self._predicted_column(probabilities, is_scored_n)
        self._append(pa.table(columns))

    def _id_column(self, ids: Sequence[int] | Sequence[str] | NDArray[np.int64]) -> Any:
        import pyarrow as pa

        if self._has_text_ids:
            return pa.array((escape(str(image_id)) for image_id in ids), pa.string())
        return pa.array(ids, pa.int64())

    def _predicted_column(self, probabilities: NDArray[np.floating[Any]], is_scored_n: NDArray[np.bool_]) -> Any:
        import pyarrow as pa

        names = pa.array([escape(name) for name in self._class_names], pa.string())
        if not len(names):
            return pa.nulls(len(probabilities), pa.string())
        best_n = np.where(is_scored_n[:, None], probabilities, 0).argmax(axis=1)
        return names.take(pa.array(best_n, pa.int64(), mask=~is_scored_n))

    def _append(self, rows: Any) -> None:
        self._waiting.append(rows)
        self._num_waiting += len(rows)
        if self._num_waiting >= self._rows_per_group:
            self._write_waiting()

    def _write_waiting(self) -> None:
        import pyarrow as pa

        group = pa.concat_tables(self._waiting).combine_chunks()
        self._waiting.clear()
        self._num_waiting = 0
        if not self._writers:
            self._open(group.schema)
        for writer, table in zip(self._writers, (group, _for_people(group)), strict=True):
            writer.write_table(table)

    def _open(self, schema: Any) -> None:
        from pyarrow import csv, parquet

        for name in (DATA_FILE, CSV_FILE):
            # Opened here, as pyarrow only takes paths that are UTF-8.
            stream = self._files.enter_context((self._folder / name).open("wb"))
            # Statistics of scores are of no use, and with a thousand columns take most of the footer.
            writer = (
                parquet.ParquetWriter(stream, schema, write_statistics=False)
                if name == DATA_FILE
                else csv.CSVWriter(stream, schema)
            )
            self._writers.append(self._files.enter_context(writer))

    def _write_rest(self) -> None:
        if not self._waiting and not self._writers:
            no_labels: list[str] | None = [] if self._has_labels else None
            self.write(ids=[], files=[], labels=no_labels, probabilities=np.empty((0, len(self._class_names))))
        if self._waiting:
            self._write_waiting()

    def _write_description(self) -> None:
        schema = build_schema(self._class_names, has_labels=self._has_labels, has_text_ids=self._has_text_ids)
        path = self._folder / SCHEMA_FILE
        path.parent.mkdir()
        path.write_text(json.dumps(schema, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
        keys = {"format": PARQUET_FORMAT, "data": DATA_FILE, "schema": SCHEMA_FILE}
        write_meta(self._folder, DATA_FRAME_DIRECTORY, extension=self._extension, **keys)


def _for_people(rows: Any) -> Any:
    """The table with each text as `spreadsheet_text` gives it."""
    import pyarrow as pa
    from pyarrow import compute

    for index, column in enumerate(rows.columns):
        if pa.types.is_string(column.type):
            shown = compute.replace_substring_regex(column, f"^[{re.escape(''.join(FORMULA_STARTS))}]", r"'\0")
            rows = rows.set_column(index, rows.schema.field(index), shown)
    return rows
