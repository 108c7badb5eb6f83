"""Report of an inspection, as text for people and as JSON for programs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from pytorch_designer.directories.image_directory import match_classes, require_labels
from pytorch_designer.directories.summary import imbalance, summary
from pytorch_designer.errors import MAX_EXAMPLES, DesignerError, shorten
from pytorch_designer.wording import count

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from numpy.typing import NDArray

    from pytorch_designer.inspection.dataset_inspection import Inspection
    from pytorch_designer.inspection.duplicates import DuplicateGroup, Duplicates

FOLDER = "FOLDER"
OTHER = "OTHER"
_MAX_CLASSES = 50
_MAX_NAME = 60
_SIZES = ("width", "height", "num_bytes")


@dataclass(frozen=True, eq=False)
class InspectionReport:
    """An inspected dataset, a second one to compare it with, and their equal images."""

    inspection: Inspection
    other: Inspection | None
    duplicates: Duplicates

    @property
    def refusal(self) -> DesignerError | None:
        """The error with which training on the dataset would end, with the second one to validate if it has labels."""
        try:
            require_labels(self.inspection.dataset, FOLDER)
            if self.other is not None and self.other.dataset.labels is not None:
                require_labels(self.other.dataset, OTHER)
                match_classes(self.inspection.dataset, self.other.dataset)
        except DesignerError as error:
            return error
        for inspection in (self.inspection, self.other):
            if inspection is not None and inspection.bad.is_beyond_tolerance:
                return inspection.bad.error(num_unchecked=0)
        return None


def as_text(report: InspectionReport) -> str:
    """The report for people; parts without content are left out."""
    blocks = [*_dataset_blocks(report.inspection), _duplicate_block(report.duplicates)]
    if report.other is not None:
        blocks += [[f"{OTHER}:"], *_dataset_blocks(report.other), _shared_block(report)]
    return "\n\n".join("\n".join(block) for block in blocks if block)


def as_document(report: InspectionReport) -> dict[str, Any]:
    """The report as JSON data: everything, without limits on length."""
    inside = [_names(report.inspection, group.rows) for group in report.duplicates.inside]
    document = _dataset_document(report.inspection)
    document["duplicates"] = inside
    document["duplicates_across_classes"] = [
        _names(report.inspection, group.rows) for group in report.duplicates.across_classes
    ]
    if report.other is not None:
        other = report.other
        document["against"] = _dataset_document(other)
        document["shared"] = [
            {"files": _names(report.inspection, group.rows), "against": _names(other, group.other_rows)}
            for group in report.duplicates.shared
        ]
    refusal = report.refusal
    document["error"] = None if refusal is None else refusal.to_dict()
    return document


def _dataset_blocks(inspection: Inspection) -> list[list[str]]:
    dataset = inspection.dataset
    lines = [summary(dataset)]
    warning = imbalance(dataset)
    lines += [] if warning is None else [f"Warning: {warning}"]
    unreadable = [f"{file.file}: {file.reason}" for file in inspection.bad.listing()]
    return [
        lines,
        _class_table(inspection),
        _size_table(inspection),
        _table(("format", "images"), [(kind, f"{count:,}") for kind, count in inspection.kinds.items()]),
        _examples(f"{len(unreadable):,} of {count(len(dataset), 'file')} cannot be read:", unreadable)
        if unreadable
        else [],
    ]


def _class_table(inspection: Inspection) -> list[str]:
    dataset = inspection.dataset
    counts, unreadable = dataset.class_sizes, inspection.num_unreadable_by_class
    rows = np.arange(len(counts))
    if len(rows) > _MAX_CLASSES:  # the largest and the smallest
        order = np.argsort(-counts, kind="stable")
        rows = np.concatenate([order[: _MAX_CLASSES // 2], order[-_MAX_CLASSES // 2 :]])
    cells = [
        (dataset.classes[row], f"{counts[row]:,}", f"{unreadable[row]:,}" if unreadable[row] else "")
        for row in rows.tolist()
    ]
    if len(rows) < len(counts):
        cells.insert(_MAX_CLASSES // 2, (f"... {len(counts) - len(rows):,} more (all in --json)", "", ""))
    return _table(("class", "images", "unreadable" if unreadable.any() else ""), cells)


def _size_table(inspection: Inspection) -> list[str]:
    ranges = _ranges(inspection)
    if not ranges:
        return []
    kilobytes = tuple(f"{value / 1000:,.1f}" for value in ranges["num_bytes"].values())
    cells = [(name, *(f"{value:,.0f}" for value in ranges[name].values())) for name in ("width", "height")]
    return _table(("size", "min", "median", "max"), [*cells, ("file, kB", *kilobytes)])


def _duplicate_block(duplicates: Duplicates) -> list[str]:
    inside, across = duplicates.inside, duplicates.across_classes
    if not inside:
        return []
    headline = f"Copies of other images: {duplicates.num_copies:,}"
    headline += f", {len(across):,} of them with different labels:" if across else ":"
    marked = [f"{_equal(duplicates, group)} (different labels)" for group in across]
    return _examples(headline, marked + [_equal(duplicates, group) for group in inside if group not in across])


def _shared_block(report: InspectionReport) -> list[str]:
    duplicates, other = report.duplicates, report.other
    assert other is not None
    count = f"{duplicates.num_shared:,} of the {_counted(len(other.dataset), 'image')} of {OTHER} are also in {FOLDER}"
    if not duplicates.shared:
        return [f"{count}."]
    lines = [
        f"{other.dataset.described(group.other_rows[0])} = {report.inspection.dataset.described(group.rows[0])}"
        for group in duplicates.shared
    ]
    return _examples(f"{count}:", lines)


def _equal(duplicates: Duplicates, group: DuplicateGroup) -> str:
    shown = " = ".join(duplicates.dataset.described(row) for row in group.rows[:3])
    return f"{shown} = ..." if len(group.rows) > 3 else shown


def _examples(headline: str, lines: Sequence[str]) -> list[str]:
    shown = [f"  {shorten(line)}" for line in lines[:MAX_EXAMPLES]]
    more = len(lines) - len(shown)
    return [headline, *shown, *([f"  ... and {more:,} more (all in --json)"] if more else [])]


def _table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """Lines of a table, the first column on the left, the others on the right; none without rows."""
    if not rows:
        return []
    cells = [[shorten(cell, _MAX_NAME) for cell in row] for row in (header, *rows)]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    return [_row(row, widths) for row in cells]


def _row(cells: Iterable[str], widths: Sequence[int]) -> str:
    first, *others = zip(cells, widths, strict=True)
    texts = [first[0].ljust(first[1]), *(cell.rjust(width) for cell, width in others)]
    return "  ".join(texts).rstrip()


def _dataset_document(inspection: Inspection) -> dict[str, Any]:
    dataset = inspection.dataset
    counts, unreadable = dataset.class_sizes.tolist(), inspection.num_unreadable_by_class.tolist()
    return {
        "source": str(dataset.source),
        "summary": summary(dataset),
        "layout": dataset.layout.name,
        "labels_from": dataset.layout.labels_from or None,
        "left_out": list(dataset.layout.left_out),
        "num_images": len(dataset),
        "classes": [
            {"name": name, "num_images": count, "num_unreadable": bad}
            for name, count, bad in zip(dataset.classes, counts, unreadable, strict=True)
        ],
        "sizes": _ranges(inspection) or None,
        "formats": inspection.kinds,
        "unreadable": [{"file": dataset.name(bad.index), "reason": bad.reason} for bad in inspection.bad.listing()],
    }


def _ranges(inspection: Inspection) -> dict[str, dict[str, float]]:
    """Least, median and largest of the sizes of the readable images; {} where there are none."""
    is_readable = inspection.readable
    if not is_readable.any():
        return {}
    columns: tuple[NDArray[Any], ...] = (inspection.widths, inspection.heights, inspection.num_bytes)
    readable = (column[is_readable] for column in columns)
    return {
        name: {"min": int(values.min()), "median": float(np.median(values)), "max": int(values.max())}
        for name, values in zip(_SIZES, readable, strict=True)
    }


def _names(inspection: Inspection, rows: Iterable[int]) -> list[str]:
    return [inspection.dataset.name(row) for row in rows]


def _counted(number: int, noun: str) -> str:
    return f"1 {noun}" if number == 1 else f"{number:,} {noun}s"
