"""The page of an evaluation: what is shown, and in which order."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from pytorch_designer.evaluation.comparison_page import render_comparison
from pytorch_designer.evaluation.page_parts import (
    PROBABILITIES_MEANING,
    area,
    draw_charts,
    long_table,
    loss,
    most_confused_table,
    remarks,
    summary_line,
)
from pytorch_designer.reporting.classification import accuracy_interval
from pytorch_designer.reporting.numbers import count, decimal, percent
from pytorch_designer.reporting.page import (
    Bar,
    Card,
    Markup,
    Section,
    beside,
    cards,
    charts,
    columns,
    facts,
    folded,
    hints,
    joined,
    page,
    table,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pytorch_designer.evaluation.comparison import NotPaired, PairedTest
    from pytorch_designer.evaluation.metrics import Evaluation
    from pytorch_designer.reporting.figures import Chart
    from pytorch_designer.reporting.page import Cell

_KIND = "Evaluate Model"
_FOOTER = "pytorch-designer. All figures are in metrics.json, and the tables in CSV files, beside this page."
_CLASS_HEADER = ("Class", "Images", "Recall", "Precision", "F1", "ROC AUC")
_CLASSES_MEANING = (
    "Recall: share of a class's images that were recognised. Precision: share of the images given this class that are "
    "of it. ROC AUC: how likely an image of the class scores higher on it than another one. The lowest F1 comes first."
)


def render_page(
    first: Evaluation, second: Evaluation | None = None, comparison: PairedTest | NotPaired | None = None
) -> str:
    """The page, as HTML, of one dataset or of two and their comparison."""
    if second is not None and comparison is not None:
        return render_comparison(first, second, comparison, kind=_KIND, footer=_FOOTER)
    return page(_KIND, f"{percent(first.accuracy)} accuracy", summary_line(first), _sections(first), _FOOTER)


def _sections(evaluation: Evaluation) -> Iterator[Section]:
    by_name = {chart.name: chart for chart in draw_charts(evaluation)}
    yield Section("Result", cards(_cards(evaluation)))
    if found := remarks(evaluation):
        yield Section("To know", hints(found))
    yield Section("Classes", _classes(evaluation), _CLASSES_MEANING)
    if len(evaluation.classes) > 1:
        yield Section("Confusions", _confusions(evaluation, by_name.get("confusion")))
    captions = {"Calibration": "calibration", "ROC, one class against the rest": "roc"}
    drawn = {caption: by_name[name] for caption, name in captions.items() if name in by_name}
    groups = folded("The groups", _groups(evaluation))
    yield Section("Probabilities", joined(charts(drawn), groups), PROBABILITIES_MEANING)
    yield Section("Averages", _averages(evaluation))


def _cards(evaluation: Evaluation) -> Iterator[Card]:
    low, high = accuracy_interval(evaluation.accuracy, evaluation.num_images)
    macro = evaluation.macro
    yield Card("Accuracy", percent(evaluation.accuracy), f"95%: {percent(low)} to {percent(high)}")
    if evaluation.num_known_classes > 5:
        yield Card("Top-5 accuracy", percent(evaluation.top5_accuracy), "label among the best five")
    yield Card("Macro F1", percent(macro.f1), f"precision {percent(macro.precision)}, recall {percent(macro.recall)}")
    yield Card("Log loss", loss(evaluation.log_loss), "lower is better")
    yield Card("ROC AUC", area(evaluation.roc_auc), "mean of the classes")
    error = evaluation.calibration.expected_error
    yield Card(
        "Calibration error", percent(error), f"mean confidence {percent(evaluation.calibration.mean_confidence)}"
    )


def _classes(evaluation: Evaluation) -> Markup:
    scored = zip(evaluation.class_scores, evaluation.aucs, strict=True)
    # A class without images and predictions has no F1 (NaN, which does not sort) and goes last.
    ordered = sorted(scored, key=lambda pair: (math.isnan(pair[0].f1), 0 if math.isnan(pair[0].f1) else pair[0].f1))
    rows: list[tuple[Cell, ...]] = [
        (
            score.name,
            count(score.num_images),
            *(Bar(share, percent(share)) for share in (score.recall, score.precision, score.f1)),
            area(float(auc)),
        )
        for score, auc in ordered
    ]
    return long_table(_CLASS_HEADER, rows)


def _confusions(evaluation: Evaluation, matrix: Chart | None) -> Markup:
    worst = columns({"Most confused": most_confused_table(evaluation)})
    return worst if matrix is None else beside(charts({"Confusion matrix": matrix}), worst)


def _groups(evaluation: Evaluation) -> Markup:
    rows = [
        (
            f"{percent(part.lower)} to {percent(part.upper)}",
            count(part.num_images),
            percent(part.confidence),
            percent(part.accuracy),
        )
        for part in evaluation.calibration.bins
    ]
    return table(("Confidence", "Images", "Mean confidence", "Accuracy"), rows)


def _averages(evaluation: Evaluation) -> Markup:
    kinds = {
        "Macro: every class counts the same": evaluation.macro,
        "Weighted: a class counts by its images": evaluation.weighted,
        "Micro: every image counts the same": evaluation.micro,
    }
    rows = [(name, *map(percent, (mean.precision, mean.recall, mean.f1))) for name, mean in kinds.items()]
    others = {
        "Balanced accuracy": percent(evaluation.balanced_accuracy),
        "Cohen's kappa": area(evaluation.cohen_kappa),
        "Matthews correlation": decimal(evaluation.matthews_correlation),
        "ROC AUC, weighted": area(evaluation.weighted_roc_auc),
    }
    return beside(table(("Average", "Precision", "Recall", "F1"), rows), facts(others))
