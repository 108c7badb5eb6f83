"""The page of two datasets, compared: what is shown, and in which order."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pytorch_designer.evaluation.comparison import PairedTest
from pytorch_designer.evaluation.page_parts import (
    MAX_MATRIX_CLASSES,
    PROBABILITIES_MEANING,
    long_table,
    mean_roc,
    most_confused_table,
    reliability,
    remarks,
    summary_line,
)
from pytorch_designer.reporting.classification import ClassScore
from pytorch_designer.reporting.figures import heat_map, roc_chart
from pytorch_designer.reporting.numbers import count, decimal, percent, points, probability
from pytorch_designer.reporting.page import (
    Bar,
    Card,
    Markup,
    Section,
    cards,
    charts,
    columns,
    hints,
    joined,
    page,
    table,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pytorch_designer.evaluation.comparison import NotPaired
    from pytorch_designer.evaluation.metrics import Evaluation
    from pytorch_designer.reporting.page import Cell

_FIRST, _SECOND = "First", "Second"
_SIGNIFICANT = 0.05


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


def render_comparison(
    first: Evaluation, second: Evaluation, comparison: PairedTest | NotPaired, *, kind: str, footer: str
) -> str:
    """The page, as HTML; `kind` and `footer` are those of `reporting.page.page`."""
    title = f"{percent(first.accuracy)} and {percent(second.accuracy)} accuracy"
    subtitle = (
        f"{_FIRST}, the scored dataset: {summary_line(first)} "
        f"{_SECOND}, the dataset to compare: {summary_line(second)} Differences are second minus first."
    )
    return page(kind, title, subtitle, _sections(first, second, comparison), footer)


def _sections(first: Evaluation, second: Evaluation, comparison: PairedTest | NotPaired) -> Iterator[Section]:
    if isinstance(comparison, PairedTest):
        yield Section("Comparison", joined(cards(_paired_cards(comparison)), hints(_verdict(comparison))))
    else:
        advice = f"{comparison.reason} So it cannot be told whether a difference is due to the models."
        yield Section("Comparison", hints({"Not compared image by image.": advice}))
    yield Section("All figures", _metric_table(first, second))
    for name, evaluation in ((_FIRST, first), (_SECOND, second)):
        if found := remarks(evaluation):
            yield Section(f"To know about the {name.lower()}", hints(found))
    yield Section(
        "Classes",
        _classes(first, second),
        "Ordered by the difference in F1: what the second one does worse comes first.",
    )
    pair = {_FIRST: first, _SECOND: second}
    matrices = {
        name: heat_map("confusion", evaluation.confusion, evaluation.classes)
        for name, evaluation in pair.items()
        if len(evaluation.classes) <= MAX_MATRIX_CLASSES
    }
    confused = columns({f"Most confused, {name.lower()}": most_confused_table(found) for name, found in pair.items()})
    yield Section("Confusions", joined(charts(matrices), confused) if matrices else confused)
    drawn = {f"Calibration, {name.lower()}": reliability(evaluation) for name, evaluation in pair.items()}
    if all(math.isfinite(evaluation.roc_auc) for evaluation in pair.values()):
        averages = [mean_roc(f"{name} (AUC {decimal(found.roc_auc)})", found) for name, found in pair.items()]
        drawn["ROC, mean of one class against the rest"] = roc_chart("roc", averages)
    yield Section("Probabilities", charts(drawn), PROBABILITIES_MEANING)


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


def _classes(first: Evaluation, second: Evaluation) -> Markup:
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
    return long_table(header, [row for _, row in rows])
