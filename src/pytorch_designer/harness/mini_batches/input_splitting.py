"""Splitting of the input of a parallel job into mini-batches.

files    a folder, a file, or an MLTable that reads nothing: by number of files, or by size
a table  a file with a size, or an MLTable that reads delimited text, Parquet or JSON lines: by size, or by the
values of the partition keys
"""

from __future__ import annotations

import os
import pickle
import re
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

_SIZE = re.compile(r"(\d+(?:\.\d+)?)\s*(b|kb?|mb?|gb?)?", re.IGNORECASE)
_UNITS = {"": 1, "b": 1, "k": 1 << 10, "m": 1 << 20, "g": 1 << 30}
_DEFAULT_TABLE_BYTES = 1 << 20
_READERS = {".csv": "csv", ".tsv": "tsv", ".txt": "csv", ".parquet": "parquet", ".jsonl": "json", ".json": "json"}
_TABLE_READERS = {"read_delimited": "csv", "read_parquet": "parquet", "read_json_lines": "json"}
_CHANGES = {"take", "skip", "keep_columns", "drop_columns", "convert_column_types"}
_PARTITION_FORMAT = "extract_columns_from_partition_format"
_PARTITION_KEY = re.compile(r"\{([^{}:]+)(?::([^{}]+))?\}")
_DATE_PARTS = {"yyyy": "%Y", "MM": "%m", "dd": "%d", "HH": "%H", "mm": "%M", "ss": "%S"}


class InputError(Exception):
    """The input cannot be split as it was asked for; the message says why."""


@dataclass
class MiniBatch:
    """One mini-batch.

    Attributes:
        files: The paths of its files, or None.
        table: The file that holds its rows, pickled, or None.
        num_items: The number of files or rows.
        partition: The values of the partition keys.
    """

    index: int
    num_items: int
    files: list[str] | None = None
    table: str | None = None
    partition: dict[str, Any] = field(default_factory=dict)


@dataclass
class Size:
    """Size of a mini-batch: a number, and whether it counts bytes."""

    number: float
    is_bytes: bool


def parse_size(text: str) -> Size:
    """The size in a text such as `10`, `100kb` or `1.5MB`.

    Raises:
        InputError: It is none.
    """
    match = _SIZE.fullmatch(text.strip())
    if match is None or float(match.group(1)) <= 0:
        raise InputError(f"mini_batch_size is {text!r}; write a number of files, or a size such as 100kb or 1mb.")
    unit = (match.group(2) or "").lower()
    return Size(float(match.group(1)) * _UNITS[unit[:1]], is_bytes=bool(unit))


def split(path: Path, kind: str, size_text: str, partition_keys: list[str], folder: Path) -> list[MiniBatch]:
    """Split the input at `path`.

    Args:
        path: A file or folder.
        kind: The type of the input, such as `uri_folder`.
        size_text: See `parse_size`; empty: one file, or a megabyte of a table.
        partition_keys: Columns of a table; each combination of their values is a mini-batch.
        folder: Gets the rows of tables.

    Raises:
        InputError: There is nothing to split, or it cannot be split in this way.
    """
    size = parse_size(size_text) if size_text else None
    is_single = kind == "uri_file" or path.is_file()
    is_table = bool(partition_keys) or (is_single and size is not None and (size.is_bytes or size.number > 1))
    found = _mltable(path) if kind == "mltable" and path.is_dir() else None
    if found is not None and found[1] is not None:
        return _of_table(found[1], size, partition_keys, folder, found[2])
    if found is None and is_table:
        return _of_table([_Source(path, _reader_of(path, partition_keys))], size, partition_keys, folder)
    if partition_keys:
        raise InputError("partition_keys need a table: an mltable that reads its files, or a single file.")
    files = found[0] if found is not None else [path] if path.is_file() else sorted(_files(path))
    batches = _of_files(files, size or Size(1, is_bytes=False))
    if not batches:
        raise InputError(f"There is no file in the input {path}.")
    return batches


def _of_files(files: list[Path], size: Size) -> list[MiniBatch]:
    batches: list[MiniBatch] = []
    current: list[str] = []
    amount = 0.0
    for file in files:
        weight = file.stat().st_size if size.is_bytes else 1
        if current and amount + weight > size.number:
            batches.append(MiniBatch(len(batches), len(current), files=current))
            current, amount = [], 0.0
        current.append(str(file))
        amount += weight
    if current:
        batches.append(MiniBatch(len(batches), len(current), files=current))
    return batches


