"""Tables of labels as files: CSV, TSV, lists of lines, JSON lines, a JSON list of objects.

    image,label          filename;class          1.jpg cat          {"image_url": "...", "label": "cat"}
    1.jpg,cat            1.jpg;cat               2.jpg dog          {"image_url": "...", "label": "dog"}

Text is UTF-8 or UTF-16 with or without its mark, else Windows-1252. Cells are stripped of spaces.
"""

from __future__ import annotations

import csv
import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pytorch_designer.errors import InvalidDatasetError
from pytorch_designer.storage.bounded_documents import (
    bytes_per_character,
    check_document_memory,
    json_bytes,
    parse_json,
)
from pytorch_designer.storage.paths import read_bounded

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

MAX_TABLE_BYTES = 1 << 30
TABLE_EXTENSIONS = (".csv", ".tsv", ".jsonl", ".ndjson", ".manifest", ".lst", ".txt", ".json")
_DELIMITERS = ",;\t|"
_MAX_CELL = 1 << 20
# What Python takes for a cell and for a row beside the text.
_CELL_BYTES = 66
_ROW_BYTES = 170
_POINTER_BYTES = 8
_MAX_COLUMNS = 20_000  # one per class, at most; columns are compared with each other
_LINE = re.compile(r"[^\r\n]*(?:\r\n|\r|\n)|[^\r\n]+\Z")


@dataclass(frozen=True)
class Table:
    """A table of texts.

    Attributes:
        path: The file.
        names: The names of the columns; "column 1", ... where the file has no header.
        rows: The cells of each row, "" for an empty one.
        first_line: The line of the first row.
        has_header: Whether the file names its columns.
        encoding: How the text was read, where that was a guess, else "".
    """

    path: Path
    names: tuple[str, ...]
    rows: Sequence[Sequence[str]]
    first_line: int
    has_header: bool = True
    encoding: str = ""

    def column(self, index: int) -> list[str]:
        """The cells of a column."""
        return [row[index] for row in self.rows]

    def without_header(self) -> Table:
        """The same table, whose first line was not a header but a row."""
        rows = [self.names, *self.rows]
        names = tuple(f"column {number}" for number in range(1, len(self.names) + 1))
        return Table(self.path, names, rows, 1, has_header=False, encoding=self.encoding)


def read_table(path: Path) -> Table | None:
    """Read a table, or None for a file that is not one. The first line is taken for the header.

    Raises:
        InvalidDatasetError: The file cannot be read; a CSV's rows have other numbers of cells than its header, or a
            line is not JSON ("malformed_table").
    """
    data = read_bounded(path, MAX_TABLE_BYTES, InvalidDatasetError)
    kind = path.name.lower().rpartition(".")[2]
    is_json = kind in {"jsonl", "ndjson", "manifest", "json"}
    check_document_memory(2 * json_bytes(data) if is_json else _rows_bytes(data), path, InvalidDatasetError)
    text, encoding = decode_text(data)
    del data
    if kind == "json":
        return _read_json(path, text, encoding)
    if is_json:
        return _read_objects(path, _json_lines(path, text), encoding)
    first_line = text.lstrip().partition("\n")[0]
    if "\0" in text and kind in {"csv", "tsv"}:
        raise InvalidDatasetError(
            "The table holds NUL characters: it is damaged, or no text.",
            where=path,
            advice="Write the table again, as UTF-8, or remove the file if it has nothing to do with the images.",
            reason="malformed_table",
        )
    if not first_line or "\0" in text:
        return None
    if kind in {"txt", "lst"} and not any(delimiter in first_line for delimiter in _DELIMITERS):
        return _read_spaced(path, text, encoding)
    return _read_delimited(path, text, first_line, encoding)


def decode_text(data: bytes) -> tuple[str, str]:
    """The text of a file, and the name of its encoding where that was guessed."""
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        return data.decode("utf-16", "replace"), ""
    if data[1:2] == b"\0":
        return data.decode("utf-16-le", "replace"), ""
    try:
        return data.decode("utf-8-sig"), ""
    except UnicodeDecodeError:
        return data.decode("cp1252", "replace"), "Windows-1252"


def _read_delimited(path: Path, text: str, first_line: str, encoding: str) -> Table | None:
    counts = {delimiter: first_line.count(delimiter) for delimiter in _DELIMITERS}
    delimiter = max(counts, key=lambda candidate: counts[candidate])
    if not counts[delimiter]:
        return None
    _refuse_columns(path, counts[delimiter] + 1)
    csv.field_size_limit(_MAX_CELL)
    reader = csv.reader(_lines(text), delimiter=delimiter, skipinitialspace=True)
    rows: list[list[str]] = []
    ragged: list[str] = []
    first_row_line = 0
    try:
        for cells in reader:
            row = [cell.strip() for cell in cells]
            if not any(row):
                continue
            if rows:
                first_row_line = first_row_line or reader.line_num
                while len(row) > len(rows[0]) and not row[-1]:
                    row.pop()
                if len(row) != len(rows[0]):
                    ragged.append(f"line {reader.line_num}: {len(row)} cells")
            rows.append(row)
    except csv.Error as error:
        ragged.append(f"line {reader.line_num}: {error}")
    if ragged and path.name.lower().endswith((".csv", ".tsv")):
        raise InvalidDatasetError(
            f"Rows of the table do not have the {len(rows[0])} cells of its first line.",
            where=path,
            examples=ragged,
            advice="Put cells with a comma into quotation marks.",
            reason="malformed_table",
        )
    return None if ragged else Table(path, tuple(rows[0]), rows[1:], first_row_line, encoding=encoding)


