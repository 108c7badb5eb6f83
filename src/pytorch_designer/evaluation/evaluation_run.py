"""Run of Evaluate Model: from one or two scored datasets to the evaluation directory."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from pytorch_designer.directories.scores.scored_dataset import open_scored_dataset
from pytorch_designer.directories.scores.thumbnail_file import load_thumbnails
from pytorch_designer.evaluation.comparison import PairedTest, compare
from pytorch_designer.evaluation.evaluation_images import different_images, evaluation_images
from pytorch_designer.evaluation.evaluation_metrics import evaluate
from pytorch_designer.evaluation.evaluation_page import EvaluatedDataset
from pytorch_designer.evaluation.evaluation_report import PAGE_FILE, write_evaluation
from pytorch_designer.reporting.numbers import decimal, percent, points, probability
from pytorch_designer.reporting.page import copy_page_for_studio
from pytorch_designer.settings import settings
from pytorch_designer.storage.output import open_output
from pytorch_designer.wording import count

if TYPE_CHECKING:
    from pathlib import Path

    from pytorch_designer.evaluation.comparison import NotPaired
    from pytorch_designer.evaluation.evaluation_metrics import Evaluation

_STUDIO_PAGE = "evaluation.html"
_logger = logging.getLogger(__name__)


def evaluate_model(
    *, scored_dataset: Path, evaluation_results: Path, scored_dataset_to_compare: Path | None = None
) -> None:
    """Evaluate the first dataset, compare it with the second if there is one, and write the report.

    Raises:
        NotScoredDatasetError: A dataset has no scores.
        NotLabeledDatasetError: A dataset has no labels.
        InvalidDatasetError: A dataset cannot be read or evaluated.
        FailedToWriteOutputsError: The output is occupied, inside an input, or cannot be written.
    """
    inputs = {"the scored dataset": scored_dataset}
    if scored_dataset_to_compare is not None:
        inputs["the scored dataset to compare"] = scored_dataset_to_compare
    with open_output(evaluation_results, apart_from=inputs) as output:
        first = _Side(scored_dataset)
        second, comparison, different = None, None, None
        _log(first.evaluation, "First" if scored_dataset_to_compare else "")
        if scored_dataset_to_compare is not None:
            second = _Side(scored_dataset_to_compare)
            comparison = compare(first.dataset, second.dataset)
            _log(second.evaluation, "Second")
            _log_comparison(comparison)
            if isinstance(comparison, PairedTest):
                different = different_images(first.dataset, first.thumbnails, second.dataset, second.thumbnails)
        with output.stage() as folder:
            shown = None if second is None else second.shown()
            write_evaluation(folder, first.shown(), shown, comparison, different)
    copy_page_for_studio(evaluation_results / PAGE_FILE, _STUDIO_PAGE)
    _logger.info("The page: %s", evaluation_results / PAGE_FILE)


class _Side:
    """A scored dataset, opened and evaluated, with its thumbnails."""

    def __init__(self, path: Path) -> None:
        self.dataset = open_scored_dataset(path)
        self.evaluation = evaluate(self.dataset, path)
        self.thumbnails = load_thumbnails(path) if settings().report_images == "on" else {}

    def shown(self) -> EvaluatedDataset:
        """Its part of the page."""
        images = evaluation_images(self.dataset, self.thumbnails)
        return EvaluatedDataset(self.evaluation, images, self.dataset.scored_by)


def _log(evaluation: Evaluation, name: str) -> None:
    _logger.info(
        "%saccuracy %s, balanced accuracy %s, macro F1 %s, log loss %s, ROC AUC %s on %s of %s",
        f"{name}: " if name else "",
        percent(evaluation.accuracy),
        percent(evaluation.balanced_accuracy),
        percent(evaluation.macro.f1),
        decimal(round(evaluation.log_loss, 9)),
        decimal(evaluation.roc_auc),
        count(evaluation.num_images, "image"),
        count(len(evaluation.classes), "class", "classes"),
    )
    for num_images, what in (
        (evaluation.num_unscored, "without scores left out"),
        (evaluation.num_unlabeled, "without a label left out"),
        (evaluation.num_unknown, "of classes that the model does not know counted as wrong"),
        (evaluation.num_off_sum, "with probabilities that do not add up to 1 taken as they are"),
    ):
        if num_images:
            _logger.warning("%s %s.", count(num_images, "image"), what)


def _log_comparison(comparison: PairedTest | NotPaired) -> None:
    if isinstance(comparison, PairedTest):
        low, high = comparison.interval
        _logger.info(
            "Difference in accuracy, second minus first: %s (95%%: %s to %s; McNemar's exact test: %s)",
            points(comparison.difference), points(low, ""), points(high, ""), probability(comparison.p_value),
        )  # fmt: skip
    else:
        _logger.warning("The two datasets are not compared image by image. %s", comparison.reason)
