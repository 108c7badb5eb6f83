"""Run of Evaluate Model: from one or two scored datasets to the evaluation directory."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from pytorch_designer.directories.scored_dataset import open_scored_dataset
from pytorch_designer.evaluation.comparison import PairedTest, compare
from pytorch_designer.evaluation.evaluation_metrics import evaluate
from pytorch_designer.evaluation.evaluation_report import PAGE_FILE, write_evaluation
from pytorch_designer.reporting.numbers import decimal, percent, points, probability
from pytorch_designer.storage.output import open_output
from pytorch_designer.wording import count

if TYPE_CHECKING:
    from pathlib import Path

    from pytorch_designer.evaluation.comparison import NotPaired
    from pytorch_designer.evaluation.evaluation_metrics import Evaluation

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
        dataset = open_scored_dataset(scored_dataset)
        first = evaluate(dataset, scored_dataset)
        second, comparison = None, None
        _log(first, "First" if scored_dataset_to_compare else "")
        if scored_dataset_to_compare is not None:
            other = open_scored_dataset(scored_dataset_to_compare)
            second = evaluate(other, scored_dataset_to_compare)
            comparison = compare(dataset, other)
            _log(second, "Second")
            _log_comparison(comparison)
        with output.stage() as folder:
            write_evaluation(folder, first, second, comparison)
    _logger.info("The page: %s", evaluation_results / PAGE_FILE)


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
