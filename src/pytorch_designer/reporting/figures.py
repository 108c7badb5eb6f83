"""Charts as SVG: lines, heat maps, ROC curves and reliability diagrams.

A chart is a file of its own, and a part of a page that takes the page's colors. Text stays text, so that the reader's
fonts draw names in any script. matplotlib is used through its object interface: without pyplot and a window system
(`reporting.drawing`).
"""

from __future__ import annotations

import functools
import html
import io
import logging
import math
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, TypeVar, cast

from pytorch_designer.errors import shorten
from pytorch_designer.reporting.drawing import drawing_settings

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from contextlib import AbstractContextManager

    import numpy as np
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from numpy.typing import NDArray

_log = logging.getLogger(__name__)

# The page's colors in its light form, each with the variable of templates/style.css that replaces it within a page.
_SURFACE, _INK, _QUIET, _GRID = "#fffffe", "#1b2330", "#5d6878", "#e3e7ee"
_FIRST, _SECOND, _ON_FULL = "#8a94a6", "#2563eb", "#fffffd"
_VARIABLES = {
    _SURFACE: "var(--surface)",
    _INK: "var(--ink)",
    _QUIET: "var(--quiet)",
    _GRID: "var(--line)",
    _FIRST: "var(--second)",
    _SECOND: "var(--accent)",
    _ON_FULL: "var(--on-accent)",
}
_MAX_LABEL = 22
_MAX_REASON = 60
_MAX_MARKED_POINTS = 40
_MAX_TICKS = 12
_FULL = 0.55  # share above which a cell is so dark that its number turns light


@dataclass(frozen=True)
class Chart:
    """Drawn chart.

    Attributes:
        name: File name without extension.
        svg: The chart as a file of its own, UTF-8.
    """

    name: str
    svg: str

    @property
    def inline_svg(self) -> str:
        """The chart as part of an HTML page: without prologue and names, colored by the page."""
        svg = self.svg[self.svg.index("<svg") :]
        svg = re.sub(r"<metadata>.*?</metadata>|<style.*?</style>|<!--.*?-->", "", svg, flags=re.DOTALL)
        svg = re.sub(r" font-family: [^;\"]*;", "", svg)
        svg = re.sub(r'<g id="[^"]*"', "<g", svg)
        for color, variable in _VARIABLES.items():
            svg = svg.replace(color, variable)
        return svg


@dataclass(frozen=True)
class Line:
    """Line of a chart: a name and a value per position; values that are not finite are left out."""

    name: str
    values: Sequence[float]


@dataclass(frozen=True)
class ReliabilityBar:
    """Bar of a reliability diagram: predictions with a confidence from `lower` to `upper`; all values are 0 to 1.

    Attributes:
        confidence: Their mean confidence.
        accuracy: Share of them that is correct.
        share: Their share of all predictions.
    """

    lower: float
    upper: float
    confidence: float
    accuracy: float
    share: float


Draw = TypeVar("Draw", bound="Callable[..., Chart]")


def _drawn_or_named(draw: Draw) -> Draw:
    """Let a chart that cannot be drawn be one that says so: a report without it is worth more than none."""

    @functools.wraps(draw)
    def drawn(name: str, *arguments: Any, **options: Any) -> Chart:
        try:
            return draw(name, *arguments, **options)
        except Exception as error:  # noqa: BLE001 - of matplotlib, of the fonts and folders that it finds, or ours
            reason = f"{type(error).__name__}: {error}"
            _log.warning("The chart %s could not be drawn: %s", name, shorten(reason))
            return Chart(name, _text_svg("This chart could not be drawn.", shorten(reason, _MAX_REASON)))

    return cast("Draw", drawn)


def _text_svg(*lines: str) -> str:
    texts = "".join(
        f'<text x="0" y="{20 * number}" fill="{_QUIET}" font-size="12">{html.escape(line)}</text>'
        for number, line in enumerate(lines, 1)
    )
    return f'<svg xmlns="http://www.w3.org/2000/svg" width="400" height="{20 * len(lines) + 10}">{texts}</svg>\n'


