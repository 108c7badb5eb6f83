"""Advice on the next training run: rules on the metrics of a run, each with the numbers behind it."""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import accumulate, pairwise
from typing import TYPE_CHECKING

from pytorch_designer.reporting.classification import ClassScore, accuracy_interval, class_scores, imbalance
from pytorch_designer.reporting.numbers import decimal, percent
from pytorch_designer.training.recipe import learning_rate_at
from pytorch_designer.wording import count

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pytorch_designer.training.history import RunSummary

_LARGE_GAP = 0.1  # training minus validation accuracy
_WIDE_INTERVAL = 0.1  # of the accuracy: half its width
_FEW_IMAGES = 20  # of one class in the validation set; fewer say little about it
_WEAK_CLASS = 0.7  # times the overall accuracy
_DECAYED = 0.2  # of the initial learning rate
_RISEN = 1.05  # times the loss of the first epoch
_ABOVE_GUESSING = 1.2  # times ln(classes), near which a network stays that has learned nothing
_HIGH_LEARNING_RATE = 0.1  # at which SGD with momentum rarely fails for want of speed
_STRAIGHT = (0.6, 1.5)  # late fall of the training loss per step and learning rate, relative to the early one
_LEAST_FALL = 0.05  # of the first training loss
_MAX_SHOWN = 6  # losses of a curve
_SLOW = 0.4  # of the first training loss: above it, short runs on given weights gain by a higher rate
_ALL_BOUNDED = 0.01  # learning rate from which on most steps of such runs are shortened: a higher one is no gain
_LEARNED = 0.9  # training accuracy above which a higher learning rate has little left to gain
_MOST_PER_STEP = 8192  # images of all processes; above it no learning rate makes up for the fewer steps
_FEWEST_PER_NORM = 8  # images; statistics of fewer are rough


@dataclass(frozen=True)
class Hint:
    """Piece of advice.

    Attributes:
        seen: What the metrics show, as a sentence.
        advice: What to do about it, as a sentence.
    """

    seen: str
    advice: str


def hints(summary: RunSummary) -> tuple[Hint, ...]:
    """Advice on the next run, the most important first; empty where nothing stands out."""
    if len(summary.classes) == 1:
        return (Hint("There is only one class.", "Add images of a second class: a classifier needs at least two."),)
    rules = (
        _near_chance,
        _batch,
        _start_was_best,
        _rate_too_high,
        _rate_too_low,
        _still_improving,
        _stopped_early,
        _overfitting,
        _perfect,
        _unbalanced,
        _weak_class,
        _few_images,
    )
    return tuple(hint for rule in rules for hint in rule(summary))


def rate_hints(summary: RunSummary) -> tuple[Hint, ...]:
    """Advice on the learning rate alone: empty where the curves do not show that it is too low or too high."""
    if len(summary.classes) == 1:
        return ()
    return (*_start_was_best(summary), *_rate_too_high(summary), *_rate_too_low(summary))


def batch_hints(batch_size: int, num_processes: int, *, normalizes_by_batches: bool) -> Iterator[Hint]:
    """Advice on the batch size, which is known before the run.

    Args:
        batch_size: Images of a step in each process.
        num_processes: Processes that train together.
        normalizes_by_batches: Whether the network has batch norm that takes its statistics from the batches.
    """
    if batch_size * num_processes > _MOST_PER_STEP:
        yield Hint(
            f"A step sees {batch_size * num_processes:,} images, `batch_size` of each of "
            f"{count(num_processes, 'process', 'processes')}.",
            f"Above {_MOST_PER_STEP:,} the accuracy usually falls, even with more epochs: use a smaller `batch_size`.",
        )
    if normalizes_by_batches and batch_size < _FEWEST_PER_NORM:
        own = " of its own part of the batch" if num_processes > 1 else ""
        yield Hint(
            f"{'Each process' if num_processes > 1 else 'The network'} normalizes by the statistics of "
            f"{count(batch_size, 'image')}{own} (batch norm), which are rough: losses may jump.",
            f"Use a `batch_size` of at least {_FEWEST_PER_NORM}.",
        )


