"""Evaluation pages, of one scored dataset and of two that are compared, and their charts."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from pytorch_designer.evaluation.comparison import PairedTest
from pytorch_designer.reporting.classification import ClassScore, accuracy_interval, imbalance, most_confused
from pytorch_designer.reporting.figures import Chart, Line, ReliabilityBar, heat_map, reliability_chart, roc_chart
from pytorch_designer.reporting.numbers import decimal, measured, percent, points
from pytorch_designer.reporting.page import render_page
from pytorch_designer.wording import count

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from pytorch_designer.evaluation.comparison import NotPaired
    from pytorch_designer.evaluation.evaluation_images import DifferentImages, EvaluationImages
    from pytorch_designer.evaluation.evaluation_metrics import Evaluation

_MAX_MATRIX_CLASSES = 20
_MAX_CURVES = 20
_MAX_PAIRS = 10
_MAX_NAMES = 10
_SIGNIFICANT = 0.05


@dataclass(frozen=True)
class _ComparedMetric:
    """A metric of both datasets, as it is written."""

    name: str
    first: str
    second: str
    difference: str
    better: str


@dataclass(frozen=True)
class EvaluatedDataset:
    """Facts of a dataset on the page.

    Attributes:
        evaluation: Its metrics.
        images: Its images; None leaves them out.
        model: What tells the model apart that scored it; "" where it is not known.
        charts: The charts of `draw_charts`.
    """

    evaluation: Evaluation
    images: EvaluationImages | None = None
    model: str = ""
    charts: Mapping[str, Chart] = field(default_factory=dict)


def draw_charts(evaluation: Evaluation) -> dict[str, Chart]:
    """Charts by name: calibration, ROC curves if there are any and, unless there are too many classes, confusion."""
    bars = [
        ReliabilityBar(part.lower, part.upper, part.confidence, part.accuracy, part.num_images / evaluation.num_images)
        for part in evaluation.calibration.bins
    ]
    charts = {"calibration": reliability_chart("calibration", bars)}
    if math.isfinite(evaluation.roc_auc):
        classes = [
            Line(name, curve.true_positive_rates.tolist())
            for name, curve in zip(evaluation.classes, evaluation.roc_curves, strict=True)
            if math.isfinite(curve.auc)
        ]
        charts["roc"] = roc_chart("roc", [_mean_roc("Mean", evaluation)], classes[:_MAX_CURVES])
    if len(evaluation.classes) <= _MAX_MATRIX_CLASSES:
        charts["confusion"] = heat_map("confusion", evaluation.confusion, evaluation.classes)
    return charts


def evaluation_page(side: EvaluatedDataset) -> str:
    """The page of one dataset, as HTML."""
    evaluation = side.evaluation
    return render_page(
        "evaluation.html",
        **_values("", side),
        interval=accuracy_interval(evaluation.accuracy, evaluation.num_images),
        # A class without images and predictions has no F1 (NaN, which does not sort) and goes last.
        classes=sorted(
            zip(evaluation.class_scores, evaluation.aucs.tolist(), strict=True),
            key=lambda pair: math.inf if math.isnan(pair[0].f1) else pair[0].f1,
        ),
    )


def comparison_page(
    first: EvaluatedDataset,
    second: EvaluatedDataset,
    comparison: PairedTest | NotPaired,
    different: DifferentImages | None,
) -> str:
    """The page of two datasets, as HTML, with the images that only one of the models gets right."""
    averages = [
        _mean_roc(name, side.evaluation)
        for name, side in (("First", first), ("Second", second))
        if math.isfinite(side.evaluation.roc_auc)
    ]
    return render_page(
        "comparison.html",
        first=_values("First", first),
        second=_values("Second", second),
        different=different,
        is_same_model=bool(first.model) and first.model == second.model,
        paired=comparison if isinstance(comparison, PairedTest) else None,
        verdict=_verdict(comparison),
        metrics=_compared_metrics(first.evaluation, second.evaluation),
        classes=_compared_classes(first.evaluation, second.evaluation),
        roc=roc_chart("roc", averages) if len(averages) == 2 else None,
    )


def _values(name: str, side: EvaluatedDataset) -> dict[str, Any]:
    """Facts of a dataset that both pages show."""
    evaluation = side.evaluation
    classes = count(len(evaluation.classes), "class", "classes")
    images = f"{count(evaluation.num_correct)} of {count(evaluation.num_images, 'image')}"
    return {
        "name": name,
        "evaluation": evaluation,
        "summary": f"{images} of {classes} are predicted correctly.",
        "remarks": _remarks(evaluation),
        "confused": most_confused(evaluation.confusion, evaluation.classes, _MAX_PAIRS),
        "charts": side.charts,
        "images": side.images,
        "model": side.model,
    }


def _mean_roc(name: str, evaluation: Evaluation) -> Line:
    """The mean of the ROC curves that are defined, of which there is at least one."""
    defined = [curve.true_positive_rates for curve in evaluation.roc_curves if math.isfinite(curve.auc)]
    return Line(f"{name} (AUC {decimal(evaluation.roc_auc)})", np.mean(defined, axis=0).tolist())


def _remarks(evaluation: Evaluation) -> dict[str, str]:
    """Notes: images left out, and reasons why metrics mean less than they seem to."""
    found: dict[str, str] = {}
    if evaluation.num_unscored:
        found[f"{count(evaluation.num_unscored, 'image')} without scores."] = (
            "They could not be read when the dataset was scored, and are left out of every metric: "
            f"{percent(evaluation.num_unscored / evaluation.num_rows)} of the images."
        )
    if evaluation.num_unlabeled:
        found[f"{count(evaluation.num_unlabeled, 'image')} without a label."] = "They are left out of every metric."
    if evaluation.num_unknown:
        unknown = evaluation.classes[evaluation.num_known_classes :]
        found[f"{count(evaluation.num_unknown, 'image')} of classes that the model does not know."] = (
            f"They count as wrong. {count(len(unknown), 'class', 'classes')}: {', '.join(unknown[:_MAX_NAMES])}."
        )
    unequal = imbalance(evaluation.class_scores)
    if unequal is not None:
        fewest, most = unequal
        found["The classes are unbalanced."] = (
            f"{count(fewest.num_images, 'image')} of {fewest.name}, {count(most.num_images)} of {most.name}: accuracy "
            f"says little about small classes. Balanced accuracy is {percent(evaluation.balanced_accuracy)}."
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


def _verdict(comparison: PairedTest | NotPaired) -> dict[str, str]:
    if not isinstance(comparison, PairedTest):
        return {
            "Not compared image by image.": f"{comparison.reason} "
            "So it cannot be determined whether a difference is due to the models."
        }
    if comparison.p_value < _SIGNIFICANT:
        better = "second" if comparison.difference > 0 else "first"
        return {f"The {better} model is more accurate.": "A difference as large as this is hardly chance."}
    return {
        "The difference in accuracy can be chance.": "Two models that are equally good differ as much as this or more "
        f"in {percent(comparison.p_value)} of such comparisons. More images would tell."
    }


def _compared_metrics(first: Evaluation, second: Evaluation) -> list[_ComparedMetric]:
    return [
        _share("Accuracy", first.accuracy, second.accuracy),
        _share("Top-5 accuracy", first.top5_accuracy, second.top5_accuracy),
        _share("Balanced accuracy", first.balanced_accuracy, second.balanced_accuracy),
        _share("Macro precision", first.macro.precision, second.macro.precision),
        _share("Macro recall", first.macro.recall, second.macro.recall),
        _share("Macro F1", first.macro.f1, second.macro.f1),
        _share("Weighted F1", first.weighted.f1, second.weighted.f1),
        _measurement("Log loss", first.log_loss, second.log_loss, is_better_lower=True),
        _measurement("ROC AUC", first.roc_auc, second.roc_auc),
        _measurement("Cohen's kappa", first.cohen_kappa, second.cohen_kappa),
        _measurement("Matthews correlation", first.matthews_correlation, second.matthews_correlation),
        _share(
            "Expected calibration error",
            first.calibration.expected_error,
            second.calibration.expected_error,
            is_better_lower=True,
        ),
    ]


def _share(name: str, first: float, second: float, *, is_better_lower: bool = False) -> _ComparedMetric:
    return _compared(name, first, second, percent, points, is_better_lower=is_better_lower)


def _measurement(name: str, first: float, second: float, *, is_better_lower: bool = False) -> _ComparedMetric:
    return _compared(name, round(first, 9), round(second, 9), measured, _change, is_better_lower=is_better_lower)


def _compared(
    name: str,
    first: float,
    second: float,
    written: Callable[[float], str],
    written_difference: Callable[[float], str],
    *,
    is_better_lower: bool,
) -> _ComparedMetric:
    difference = second - first
    is_decided = written(first) != written(second) and math.isfinite(difference)
    better = ("First" if (difference > 0) == is_better_lower else "Second") if is_decided else "\N{EN DASH}"
    return _ComparedMetric(name, written(first), written(second), written_difference(difference), better)


def _change(difference: float) -> str:
    if not math.isfinite(difference):
        return "\N{EN DASH}"
    return f"{difference:+.3f}" if round(difference, 3) else "0.000"


def _compared_classes(first: Evaluation, second: Evaluation) -> list[dict[str, Any]]:
    """The classes of both, from the largest loss in F1 to the largest gain; undefined differences come last."""
    by_name = [{score.name: score for score in evaluation.class_scores} for evaluation in (first, second)]
    rows: list[dict[str, Any]] = []
    for name in dict.fromkeys((*first.classes, *second.classes)):
        one, other = (scores.get(name, ClassScore(name, 0, 0, 0)) for scores in by_name)
        num_images = " / ".join(dict.fromkeys(count(score.num_images) for score in (one, other)))
        rows.append({"first": one, "second": other, "num_images": num_images, "difference": other.f1 - one.f1})
    return sorted(rows, key=lambda row: math.inf if math.isnan(row["difference"]) else row["difference"])