@_drawn_or_named
def line_chart(
    name: str,
    first: Line,
    second: Line,
    *,
    x_label: str,
    first_position: int = 1,
    marked: int | None = None,
    is_share: bool = False,
) -> Chart:
    """Line chart of two lines over whole positions, one after the other; the second one stands out.

    Args:
        name: File name without extension.
        first: The quieter line.
        second: The line that stands out.
        x_label: What the positions are.
        first_position: Position of the first value.
        marked: Position marked on the second line, or None.
        is_share: Whether values are shares of 0 to 1, to be labeled in percent.
    """
    with _settings(name):
        # A fixed frame, not a tight one: charts side by side line up.
        figure, axes = _new_figure(width=5.6, height=3.2, frame=(0.125, 0.14, 0.86, 0.74))
        num_points = len(second.values)
        marker = "o" if num_points <= _MAX_MARKED_POINTS else ""
        for line, color in ((first, _FIRST), (second, _SECOND)):
            values = [value if math.isfinite(value) else math.nan for value in line.values]
            axes.plot(
                range(first_position, first_position + num_points),
                values,
                color=color,
                linewidth=2,
                marker=marker,
                markersize=4,
                label=line.name,
            )
        if marked is not None:
            _mark(axes, marked, second.values[marked - first_position])
        padding = 0.5 if num_points == 1 else min(0.9, 0.03 * (num_points - 1))  # never down to the position before
        axes.set_xlim(first_position - padding, first_position + num_points - 1 + padding)
        axes.set_xlabel(x_label, color=_QUIET)
        _set_ticks(axes, num_points, is_share=is_share)
        axes.legend(
            loc="lower right", bbox_to_anchor=(1, 1), ncols=2, frameon=False, labelcolor=_INK, borderaxespad=0.1
        )
        return Chart(name, _svg(figure, is_tight=False))


