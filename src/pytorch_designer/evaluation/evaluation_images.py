"""Images of an evaluation page: the most wrong ones, likely label errors, and those of each class.

Score Image Model selects the same images and leaves small copies of them in the scored dataset; a dataset without
copies is shown by the names of its files.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from pytorch_designer.directories.scores.scored_dataset import UNLABELED
from pytorch_designer.evaluation.comparison import matched_rows
from pytorch_designer.reporting.outcomes import Outcomes, select, surest_mistakes
from pytorch_designer.reporting.pictures import OFF, ClassPictures, Picture, PictureSource, mistakes_table
from pytorch_designer.settings import settings

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from pytorch_designer.directories.scores.scored_dataset import ScoredDataset

_NO_COPIES = "There are no pictures, as the scored dataset holds none."
_MAX_DIFFERENT = 12


@dataclass(frozen=True)
class EvaluationImages:
    """Images of a scored dataset that a page shows.

    Attributes:
        mistakes: The most wrong images.
        num_mistakes: How many mistakes there are.
        label_errors: Images whose label the model finds very improbable, the most improbable first.
        classes: Each class with its mistakes and examples, the lowest recall first.
        num_classes: Classes that have images.
        note: Why there are no pictures; "" where there are some.
        mistakes_csv: All mistakes as a table.
    """

    mistakes: tuple[Picture, ...]
    num_mistakes: int
    label_errors: tuple[Picture, ...]
    classes: tuple[ClassPictures, ...]
    num_classes: int
    note: str
    mistakes_csv: str


@dataclass(frozen=True)
class DifferentImages:
    """Images that only one of two models gets right, as the other one sees them.

    Attributes:
        only_first: Right in the first alone, with the mistakes of the second.
        only_second: Right in the second alone, with the mistakes of the first.
    """

    only_first: tuple[Picture, ...]
    only_second: tuple[Picture, ...]


def evaluation_images(dataset: ScoredDataset, thumbnails: Mapping[int, bytes]) -> EvaluationImages:
    """Select the images of a dataset that has labels."""
    source = _source(dataset, thumbnails)
    outcomes = source.outcomes
    selection = select(outcomes)
    wrong = surest_mistakes(outcomes)
    return EvaluationImages(
        mistakes=source.pictures(selection.mistakes),
        num_mistakes=len(wrong),
        label_errors=source.pictures(selection.label_errors),
        classes=tuple(
            ClassPictures(
                name=source.classes[part.label],
                num_images=part.num_images,
                num_mistakes=part.num_mistakes,
                mistakes=source.pictures(part.mistakes),
                examples=source.pictures([row for row in part.examples if row not in part.mistakes]),
            )
            for part in selection.classes
        ),
        num_classes=selection.num_classes,
        note=_note(thumbnails),
        mistakes_csv=mistakes_table(source.picture(row) for row in wrong.tolist()),
    )


def different_images(
    first: ScoredDataset,
    first_thumbnails: Mapping[int, bytes],
    second: ScoredDataset,
    second_thumbnails: Mapping[int, bytes],
) -> DifferentImages:
    """The images that only one of two models gets right; none where the datasets cannot be matched."""
    second_rows = matched_rows(first, second)
    if second_rows is None:
        return DifferentImages((), ())
    one, other = _source(first, first_thumbnails), _source(second, second_thumbnails)
    is_first, is_second = (first.predicted == first.labels), (second.predicted == second.labels)[second_rows]
    is_wrong_first, is_wrong_second = one.outcomes.is_wrong, other.outcomes.is_wrong[second_rows]
    return DifferentImages(
        only_first=_surest(other, second_rows[is_first & is_wrong_second]),
        only_second=_surest(one, np.flatnonzero(is_wrong_first & is_second)),
    )


def _surest(source: PictureSource, rows: NDArray[np.int64]) -> tuple[Picture, ...]:
    order = np.argsort(-source.outcomes.confidence[rows], kind="stable")[:_MAX_DIFFERENT]
    return source.pictures(rows[order].tolist())


def _source(dataset: ScoredDataset, thumbnails: Mapping[int, bytes]) -> PictureSource:
    labels = np.full(len(dataset), UNLABELED) if dataset.labels is None else dataset.labels
    outcomes = Outcomes.blank(labels)
    outcomes.record(np.arange(len(dataset)), dataset.probabilities)
    outcomes.predicted[:] = dataset.predicted  # as the column says, which a tie may decide otherwise
    return PictureSource(outcomes, dataset.label_names, dataset.described, thumbnails)


def _note(thumbnails: Mapping[int, bytes]) -> str:
    if settings().report_images == "off":
        return OFF
    return "" if thumbnails else _NO_COPIES
