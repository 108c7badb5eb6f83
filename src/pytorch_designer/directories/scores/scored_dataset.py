"""Scored datasets: DataFrameDirectories of this project or of the old designer with labels and probabilities.

Which columns hold what is read from the schema, and guessed from their names where there is no schema
(`data_frame_schema.find_roles`).
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from pytorch_designer.directories.meta import read_meta
from pytorch_designer.directories.scores.data_frame_directory import DATA_FRAME_DIRECTORY, PARQUET_FORMAT
from pytorch_designer.directories.scores.data_frame_schema import (
    FILE_COLUMN,
    ID_COLUMN,
    PROBABILITY_PREFIX,
    SCORED_LABEL_COLUMN,
    ColumnRoles,
    find_roles,
    unescape,
)
from pytorch_designer.errors import InvalidDatasetError, NotScoredDatasetError, shorten
from pytorch_designer.storage.paths import reading_errors, resolve_inside
from pytorch_designer.storage.retrying import is_file, open_retrying
from pytorch_designer.storage.string_column import StringColumn
from pytorch_designer.system.memory_check import check_memory

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

UNSCORED = -1
UNLABELED = -1
_ROWS_AT_ONCE = 1 << 16
_BYTES_PER_SCORE = 16  # a float64, and a copy of it
_BYTES_PER_ROW = 100
_MAX_MODEL, _MAX_WEIGHTS = 80, 20
_TOLERANCE = 1e-6  # of float32 sums, by which a probability may leave 0 to 1


@dataclass(frozen=True, eq=False)
class ScoredDataset:
    """Labels and scores of n images; row i of every column is image i.

    Attributes:
        class_names: The k classes that the model knows.
        label_names: `class_names`, followed by the labels in the data that the model does not know, sorted.
        labels: int64 [n]: index of the true label in `label_names`, `UNLABELED` for images without one; None when no
            image is labeled.
        probabilities: float64 [n, k]; a row of an image that could not be scored is NaN.
        predicted: int64 [n]: index of the predicted class in `class_names`, `UNSCORED` for images without scores.
        ids: The `id` of each image, int64 [n] or strings; None when there is no such column.
        files: What the user knows each image by, as `escape` wrote it; None when there is no such column.
        scored_by: What tells the model apart: "resnet18 (weights 3f9a2c1b0d7e)"; "" where it is not recorded.
    """

    class_names: tuple[str, ...]
    label_names: tuple[str, ...]
    labels: NDArray[np.int64] | None
    probabilities: NDArray[np.float64]
    predicted: NDArray[np.int64]
    ids: NDArray[np.int64] | tuple[str, ...] | None
    files: StringColumn | None = None
    scored_by: str = ""

    @property
    def is_scored(self) -> NDArray[np.bool_]:
        """Mask of the images that have scores, bool [n]."""
        return np.not_equal(self.predicted, UNSCORED)

    def __len__(self) -> int:
        return len(self.predicted)

    def described(self, row: int) -> str:
        """Name of the image of a row for messages: its file, or its id, or the number of the row."""
        if self.files is not None and self.files[row]:
            return unescape(self.files[row])
        return f"row {row}" if self.ids is None else f"id {self.ids[row]}"


def open_scored_dataset(path: Path) -> ScoredDataset:
    """Read the scores of the DataFrameDirectory `path`.

    Raises:
        NotScoredDatasetError: It is a dataset without predicted labels, or without a probability for each class.
        InvalidDatasetError: It is not a readable DataFrameDirectory, or its scores are not probabilities
            ("not_probabilities") or contradict each other ("malformed_scores").
    """
    meta = read_meta(path, DATA_FRAME_DIRECTORY, InvalidDatasetError)
    if meta.get("format", PARQUET_FORMAT) != PARQUET_FORMAT:
        raise InvalidDatasetError(
            f"The data is stored as {meta['format']}, and only {PARQUET_FORMAT} is read.", where=path, reason="format"
        )
    data_path = _file_of(path, meta, "data")
    schema_path = _file_of(path, meta, "schema") if meta.get("schema") is not None else None
    import pyarrow as pa
    from pyarrow import parquet

    with reading_errors(data_path, InvalidDatasetError), open_retrying(data_path) as stream:
        try:
            file = parquet.ParquetFile(stream)
            _check_distinct(file.schema_arrow.names, data_path)
            roles = find_roles(file.schema_arrow.names, schema_path)
            _check_scored(roles, path)
            # As dictionaries, because a text that each of a million rows repeats takes its bytes once in the file.
            file = parquet.ParquetFile(stream, metadata=file.metadata, read_dictionary=_text_columns(file, roles))
            return replace(_read(file, roles, data_path), scored_by=_scored_by(meta))
        except (pa.ArrowException, UnicodeDecodeError) as error:
            raise InvalidDatasetError(
                f"The data is not what a Parquet file of scored images holds: {error}",
                where=data_path,
                reason="malformed_data",
            ) from error


def _scored_by(meta: dict[str, Any]) -> str:
    extension = meta.get("extension")
    recorded = extension.get("scored_by") if isinstance(extension, dict) else None
    if not isinstance(recorded, dict):  # written by an earlier release, or by the old designer
        return ""
    model, weights = (recorded.get(key) for key in ("model", "weights"))
    if not isinstance(model, str) or not isinstance(weights, str):
        return ""
    return f"{shorten(model, _MAX_MODEL)} (weights {shorten(weights, _MAX_WEIGHTS)})"


def _file_of(root: Path, meta: dict[str, Any], key: str) -> Path:
    relative = meta.get(key)
    if not isinstance(relative, str):
        raise InvalidDatasetError(f"_meta.yaml does not name a file under `{key}`.", where=root, reason="missing_key")
    path = resolve_inside(root, relative, InvalidDatasetError)
    with reading_errors(path, InvalidDatasetError):
        is_there = is_file(path)
    if not is_there:
        raise InvalidDatasetError(f"The file that `{key}` names is missing.", where=path, reason="missing_file")
    return path


def _check_distinct(names: list[str], path: Path) -> None:
    repeated = sorted(name for name, count in Counter(names).items() if count > 1)
    if repeated:
        raise InvalidDatasetError(
            "Columns of the data have the same name.", where=path, examples=repeated, reason="malformed_data"
        )


def _check_scored(roles: ColumnRoles, path: Path) -> None:
    if roles.scored_label is None or not roles.probabilities:
        missing = SCORED_LABEL_COLUMN if roles.scored_label is None else f"{PROBABILITY_PREFIX}<class>"
        raise NotScoredDatasetError(f"The dataset has no column `{missing}`: it was not scored.", where=path)


def _text_columns(file: Any, roles: ColumnRoles) -> list[str]:
    import pyarrow as pa

    names = {ID_COLUMN, roles.label, roles.scored_label}
    return [field.name for field in file.schema_arrow if field.name in names and pa.types.is_string(field.type)]


def _read(file: Any, roles: ColumnRoles, path: Path) -> ScoredDataset:
    import pyarrow as pa

    num_rows = file.metadata.num_rows
    check_memory(
        num_rows * (_BYTES_PER_SCORE * len(roles.probabilities) + _BYTES_PER_ROW),
        f"Evaluating {num_rows:,} images with scores of {len(roles.probabilities):,} classes takes",
        where=path,
        advice="Use a machine with more memory, or score fewer images at once.",
        error=InvalidDatasetError,
    )
    probabilities = np.empty((num_rows, len(roles.probabilities)))
    schema = file.schema_arrow
    has_ids = ID_COLUMN in schema.names
    has_files = FILE_COLUMN in schema.names and pa.types.is_string(schema.field(FILE_COLUMN).type)
    others: dict[str, list[Any]] = {
        name: []
        for name in (
            ID_COLUMN if has_ids else None,
            FILE_COLUMN if has_files else None,
            roles.label,
            roles.scored_label,
        )
        if name is not None
    }
    start = 0
    for batch in file.iter_batches(_ROWS_AT_ONCE, columns=[*others, *roles.probabilities]):
        end = start + len(batch)
        for index, name in enumerate(roles.probabilities):
            scores = batch.column(name).cast(pa.float64())
            probabilities[start:end, index] = scores.to_numpy(zero_copy_only=False)
        for name, chunks in others.items():
            chunks.append(batch.column(name))
        start = end
    probabilities = probabilities[:start]
    columns = {name: pa.chunked_array(chunks or [pa.nulls(0)]) for name, chunks in others.items()}
    class_names = tuple(unescape(name[len(PROBABILITY_PREFIX) :]) for name in roles.probabilities)
    predicted = _predicted(columns[str(roles.scored_label)], class_names, path)
    predicted[np.isnan(probabilities).any(axis=1)] = UNSCORED
    label_names, labels = _labels(columns.get(roles.label or ""), class_names)
    ids = _ids(columns[ID_COLUMN]) if has_ids else None
    files = _files(columns[FILE_COLUMN]) if has_files else None
    dataset = ScoredDataset(class_names, label_names, labels, probabilities, predicted, ids, files)
    _check_probabilities(dataset, path)
    return dataset


def _predicted(column: Any, class_names: tuple[str, ...], path: Path) -> NDArray[np.int64]:
    names, indices = _codes(column)
    class_indices = {name: index for index, name in reversed(list(enumerate(class_names)))}
    unknown = [name for name in names if name not in class_indices]
    if unknown:
        raise InvalidDatasetError(
            "Predicted labels have no column of probabilities.",
            where=path,
            examples=unknown,
            advice="Score the images again.",
            reason="malformed_scores",
        )
    return _looked_up([class_indices[name] for name in names], indices)


def _labels(column: Any, class_names: tuple[str, ...]) -> tuple[tuple[str, ...], NDArray[np.int64] | None]:
    import pyarrow as pa

    if column is None or pa.types.is_nested(column.type):  # the old designer's rows keep boxes and captions as lists
        return class_names, None
    names, indices = _codes(column)
    if not names:
        return class_names, None
    label_names = (*class_names, *sorted(set(names) - set(class_names)))
    label_indices = {name: index for index, name in reversed(list(enumerate(label_names)))}
    return label_names, _looked_up([label_indices[name] for name in names], indices)


def _codes(column: Any) -> tuple[list[str], NDArray[np.int64]]:
    """The different texts of a column, and the index of each row's text among them, -1 for null."""
    import pyarrow as pa
    from pyarrow import compute

    if not pa.types.is_dictionary(column.type):
        column = compute.dictionary_encode(column.cast(pa.string()))
    codes: dict[str, int] = {}
    parts = [np.empty(0, np.int64)]
    for chunk in column.chunks:
        indices = chunk.indices.fill_null(-1).to_numpy(zero_copy_only=False).astype(np.int64)
        texts = chunk.dictionary.cast(pa.string()).to_pylist()
        code_of = np.full(len(texts) + 1, -1, dtype=np.int64)  # index -1, a null, is the last one
        for index in np.unique(indices[indices >= 0]).tolist():
            if texts[index] is not None:
                code_of[index] = codes.setdefault(unescape(texts[index]), len(codes))
        parts.append(code_of[indices])
    return list(codes), np.concatenate(parts)