@_drawn_or_named
def rate_chart(
    name: str, rates: Sequence[float], losses: Sequence[float], smoothed: Sequence[float], *, marked: float | None
) -> Chart:
    """Loss by learning rate, on a logarithmic axis: a point per step, and their average as a line.

    Args:
        name: File name without extension.
        rates: Learning rates, growing.
        losses: Loss at each of them.
        smoothed: Their average.
        marked: Learning rate marked on the line, or None.
    """
    with _settings(name):
        figure, axes = _new_figure(width=7.2, height=3.8, frame=(0.1, 0.13, 0.88, 0.77))
        axes.set_xscale("log")
        axes.plot(rates, losses, ".", color=_FIRST, markersize=4, alpha=0.7, label="Each step")
        axes.plot(rates, smoothed, color=_SECOND, linewidth=2, label="Average")
        if marked is not None:
            _mark(axes, marked, _value_at(marked, rates, smoothed))
        highest = 1.6 * max(smoothed[: max(1, len(smoothed) // 4)])  # what is far above would flatten the rest
        axes.set_ylim(0, min(highest, 1.05 * max(losses)))
        axes.set_xlabel("Learning rate", color=_QUIET)
        axes.grid(axis="y", color=_GRID, linewidth=1)
        axes.minorticks_off()
        axes.legend(
            loc="lower right", bbox_to_anchor=(1, 1), ncols=2, frameon=False, labelcolor=_INK, borderaxespad=0.1
        )
        return Chart(name, _svg(figure, is_tight=False))


@_drawn_or_named
def heat_map(name: str, counts: NDArray[np.int64], labels: Sequence[str]) -> Chart:
    """Confusion matrix: numbers in cells, darker with their share of the row.

    Args:
        name: File name without extension.
        counts: Number of images, int64 [true class, predicted class].
        labels: Class names by index; any text.
    """
    from matplotlib.patches import Rectangle

    size = len(labels)
    shown = [shorten(label, _MAX_LABEL) for label in labels]
    with _settings(name):
        side = max(2.4, 0.46 * size)
        figure, axes = _new_figure(width=side, height=side, frame=(0, 0, 1, 1))
        axes.set(xlim=(0, size), ylim=(size, 0), aspect="equal")
        font_size = 8.5 if size > 12 else 10
        for row, numbers in enumerate(counts):
            total = numbers.sum()
            for column, number in enumerate(numbers):
                share = number / total if total else 0.0
                axes.add_patch(Rectangle((column, row), 1, 1, facecolor=_SECOND, alpha=float(share), linewidth=0))
                color = _ON_FULL if share > _FULL else (_INK if number else _FIRST)
                axes.text(column + 0.5, row + 0.5, str(number), ha="center", va="center", color=color, size=font_size)
        for edge in range(size + 1):
            axes.axhline(edge, color=_GRID, linewidth=1)
            axes.axvline(edge, color=_GRID, linewidth=1)
        middles = [index + 0.5 for index in range(size)]
        axes.set_xticks(middles, shown, rotation=45, ha="right", rotation_mode="anchor", parse_math=False, color=_INK)
        axes.set_yticks(middles, shown, parse_math=False, color=_INK)
        axes.set_xlabel("Predicted", color=_QUIET)
        axes.set_ylabel("True", color=_QUIET)
        return Chart(name, _svg(figure, is_tight=True))


@_drawn_or_named
def roc_chart(name: str, averages: Sequence[Line], classes: Sequence[Line] = ()) -> Chart:
    """ROC curves, given as true positive rates at evenly spaced false positive rates from 0 to 1.

    Args:
        name: File name without extension.
        averages: One or two lines that are named; the last one stands out.
        classes: Thin lines behind the averages, without names.
    """
    with _settings(name):
        figure, axes = _new_figure(width=5.2, height=4.2, frame=(0.16, 0.13, 0.79, 0.78))
        axes.plot([0, 1], [0, 1], color=_FIRST, linewidth=1.2, linestyle=(0, (4, 3)), alpha=0.7)
        for index, line in enumerate(classes):
            label = "Each class" if not index else None
            axes.plot(*_roc_points(line), color=_FIRST, linewidth=0.8, alpha=0.6, label=label)
        for line, color in zip(averages, (_SECOND,) if len(averages) == 1 else (_FIRST, _SECOND), strict=True):
            axes.plot(*_roc_points(line), color=color, linewidth=2, label=line.name)
        _set_unit_square(axes, "False positive rate", "True positive rate")
        axes.legend(loc="lower right", frameon=False, labelcolor=_INK)
        return Chart(name, _svg(figure, is_tight=False))


@_drawn_or_named
def reliability_chart(name: str, bins: Sequence[ReliabilityBar]) -> Chart:
    """Reliability diagram: accuracy per bin of confidence, above the share of predictions in the bin.

    Args:
        name: File name without extension.
        bins: Side by side, from a confidence of 0 to 1.
    """
    with _settings(name):
        figure, axes = _new_figure(width=5.2, height=4.2, frame=(0.16, 0.36, 0.79, 0.55))
        for bar in bins:
            if bar.share:
                axes.bar(
                    bar.lower, bar.accuracy, bar.upper - bar.lower, align="edge",
                    color=_SECOND, alpha=0.35, edgecolor=_SURFACE, linewidth=1.5,
                )  # fmt: skip
        filled = [bar for bar in bins if bar.share]
        axes.plot([0, 1], [0, 1], color=_FIRST, linewidth=1.5, linestyle=(0, (4, 3)), label="Perfectly calibrated")
        axes.plot(
            [bar.confidence for bar in filled], [bar.accuracy for bar in filled],
            color=_SECOND, linewidth=2, marker="o", markersize=5, label="Accuracy per bin",
        )  # fmt: skip
        _set_unit_square(axes, "", "Accuracy")
        axes.tick_params(labelbottom=False)
        axes.legend(
            loc="lower right", bbox_to_anchor=(1, 1), ncols=2, frameon=False, labelcolor=_INK, borderaxespad=0.1
        )
        below = figure.add_axes((0.16, 0.13, 0.79, 0.17), facecolor="none")
        _quieten(below)
        for bar in bins:
            below.bar(
                bar.lower,
                bar.share,
                bar.upper - bar.lower,
                align="edge",
                color=_FIRST,
                edgecolor=_SURFACE,
                linewidth=1.5,
            )
        _set_unit_square(below, "Confidence", "Images")
        below.set_yticks([0, 0.5, 1])
        figure.align_ylabels()
        return Chart(name, _svg(figure, is_tight=False))


def _roc_points(line: Line) -> tuple[list[float], list[float]]:
    last = len(line.values) - 1
    return [0, *(index / last for index in range(last + 1))], [0, *line.values]


def _settings(name: str) -> AbstractContextManager[None]:
    return drawing_settings(
        {
            "svg.fonttype": "none",
            "svg.hashsalt": f"pytorch-designer {name}",  # the same element ids in every run
            "font.size": 10,
            "axes.unicode_minus": False,
        }
    )


def _new_figure(*, width: float, height: float, frame: tuple[float, float, float, float]) -> tuple[Figure, Axes]:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), facecolor=_SURFACE)
    axes = figure.add_axes(frame, facecolor="none")
    _quieten(axes)
    return figure, axes


def _quieten(axes: Axes) -> None:
    axes.tick_params(length=0, labelcolor=_QUIET, pad=6)
    axes.spines[:].set_visible(False)


def _set_unit_square(axes: Axes, x_label: str, y_label: str) -> None:
    from matplotlib.ticker import MaxNLocator, PercentFormatter

    axes.set(xlim=(-0.015, 1.015), ylim=(0, 1.02))
    axes.set_xlabel(x_label, color=_QUIET)
    axes.set_ylabel(y_label, color=_QUIET)
    axes.set_axisbelow(True)
    axes.grid(axis="y", color=_GRID, linewidth=1)
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_locator(MaxNLocator(nbins=5))
        axis.set_major_formatter(PercentFormatter(xmax=1))


def _value_at(position: float, positions: Sequence[float], values: Sequence[float]) -> float:
    nearest = min(range(len(positions)), key=lambda index: abs(math.log(positions[index] / position)))
    return values[nearest]


def _mark(axes: Axes, position: float, value: float) -> None:
    axes.axvline(position, color=_SECOND, linewidth=1, linestyle=(0, (3, 3)), alpha=0.6, zorder=1)
    if math.isfinite(value):
        style: dict[str, Any] = {
            "color": _SURFACE,
            "markeredgecolor": _SECOND,
            "markeredgewidth": 2,
            "markersize": 8,
            "zorder": 4,
        }
        axes.plot([position], [value], "o", **style)


def _set_ticks(axes: Axes, num_points: int, *, is_share: bool) -> None:
    from matplotlib.ticker import MaxNLocator, MultipleLocator, PercentFormatter

    axes.xaxis.set_major_locator(
        MultipleLocator(1) if num_points <= _MAX_TICKS else MaxNLocator(_MAX_TICKS, integer=True)
    )
    axes.yaxis.set_major_locator(MaxNLocator(nbins=5))
    if is_share:
        axes.yaxis.set_major_formatter(PercentFormatter(xmax=1))
        bottom, top = axes.get_ylim()
        axes.set_ylim(max(bottom, -0.02), min(top, 1.02))
    axes.grid(axis="y", color=_GRID, linewidth=1)


def _svg(figure: Figure, *, is_tight: bool) -> str:
    from matplotlib.backends.backend_svg import FigureCanvasSVG

    stream = io.StringIO()
    metadata = {"Date": None, "Creator": None}
    box: Literal["tight"] | None = "tight" if is_tight else None
    FigureCanvasSVG(figure).print_figure(stream, format="svg", metadata=metadata, bbox_inches=box, pad_inches=0.1)
    return stream.getvalue()
