"""Summary of a dataset in one line: what the source was taken for, how many classes and images, what is left out.

    Class folders: 10 classes, 2,000 images (200 per class); left out: 1 file (preview.jpg)
    COCO (annotations.json): 3 classes, 60 images (20 to 40 per class); no images in class emu

Every component that takes images logs it before anything else, so that a folder that was taken for something else than
the user meant shows at once.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

import numpy as np

from pytorch_designer.directories.image_schema import GAP_CLASS
from pytorch_designer.errors import MAX_EXAMPLES, shorten
from pytorch_designer.wording import count

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pytorch_designer.directories.image_directory import ImageDirectory

_log = logging.getLogger(__name__)

MAX_CLASS_RATIO = 10
"""Ratio of the largest class to the smallest one, in images, up to which there is no warning."""


def log_summary(dataset: ImageDirectory, label: str = "", *, trains: bool = False) -> None:
    """Log the summary, and a warning where classes are unbalanced.

    Args:
        dataset: Labeled or not.
        label: What it is for, where a run has several datasets: "Training".
        trains: Whether a model will learn from it, so that the balance of its classes matters.
    """
    _log.info("%s%s", f"{label} - " if label else "", summary(dataset))
    warning = imbalance(dataset) if trains else None
    if warning is not None:
        _log.warning("%s", warning)


def summary(dataset: ImageDirectory) -> str:
    """The line; see the module's docstring."""
    layout = dataset.layout
    name = f"{layout.name} ({layout.labels_from})" if layout.labels_from else layout.name
    parts = [f"{name}: {_counts(dataset)}"]
    empty = _empty_classes(dataset)
    if empty:
        classes = f"class {shorten(empty[0], 100)}" if len(empty) == 1 else f"{len(empty):,} classes ({_listed(empty)})"
        parts.append(f"no images in {classes}")
    if layout.left_out:
        parts.append(f"left out: {_kind(layout.left_out)} ({_listed(layout.left_out)})")
    return "; ".join(parts)


def imbalance(dataset: ImageDirectory) -> str | None:
    """A sentence about classes that differ by more than `MAX_CLASS_RATIO` in their images; None where none do.

    Classes without images do not count: there is nothing to learn about them.
    """
    counts = dataset.class_sizes
    present = np.flatnonzero(counts)
    if not len(present):
        return None
    smallest, largest = int(present[counts[present].argmin()]), int(counts.argmax())
    if counts[largest] <= MAX_CLASS_RATIO * counts[smallest]:
        return None
    large, small = (f"{count(int(counts[row]), 'image')} in {dataset.classes[row]!r}" for row in (largest, smallest))
    return (
        f"The classes are unbalanced: {large}, {small}. Accuracy says little about the small classes: look at "
        "balanced accuracy, and at the recall of each class in the report."
    )


def _counts(dataset: ImageDirectory) -> str:
    images = count(len(dataset), "image")
    if dataset.labels is None:
        return images if "without labels" in dataset.layout.name else f"{images} without labels"
    counts = dataset.class_sizes
    text = f"{count(len(counts), 'class', 'classes')}, {images}"
    present = counts[counts > 0]
    if len(counts) > 1:
        least, most = f"{present.min():,}", f"{present.max():,}"
        text += f" ({least if least == most else f'{least} to {most}'} per class)"
    num_unlabeled = len(dataset) - int(counts.sum())
    return f"{text}, {num_unlabeled:,} of them without a label" if num_unlabeled else text


def _empty_classes(dataset: ImageDirectory) -> list[str]:
    """Names of the classes without images; a gap in the ids of an old schema is none."""
    names = [dataset.classes[index] for index in np.flatnonzero(dataset.class_sizes == 0).tolist()]
    return [name for name in names if name != GAP_CLASS]


def _kind(paths: Sequence[str]) -> str:
    num_folders = sum(path.endswith("/") for path in paths)
    num_files = len(paths) - num_folders
    kinds = [count(number, noun) for number, noun in ((num_files, "file"), (num_folders, "folder")) if number]
    return " and ".join(kinds)


def _listed(names: Sequence[str]) -> str:
    shown = ", ".join(shorten(name, 100) for name in names[:MAX_EXAMPLES])
    return f"{shown}, ..." if len(names) > MAX_EXAMPLES else shown
