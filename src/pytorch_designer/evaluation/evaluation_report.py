"""Evaluation report: metrics as files, charts, and a page.

    DIRECTORY/_meta.yaml             type: EvaluationDirectory; visualization: [{type: html, path: index.html}]
    DIRECTORY/metrics.json           every metric; null where one is undefined
    DIRECTORY/per_class.csv          one row per class
    DIRECTORY/confusion_matrix.csv   a row per true class, a column per predicted class
    DIRECTORY/calibration.csv        one row per bin of confidence
    DIRECTORY/mistakes.csv           the images that were taken for another class, the surest mistake first
    DIRECTORY/*.svg                  charts
    DIRECTORY/to_compare/...         tables and charts of the second dataset, if there is one
    DIRECTORY/index.html             page; it needs none of the other files

Names that UTF-8 cannot hold are escaped as in the scored dataset (`directories.data_frame_schema`). In the CSV files,
names that a spreadsheet would take for formulas begin with a `'`.
"""

from __future__ import annotations

import csv
import io
import math
from dataclasses import asdict, replace
from functools import partial
from typing import TYPE_CHECKING, Any

from pytorch_designer.directories.meta import write_meta
from pytorch_designer.directories.scores.data_frame_schema import escape
from pytorch_designer.evaluation.comparison import PairedTest
from pytorch_designer.evaluation.evaluation_page import EvaluatedDataset, comparison_page, draw_charts, evaluation_page
from pytorch_designer.reporting.classification import accuracy_interval
from pytorch_designer.reporting.page import page_or_reason
from pytorch_designer.reporting.strict_json import dumps
from pytorch_designer.shown_text import spreadsheet_text

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    from pytorch_designer.evaluation.comparison import NotPaired
    from pytorch_designer.evaluation.evaluation_images import DifferentImages
    from pytorch_designer.evaluation.evaluation_metrics import Evaluation
    from pytorch_designer.reporting.classification import ClassScore

EVALUATION_DIRECTORY = "EvaluationDirectory"
PAGE_FILE = "index.html"
METRICS_FILE = "metrics.json"
COMPARED_FOLDER = "to_compare"


def write_evaluation(
    folder: Path,
    first: EvaluatedDataset,
    second: EvaluatedDataset | None = None,
    comparison: PairedTest | NotPaired | None = None,
    different: DifferentImages | None = None,
) -> None:
    """Write the evaluation of one dataset, or of two with their comparison, into `folder`, which exists.

    The same arguments give the same bytes.

    Args:
        folder: Where the files go.
        first: The dataset.
        second: The one to compare with.
        comparison: What came out of comparing the two image by image.
        different: Images that only one of the two models gets right; None leaves them out.

    Raises:
        OSError: A file could not be written.
    """
    metrics = {"scored_dataset": _metrics(first)}
    if second is not None and comparison is not None:
        metrics |= {"scored_dataset_to_compare": _metrics(second), "comparison": _comparison(comparison)}
    _write_text(folder / METRICS_FILE, dumps(metrics))
    one = _write_tables_and_charts(folder, first)
    if second is None or comparison is None:
        page = page_or_reason(partial(evaluation_page, one))
    else:
        other = _write_tables_and_charts(folder / COMPARED_FOLDER, second)
        page = page_or_reason(partial(comparison_page, one, other, comparison, different))
    _write_text(folder / PAGE_FILE, page)
    write_meta(folder, EVALUATION_DIRECTORY, visualization=[{"type": "html", "path": PAGE_FILE}], metrics=METRICS_FILE)


def _write_tables_and_charts(folder: Path, side: EvaluatedDataset) -> EvaluatedDataset:
    """Write them, and return what the page shows."""
    evaluation = side.evaluation
    folder.mkdir(exist_ok=True)
    if side.images is not None:
        _write_text(folder / "mistakes.csv", side.images.mistakes_csv)
    _write_text(folder / "per_class.csv", _per_class(evaluation))
    _write_confusion_matrix(folder / "confusion_matrix.csv", evaluation)
    _write_text(folder / "calibration.csv", _calibration(evaluation))
    charts = draw_charts(evaluation)
    for name, chart in charts.items():
        _write_text(folder / f"{name}.svg", chart.svg)
    return replace(side, charts=charts)


def _metrics(side: EvaluatedDataset) -> dict[str, Any]:
    evaluation = side.evaluation
    return {
        "model": side.model or None,
        "num_images": evaluation.num_images,
        "num_unscored": evaluation.num_unscored,
        "num_unlabeled": evaluation.num_unlabeled,
        "num_unknown_labels": evaluation.num_unknown,
        "accuracy": evaluation.accuracy,
        "accuracy_interval": list(accuracy_interval(evaluation.accuracy, evaluation.num_images)),
        "top5_accuracy": evaluation.top5_accuracy,
        "balanced_accuracy": evaluation.balanced_accuracy,
        "macro": asdict(evaluation.macro),
        "weighted": asdict(evaluation.weighted),
        "micro": asdict(evaluation.micro),
        "log_loss": evaluation.log_loss,
        "roc_auc": {"macro": evaluation.roc_auc, "weighted": evaluation.weighted_roc_auc},
        "cohen_kappa": evaluation.cohen_kappa,
        "matthews_correlation": evaluation.matthews_correlation,
        "expected_calibration_error": evaluation.calibration.expected_error,
        "mean_confidence": evaluation.calibration.mean_confidence,
        "classes": [
            {"name": score.name} | _class_metrics(score, float(auc))
            for score, auc in zip(evaluation.class_scores, evaluation.aucs, strict=True)
        ],
    }


def _class_metrics(score: ClassScore, auc: float) -> dict[str, float]:
    return {
        "num_images": score.num_images,
        "num_predicted": score.num_predicted,
        "num_correct": score.num_correct,
        "recall": score.recall,
        "precision": score.precision,
        "f1": score.f1,
        "roc_auc": auc,
    }


def _comparison(comparison: PairedTest | NotPaired) -> dict[str, Any]:
    if not isinstance(comparison, PairedTest):
        return {"is_paired": False, "reason": comparison.reason}
    return {
        "is_paired": True,
        **asdict(comparison),
        "accuracy_difference": comparison.difference,
        "accuracy_difference_interval": list(comparison.interval),
        "mcnemar_p_value": comparison.p_value,
    }


def _per_class(evaluation: Evaluation) -> str:
    rows = [
        [_shown(score.name), *_class_metrics(score, float(auc)).values()]
        for score, auc in zip(evaluation.class_scores, evaluation.aucs, strict=True)
    ]
    return _csv(["class", *_class_metrics(evaluation.class_scores[0], math.nan)], rows)


def _write_confusion_matrix(path: Path, evaluation: Evaluation) -> None:
    """Row by row: of many classes, the text is as large as the matrix."""
    names = [_shown(name) for name in evaluation.classes]
    rows = zip(names, evaluation.confusion, strict=True)
    with path.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow(["true class", *names])
        writer.writerows([name, *counts.tolist()] for name, counts in rows)


def _calibration(evaluation: Evaluation) -> str:
    rows = [list(asdict(part).values()) for part in evaluation.calibration.bins]
    return _csv(list(asdict(evaluation.calibration.bins[0])), rows)


def _shown(name: str) -> str:
    """A name for a cell of a CSV file; `metrics.json` has the names as they are."""
    return spreadsheet_text(escape(name))


def _csv(header: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(header)
    writer.writerows(["" if isinstance(cell, float) and math.isnan(cell) else cell for cell in row] for row in rows)
    return stream.getvalue()


def _write_text(path: Path, text: str) -> None:
    path.write_bytes(text.encode("utf-8"))