@dataclass
class _Source:
    """A file of a table, how it is read, and the columns that its path gives."""

    path: Path
    reader: str
    options: dict[str, Any] = field(default_factory=dict)
    columns: dict[str, Any] = field(default_factory=dict)


Transformation = tuple[str, Any]


def _of_table(
    sources: list[_Source],
    size: Size | None,
    keys: list[str],
    folder: Path,
    transformations: Sequence[Transformation] = (),
) -> list[MiniBatch]:
    pandas = _pandas()
    frames = [_read(pandas, source).assign(**source.columns) for source in sources]
    if not frames:
        raise InputError("The table has no file.")
    table = pandas.concat(frames, ignore_index=True) if len(frames) > 1 else frames[0]
    for name, value in transformations:
        table = _transformed(table, name, value)
    folder.mkdir(parents=True, exist_ok=True)
    batches: list[MiniBatch] = []
    num_bytes = sum(source.path.stat().st_size for source in sources)
    for partition, rows in _parts(table, size, keys, num_bytes):
        file = folder / f"{len(batches):06d}.pickle"
        with file.open("wb") as stream:
            pickle.dump(rows, stream)
        batches.append(MiniBatch(len(batches), len(rows), table=str(file), partition=partition))
    if not batches:
        raise InputError("The table has no rows.")
    return batches


def _parts(table: Any, size: Size | None, keys: list[str], num_bytes: int) -> Iterator[tuple[dict[str, Any], Any]]:
    if keys:
        missing = [key for key in keys if key not in table.columns]
        if missing:
            columns = ", ".join(map(str, table.columns))
            raise InputError(f"The table has no column {missing[0]!r} to partition by; it has {columns}.")
        for _, rows in table.groupby(keys, sort=True):
            yield {key: rows[key].iloc[0] for key in keys}, rows.reset_index(drop=True)
        return
    wanted = size.number if size is not None else _DEFAULT_TABLE_BYTES
    num_rows = max(int(len(table) * wanted / max(num_bytes, 1)), 1)
    for start in range(0, len(table), num_rows):
        yield {}, table.iloc[start : start + num_rows].reset_index(drop=True)


def _reader_of(path: Path, keys: list[str]) -> str:
    reader = _READERS.get(path.suffix.lower())
    if path.is_file() and reader is not None:
        return reader
    why = "partition_keys" if keys else "a size of mini-batches in bytes"
    raise InputError(f"{why} needs a table, and {path} is none: CSV, TSV, Parquet and JSON lines are read.")


def _read(pandas: Any, source: _Source) -> Any:
    path, reader = source.path, source.reader
    try:
        if reader == "parquet":
            return pandas.read_parquet(path)
        if reader == "json":
            return pandas.read_json(path, lines=True)
        return pandas.read_csv(path, **{"sep": "\t" if reader == "tsv" else ",", **source.options})
    except (ValueError, OSError, ImportError) as error:
        raise InputError(f"{path} cannot be read as a table: {error}") from error


def _pandas() -> Any:
    try:
        import pandas
    except ImportError as error:
        raise InputError("Tables are read with pandas, which this Python does not have.") from error
    return pandas


def _files(folder: Path) -> Iterator[Path]:
    for parent, _, names in os.walk(folder, followlinks=True):
        for name in names:
            yield Path(parent) / name


def _transformed(table: Any, name: str, value: Any) -> Any:
    """A table after one transformation of an MLTable."""
    try:
        if name in {"take", "skip"}:
            return table.iloc[: int(value)] if name == "take" else table.iloc[int(value) :]
        if name != "convert_column_types":
            columns = [value] if isinstance(value, str) else list(value)
            return table[columns] if name == "keep_columns" else table.drop(columns=columns)
        kinds = {"int": "int64", "float": "float64", "string": "str"}
        types = {}
        for entry in value:
            columns = [entry["columns"]] if isinstance(entry["columns"], str) else entry["columns"]
            types.update(dict.fromkeys(columns, kinds[entry["column_type"]]))
        return table.astype(types)
    except (KeyError, ValueError, TypeError) as error:
        raise InputError(f"The transformation {name}: {value} of the MLTable cannot be done: {error}") from error


