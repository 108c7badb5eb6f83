"""Training report: metrics as files, charts, and a page.

history.csv    one row per epoch
metrics.json   metrics of the saved weights, overall and per class
run.json       everything that was measured; `read_summary` reads it back
mistakes.csv   validation images that were taken for another class, the surest mistake first
*.svg          charts
index.html     page; it needs none of the other files
"""

from __future__ import annotations

import csv
import io
import json
import math
from dataclasses import asdict
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from pytorch_designer.reporting.classification import ClassScore, accuracy_interval, class_scores, most_confused
from pytorch_designer.reporting.figures import Chart, Line, heat_map, line_chart
from pytorch_designer.reporting.page import page_or_reason, render_page
from pytorch_designer.reporting.strict_json import dumps
from pytorch_designer.training.history import BadFileRecord, DatasetRecord, EpochRecord, RunSummary
from pytorch_designer.training.report.advice import hints
from pytorch_designer.training.report.earlier_result import RUN_FILE

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    from pytorch_designer.training.report.report_images import ReportImages

PAGE_FILE = "index.html"
HISTORY_FILE = "history.csv"
METRICS_FILE = "metrics.json"
MISTAKES_FILE = "mistakes.csv"
_MAX_MATRIX_CLASSES = 20
_MAX_PAIRS = 10