def _refuse_columns(path: Path, num_columns: int) -> None:
    if num_columns > _MAX_COLUMNS:
        raise InvalidDatasetError(
            f"The table has more than {_MAX_COLUMNS:,} columns.",
            where=path,
            advice="Give a table with the columns `image` and `label`.",
            reason="malformed_table",
        )


def _rows_bytes(data: bytes) -> int:
    """Memory that the rows of a table take beside its bytes, at most."""
    num_cells, num_rows = sum(map(data.count, _DELIMITERS.encode())), max(data.count(b"\n"), data.count(b"\r"))
    return 2 * len(data) * bytes_per_character(data) + _CELL_BYTES * num_cells + _ROW_BYTES * num_rows


def _lines(text: str) -> Iterator[str]:
    """The lines with their ends; `io.StringIO` would take four bytes per character."""
    return (match[0] for match in _LINE.finditer(text))


def _read_spaced(path: Path, text: str, encoding: str) -> Table | None:
    """Lines of a path, in which there may be spaces, and a label."""
    rows = [line.strip().rsplit(None, 1) for line in _lines(text) if line.strip()]
    if any(len(row) != 2 for row in rows):
        return None
    return Table(path, tuple(rows[0]), rows[1:], 2, encoding=encoding)


def _json_lines(path: Path, text: str) -> list[Any]:
    objects = []
    for number, line in enumerate(_lines(text), 1):
        if line.strip():
            try:
                objects.append(parse_json(line))
            except ValueError as error:
                raise InvalidDatasetError(
                    f"Line {number} is not valid JSON ({error}).",
                    where=path,
                    advice="Correct the line, or remove the file if it has nothing to do with the images.",
                    reason="malformed_table",
                ) from error
    return objects


def _read_json(path: Path, text: str, encoding: str) -> Table | None:
    """A list of objects, an object of labels by file, or the latter under `labels`, as FiftyOne has it."""
    try:
        document = parse_json(text)
    except ValueError as error:
        raise InvalidDatasetError(
            f"The file is not valid JSON: {error}.",
            where=path,
            advice="Correct the file, or remove it if it has nothing to do with the images.",
            reason="malformed_table",
        ) from error
    if isinstance(document, list):
        is_tool = any(isinstance(item, dict) and isinstance(item.get("annotations"), list) for item in document)
        return None if is_tool else _read_objects(path, document, encoding)
    if not isinstance(document, dict):
        return None
    classes = document.get("classes")
    labels = document.get("labels", document)
    pairs = labels.items() if isinstance(labels, dict) else labels
    try:
        rows = [(name, _class_name(label, classes)) for name, label in pairs]
    except (TypeError, ValueError):
        return None
    if not rows or not all(isinstance(name, str) and isinstance(label, str) for name, label in rows):
        return None
    return Table(path, ("image", "label"), rows, 1, encoding=encoding)


def _class_name(label: Any, classes: Any) -> str:
    """The label of an image: a name, the number of one in `classes`, or an object with it.

    Raises:
        TypeError: It is something else.
    """
    if isinstance(label, dict):
        label = label["label"] if isinstance(label.get("label"), str) and "bounding_box" not in label else label
    if isinstance(label, int) and isinstance(classes, list) and 0 <= label < len(classes):
        label = classes[label]
    if isinstance(label, dict) or (isinstance(label, list) and not all(isinstance(item, str) for item in label)):
        raise TypeError("not a label")
    return _cell(label)


def _read_objects(path: Path, objects: list[Any], encoding: str) -> Table | None:
    if not objects or not all(isinstance(item, dict) for item in objects):
        return None
    objects = [item | inner if (inner := _inner_label(item)) else item for item in objects]
    names = tuple(dict.fromkeys(key for item in objects for key in item))
    _refuse_columns(path, len(names))
    check_document_memory(_POINTER_BYTES * len(names) * len(objects), path, InvalidDatasetError)
    rows = [[_cell(item.get(name)) for name in names] for item in objects]
    return Table(path, names, rows, 1, encoding=encoding)


def _inner_label(item: dict[str, Any]) -> dict[str, Any]:
    """The class name in an object inside, where SageMaker Ground Truth (`class-name`) and Vertex AI have it."""
    inner = [value for value in item.values() if isinstance(value, dict)]
    return {key: value[key] for value in inner for key in ("class-name", "displayName") if key in value}


def _cell(value: Any) -> str:
    if value is None:
        return ""
    return value if isinstance(value, str) else json.dumps(value)
