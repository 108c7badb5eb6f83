"""What the page of one dataset and the page of two have in common: figures, tables and remarks."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from pytorch_designer.reporting.classification import most_confused
from pytorch_designer.reporting.figures import Chart, Line, ReliabilityBar, heat_map, reliability_chart, roc_chart
from pytorch_designer.reporting.numbers import count, decimal, percent
from pytorch_designer.reporting.page import Markup, folded, joined, table, text

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pytorch_designer.evaluation.metrics import Evaluation
    from pytorch_designer.reporting.page import Cell

MAX_MATRIX_CLASSES = 20
_MAX_OPEN_ROWS = 20
_MAX_PAIRS = 10
_MAX_NAMES = 10
PROBABILITIES_MEANING = (
    "Calibration: images grouped by the probability of their predicted class. Where a bar ends below the dashed line, "
    "the model is surer than it is right; the expected calibration error is the mean distance. ROC: how many images of "
    "a class are found at the price of how many others."
)


def draw_charts(evaluation: Evaluation) -> tuple[Chart, ...]:
    """Calibration, ROC curves where there are any, and, unless there are too many classes, the confusion matrix."""
    drawn = [reliability(evaluation)]
    if math.isfinite(evaluation.roc_auc):
        drawn.append(_roc(evaluation))
    if len(evaluation.classes) <= MAX_MATRIX_CLASSES:
        drawn.append(heat_map("confusion", evaluation.confusion, evaluation.classes))
    return tuple(drawn)


def reliability(evaluation: Evaluation) -> Chart:
    """How often predictions of each confidence are right."""
    bars = [
        ReliabilityBar(part.lower, part.upper, part.confidence, part.accuracy, part.num_images / evaluation.num_images)
        for part in evaluation.calibration.bins
    ]
    return reliability_chart("calibration", bars)


def mean_roc(name: str, evaluation: Evaluation) -> Line:
    """The mean of the ROC curves that are defined, of which there is at least one."""
    defined = [curve.true_positive_rates for curve in evaluation.roc_curves if math.isfinite(curve.auc)]
    return Line(name, np.mean(defined, axis=0).tolist())


def remarks(evaluation: Evaluation) -> dict[str, str]:
    """What was left out, or makes figures mean less than they seem to."""
    found: dict[str, str] = {}
    if evaluation.num_unscored:
        found[f"{count(evaluation.num_unscored, 'image')} without scores."] = (
            f"They could not be read when the dataset was scored, and are left out of every figure: "
            f"{percent(evaluation.num_unscored / evaluation.num_rows)} of the images."
        )
    if evaluation.num_unlabeled:
        found[f"{count(evaluation.num_unlabeled, 'image')} without a label."] = "They are left out of every figure."
    if evaluation.num_unknown:
        unknown = evaluation.classes[evaluation.num_known_classes :]
        found[f"{count(evaluation.num_unknown, 'image')} of classes that the model does not know."] = (
            f"They count as wrong. {count(len(unknown), 'class', 'classes')}: {', '.join(unknown[:_MAX_NAMES])}."
        )
    missing = [score.name for score in evaluation.class_scores if not score.num_images]
    if missing:
        found[f"{count(len(missing), 'class', 'classes')} without images."] = (
            f"No recall can be measured for: {', '.join(missing[:_MAX_NAMES])}."
        )
    if evaluation.num_off_sum:
        found[f"{count(evaluation.num_off_sum, 'image')} with probabilities that do not add up to 1."] = (
            "They are taken as they are; log loss and calibration mean little for them."
        )
    return found


def most_confused_table(evaluation: Evaluation) -> Markup:
    """The pairs of classes with the most mistaken images."""
    pairs = most_confused(evaluation.confusion, evaluation.classes, _MAX_PAIRS)
    if not pairs:
        return text("No image was taken for another class.")
    rows = [(pair.true, pair.predicted, count(pair.num_images), percent(pair.share)) for pair in pairs]
    return table(("Class", "Taken for", "Images", "Share"), rows, num_names=2)


def long_table(header: Sequence[str], rows: Sequence[Sequence[Cell]]) -> Markup:
    """A table of which only the first rows are shown at once."""
    shown = table(header, rows[:_MAX_OPEN_ROWS])
    if len(rows) <= _MAX_OPEN_ROWS:
        return shown
    rest = table(header, rows[_MAX_OPEN_ROWS:])
    return joined(shown, folded(f"The other {count(len(rows) - _MAX_OPEN_ROWS, 'class', 'classes')}", rest))


def summary_line(evaluation: Evaluation) -> str:
    """One sentence about one dataset."""
    classes = count(len(evaluation.classes), "class", "classes")
    return (
        f"{count(evaluation.num_correct)} of {count(evaluation.num_images, 'image')} of {classes} are predicted right."
    )


def area(value: float) -> str:
    """A figure that may be undefined."""
    return decimal(value) if math.isfinite(value) else "\N{EN DASH}"


def loss(value: float) -> str:
    """A log loss."""
    return decimal(round(value, 9))  # not the 2e-16 of predictions that are all certain and right


def _roc(evaluation: Evaluation) -> Chart:
    classes = [
        Line(name, curve.true_positive_rates.tolist())
        for name, curve in zip(evaluation.classes, evaluation.roc_curves, strict=True)
        if math.isfinite(curve.auc)
    ]
    mean = mean_roc(f"Mean (AUC {decimal(evaluation.roc_auc)})", evaluation)
    return roc_chart("roc", [mean], classes[:MAX_MATRIX_CLASSES])
