"""Images whose labels are in a table beside or above them.

    labels.csv, images/1.jpg        image,label
    train.csv, train/1.jpg          id,breed: the extension is missing
    metadata.jsonl, 1.jpg           {"file_name": "1.jpg", "label": "cat"}
    images.jsonl, images/1.jpg      {"image_url": "azureml://.../images/1.jpg", "label": "cat"}
    data.lst, 1.jpg                 0  3  1.jpg

The rows are those of the table that name images. An empty label is an unlabeled image. Images that the table does not
name are left out. Labels are class names as they are written, sorted; numbers too.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from pytorch_designer.directories.sources.folder_names import is_about_images
from pytorch_designer.directories.sources.image_index import AMBIGUOUS, MISSING, ImageIndex
from pytorch_designer.directories.sources.image_rows import UNLABELED, ImageRows, Layout
from pytorch_designer.directories.sources.label_columns import (
    LabelColumns,
    file_column,
    label_columns,
    looks_like_labels,
    refuse_no_classes,
    split_column,
)
from pytorch_designer.directories.sources.table_file import TABLE_EXTENSIONS, Table, read_table
from pytorch_designer.errors import InvalidDatasetError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from pytorch_designer.directories.sources.source_tree import SourceTree
    from pytorch_designer.storage.string_column import StringColumn

_MAX_LISTS = 20  # of `.txt` and `.json`, which in other layouts are there for each image
_FOR_EACH_IMAGE = (".txt", ".json")
_NO_LABELS = ("submission", "requirements", "readme", "license")


def read_label_table(tree: SourceTree, class_folders: Sequence[str]) -> ImageRows | None:
    """The images and labels of the one table that names images of `tree`; None where there is no such table.

    Args:
        tree: The source.
        class_folders: The folders that would be the classes without a table. Labels that say the same as these, and
            columns that may be something else, are left to them.

    Raises:
        InvalidDatasetError: Several tables name images ("several_label_tables"), images of it are not there
            ("missing_files") or cannot be told apart ("ambiguous_files"), its columns are not clear
            ("ambiguous_columns") or not one class per image ("not_classification"), or it contradicts the folders
            ("contradicting_labels").
    """
    found: list[_LabelTable] = []
    faults: list[InvalidDatasetError] = []
    files = tree.images(tree.levels[0])
    for name in _candidates(tree):
        try:
            table = read_table(tree.root / name)
            if table is None or not (table.rows or not table.has_header):
                continue
            labels = _read_columns(name, table, ImageIndex(files, name), must_be_named=bool(class_folders))
        except InvalidDatasetError as error:  # what this table holds does not matter if another one has the labels
            faults.append(error)
            continue
        if labels is not None:
            found.append(labels)
        elif looks_like_labels(table) and not name.lower().endswith(".json"):
            faults.append(_names_no_image(table))
    if class_folders:
        found = [labels for labels in found if not _repeats_folders(labels, class_folders)]
    elif not found and faults:
        raise faults[0]
    if len(found) > 1:
        raise InvalidDatasetError(
            "Several tables hold labels of the images.",
            where=tree.root,
            examples=(labels.name for labels in found),
            advice="Leave one of them in the folder; for a training and a validation table, make a folder of each with "
            "its images.",
            reason="several_label_tables",
        )
    return found[0].rows(tree) if found else None


@dataclass(frozen=True, eq=False)
class _LabelTable:
    """A table of labels: its path below the root, its content, the columns that are used, the images by name."""

    name: str
    table: Table
    columns: LabelColumns
    index: ImageIndex

    @cached_property
    def labels(self) -> dict[int, str]:
        """The label of each image, by its row in `index`, in the order of the table; "" where it has none.

        Raises:
            InvalidDatasetError: As `read_label_table`.
        """
        refuse_no_classes(self.table, self.columns)
        rows = _find_images(self.table, self.columns.file, self.index)
        return _label_of_row(self.table, rows, self.columns.label_texts(self.table), self.index.files)

    @cached_property
    def images(self) -> StringColumn:
        """The images that have a row, in the order of the table."""
        return self.index.files.take(np.fromiter(self.labels, dtype=np.int64, count=len(self.labels)))

    def rows(self, tree: SourceTree) -> ImageRows:
        """The dataset."""
        classes = tuple(sorted({text for text in self.labels.values() if text}))
        code_of = {text: number for number, text in enumerate(classes)} | {"": UNLABELED}
        codes = np.fromiter(map(code_of.get, self.labels.values()), dtype=np.int32, count=len(self.labels))
        is_unused = np.ones(len(self.index.files), dtype=bool)
        is_unused[np.fromiter(self.labels, dtype=np.int64, count=len(self.labels))] = False
        unused = set(self.index.files.take(np.flatnonzero(is_unused)))
        left_out = tree.left_out(lambda listing: [file for file in listing.images if file in unused], self.name)
        layout = Layout("Table of labels", self._source(), left_out)
        ids = np.arange(len(codes), dtype=np.int64)
        return ImageRows(layout, self.images, codes if classes else None, classes, ids)

    def _source(self) -> str:
        text = f"{self.name}, {self.columns.described(self.table)}"
        splits = split_column(self.table)
        if splits is not None:
            text += f", all of `{splits}`"
        return f"{text}, read as {self.table.encoding}" if self.table.encoding else text


def _candidates(tree: SourceTree) -> Iterator[str]:
    """Paths of the files that may be tables: in each level, and in folders that hold labels."""
    for path in tree.levels:
        level = tree.listings[path]
        folders = [level, *(tree.listings[level.below(name)] for name in level.folders if is_about_images(name))]
        for folder in folders:
            names = [name for name in folder.others if name.lower().endswith(TABLE_EXTENSIONS)]
            names = [name for name in names if not any(word in name.lower() for word in _NO_LABELS)]
            lists = [name for name in names if name.lower().endswith(_FOR_EACH_IMAGE)]
            yield from (folder.below(name) for name in names if name not in lists or len(lists) <= _MAX_LISTS)


def _read_columns(name: str, table: Table, index: ImageIndex, *, must_be_named: bool) -> _LabelTable | None:
    """The table, without a header if its first line is none, with its columns; None if it has no labels of images."""

    def is_image(name: str) -> bool:
        return bool(name) and index.find(name) != MISSING

    if table.has_header and any(map(is_image, table.names)):
        table = table.without_header()
    file = file_column(table, is_image, min_share=1.0 if must_be_named else 0.5)
    if file is None or (must_be_named and not looks_like_labels(table)):
        return None
    columns = label_columns(table, file)
    return None if columns is None else _LabelTable(name, table, columns, index)


def _label_of_row(table: Table, rows: list[int], texts: list[str], files: StringColumn) -> dict[int, str]:
    """The label of each image, by its row in `files`, in the order of the table."""
    label_of: dict[int, str] = {}
    several: list[str] = []
    for number, (row, text) in enumerate(zip(rows, texts, strict=True), table.first_line):
        if label_of.setdefault(row, text) != text:
            several.append(f"line {number}: {files[row]} is {label_of[row]!r} and {text!r}")
    if several:
        raise InvalidDatasetError(
            "Images have several classes, and image classification learns one class per image.",
            where=table.path,
            examples=several,
            reason="not_classification",
        )
    return label_of


def _find_images(table: Table, file: int, index: ImageIndex) -> list[int]:
    return index.find_all(
        table.column(file),
        "images that the table names",
        where=table.path,
        entry=lambda number: f"line {table.first_line + number}",
        advice={
            MISSING: "Add the images, or remove the lines.",
            AMBIGUOUS: "Write the path of each image below the table's folder, or give the folder with its images.",
        },
    )


def _repeats_folders(labels: _LabelTable, class_folders: Sequence[str]) -> bool:
    """True if a table says what the class folders say, perhaps under other names; an error where they contradict."""
    folders = {name.lower() for name in class_folders}
    pairs = [
        (next((part for part in file.split("/")[:-1] if part.lower() in folders), ""), label)
        for file, label in zip(labels.images, labels.labels.values(), strict=True)
    ]
    if len(set(pairs)) == len({folder for folder, _ in pairs}) == len({label for _, label in pairs}):
        return True
    contradicting = [
        f"{file}: {label!r} in the table"
        for file, (folder, label) in zip(labels.images, pairs, strict=True)
        if folder.lower() != label.lower()
    ]
    raise InvalidDatasetError(
        "The folders and a table beside them say different classes.",
        where=labels.table.path,
        examples=contradicting,
        advice="If the folders are the classes, remove the table or set PYTORCH_DESIGNER_LAYOUT=class-folders. If the "
        "table is right, put all images into one folder, `images`.",
        reason="contradicting_labels",
    )


def _names_no_image(table: Table) -> InvalidDatasetError:
    return InvalidDatasetError(
        "A table looks like labels, but the images that it names are not there.",
        where=table.path,
        examples=(f"line {table.first_line + number}: {', '.join(row)}" for number, row in enumerate(table.rows)),
        advice="Put the images beside the table or into a folder beside it, under the names in the table, or remove "
        "the table.",
        reason="missing_files",
    )
