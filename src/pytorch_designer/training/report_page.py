"""The page of a run's report: what is shown, in which order and with how many rows."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytorch_designer.reporting.classification import ClassScore, accuracy_interval, class_scores, most_confused
from pytorch_designer.reporting.figures import Chart, Line, heat_map, line_chart
from pytorch_designer.reporting.numbers import count, decimal, duration, percent, rate
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
from pytorch_designer.training.advice import hints as find_hints

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from pytorch_designer.reporting.page import Cell
    from pytorch_designer.training.history import EpochRecord, RunSummary

_MAX_MATRIX_CLASSES = 20
_MAX_OPEN_CLASSES = 20
_MAX_PAIRS = 10
_MAX_BAD_FILES = 100
_CLASS_HEADER = ("Class", "Images", "Recall", "Precision", "F1")
_CAPTIONS = {"loss": "Loss (cross-entropy)", "accuracy": "Accuracy (top-1)"}


def draw_charts(summary: RunSummary) -> tuple[Chart, ...]:
    """The curves of loss and accuracy and, unless there are too many classes, the confusion matrix."""
    curves = tuple(
        line_chart(
            name,
            Line("Training", [getattr(record.training, attribute) for record in summary.history]),
            Line("Validation", [getattr(record.validation, attribute) for record in summary.history]),
            x_label="Epoch",
            marked=summary.best_epoch,
            is_share=attribute == "top1",
        )
        for name, attribute in (("loss", "loss"), ("accuracy", "top1"))
    )
    if len(summary.classes) > _MAX_MATRIX_CLASSES:
        return curves
    return (*curves, heat_map("confusion", summary.confusion, summary.classes))


def render_page(summary: RunSummary, drawn: Sequence[Chart]) -> str:
    """The page, as HTML, with the figures that `draw_charts` drew."""
    best = summary.best.validation
    subtitle = (
        f"Measured on {count(best.num_images, 'validation image')} of "
        f"{count(len(summary.classes), 'class', 'classes')}. {summary.stop_reason}"
    )
    footer = f"pytorch-designer, run {summary.fingerprint}"
    return page(
        "Train PyTorch Model", f"{percent(best.top1)} validation accuracy", subtitle, _sections(summary, drawn), footer
    )


def _sections(summary: RunSummary, drawn: Sequence[Chart]) -> Iterator[Section]:
    by_name = {chart.name: chart for chart in drawn}
    yield Section("Result", cards(_cards(summary)))
    if found := find_hints(summary):
        yield Section("What to try next", hints({hint.seen: hint.advice for hint in found}))
    yield Section(
        "Training",
        joined(charts({caption: by_name[name] for name, caption in _CAPTIONS.items()}), _epochs(summary)),
        "Training values are averages over an epoch while the weights change; the saved epoch is marked.",
    )
    scores = class_scores(summary.confusion, summary.classes)
    yield Section(
        "Classes",
        _classes(scores),
        "Recall: share of a class's images that were recognised. Precision: share of the images given this class that "
        "are of it. The class with the lowest recall comes first.",
    )
    if len(summary.classes) > 1:
        yield Section("Confusions", _confusions(summary, by_name.get("confusion")))
    if summary.bad_files:
        yield _bad_files(summary)
    yield Section("Set-up", _set_up(summary))


def _cards(summary: RunSummary) -> Iterator[Card]:
    best = summary.best
    low, high = accuracy_interval(best.validation.top1, best.validation.num_images)
    yield Card("Validation accuracy", percent(best.validation.top1), f"95%: {percent(low)} to {percent(high)}")
    yield Card("Validation loss", decimal(best.validation.loss), f"training {decimal(best.training.loss)}")
    if len(summary.classes) > 5:
        yield Card("Top-5 accuracy", percent(best.validation.top5), f"training {percent(best.training.top5)}")
    yield Card("Training accuracy", percent(best.training.top1), count(best.training.num_images, "image"))
    yield Card("Saved epoch", f"{best.epoch} of {len(summary.history)}", "highest accuracy")
    speeds = sorted(record.images_per_second for record in summary.history)
    yield Card(
        "Duration",
        duration(sum(record.seconds for record in summary.history)),
        f"{rate(speeds[len(speeds) // 2])} images a second",
    )


def _epochs(summary: RunSummary) -> Markup:
    header = (
        "Epoch", "Training loss", "Training accuracy", "Validation loss", "Validation accuracy",
        "Learning rate", "Images/s", "Duration",
    )  # fmt: skip
    rows = [_epoch_row(record) for record in summary.history]
    everything = table(header, rows, highlighted=summary.best_epoch - 1)
    return folded(f"All {count(len(rows), 'epoch')}", everything) if len(rows) > 1 else everything


def _epoch_row(record: EpochRecord) -> tuple[str, ...]:
    return (
        str(record.epoch),
        decimal(record.training.loss),
        percent(record.training.top1),
        decimal(record.validation.loss),
        percent(record.validation.top1),
        f"{record.learning_rate:.3g}",
        rate(record.images_per_second),
        duration(record.seconds),
    )


def _classes(scores: Sequence[ClassScore]) -> Markup:
    # Classes without images have no recall (NaN, which does not sort) and go last.
    ordered = sorted(scores, key=lambda score: (not score.num_images, score.recall if score.num_images else 0))
    rows: list[tuple[Cell, ...]] = [
        (
            score.name,
            count(score.num_images),
            *(Bar(share, percent(share)) for share in (score.recall, score.precision, score.f1)),
        )
        for score in ordered
    ]
    shown = table(_CLASS_HEADER, rows[:_MAX_OPEN_CLASSES])
    if len(rows) <= _MAX_OPEN_CLASSES:
        return shown
    rest = table(_CLASS_HEADER, rows[_MAX_OPEN_CLASSES:])
    return joined(shown, folded(f"The other {count(len(rows) - _MAX_OPEN_CLASSES, 'class', 'classes')}", rest))


def _confusions(summary: RunSummary, matrix: Chart | None) -> Markup:
    pairs = most_confused(summary.confusion, summary.classes, _MAX_PAIRS)
    rows = [(pair.true, pair.predicted, count(pair.num_images), percent(pair.share)) for pair in pairs]
    worst = columns({"Most confused": table(("Class", "Taken for", "Images", "Share"), rows, num_names=2)})
    if matrix is None:
        return worst
    drawn = charts({"Confusion matrix (validation images)": matrix})
    return beside(drawn, worst) if pairs else drawn


def _bad_files(summary: RunSummary) -> Section:
    rows = [(file.port, file.file, file.reason) for file in summary.bad_files[:_MAX_BAD_FILES]]
    more = len(summary.bad_files) - len(rows)
    return Section(
        "Files that were left out",
        table(("Dataset", "File", "Why"), rows, num_names=3),
        f"{count(len(summary.bad_files), 'image file')} could not be read."
        + (f" The first {_MAX_BAD_FILES} are shown; run.json has all." if more else ""),
    )


def _set_up(summary: RunSummary) -> Markup:
    parameters = {name: str(value) for name, value in summary.parameters.items()}
    return columns(
        {"Parameters": facts(parameters), "Data": facts(summary.data), "Environment": facts(summary.environment)}
    )
