"""Columns of a table that hold the files and the labels of images.

The file column is the one whose cells are names of images here; its own name only decides between several. The label
column is the one with a label's name (`label`, `breed`, ...), else the only other one. Columns of 0 and 1 with a single
1 per row are one label, one-hot. What describes boxes, masks, captions or quantities is refused.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pytorch_designer.errors import InvalidDatasetError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from pytorch_designer.directories.sources.table_file import Table

_FILE_NAMES = frozenset(
    {
        "image", "images", "file", "files", "filename", "filenames", "filepath", "filepaths", "path", "paths", "img",
        "imagename", "imagepath", "imagefile", "imageid", "imageurl", "imgname", "imgpath", "imgid", "imgfile", "id",
        "name", "fname", "fn", "url", "uri", "picture", "photo", "photoid", "imageindex", "isicid", "idcode", "key",
    }
)  # fmt: skip
_LABEL_NAMES = frozenset(
    {
        "label", "labels", "class", "classes", "classname", "classlabel", "classlabels", "labelname", "category",
        "categories", "categoryname", "target", "targets", "species", "breed", "variety", "diagnosis", "dx", "choice",
        "choices", "y", "groundtruth", "gt", "emotion", "findinglabels", "genus", "scientificname", "commonname",
        "labelid", "classid", "categoryid", "classindex", "labelidx", "classidx", "displayname",
    }
)  # fmt: skip
_SPLIT_NAMES = frozenset(
    {"split", "splits", "set", "subset", "fold", "usage", "dataset", "mluse", "istrain", "isvalid", "istest",
     "istrainingimage", "partition", "phase"}
)  # fmt: skip
_BOX_NAMES = frozenset(
    {"xmin", "ymin", "bbox", "bboxes", "box", "boxes", "topx", "x1", "encodedpixels", "rle", "mask", "maskpath",
     "segmentation", "polygon", "keypoints", "objects", "regionshapeattributes", "coordinates", "bboxx"}
)  # fmt: skip
_TEXT_NAMES = frozenset({"caption", "captions", "text", "comment", "comments", "description", "prompt", "sentence"})
_SPLIT_WORDS = frozenset({"train", "training", "val", "valid", "validation", "test", "testing", "unassigned"})
_SAMPLE = 200
_FEW = 10


@dataclass(frozen=True)
class LabelColumns:
    """The columns of a table that are used.

    Attributes:
        file: Index of the file column.
        labels: Index of the label column, or of all columns of a one-hot label.
    """

    file: int
    labels: tuple[int, ...]

    def described(self, table: Table) -> str:
        """The columns in words, for `Layout.labels_from`."""
        names = [table.names[index] for index in self.labels]
        if len(names) == 1:
            return f"columns `{table.names[self.file]}` and `{names[0]}`"
        return f"column `{table.names[self.file]}` and {len(names)} one-hot columns `{names[0]}` to `{names[-1]}`"

    def label_texts(self, table: Table) -> list[str]:
        """The label of each row, "" where it has none."""
        if len(self.labels) == 1:
            return table.column(self.labels[0])
        texts = []
        for row in table.rows:
            ones = [table.names[index] for index in self.labels if _is_one(row[index])]
            texts.append(ones[0] if ones else "")
        return texts


def file_column(table: Table, is_image: Callable[[str], bool], min_share: float) -> int | None:
    """The column whose cells name images, at least this share of them, or None."""
    sample = table.rows[:: max(1, len(table.rows) // _SAMPLE)]
    shares = [sum(is_image(row[index]) for row in sample) / max(1, len(sample)) for index in range(len(table.names))]
    shares = [0.0 if _plain(table.names[index]) in _LABEL_NAMES else share for index, share in enumerate(shares)]
    good = [index for index, share in enumerate(shares) if share >= max(min_share, max(shares) - 0.1)]
    named = [index for index in good if _plain(table.names[index]) in _FILE_NAMES] or good
    with_extension = [index for index in named if any("." in row[index] for row in sample)]
    return (with_extension or named)[0] if named else None


def looks_like_labels(table: Table) -> bool:
    """True if the header has names of a file column and of a label column."""
    names = set(map(_plain, table.names))
    return table.has_header and bool(names & _FILE_NAMES) and bool(names & _LABEL_NAMES)


def label_columns(table: Table, file: int) -> LabelColumns | None:
    """The label column or columns beside the column `file`; None if there are no labels.

    Raises:
        InvalidDatasetError: The columns are for another task ("not_classification"), or several could be the labels
            ("ambiguous_columns").
    """
    _refuse_other_tasks(table)
    others = [
        index
        for index in range(len(table.names))
        if index != file and not _is_split(table, index) and any(table.column(index))
    ]
    others = [index for index in others if not _is_row_number(table, index)] or others
    others = [index for index in others if _plain(table.names[index]) not in _FILE_NAMES] or others
    named = [index for index in others if _plain(table.names[index]) in _LABEL_NAMES]
    if named:
        return LabelColumns(file, (_most_telling(table, named),))
    one_hot = _one_hot(table, others)
    if one_hot:
        return LabelColumns(file, tuple(one_hot))
    if len(others) == 1:
        return LabelColumns(file, (others[0],))
    if others:
        raise _ambiguous(table, others)
    return None


def refuse_no_classes(table: Table, columns: LabelColumns) -> None:
    """Make sure that the labels are classes, and not quantities, sets of classes or texts.

    Raises:
        InvalidDatasetError: They are not ("not_classification").
    """
    labels = [label for label in columns.label_texts(table) if label]
    distinct = set(labels)
    name = table.names[columns.labels[0]]
    if any(re.fullmatch(r"-?\d+\.\d*[1-9]\d*", label) for label in distinct):
        what = "holds quantities, and not classes"
    elif label := next((label for label in distinct if _is_several(label, distinct)), None):
        what = f"holds several classes for one image, such as {label!r}"
    elif len(labels) >= _FEW and len(distinct) == len(labels):
        what = "is different for every image: these are not classes"
    else:
        return
    raise _other_task(table, f"The column `{name}` {what}.")


def split_column(table: Table) -> str | None:
    """The name of the column that tells splits apart, if there is one."""
    return next((name for index, name in enumerate(table.names) if _is_split(table, index)), None)


def _refuse_other_tasks(table: Table) -> None:
    for name in table.names if table.has_header else ():
        plain = _plain(name)
        if plain in _BOX_NAMES or plain in _TEXT_NAMES:
            raise _other_task(table, f"The table has a column `{name}`: it is not for image classification.")


def _other_task(table: Table, what: str) -> InvalidDatasetError:
    return InvalidDatasetError(
        what,
        where=table.path,
        examples=[f"columns: {', '.join(table.names)}"],
        advice="Image classification learns one class per image: give a table with a column of files and a column "
        "`label`, or class folders.",
        reason="not_classification",
    )


def _ambiguous(table: Table, candidates: Sequence[int]) -> InvalidDatasetError:
    names = [table.names[index] for index in candidates]
    return InvalidDatasetError(
        f"The table has several columns that could be the labels: {', '.join(f'`{name}`' for name in names[:20])}"
        f"{f' and {len(names) - 20} more' if len(names) > 20 else ''}.",
        where=table.path,
        examples=[f"columns: {', '.join(table.names)}"],
        advice="Name the column of the classes `label`, or leave only the columns of the files and of the classes. "
        "Several classes per image are not supported.",
        reason="ambiguous_columns",
    )


def _most_telling(table: Table, named: list[int]) -> int:
    """The one of several label columns: a name rather than the number that stands for it."""
    best = next((index for index in named if not all(map(_is_number, table.column(index)))), named[0])
    names = table.column(best)
    for index in named:
        pairs = set(zip(table.column(index), names, strict=True))
        if index != best and not len(pairs) == len({pair[0] for pair in pairs}) == len({pair[1] for pair in pairs}):
            raise _ambiguous(table, named)
    return best


def _one_hot(table: Table, others: list[int]) -> list[int]:
    columns = [index for index in others if all(_is_zero(cell) or _is_one(cell) for cell in table.column(index))]
    if len(columns) < 2:
        return []
    sums = [sum(_is_one(row[index]) for index in columns) for row in table.rows]
    if max(sums, default=0) > 1:
        names = ", ".join(f"`{table.names[index]}`" for index in columns[:3])
        raise _other_task(table, f"Images have several classes: more than one 1 in the columns {names}, ...")
    return columns if any(sums) else []


def _is_split(table: Table, index: int) -> bool:
    if table.has_header:
        return _plain(table.names[index]) in _SPLIT_NAMES
    return all(cell.lower() in _SPLIT_WORDS for cell in table.column(index))


def _is_row_number(table: Table, index: int) -> bool:
    """True if a column counts the rows, as pandas and lists of MXNet write it."""
    name = table.names[index].lower()
    cells = table.column(index)
    if table.has_header and name and not name.startswith(("unnamed", "index", "row", "#")):
        return False
    return len(set(cells)) == len(cells) and all(cell.isdigit() for cell in cells) and (len(cells) > 1 or not name)


def _is_several(label: str, labels: set[str]) -> bool:
    if label.startswith(("[", "{")):
        return True
    parts = [part.strip() for part in re.split(r"[|;,]", label)]
    if len(parts) == 1:
        parts = label.split(" ")
    return len(parts) > 1 and all(part in labels for part in parts)


def _plain(name: str) -> str:
    return re.sub(r"[\W_]", "", name.lower())


def _is_number(cell: str) -> bool:
    return re.fullmatch(r"-?\d*\.?\d*", cell) is not None


def _is_one(cell: str) -> bool:
    return cell in {"1", "1.0"} or cell.lower() == "true"


def _is_zero(cell: str) -> bool:
    return cell in {"0", "0.0", ""} or cell.lower() == "false"