def _mltable(folder: Path) -> tuple[list[Path], list[_Source] | None, list[Transformation]] | None:
    """The files of an MLTable, how each is read, and what is done then; None if there is no MLTable.

    How they are read is None where the MLTable does not say it.
    """
    file = folder / "MLTable"
    if not file.is_file():
        return None
    try:
        import yaml
    except ImportError as error:
        raise InputError("MLTable files are read with PyYAML, which this Python does not have.") from error
    try:
        document = yaml.safe_load(file.read_text(encoding="utf-8")) or {}
        paths = [_expand(folder, entry) for entry in document["paths"]]
        transformations = [_transformation(entry) for entry in document.get("transformations") or []]
    except (yaml.YAMLError, LookupError, TypeError, AttributeError, ValueError) as error:
        raise InputError(f"{file} is not an MLTable: {type(error).__name__}: {error}") from error
    files = sorted({found for group in paths for found in group})
    if not transformations:
        return files, None, []
    formats = [str(_partition_format(value)) for name, value in transformations if name == _PARTITION_FORMAT]
    (name, options), *rest = [step for step in transformations if step[0] != _PARTITION_FORMAT] or transformations
    for other in [name] if name not in _TABLE_READERS else [other for other, _ in rest if other not in _CHANGES]:
        raise InputError(f"{file} has the transformation {other}, which is not understood here.")
    arguments = _delimited(options) if name == "read_delimited" else {}
    has_path = isinstance(options, dict) and options.get("include_path_column") is True
    sources = [_Source(path, _TABLE_READERS[name], arguments, _path_columns(path, formats, has_path)) for path in files]
    return files, sources, rest


def _expand(folder: Path, entry: dict[str, str]) -> list[Path]:
    for kind in ("file", "folder", "pattern"):
        if kind in entry:
            text = entry[kind].removeprefix("file://")
            if "://" in text or text.startswith("azureml:"):
                raise InputError(f"The MLTable names {text}, which is not on this machine.")
            if kind == "pattern":
                return [path for path in sorted(folder.glob(text.removeprefix("./"))) if path.is_file()]
            path = folder / text
            if not path.exists():
                raise InputError(f"The MLTable names {path}, which does not exist.")
            return [path] if kind == "file" else sorted(_files(path))
    raise ValueError(f"a path has none of file, folder and pattern: {entry}")


def _transformation(entry: str | dict[str, Any]) -> Transformation:
    return (entry, {}) if isinstance(entry, str) else next(iter(entry.items()))


def _partition_format(value: Any) -> Any:
    return value["partition_format"] if isinstance(value, dict) else value


def _path_columns(path: Path, partition_formats: list[str], has_path: bool) -> dict[str, Any]:
    """The columns that a path gives: itself, and text and dates from its end, as `{Store}/{Date:yyyy/MM}/data.csv`."""
    columns: dict[str, Any] = {"Path": str(path)} if has_path else {}
    for partition_format in partition_formats:
        keys = list(_PARTITION_KEY.finditer(partition_format))
        parts = _PARTITION_KEY.split(partition_format.lstrip("/"))[::3]  # what is between the keys
        pattern = re.escape(parts[0])
        for key, after in zip(keys, parts[1:]):  # noqa: B905 - a job's Python may be older than `strict`
            pattern += f"({re.sub('[a-zA-Z]', '[0-9]', key[2]) if key[2] else '[^/]+'}){re.escape(after)}"
        match = re.search(f"(?:^|/){pattern}$", path.as_posix())
        if match is None:
            raise InputError(f"{path} does not end as the partition format of the MLTable says: {partition_format}")
        for number, key in enumerate(keys, start=1):
            columns[key[1]] = _date(match[number], key[2]) if key[2] else match[number]
    return columns


def _date(text: str, form: str) -> datetime:
    for part, directive in _DATE_PARTS.items():
        form = form.replace(part, directive)
    try:
        return datetime.strptime(text, form)
    except ValueError as error:
        raise InputError(f"The date {text} of a path is not as the partition format says: {error}") from error


def _delimited(given: Any) -> dict[str, Any]:
    options = given if isinstance(given, dict) else {}
    has_header = str(options.get("header", "all_files_same_headers")) != "no_header"
    encoding = str(options.get("encoding", "utf8"))
    return {
        "sep": options.get("delimiter", ","),
        "encoding": "utf-8" if encoding in {"utf8", "utf8bom"} else encoding,
        "header": 0 if has_header else None,
    }
