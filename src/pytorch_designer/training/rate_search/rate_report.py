"""Report of a range test: the curve as numbers and as a chart, and a page.

curve.csv         learning rate, loss of the batch, smoothed loss; a row per step
suggestion.json   the suggested learning rate, or null, and why
curve.svg         chart
index.html        page; it needs none of the other files
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from pytorch_designer.directories.meta import write_meta
from pytorch_designer.reporting.figures import rate_chart
from pytorch_designer.reporting.page import page_or_reason, render_page
from pytorch_designer.reporting.strict_json import dumps
from pytorch_designer.storage.output import META_FILE
from pytorch_designer.training.report.earlier_result import earlier_entries

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from pytorch_designer.reporting.figures import Chart
    from pytorch_designer.training.rate_search.rate_curve import RateCurve, RateSuggestion

RATE_SEARCH_DIRECTORY = "LearningRateSearchDirectory"
RATE_PAGE_FILE = "index.html"
CURVE_FILE = "curve.csv"
SUGGESTION_FILE = "suggestion.json"
CHART_FILE = "curve.svg"
_ENTRIES = frozenset((META_FILE, RATE_PAGE_FILE, CURVE_FILE, SUGGESTION_FILE, CHART_FILE))


def write_rate_report(
    folder: Path, curve: RateCurve, suggestion: RateSuggestion, *, metadata: Mapping[str, str], seconds: float
) -> None:
    """Write the report into `folder`. The same curve gives the same numbers and chart.

    Args:
        folder: An empty folder, as `Output.stage` yields it.
        curve: What was measured.
        suggestion: What follows from it.
        metadata: Model, images and machine, by label.
        seconds: Duration of the test.

    Raises:
        OSError: A file could not be written.
    """
    rows = zip(curve.rates, curve.losses, curve.smoothed.tolist(), strict=True)
    lines = ["learning_rate,loss,smoothed_loss", *(",".join(map(str, row)) for row in rows)]
    _write(folder / CURVE_FILE, "\n".join(lines) + "\n")
    _write(
        folder / SUGGESTION_FILE,
        dumps(
            {
                "learning_rate": suggestion.rate,
                "reason": suggestion.reason,
                "num_steps": len(curve.rates),
                "has_diverged": curve.has_diverged,
            }
        ),
    )
    chart = rate_chart("curve", curve.rates, curve.losses, curve.smoothed.tolist(), marked=suggestion.rate)
    _write(folder / CHART_FILE, chart.svg)
    _write(folder / RATE_PAGE_FILE, page_or_reason(partial(_page, curve, suggestion, chart, metadata, seconds)))
    write_meta(
        folder, RATE_SEARCH_DIRECTORY, visualization=[{"type": "html", "path": RATE_PAGE_FILE}], curve=CURVE_FILE
    )


def replaceable_rate_search(output: Path) -> frozenset[str]:
    """Names of what an earlier range test left in the folder, so that a new one may replace it.

    Raises:
        FailedToWriteOutputsError: The folder is not the output of a range test alone.
    """
    is_ours = (output / META_FILE).exists
    return earlier_entries(output, _ENTRIES, "the result of a range test", is_ours)


def _page(
    curve: RateCurve, suggestion: RateSuggestion, chart: Chart, metadata: Mapping[str, str], seconds: float
) -> str:
    return render_page(
        "rate_search.html",
        curve=curve,
        suggestion=suggestion,
        chart_of_losses=chart,
        metadata=metadata,
        seconds=seconds,
        lowest=float(curve.smoothed.min()),
        lowest_rate=curve.rates[int(curve.smoothed.argmin())],
    )


def _write(path: Path, text: str) -> None:
    path.write_bytes(text.encode("utf-8"))
