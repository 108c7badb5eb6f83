"""Page of a sweep: parallel coordinates of all trials, and their table."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pytorch_designer.harness.sweep.trial import ranked, shown_value
from pytorch_designer.reporting.page import page_or_reason, render_page

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from pytorch_designer.harness.node_kinds.search_space import Hyperparameter
    from pytorch_designer.harness.node_kinds.sweep_settings import SweepSettings
    from pytorch_designer.harness.sweep.trial import TrialResult

_AXIS_GAP = 170.0
_TOP, _BOTTOM = 46.0, 316.0
_MARGIN = 70.0
_MAX_LABELS = 8


@dataclass(frozen=True)
class PlotAxis:
    """Axis of the plot, in the plot's units.

    Attributes:
        labels: Height and text of each label.
    """

    x: float
    title: str
    labels: tuple[tuple[float, str], ...]


@dataclass(frozen=True)
class PlotLine:
    """Line of one trial.

    Attributes:
        points: As SVG writes them.
        share: 0 for the best trial to 1 for the worst.
    """

    number: int
    points: str
    share: float
    title: str


@dataclass(frozen=True)
class Plot:
    """Parallel coordinates: an axis per hyperparameter and one of the metric, and a line per trial with a value."""

    width: float
    height: float
    top: float
    bottom: float
    axes: tuple[PlotAxis, ...]
    lines: tuple[PlotLine, ...]


def sweep_page(name: str, settings: SweepSettings, trials: Sequence[TrialResult]) -> str:
    """The page of a sweep as HTML."""
    order = ranked(trials, is_maximized=settings.is_maximized)
    best = order[0] if order and order[0].state.has_succeeded and order[0].history else None
    return page_or_reason(
        lambda: render_page(
            "sweep.html",
            name=name,
            settings=settings,
            parameters=[parameter.name for parameter in settings.search_space],
            trials=order,
            best=best,
            best_value=None if best is None else shown_value(best.objective(is_maximized=settings.is_maximized)),
            objectives={
                trial.number: _shown(trial.objective(is_maximized=settings.is_maximized), shown_value)
                for trial in trials
            },
            shown={trial.number: {key: shown_value(value) for key, value in trial.values.items()} for trial in trials},
            plot=parallel_coordinates(settings, order, shown_value),
        )
    )


def parallel_coordinates(settings: SweepSettings, order: Sequence[TrialResult], show: Callable[[object], str]) -> Plot:
    """Lay the plot out; `order` has the best trial first, and `show` writes a value."""
    scored = [
        (trial, value) for trial in order if (value := trial.objective(is_maximized=settings.is_maximized)) is not None
    ]
    axes, places = [], []
    for index, parameter in enumerate(settings.search_space):
        labels, place = _scale(parameter, [trial.values[parameter.name] for trial, _ in scored], show)
        axes.append(PlotAxis(_MARGIN + index * _AXIS_GAP, parameter.name, labels))
        places.append(place)
    last = _MARGIN + len(axes) * _AXIS_GAP
    labels, place_of_value = _linear([value for _, value in scored], show)
    axes.append(PlotAxis(last, settings.primary_metric, labels))
    lines = []
    for rank, (trial, value) in enumerate(scored):
        heights = [place(trial.values[axis.title]) for place, axis in zip(places, axes, strict=False)]
        points = [(axis.x, height) for axis, height in zip(axes, [*heights, place_of_value(value)], strict=True)]
        title = ", ".join(f"{key} = {show(item)}" for key, item in trial.values.items())
        lines.append(
            PlotLine(
                trial.number,
                " ".join(f"{x:.1f},{y:.1f}" for x, y in points),
                rank / max(len(scored) - 1, 1),
                f"Trial {trial.number}: {settings.primary_metric} = {show(value)}; {title}",
            )
        )
    return Plot(last + 110, _BOTTOM + 24, _TOP, _BOTTOM, tuple(axes), tuple(reversed(lines)))


def _shown(value: float | None, show: Callable[[object], str]) -> str:
    return "" if value is None else show(value)


Labels = tuple[tuple[float, str], ...]


def _scale(
    parameter: Hyperparameter, values: Sequence[object], show: Callable[[object], str]
) -> tuple[Labels, Callable[[object], float]]:
    if parameter.type == "choice":
        choices = list(parameter.choices)
        step = (_BOTTOM - _TOP) / max(len(choices) - 1, 1)
        shown = range(0, len(choices), math.ceil(len(choices) / _MAX_LABELS))
        labels = tuple((_BOTTOM - index * step, show(choices[index])) for index in shown)
        return labels, lambda value: _BOTTOM - choices.index(value) * step
    numbers = [float(str(value)) for value in values]
    if "log" in parameter.type and numbers and min(numbers) > 0:
        exponents = [math.log(number) for number in numbers]
        labels, place = _linear(exponents, lambda value: show(math.exp(float(str(value)))))
        return labels, lambda value: place(math.log(float(str(value))))
    return _linear(numbers, show)


def _linear(numbers: Sequence[float], show: Callable[[object], str]) -> tuple[Labels, Callable[[object], float]]:
    low, high = min(numbers, default=0.0), max(numbers, default=1.0)
    span = high - low

    def place(value: object) -> float:
        return _BOTTOM - (0.5 if span == 0 else (float(str(value)) - low) / span) * (_BOTTOM - _TOP)

    if span == 0:
        return (((_TOP + _BOTTOM) / 2, show(low)),), place
    steps = [low + span * index / 4 for index in range(5)]
    return tuple((place(step), show(step)) for step in steps), place
