"""List of images, `images.lst`, of an image directory.

    {"image_info": {"file_name": "image/0_17.jpg", "original_file_name": "cat/a.jpg"}, "category": "cat", "id": 17}
    {"image_info": {"file_name": "image/1_18.jpg", "original_file_name": "dog/b.jpg"}, "category": "dog", "id": 18}

The original name is the path below the folder or archive that the image was first taken from. The old designer neither
writes nor reads it.

Large files are read by pyarrow in chunks of lines, in a quarter of the time. A chunk that it cannot read, and every
small file, is read line by line with the `json` module, which also words all errors.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from pytorch_designer.directories.sources.image_rows import UNLABELED
from pytorch_designer.errors import InvalidDatasetError, describe_value
from pytorch_designer.storage.paths import reading_errors
from pytorch_designer.storage.retrying import open_retrying, retrying
from pytorch_designer.storage.string_column import StringColumn

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from numpy.typing import NDArray

    from pytorch_designer.directories.image_schema import ImageSchema

ARROW_FROM_BYTES = 16 << 20  # importing pyarrow takes as long as reading this much with the json module
ORIGINAL_NAME_KEY = "original_file_name"
CHUNK_BYTES = 4 << 20
_MAX_LINE_BYTES = 16 << 20
_INT64 = range(-(2**63), 2**63)


@dataclass(frozen=True, eq=False)
class Manifest:
    """The rows of `images.lst`; row i is line i + 1.

    Attributes:
        files: The `file_name` of each row, unchecked.
        original_names: The original name of each row, "" where it has none; None where no row has one.
        categories: int32, the index into `names` of each row, `UNLABELED` where there is none.
        names: The distinct category names, in the order in which they first appear.
        ids: The `id` of each row, int64 or strings.
        has_addresses: Whether rows have a `coco_url`.
    """

    files: StringColumn
    original_names: StringColumn | None
    categories: NDArray[np.int32]
    names: tuple[str, ...]
    ids: NDArray[np.int64] | StringColumn
    has_addresses: bool


def read_manifest(
    path: Path,
    schema: ImageSchema,
    *,
    takes_other_tasks: bool = False,
    arrow_from_bytes: int = ARROW_FROM_BYTES,
) -> Manifest:
    """Read `images.lst`.

    Args:
        path: The file.
        schema: Says under which keys the rows hold what.
        takes_other_tasks: Annotations for other tasks are ignored instead of refused.
        arrow_from_bytes: Files of at least this size are read with pyarrow.

    Raises:
        InvalidDatasetError: A line is not such a row ("malformed_row", with its number), is annotated for something
            other than classification ("not_classification"), or ids repeat ("duplicate_ids").
    """
    reader = _LineReader(path, schema.image_key, schema.label_key, takes_other_tasks)
    chunks: list[_Chunk] = []
    num_rows = 0
    has_addresses = False
    with reading_errors(path, InvalidDatasetError):
        is_large = retrying(path.stat).st_size >= arrow_from_bytes
        for data in _read_chunks(path):
            chunk = _read_with_arrow(data, reader) if is_large else None
            chunks.append(chunk or reader.read(data, num_rows + 1))
            num_rows += len(chunks[-1].files)
            has_addresses = has_addresses or b'"coco_url"' in data
    ids = _join_ids(path, [chunk.ids for chunk in chunks])
    _check_ids_differ(path, ids)
    original_names = StringColumn.concatenate([chunk.original_names for chunk in chunks])
    return Manifest(
        files=StringColumn.concatenate([chunk.files for chunk in chunks]),
        original_names=original_names if original_names.data else None,
        categories=np.concatenate([np.zeros(0, dtype=np.int32), *(chunk.categories for chunk in chunks)]),
        names=tuple(reader.names),
        ids=ids,
        has_addresses=has_addresses,
    )


def manifest_line(
    file_name: str, category: str | None, image_id: int | str, *, original_name: str | None = None
) -> str:
    """One row of `images.lst`, with its line end. ASCII, so that file names that are not UTF-8 survive."""
    image_info = {"file_name": file_name}
    if original_name is not None:
        image_info[ORIGINAL_NAME_KEY] = original_name
    row: dict[str, Any] = {"image_info": image_info}
    if category is not None:
        row["category"] = category
    row["id"] = image_id
    return json.dumps(row) + "\n"


@dataclass(frozen=True, eq=False)
class _Chunk:
    files: StringColumn
    original_names: StringColumn
    categories: NDArray[np.int32]
    ids: NDArray[np.int64] | StringColumn


@dataclass(frozen=True)
class _LineReader:
    path: Path
    image_key: str
    label_key: str
    takes_other_tasks: bool
    names: dict[str, int] = field(default_factory=dict)  # shared by all chunks: category name to its index

    def read(self, data: bytes, first_line: int) -> _Chunk:
        files: list[str] = []
        original_names: list[str] = []
        categories: list[int] = []
        ids: list[int | str] = []
        for number, line in enumerate(data.removesuffix(b"\n").split(b"\n"), first_line):
            row = self._parse(line, number)
            category = row.get(self.label_key)
            if category is None:
                self._refuse_annotations(row, number)
            elif not isinstance(category, str):
                raise self._fault(number, f"`{self.label_key}` is {describe_value(category)}, and not a string")
            files.append(self._file_name(row, number))
            original_name = row[self.image_key].get(ORIGINAL_NAME_KEY)
            original_names.append(original_name if isinstance(original_name, str) else "")
            categories.append(UNLABELED if category is None else self.names.setdefault(category, len(self.names)))
            ids.append(self._id(row, number))
        try:
            return _Chunk(
                StringColumn.from_strings(files),
                StringColumn.from_strings(original_names),
                np.array(categories, dtype=np.int32),
                _column_of_ids(self.path, ids),
            )
        except UnicodeEncodeError as error:
            raise InvalidDatasetError(
                "The file holds a text with half a surrogate pair.",
                where=self.path,
                examples=[ascii(error.object)],
                reason="malformed_row",
            ) from error

    def _parse(self, line: bytes, number: int) -> dict[str, Any]:
        try:
            row = json.loads(line.decode("utf-8", "surrogateescape"))
        except json.JSONDecodeError as error:
            raise self._fault(number, f"it is not valid JSON ({error.msg}, character {error.pos})") from error
        except (ValueError, RecursionError) as error:
            raise self._fault(number, f"it is not usable JSON ({error})") from error
        if not isinstance(row, dict):
            raise self._fault(number, "it is not a JSON object")
        return row

    def _file_name(self, row: dict[str, Any], number: int) -> str:
        image = row.get(self.image_key)
        name = image.get("file_name") if isinstance(image, dict) else None
        if isinstance(name, str):
            return name
        if isinstance(image, dict) and name is None and "coco_url" in image:
            raise self._fault(number, "the image has an address (`coco_url`) and no file, and is not downloaded here")
        raise self._fault(number, f"it has no text `{self.image_key}.file_name`")

    def _id(self, row: dict[str, Any], number: int) -> int | str:
        value = row.get("id")
        if isinstance(value, str) or (type(value) is int and value in _INT64):
            return value
        raise self._fault(number, "it has no `id` that is a 64 bit integer or a text")

    def _refuse_annotations(self, row: dict[str, Any], number: int) -> None:
        annotations = [key for key, value in row.items() if key.endswith("_annotation") and value is not None]
        if annotations and not self.takes_other_tasks:
            raise InvalidDatasetError(
                f"Line {number} is annotated with `{annotations[0]}`, and not with one class for the image.",
                where=self.path,
                advice="Connect a dataset for image classification: object detection, segmentation, keypoints and "
                "captions are not supported.",
                reason="not_classification",
            )

    def _fault(self, number: int, what: str) -> InvalidDatasetError:
        return InvalidDatasetError(
            f"Line {number} is not a row of an image list: {what}.",
            where=f"{self.path}, line {number}",
            advice='A row is {"image_info": {"file_name": "image/0_17.jpg"}, "category": "cat", "id": 17}.',
            reason="malformed_row",
        )


def _read_chunks(path: Path) -> Iterator[bytes]:
    """The file in chunks of whole lines."""
    with open_retrying(path) as stream:
        if stream.read(3) != b"\xef\xbb\xbf":  # a byte order mark, as some Windows editors write it
            stream.seek(0)
        chunk = stream.read(CHUNK_BYTES)
        while chunk:
            chunk += stream.readline(_MAX_LINE_BYTES)
            following = stream.read(CHUNK_BYTES)
            if not following:
                chunk = chunk.rstrip()
            elif not chunk.endswith(b"\n"):
                raise InvalidDatasetError(
                    f"A line is longer than {_MAX_LINE_BYTES} bytes.", where=path, reason="malformed_row"
                )
            if chunk:
                yield chunk
            chunk = following


def _read_with_arrow(data: bytes, reader: _LineReader) -> _Chunk | None:
    """The chunk as `reader` reads it, or None where the two might differ: then it is read by `reader`."""
    import pyarrow as pa
    from pyarrow import json as arrow_json

    if b'_annotation"' in data:
        return None
    columns = pa.schema(
        [
            (reader.image_key, pa.struct([("file_name", pa.string()), (ORIGINAL_NAME_KEY, pa.string())])),
            (reader.label_key, pa.string()),
            ("id", pa.int64()),
        ]
    )
    try:
        table = arrow_json.read_json(
            pa.BufferReader(data),
            memory_pool=pa.system_memory_pool(),
            read_options=arrow_json.ReadOptions(block_size=1 << 20, use_threads=False),
            parse_options=arrow_json.ParseOptions(explicit_schema=columns, unexpected_field_behavior="ignore"),
        )
        images, labels, ids = (table[name].combine_chunks() for name in columns.names)
        files, original_names = images.flatten()
        labels = labels.dictionary_encode()
        names = labels.dictionary.to_pylist()
    except (pa.ArrowException, UnicodeDecodeError):
        return None
    num_lines = data.count(b"\n") + (not data.endswith(b"\n"))
    if len(table) != num_lines or files.null_count or ids.null_count:
        return None
    indices = np.array([reader.names.setdefault(name, len(reader.names)) for name in names], dtype=np.int32)
    codes = labels.indices.fill_null(-1).to_numpy(zero_copy_only=False)
    categories = np.append(indices, np.int32(UNLABELED))[codes]  # code -1 is the last element
    ids = ids.to_numpy(zero_copy_only=False).astype(np.int64)
    return _Chunk(_to_column(files), _to_column(original_names.fill_null("")), categories, ids)


def _to_column(strings: Any) -> StringColumn:
    _, offsets, data = strings.buffers()
    bounds = np.frombuffer(offsets, dtype=np.int32)[strings.offset : strings.offset + len(strings) + 1]
    content = b"" if data is None else data.slice(int(bounds[0]), int(bounds[-1] - bounds[0])).to_pybytes()
    return StringColumn(content, bounds.astype(np.int64) - int(bounds[0]))


def _column_of_ids(path: Path, ids: list[int | str]) -> NDArray[np.int64] | StringColumn:
    numbers = [value for value in ids if isinstance(value, int)]
    if len(numbers) == len(ids):
        return np.array(numbers, dtype=np.int64)
    texts = [value for value in ids if isinstance(value, str)]
    if len(texts) == len(ids):
        return StringColumn.from_strings(texts)
    raise _mixed_ids(path)


def _join_ids(path: Path, parts: list[NDArray[np.int64] | StringColumn]) -> NDArray[np.int64] | StringColumn:
    texts = [part for part in parts if isinstance(part, StringColumn)]
    numbers = [part for part in parts if not isinstance(part, StringColumn)]
    if texts and numbers:
        raise _mixed_ids(path)
    if texts:
        return StringColumn.concatenate(texts)
    return np.concatenate([np.zeros(0, dtype=np.int64), *numbers])


def _mixed_ids(path: Path) -> InvalidDatasetError:
    return InvalidDatasetError(
        "Some ids are integers and some are texts.", where=path, advice="Use one kind.", reason="malformed_row"
    )


def _check_ids_differ(path: Path, ids: NDArray[np.int64] | StringColumn) -> None:
    repeated: list[str] = []
    if isinstance(ids, StringColumn):
        seen: dict[str, int] = {}
        for row, value in enumerate(ids):
            if seen.setdefault(value, row) != row:
                repeated.append(f"{describe_value(value)}: lines {seen[value] + 1} and {row + 1}")
    elif not np.all(ids[1:] > ids[:-1]):
        order = np.argsort(ids, kind="stable")
        for position in np.flatnonzero(ids[order][1:] == ids[order][:-1]).tolist():
            first, second = order[position], order[position + 1]
            repeated.append(f"{ids[first]}: lines {first + 1} and {second + 1}")
    if repeated:
        raise InvalidDatasetError(
            "Images have the same id.",
            where=path,
            examples=repeated,
            advice="Give each image an id of its own, or remove the repeated lines.",
            reason="duplicate_ids",
        )