def write_report(folder: Path, summary: RunSummary, images: ReportImages | None = None) -> None:
    """Write the report of a run into `folder`, which is created. The same arguments give the same bytes.

    Args:
        folder: Where the files go.
        summary: What was measured.
        images: What is shown of single images; None leaves it out.

    Raises:
        OSError: A file could not be written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    numbers = {
        HISTORY_FILE: _history_csv(summary.history),
        METRICS_FILE: dumps(_metrics(summary)),
        RUN_FILE: _one_line_per_key(_with_texts(_run(summary))),
    }
    if images is not None:
        numbers[MISTAKES_FILE] = images.mistakes_csv
    _write(folder, numbers)  # before the charts, which depend on much that may be missing or broken
    charts = _charts(summary)
    _write(folder, {f"{name}.svg": chart.svg for name, chart in charts.items()})
    _write(folder, {PAGE_FILE: page_or_reason(partial(_page, summary, charts, images))})


def _write(folder: Path, contents: Mapping[str, str]) -> None:
    for name, content in contents.items():
        (folder / name).write_bytes(content.encode("utf-8"))


def read_summary(folder: Path) -> RunSummary:
    """The summary of which `write_report` wrote the report in `folder`.

    Raises:
        OSError: It could not be read.
        ValueError: The folder does not hold such a report.
    """
    try:
        run = json.loads((folder / RUN_FILE).read_text(encoding="utf-8"))
        return RunSummary(
            history=tuple(EpochRecord.from_dict(_with_floats(record)) for record in run["history"]),
            best_epoch=run["best_epoch"],
            stop_reason=run["stop_reason"],
            classes=tuple(run["classes"]),
            confusion=np.array(run["confusion"], dtype=np.int64),
            parameters=run["parameters"],
            environment=run["environment"],
            data=run["data"],
            fingerprint=run["fingerprint"],
            bad_files=tuple(BadFileRecord(**file) for file in run["bad_files"]),
            datasets=tuple(
                DatasetRecord(**(dataset | {"class_sizes": tuple(dataset["class_sizes"])}))
                for dataset in run.get("datasets", ())  # reports of earlier releases have none
            ),
            num_processes=run.get("processes", 1),
            normalizes_by_batches=run.get("normalizes_by_batches", False),
            has_bounded_steps=run.get("has_bounded_steps", False),
        )
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError(f"{folder / RUN_FILE} is not the record of a run: {error}") from error


def training_curves(summary: RunSummary) -> dict[str, Chart]:
    """The charts `loss` and `accuracy` of a run, with the saved epoch marked."""
    return {
        name: line_chart(
            name,
            Line("Training", [getattr(record.training, attribute) for record in summary.history]),
            Line("Validation", [getattr(record.validation, attribute) for record in summary.history]),
            x_label="Epoch",
            first_position=summary.history[0].epoch,
            marked=summary.best_epoch,
            is_share=attribute == "top1",
        )
        for name, attribute in (("loss", "loss"), ("accuracy", "top1"))
    }


def _charts(summary: RunSummary) -> dict[str, Chart]:
    """The curves and, unless there are too many classes, the confusion matrix, by name."""
    charts = training_curves(summary)
    if len(summary.classes) <= _MAX_MATRIX_CLASSES:
        charts["confusion"] = heat_map("confusion", summary.confusion, summary.classes)
    return charts


def _page(summary: RunSummary, charts: dict[str, Chart], images: ReportImages | None) -> str:
    speeds = sorted(record.images_per_second for record in summary.trained)
    return render_page(
        "training.html",
        summary=summary,
        images=images,
        class_counts=_class_counts(summary),
        interval=accuracy_interval(summary.best.validation.top1, summary.best.validation.num_images),
        seconds=sum(record.seconds for record in summary.history),
        images_per_second=speeds[len(speeds) // 2],
        advice={hint.seen: hint.advice for hint in hints(summary)},
        charts=charts,
        # Classes without images have no recall (NaN, which does not sort) and go last.
        classes=sorted(
            class_scores(summary.confusion, summary.classes),
            key=lambda score: score.recall if score.num_images else math.inf,
        ),
        confused=most_confused(summary.confusion, summary.classes, _MAX_PAIRS),
    )


def _class_counts(summary: RunSummary) -> list[tuple[str, list[int]]]:
    """Each class with its images in each dataset, the smallest class first; [] where they are not recorded."""
    sizes = [dataset.class_sizes for dataset in summary.datasets]
    counts = [(name, list(numbers)) for name, numbers in zip(summary.classes, zip(*sizes, strict=True), strict=False)]
    return sorted(counts, key=lambda pair: sum(pair[1]))


def _history_csv(history: Iterable[EpochRecord]) -> str:
    stream = io.StringIO()
    writer: csv.DictWriter[str] | None = None
    for record in history:
        row = {
            "epoch": record.epoch,
            **{f"train_{name}": getattr(record.training, name) for name in ("loss", "top1", "top5")},
            **{f"validation_{name}": getattr(record.validation, name) for name in ("loss", "top1", "top5")},
            "validation_balanced_accuracy": record.balanced_accuracy,
            "learning_rate": record.learning_rate,
            "images_per_second": record.images_per_second,
            "seconds": record.seconds,
            "is_best": record.is_best,
        }
        if writer is None:
            writer = csv.DictWriter(stream, row, lineterminator="\n")
            writer.writeheader()
        writer.writerow(row)
    return stream.getvalue()


def _metrics(summary: RunSummary) -> dict[str, Any]:
    return {
        "best_epoch": summary.best_epoch,
        "num_epochs": len(summary.trained),
        "stop_reason": summary.stop_reason,
        "training": asdict(summary.best.training),
        "validation": asdict(summary.best.validation) | {"balanced_accuracy": summary.balanced_accuracy},
        "num_bad_files": len(summary.bad_files),
        "classes": [_class_metrics(score) for score in class_scores(summary.confusion, summary.classes)],
        "fingerprint": summary.fingerprint,
    }


def _class_metrics(score: ClassScore) -> dict[str, Any]:
    return {
        "name": score.name,
        "num_images": score.num_images,
        "num_predicted": score.num_predicted,
        "recall": score.recall,
        "precision": score.precision,
        "f1": score.f1,
    }


def _run(summary: RunSummary) -> dict[str, Any]:
    return {
        "fingerprint": summary.fingerprint,
        "processes": summary.num_processes,
        "normalizes_by_batches": summary.normalizes_by_batches,
        "has_bounded_steps": summary.has_bounded_steps,
        "parameters": summary.parameters,
        "environment": summary.environment,
        "data": summary.data,
        "best_epoch": summary.best_epoch,
        "stop_reason": summary.stop_reason,
        "history": [record.to_dict() for record in summary.history],
        "bad_files": [asdict(file) for file in summary.bad_files],
        "datasets": [asdict(dataset) for dataset in summary.datasets],
        "classes": list(summary.classes),
        "confusion": summary.confusion.tolist(),
    }


def _with_texts(value: Any) -> Any:
    """`value` with text instead of NaN and infinity, which strict JSON lacks and `_with_floats` reads back."""
    if isinstance(value, dict):
        return {key: _with_texts(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_with_texts(item) for item in value]
    return str(value) if isinstance(value, float) and not math.isfinite(value) else value


def _with_floats(record: dict[str, Any]) -> dict[str, Any]:
    """The inverse of `_with_texts`, for a record without other text."""
    return {
        key: _with_floats(value) if isinstance(value, dict) else float(value) if isinstance(value, str) else value
        for key, value in record.items()
    }


def _one_line_per_key(values: dict[str, Any]) -> str:
    lines = (f"  {json.dumps(key)}: {json.dumps(value)}" for key, value in values.items())
    return "{\n" + ",\n".join(lines) + "\n}\n"