def _looked_up(values: list[int], indices: NDArray[np.int64]) -> NDArray[np.int64]:
    return np.array([*values, -1], dtype=np.int64)[indices]  # index -1, a null, is the last one


def _ids(column: Any) -> NDArray[np.int64] | tuple[str, ...]:
    import pyarrow as pa

    if pa.types.is_integer(column.type) and not column.null_count:
        numbers: NDArray[np.int64] = column.cast(pa.int64()).to_numpy()
        return numbers
    names, indices = _codes(column)
    texts = [*names, ""]  # index -1, a null, is the last one
    return tuple(texts[index] for index in indices.tolist())


def _files(column: Any) -> StringColumn:
    return StringColumn.from_strings(text or "" for text in column.to_pylist())


def _check_probabilities(dataset: ScoredDataset, path: Path) -> None:
    scores = dataset.probabilities
    is_outside_n = dataset.is_scored & ((scores < -_TOLERANCE) | (scores > 1 + _TOLERANCE)).any(axis=1)
    if is_outside_n.any():
        raise InvalidDatasetError(
            "Scores are not probabilities from 0 to 1.",
            where=path,
            examples=(
                f"{dataset.described(row)}: {scores[row].min():.6g} to {scores[row].max():.6g}"
                for row in np.flatnonzero(is_outside_n).tolist()
            ),
            advice="Score the images again with Score Image Model.",
            reason="not_probabilities",
        )