def chance_accuracy(summary: RunSummary) -> float:
    """Accuracy (0 to 1) of always predicting the most frequent class of the validation set."""
    total = int(summary.confusion.sum())
    return int(summary.confusion.sum(axis=1).max()) / total if total else 1 / len(summary.classes)


def _near_chance(summary: RunSummary) -> Iterator[Hint]:
    if not _is_near_chance(summary):
        return
    chance = chance_accuracy(summary)
    seen = (
        f"The accuracy of {percent(summary.best.validation.top1)} is no better than always naming the most frequent "
        f"class ({percent(chance)})."
    )
    if summary.best.training.top1 > chance + _LARGE_GAP:
        yield Hint(
            seen,
            "The training images were learned. Check that the validation images are of the same kind and labels.",
        )
    elif (counts := _unequal_counts(summary)) is not None:
        yield Hint(
            seen,
            f"The classes are unbalanced ({counts}), and the small ones were not learned: balanced accuracy is "
            f"{percent(summary.balanced_accuracy)}. Add images of them, or leave out some of the large ones.",
        )
    else:
        yield Hint(seen, _more_learning(summary))


def _more_learning(summary: RunSummary) -> str:
    """Changes after which the training loss should fall below that of guessing, ln(classes)."""
    losses = [record.training.loss for record in summary.trained]
    learning_rate = summary.parameters.get("learning_rate", 0)
    is_above_guessing = not losses[-1] <= _ABOVE_GUESSING * math.log(len(summary.classes))
    if is_above_guessing or learning_rate >= _HIGH_LEARNING_RATE:
        return "Learning did not settle: use a learning_rate ten times lower."
    remedies = ["use a learning_rate ten times higher"]
    if not _was_stopped(summary):
        remedies.insert(0, f"train for more epochs, for instance {4 * len(losses)}")
    if "from scratch" in summary.data.get("Model", ""):
        remedies.append("start from a pretrained network")
    first, *others = remedies
    advice = f"{first}; if that does not help, {' or '.join(others)}" if others else first
    return f"Little was learned yet: {advice}."


def _batch(summary: RunSummary) -> Iterator[Hint]:
    batch_size = int(summary.parameters.get("batch_size", _FEWEST_PER_NORM))
    return batch_hints(batch_size, summary.num_processes, normalizes_by_batches=summary.normalizes_by_batches)


def _start_was_best(summary: RunSummary) -> Iterator[Hint]:
    """The model before training was saved; other advice on the rate and the epochs is left out then."""
    if summary.best_epoch or _is_near_chance(summary):
        return
    accuracy = max(record.validation.top1 for record in summary.trained)
    yield Hint(
        "The saved model is the one before training (epoch 0), with a classifier that was computed from the features "
        f"of the given weights: its validation accuracy is {percent(summary.best.validation.top1)}, and the epochs "
        f"had at most {percent(accuracy)}.",
        f"Add training images, or train for more epochs, for instance {2 * len(summary.trained)}.",
    )


