"""The page of an evaluation: what is shown, in which order and with how many rows."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from pytorch_designer.evaluation.comparison import PairedTest
from pytorch_designer.reporting.classification import ClassScore, accuracy_interval, most_confused
from pytorch_designer.reporting.figures import Chart, Line, ReliabilityBar, heat_map, reliability_chart, roc_chart
from pytorch_designer.reporting.numbers import count, decimal, percent, points, probability
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
    from collections.abc import Iterator, Sequence

    from pytorch_designer.evaluation.comparison import NotPaired
    from pytorch_designer.evaluation.metrics import Evaluation
    from pytorch_designer.reporting.page import Cell

_KIND = "Evaluate Model"
_FIRST, _SECOND = "First", "Second"
_MAX_MATRIX_CLASSES = 20
_MAX_OPEN_CLASSES = 20
_MAX_PAIRS = 10
_SIGNIFICANT = 0.05
_CLASS_HEADER = ("Class", "Images", "Recall", "Precision", "F1", "ROC AUC")
_CLASSES_MEANING = (
    "Recall: share of a class's images that were recognised. Precision: share of the images given this class that are "
    "of it. ROC AUC: how likely an image of the class scores higher on it than another one. The lowest F1 comes first."
)
_PROBABILITIES_MEANING = (
    "Calibration: images grouped by the probability of their predicted class. Where a bar ends below the dashed line, "
    "the model is surer than it is right; the expected calibration error is the mean distance. ROC: how many images of "
    "a class are found at the price of how many others."
)


@dataclass(frozen=True)
class _Metric:
    """One figure of an evaluation, and how it is written and compared."""

    name: str
    value: float
    is_share: bool = True
    is_better_lower: bool = False

    @property
    def shown(self) -> str:
        return percent(self.value) if self.is_share else decimal(self.value)

    def difference(self, other: _Metric) -> str:
        """How much larger `other` is."""
        change = other.value - self.value
        if self.is_share:
            return points(change)
        if not math.isfinite(change):
            return "\N{EN DASH}"
        return f"{change:+.3f}" if round(change, 3) else "0.000"


def draw_charts(evaluation: Evaluation) -> tuple[Chart, ...]:
    """Calibration, ROC curves where there are any, and, unless there are too many classes, the confusion matrix."""
    drawn = [_reliability(evaluation)]
    if math.isfinite(evaluation.roc_auc):
        drawn.append(_roc(evaluation))
    if len(evaluation.classes) <= _MAX_MATRIX_CLASSES:
        drawn.append(heat_map("confusion", evaluation.confusion, evaluation.classes))
    return tuple(drawn)


def render_page(
    first: Evaluation, second: Evaluation | None = None, comparison: PairedTest | NotPaired | None = None
) -> str:
    """The page, as HTML, of one dataset or of two and their comparison."""
    if second is None or comparison is None:
        return page(_KIND, f"{percent(first.accuracy)} accuracy", _subtitle(first), _sections(first), _FOOTER)
    title = f"{percent(first.accuracy)} and {percent(second.accuracy)} accuracy"
    subtitle = (
        f"{_FIRST}, the scored dataset: {_subtitle(first)} {_SECOND}, the dataset to compare: {_subtitle(second)} "
        "Differences are second minus first."
    )
    return page(_KIND, title, subtitle, _compared_sections(first, second, comparison), _FOOTER)


_FOOTER = "pytorch-designer. All figures are in metrics.json, and the tables in CSV files, beside this page."


def _subtitle(evaluation: Evaluation) -> str:
    classes = count(len(evaluation.classes), "class", "classes")
    return (
        f"{count(evaluation.num_correct)} of {count(evaluation.num_images, 'image')} of {classes} are predicted right."
    )


def _sections(evaluation: Evaluation) -> Iterator[Section]:
    by_name = {chart.name: chart for chart in draw_charts(evaluation)}
    yield Section("Result", cards(_cards(evaluation)))
    if found := _remarks(evaluation):
        yield Section("To know", hints(found))
    yield Section("Classes", _classes(evaluation), _CLASSES_MEANING)
    if len(evaluation.classes) > 1:
        yield Section("Confusions", _confusions(evaluation, by_name.get("confusion")))
    captions = {"Calibration": "calibration", "ROC, one class against the rest": "roc"}
    drawn = {caption: by_name[name] for caption, name in captions.items() if name in by_name}
    groups = folded("The groups", _groups(evaluation))
    yield Section("Probabilities", joined(charts(drawn), groups), _PROBABILITIES_MEANING)
    yield Section("Averages", _averages(evaluation))


def _compared_sections(first: Evaluation, second: Evaluation, comparison: PairedTest | NotPaired) -> Iterator[Section]:
    if isinstance(comparison, PairedTest):
        yield Section("Comparison", joined(cards(_paired_cards(comparison)), hints(_verdict(comparison))))
    else:
        advice = f"{comparison.reason} So it cannot be told whether a difference is due to the models."
        yield Section("Comparison", hints({"Not compared image by image.": advice}))
    yield Section("All figures", _metric_table(first, second))
    for name, evaluation in ((_FIRST, first), (_SECOND, second)):
        if found := _remarks(evaluation):
            yield Section(f"To know about the {name.lower()}", hints(found))
    yield Section(
        "Classes",
        _compared_classes(first, second),
        "Ordered by the difference in F1: what the second one does worse comes first.",
    )
    pair = {_FIRST: first, _SECOND: second}
    matrices = {
        name: heat_map("confusion", evaluation.confusion, evaluation.classes)
        for name, evaluation in pair.items()
        if len(evaluation.classes) <= _MAX_MATRIX_CLASSES
    }
    confused = columns({f"Most confused, {name.lower()}": _most_confused(found) for name, found in pair.items()})
    yield Section("Confusions", joined(charts(matrices), confused) if matrices else confused)
    drawn = {f"Calibration, {name.lower()}": _reliability(evaluation) for name, evaluation in pair.items()}
    if all(math.isfinite(evaluation.roc_auc) for evaluation in pair.values()):
        averages = [_macro_roc(f"{name} (AUC {decimal(found.roc_auc)})", found) for name, found in pair.items()]
        drawn["ROC, mean of one class against the rest"] = roc_chart("roc", averages)
    yield Section("Probabilities", charts(drawn), _PROBABILITIES_MEANING)


def _cards(evaluation: Evaluation) -> Iterator[Card]:
    low, high = accuracy_interval(evaluation.accuracy, evaluation.num_images)
    macro = evaluation.macro
    yield Card("Accuracy", percent(evaluation.accuracy), f"95%: {percent(low)} to {percent(high)}")
    if evaluation.num_known_classes > 5:
        yield Card("Top-5 accuracy", percent(evaluation.top5_accuracy), "label among the best five")
    yield Card("Macro F1", percent(macro.f1), f"precision {percent(macro.precision)}, recall {percent(macro.recall)}")
    yield Card("Log loss", _loss(evaluation.log_loss), "lower is better")
    yield Card("ROC AUC", _area(evaluation.roc_auc), "mean of the classes")
    error = evaluation.calibration.expected_error
    yield Card(
        "Calibration error", percent(error), f"mean confidence {percent(evaluation.calibration.mean_confidence)}"
    )


def _remarks(evaluation: Evaluation) -> dict[str, str]:
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
            f"They count as wrong. {count(len(unknown), 'class', 'classes')}: {', '.join(unknown[:10])}."
        )
    missing = [score.name for score in evaluation.class_scores if not score.num_images]
    if missing:
        found[f"{count(len(missing), 'class', 'classes')} without images."] = (
            f"No recall can be measured for: {', '.join(missing[:10])}."
        )
    if evaluation.num_off_sum:
        found[f"{count(evaluation.num_off_sum, 'image')} with probabilities that do not add up to 1."] = (
            "They are taken as they are; log loss and calibration mean little for them."
        )
    return found


def _classes(evaluation: Evaluation) -> Markup:
    scored = zip(evaluation.class_scores, evaluation.aucs, strict=True)
    # A class without images and predictions has no F1 (NaN, which does not sort) and goes last.
    ordered = sorted(scored, key=lambda pair: (math.isnan(pair[0].f1), 0 if math.isnan(pair[0].f1) else pair[0].f1))
    rows: list[tuple[Cell, ...]] = [
        (
            score.name,
            count(score.num_images),
            *(Bar(share, percent(share)) for share in (score.recall, score.precision, score.f1)),
            _area(float(auc)),
        )
        for score, auc in ordered
    ]
    return _long_table(_CLASS_HEADER, rows)


def _compared_classes(first: Evaluation, second: Evaluation) -> Markup:
    header = ("Class", "Images", "Recall: first", "Second", "F1: first", "Second", "Difference of F1")
    by_name = [{score.name: score for score in evaluation.class_scores} for evaluation in (first, second)]
    rows: list[tuple[float, tuple[Cell, ...]]] = []
    for name in dict.fromkeys((*first.classes, *second.classes)):
        scores = [scores.get(name, ClassScore(name, 0, 0, 0)) for scores in by_name]
        num_images = " / ".join(dict.fromkeys(count(score.num_images) for score in scores))
        recalls = (percent(score.recall) for score in scores)
        f1s = (Bar(score.f1, percent(score.f1)) for score in scores)
        change = scores[1].f1 - scores[0].f1
        rows.append((change, (name, num_images, *recalls, *f1s, points(change))))
    rows.sort(key=lambda row: math.inf if math.isnan(row[0]) else row[0])
    return _long_table(header, [row for _, row in rows])


def _long_table(header: Sequence[str], rows: Sequence[Sequence[Cell]]) -> Markup:
    shown = table(header, rows[:_MAX_OPEN_CLASSES])
    if len(rows) <= _MAX_OPEN_CLASSES:
        return shown
    rest = table(header, rows[_MAX_OPEN_CLASSES:])
    return joined(shown, folded(f"The other {count(len(rows) - _MAX_OPEN_CLASSES, 'class', 'classes')}", rest))


def _confusions(evaluation: Evaluation, matrix: Chart | None) -> Markup:
    worst = columns({"Most confused": _most_confused(evaluation)})
    return worst if matrix is None else beside(charts({"Confusion matrix": matrix}), worst)


def _most_confused(evaluation: Evaluation) -> Markup:
    pairs = most_confused(evaluation.confusion, evaluation.classes, _MAX_PAIRS)
    rows = [(pair.true, pair.predicted, count(pair.num_images), percent(pair.share)) for pair in pairs]
    return table(("Class", "Taken for", "Images", "Share"), rows, num_names=2)


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
        "Cohen's kappa": _area(evaluation.cohen_kappa),
        "Matthews correlation": decimal(evaluation.matthews_correlation),
        "ROC AUC, weighted": _area(evaluation.weighted_roc_auc),
    }
    return beside(table(("Average", "Precision", "Recall", "F1"), rows), facts(others))


def _paired_cards(comparison: PairedTest) -> Iterator[Card]:
    low, high = comparison.interval
    yield Card("Difference in accuracy", points(comparison.difference), f"95%: {points(low, '')} to {points(high, '')}")
    yield Card("Chance", probability(comparison.p_value), "McNemar's exact test")
    yield Card("Right in both", count(comparison.num_both), f"of {count(comparison.num_images, 'image')}")
    yield Card("Only in the first", count(comparison.num_only_first))
    yield Card("Only in the second", count(comparison.num_only_second))
    yield Card("Right in neither", count(comparison.num_neither))


def _verdict(comparison: PairedTest) -> dict[str, str]:
    if comparison.p_value < _SIGNIFICANT:
        better = _SECOND if comparison.difference > 0 else _FIRST
        return {f"The {better.lower()} one is more accurate.": "A difference as large as this is hardly chance."}
    return {
        "The difference in accuracy can be chance.": "Two models that are equally good differ as much as this or more "
        f"in {percent(comparison.p_value)} of such comparisons. More images would tell."
    }


def _metric_table(first: Evaluation, second: Evaluation) -> Markup:
    rows = [
        (one.name, one.shown, other.shown, one.difference(other), _better(one, other))
        for one, other in zip(_metrics(first), _metrics(second), strict=True)
    ]
    return table(("Figure", _FIRST, _SECOND, "Difference", "Better"), rows)


def _better(one: _Metric, other: _Metric) -> str:
    gain = (one.value - other.value) if one.is_better_lower else (other.value - one.value)
    if one.shown == other.shown or math.isnan(gain):
        return "\N{EN DASH}"
    return _SECOND if gain > 0 else _FIRST


def _metrics(evaluation: Evaluation) -> tuple[_Metric, ...]:
    return (
        _Metric("Accuracy", evaluation.accuracy),
        _Metric("Top-5 accuracy", evaluation.top5_accuracy),
        _Metric("Balanced accuracy", evaluation.balanced_accuracy),
        _Metric("Macro precision", evaluation.macro.precision),
        _Metric("Macro recall", evaluation.macro.recall),
        _Metric("Macro F1", evaluation.macro.f1),
        _Metric("Weighted F1", evaluation.weighted.f1),
        _Metric("Log loss", evaluation.log_loss, is_share=False, is_better_lower=True),
        _Metric("ROC AUC", evaluation.roc_auc, is_share=False),
        _Metric("Cohen's kappa", evaluation.cohen_kappa, is_share=False),
        _Metric("Matthews correlation", evaluation.matthews_correlation, is_share=False),
        _Metric("Expected calibration error", evaluation.calibration.expected_error, is_better_lower=True),
    )


def _reliability(evaluation: Evaluation) -> Chart:
    bars = [
        ReliabilityBar(part.lower, part.upper, part.confidence, part.accuracy, part.num_images / evaluation.num_images)
        for part in evaluation.calibration.bins
    ]
    return reliability_chart("calibration", bars)


def _roc(evaluation: Evaluation) -> Chart:
    classes = [
        Line(name, curve.true_positive_rates.tolist())
        for name, curve in zip(evaluation.classes, evaluation.roc_curves, strict=True)
        if math.isfinite(curve.auc)
    ]
    mean = _macro_roc(f"Mean (AUC {decimal(evaluation.roc_auc)})", evaluation)
    return roc_chart("roc", [mean], classes[:_MAX_MATRIX_CLASSES])


def _macro_roc(name: str, evaluation: Evaluation) -> Line:
    defined = [curve.true_positive_rates for curve in evaluation.roc_curves if math.isfinite(curve.auc)]
    return Line(name, np.mean(defined, axis=0).tolist())


def _loss(value: float) -> str:
    return decimal(round(value, 9))  # not the 2e-16 of predictions that are all certain and right


def _area(value: float) -> str:
    return decimal(value) if math.isfinite(value) else "\N{EN DASH}"
