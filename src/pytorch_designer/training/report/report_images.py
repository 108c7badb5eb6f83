"""Images of a training report: pictures of the best epoch's mistakes and of each class, and near duplicates.

Everything follows from the outcomes of the best epoch, which checkpoints hold, and from the files: a run that was
killed and continued shows the same. Only the images that are shown are read again.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pytorch_designer.errors import shorten
from pytorch_designer.images.near_duplicates import NearDuplicates, find_near_duplicates
from pytorch_designer.images.thumbnails import read_thumbnails
from pytorch_designer.reporting.outcomes import select, surest_mistakes
from pytorch_designer.reporting.pictures import (
    OFF,
    ClassPictures,
    Picture,
    PictureSource,
    missing_note,
    mistakes_table,
)
from pytorch_designer.settings import settings
from pytorch_designer.training.datasets import VALIDATION_PORT

if TYPE_CHECKING:
    from pytorch_designer.directories.preprocessing import Preprocessing
    from pytorch_designer.reporting.outcomes import Outcomes
    from pytorch_designer.training.datasets import LabeledDatasets

_log = logging.getLogger(__name__)

_MAX_PAIRS = 12


@dataclass(frozen=True)
class DuplicatePair:
    """A validation image and the training image that it nearly equals, by name and class."""

    validation: str
    validation_class: str
    training: str
    training_class: str
    similarity: float


@dataclass(frozen=True)
class DuplicateFindings:
    """Validation images that are among the training images as well.

    Attributes:
        pairs: The most similar ones.
        num_found: How many there are.
        num_training: Training images that were compared.
        num_validation: Validation images that were compared.
        is_complete: Whether these are all images.
    """

    pairs: tuple[DuplicatePair, ...]
    num_found: int
    num_training: int
    num_validation: int
    is_complete: bool


@dataclass(frozen=True)
class ReportImages:
    """Images that a report shows, with the lists behind them.

    Attributes:
        mistakes: The surest mistakes.
        num_mistakes: How many mistakes there are.
        classes: Examples of the classes, those with the lowest recall first.
        num_classes: Classes that have validation images.
        note: Why pictures are missing; "" where none is.
        mistakes_csv: All mistakes as a table.
        duplicates: Near duplicates; None where they were not looked for.
    """

    mistakes: tuple[Picture, ...]
    num_mistakes: int
    classes: tuple[ClassPictures, ...]
    num_classes: int
    note: str
    mistakes_csv: str
    duplicates: DuplicateFindings | None


def gather_images(datasets: LabeledDatasets, preprocessing: Preprocessing, outcomes: Outcomes) -> ReportImages:
    """Select the images, and read those that are shown."""
    selection = select(outcomes)
    rows = list(dict.fromkeys([*selection.mistakes, *(row for part in selection.classes for row in part.examples)]))
    validation, classes = datasets.validation, datasets.training.classes
    shows_pictures = settings().report_images == "on"
    jpegs = read_thumbnails(validation, rows, preprocessing, port=VALIDATION_PORT) if shows_pictures else {}
    source = PictureSource(outcomes, classes, validation.name, jpegs)
    wrong = surest_mistakes(outcomes)
    return ReportImages(
        mistakes=source.pictures(selection.mistakes),
        num_mistakes=len(wrong),
        classes=tuple(
            ClassPictures(classes[part.label], part.num_images, part.num_mistakes, (), source.pictures(part.examples))
            for part in selection.classes
        ),
        num_classes=selection.num_classes,
        note=missing_note(len(rows) - len(jpegs)) if shows_pictures else OFF,
        mistakes_csv=mistakes_table(source.picture(row) for row in wrong.tolist()),
        duplicates=_duplicates(datasets),
    )


def _duplicates(datasets: LabeledDatasets) -> DuplicateFindings | None:
    try:
        found = find_near_duplicates(datasets.training, datasets.validation)
    except Exception as error:  # noqa: BLE001 - a hint is not worth a run
        _log.warning("Near duplicates were not looked for: %s", shorten(f"{type(error).__name__}: {error}"))
        return None
    return _described(datasets, found)


def _described(datasets: LabeledDatasets, found: NearDuplicates) -> DuplicateFindings:
    training, validation = datasets.training, datasets.validation
    labels = training.labels
    assert labels is not None  # all training images have labels
    return DuplicateFindings(
        pairs=tuple(
            DuplicatePair(
                validation=validation.name(pair.row),
                validation_class=training.classes[datasets.validation_labels[pair.row]],
                training=training.name(pair.other_row),
                training_class=training.classes[labels[pair.other_row]],
                similarity=pair.similarity,
            )
            for pair in found.pairs[:_MAX_PAIRS]
        ),
        num_found=len(found.pairs),
        num_training=found.num_first,
        num_validation=found.num_second,
        is_complete=found.is_complete,
    )