def _rate_too_high(summary: RunSummary) -> Iterator[Hint]:
    """The training loss rose over the run, or fell only once the learning rate decayed."""
    losses = [record.training.loss for record in summary.trained]
    if len(losses) < 2 or _is_near_chance(summary) or not summary.best_epoch:
        return
    lower = f"Use a lower learning_rate, for instance {_rounded(summary.parameters.get('learning_rate', 0) / 3)}."
    if not losses[-1] <= _RISEN * losses[0]:
        yield Hint(f"The training loss rose from {decimal(losses[0])} to {decimal(losses[-1])}.", lower)
        return
    held = losses[: max(2, len(losses) // 2 + 1)]
    highest = max(held[1:])
    if len(losses) > 2 and highest > _RISEN * held[0] and losses[-1] < (1 - _LEAST_FALL) * highest:
        yield Hint(
            f"The training loss rose to {decimal(highest)} at the full learning rate, and fell when that decayed "
            f"({_curve(losses)}; see the loss chart).",
            lower,
        )


def _rate_too_low(summary: RunSummary) -> Iterator[Hint]:
    """The steps were too small for the training loss to come near its lowest value."""
    losses = [record.training.loss for record in summary.trained]
    rate = summary.parameters.get("learning_rate", 0)
    if _is_near_chance(summary) or not summary.best_epoch:
        return
    if _falls_straight(summary):
        seen = "fell at the same pace to the end ({}; see the loss chart), and so did the validation loss"
        higher = _rounded(3 * rate)
    elif _falls_slowly(summary):
        seen = f"fell to {percent(losses[-1] / losses[0])} of that of the first epoch ({{}}; see the loss chart)"
        higher = _rounded(min(3 * rate, _ALL_BOUNDED))
    else:
        return
    yield Hint(
        f"The training loss {seen.format(_curve(losses))}.",
        f"The learning rate is low for so few steps: use a higher learning_rate, for instance {higher}, or train for "
        f"more epochs, for instance {2 * len(losses)}.",
    )


def _falls_slowly(summary: RunSummary) -> bool:
    """True if the training loss of a short run on given weights, whose steps are bounded, has most of its way to go."""
    losses = [record.training.loss for record in summary.trained]
    if len(losses) < 3 or _was_stopped(summary) or not summary.has_bounded_steps:
        return False
    return summary.parameters.get("learning_rate", 0) < _ALL_BOUNDED and _SLOW * losses[0] < losses[-1] < losses[0]


def _falls_straight(summary: RunSummary) -> bool:
    """True if the training loss falls in proportion to the steps times their learning rates, with much left to learn.

    The rate decays in the second half of a run, so that a loss that is on its way falls more slowly there by as much. A
    loss that comes near its lowest value falls more slowly still.
    """
    losses = [record.training.loss for record in summary.trained]
    checked = [record.validation.loss for record in summary.trained]
    if len(losses) < 3 or _was_stopped(summary) or summary.history[-1].training.top1 > _LEARNED:
        return False
    is_falling = all(later < earlier for values in (losses, checked) for earlier, later in pairwise(values))
    if not is_falling or losses[0] - losses[-1] < _LEAST_FALL * losses[0]:
        return False
    middles = _middles(len(losses))
    split = len(losses) // 2
    early = (losses[0] - losses[split]) / (middles[split] - middles[0])
    late = (losses[split] - losses[-1]) / (middles[-1] - middles[split])
    return _STRAIGHT[0] * early <= late <= _STRAIGHT[1] * early


def _middles(num_epochs: int) -> list[float]:
    """The sum of the learning rates, as shares of the initial one in epochs, at the middle of each epoch."""
    parts = 20
    rates = [
        learning_rate_at(step, num_steps=num_epochs * parts, initial=1 / parts) for step in range(num_epochs * parts)
    ]
    sums = list(accumulate(rates))
    return [sums[epoch * parts + parts // 2] for epoch in range(num_epochs)]


def _curve(losses: list[float]) -> str:
    """The losses of a run, of long ones with those in between left out."""
    shown = losses if len(losses) <= _MAX_SHOWN else [losses[index * (len(losses) - 1) // 4] for index in range(5)]
    return ", ".join(decimal(loss) for loss in shown)


def _rounded(rate: float) -> str:
    return f"{rate:.1g}"


def _still_improving(summary: RunSummary) -> Iterator[Hint]:
    losses = [record.validation.loss for record in summary.trained]
    epochs = summary.parameters.get("epochs", len(losses))
    is_slow = _falls_straight(summary) or _falls_slowly(summary)  # then the advice on the rate names more epochs, too
    is_falling = len(losses) > 1 and len(losses) >= epochs and losses[-1] < min(losses[:-1])
    if is_falling and not _is_near_chance(summary) and not is_slow:
        yield Hint(
            f"The validation loss was still falling in the last epoch (to {decimal(losses[-1])}).",
            f"Train for more epochs, for instance {2 * len(losses)}.",
        )


def _stopped_early(summary: RunSummary) -> Iterator[Hint]:
    if not _was_stopped(summary) or _is_near_chance(summary) or not summary.best_epoch:
        return
    num_run, planned = len(summary.trained), summary.parameters["epochs"]
    seen = f"The validation loss stopped improving, and training ended after {num_run} of {planned} epochs."
    left = summary.history[-1].learning_rate / summary.parameters.get("learning_rate", math.inf)
    if left > _DECAYED:
        yield Hint(
            seen,
            f"The learning rate was still at {percent(left)} of its start. With epochs set to {num_run} it decays "
            "all the way, which often improves accuracy.",
        )
    else:
        yield Hint(seen, "More epochs will not help; other images, augmentation or another network may.")


def _overfitting(summary: RunSummary) -> Iterator[Hint]:
    training, validation = summary.best.training.top1, summary.best.validation.top1
    if training - validation > _LARGE_GAP and not _is_near_chance(summary):
        yield Hint(
            f"Training accuracy ({percent(training)}) is far above validation accuracy ({percent(validation)}).",
            "Add training images, or vary them: with --augment of the command train, or with Init Image Transformation "
            "and Apply Image Transformation (mode For training). A pretrained or smaller network helps too.",
        )


def _perfect(summary: RunSummary) -> Iterator[Hint]:
    if summary.best.validation.top1 == 1:
        yield Hint(
            "Every validation image was classified correctly.",
            "Check that no image, or a near copy of it, is in both datasets.",
        )


def _weak_class(summary: RunSummary) -> Iterator[Hint]:
    if _is_near_chance(summary):
        return
    scores = class_scores(summary.confusion, summary.classes)
    counted = [index for index, score in enumerate(scores) if score.num_images >= _FEW_IMAGES]
    weakest = min(counted, key=lambda index: scores[index].recall, default=None)
    if weakest is None or scores[weakest].recall >= _WEAK_CLASS * summary.best.validation.top1:
        return
    worst, mistakes = scores[weakest], summary.confusion[weakest].copy()
    mistakes[weakest] = 0
    taken_for = summary.classes[int(mistakes.argmax())]
    yield Hint(
        f"The class {worst.name} has the lowest recall: {percent(worst.recall)} of its images.",
        f"It is most often taken for {taken_for}. Look for wrong labels in both, and add images that show "
        "the difference.",
    )


def _unbalanced(summary: RunSummary) -> Iterator[Hint]:
    counts = _unequal_counts(summary)
    if counts is not None and not _is_near_chance(summary):
        yield Hint(
            f"The classes are unbalanced: {counts}.",
            f"Accuracy says little about small classes: balanced accuracy is {percent(summary.balanced_accuracy)}. Add "
            "images of the small classes.",
        )
    elif (unequal := _unequal_training(summary)) is not None:
        yield Hint(
            f"The classes of the training images are unbalanced: {unequal}.",
            "All images count alike, so that small classes are learned last. Add images of them, or leave out some of "
            "the large ones.",
        )


def _few_images(summary: RunSummary) -> Iterator[Hint]:
    metrics = summary.best.validation
    low, high = accuracy_interval(metrics.top1, metrics.num_images)
    if (high - low) / 2 > _WIDE_INTERVAL:
        yield Hint(
            f"With {count(metrics.num_images, 'validation image')} the accuracy is uncertain: "
            f"between {percent(low)} and {percent(high)}.",
            "Use more validation images before comparing runs.",
        )


def _unequal_counts(summary: RunSummary) -> str | None:
    """The validation images of the smallest and the largest class, if these are unbalanced."""
    unequal = imbalance(class_scores(summary.confusion, summary.classes))
    if unequal is None:
        return None
    fewest, most = unequal
    return f"{count(fewest.num_images, 'validation image')} of {fewest.name}, {count(most.num_images)} of {most.name}"


def _unequal_training(summary: RunSummary) -> str | None:
    """The training images of the smallest and the largest class, if these are unbalanced."""
    sizes = next((dataset.class_sizes for dataset in summary.datasets if dataset.name == "Training"), ())
    unequal = imbalance([ClassScore(name, size, 0, 0) for name, size in zip(summary.classes, sizes, strict=False)])
    if unequal is None:
        return None
    fewest, most = unequal
    return f"{count(fewest.num_images, 'training image')} of {fewest.name}, {count(most.num_images)} of {most.name}"


def _was_stopped(summary: RunSummary) -> bool:
    """True if patience ended the run before its last epoch."""
    return len(summary.trained) < summary.parameters.get("epochs", 0)


def _is_near_chance(summary: RunSummary) -> bool:
    metrics = summary.best.validation
    low, _ = accuracy_interval(metrics.top1, metrics.num_images)
    return low <= chance_accuracy(summary)
