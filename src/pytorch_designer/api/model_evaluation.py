"""Evaluation of scores: Evaluate Model from Python."""

from __future__ import annotations

import csv
import json
import math
from functools import cached_property
from typing import TYPE_CHECKING, Any

from pytorch_designer.api.image_scores import ImageScores
from pytorch_designer.api.library_calls import ResultFolder, kept_process, library_call, path_argument

if TYPE_CHECKING:
    import os
    from pathlib import Path

    from typing_extensions import Unpack

    from pytorch_designer.api.library_calls import RuntimeOptions
    from pytorch_designer.reporting.figures import Chart

_PORTS = {
    "scored_dataset": "scored",
    "scored_dataset_to_compare": "compare",
    "evaluation_results": "output",
}
_MAX_CLASSES_SHOWN = 20


class ModelEvaluation:
    """Metrics of scored images, as Evaluate Model has measured them; shares are 0 to 1.

    Attributes:
        path: The folder with metrics, tables, charts and the page. Where no output was named, it is a temporary one
            that is removed with this object.
    """

    def __init__(self, folder: ResultFolder) -> None:
        """Open an existing evaluation.

        Args:
            folder: Its folder.
        """
        self._folder = folder
        self.path: Path = folder.path

    @property
    def page(self) -> Path:
        """The page that shows everything, for a browser."""
        return self.path / "index.html"

    @property
    def metrics(self) -> dict[str, Any]:
        """All metrics by name (docs/formats.md); None where one is undefined. `classes` has those of each class."""
        return dict(self._document["scored_dataset"])

    @property
    def compared_metrics(self) -> dict[str, Any] | None:
        """The metrics of the scores given as `compare`; None without."""
        other = self._document.get("scored_dataset_to_compare")
        return None if other is None else dict(other)

    @property
    def comparison(self) -> dict[str, Any] | None:
        """The difference of the two image by image: `accuracy_difference` (second minus first) and more; None without.

        `is_paired` is False, with a `reason`, where the two do not have the same images.
        """
        comparison = self._document.get("comparison")
        return None if comparison is None else dict(comparison)

    @property
    def accuracy(self) -> float:
        """Share of the images whose most probable class is their label."""
        return float(self.metrics["accuracy"])

    @property
    def balanced_accuracy(self) -> float:
        """Mean recall of the classes that have images."""
        return float(self.metrics["balanced_accuracy"])

    @cached_property
    def _document(self) -> dict[str, Any]:
        document: dict[str, Any] = json.loads((self.path / "metrics.json").read_text(encoding="utf-8"))
        return document

    def __repr__(self) -> str:
        metrics = self.metrics
        return f"<{type(self).__name__} {self.path}: accuracy {self.accuracy:.4f} of {metrics['num_images']:,} images>"

    @kept_process()
    def _repr_html_(self) -> str:
        """The metrics, the confusion matrix and the classes with the lowest recall, for a notebook."""
        from pytorch_designer.api.notebook_page import NotebookTable, notebook_page

        classes = sorted(self.metrics["classes"], key=lambda row: math.inf if row["recall"] is None else row["recall"])
        shown = [
            (row["name"], f"{row['num_images']:,}", *(_percent(row[name]) for name in ("recall", "precision", "f1")))
            for row in classes[:_MAX_CLASSES_SHOWN]
        ]
        page = f"The page {self.page} has more."
        order = "Classes are ordered by recall, the lowest first. " if len(classes) > 1 else ""
        return notebook_page(
            f"{_percent(self.accuracy)} accuracy",
            remark=order + page,
            numbers=self._numbers(),
            charts=self._charts(),
            table=NotebookTable(("Class", "Images", "Recall", "Precision", "F1"), shown),
        )

    def _numbers(self) -> dict[str, str]:
        metrics, other, comparison = self.metrics, self.compared_metrics, self.comparison
        low, high = metrics["accuracy_interval"]
        numbers = {
            "Images": f"{metrics['num_images']:,}",
            "Accuracy (95 %)": f"{_percent(low)} to {_percent(high)}",
            "Balanced accuracy": _percent(metrics["balanced_accuracy"]),
            "Macro F1": _percent(metrics["macro"]["f1"]),
            "Log loss": _decimal(metrics["log_loss"]),
            "ROC AUC": _decimal(metrics["roc_auc"]["macro"]),
        }
        if other is not None:
            numbers["Accuracy of the second"] = _percent(other["accuracy"])
        if comparison is not None and comparison["is_paired"]:
            numbers["Difference"] = f"{100 * comparison['accuracy_difference']:+.2f} points"
            numbers["McNemar's p"] = _decimal(comparison["mcnemar_p_value"])
        return numbers

    def _charts(self) -> dict[str, Chart]:
        import numpy as np

        from pytorch_designer.reporting.figures import heat_map

        names = [row["name"] for row in self.metrics["classes"]]
        if not 1 < len(names) <= _MAX_CLASSES_SHOWN:
            return {}
        with (self.path / "confusion_matrix.csv").open(encoding="utf-8", newline="") as stream:
            rows = list(csv.reader(stream))[1:]
        counts = np.array([[int(cell) for cell in row[1:]] for row in rows], dtype=np.int64)
        return {"Confusion matrix": heat_map("confusion", counts, names)}


def evaluate(
    scored: ImageScores | str | os.PathLike[str],
    compare: ImageScores | str | os.PathLike[str] | None = None,
    *,
    output: str | os.PathLike[str] | None = None,
    **options: Unpack[RuntimeOptions],
) -> ModelEvaluation:
    """Measure how well scores match labels, as Evaluate Model does.

        evaluation = pytorch_designer.evaluate(pytorch_designer.score("trained", "photos"))
        evaluation.accuracy                     # 0.93
        evaluation.metrics["log_loss"]

    Args:
        scored: Scores of labeled images: what `score` has returned, or their folder.
        compare: Other scores, such as those of the same images by another model, to compare with the first.
        output: New or empty folder for the evaluation; None: a temporary one.
        options: See `RuntimeOptions`.

    Raises:
        NotScoredDatasetError: A folder has no scores.
        NotLabeledDatasetError: The scored images have no labels.
        InvalidDatasetError: Scores cannot be read or evaluated.
        FailedToWriteOutputsError: The output is occupied, inside an input, or cannot be written.
        ParameterError: An argument has the wrong type or is out of range.
    """
    from pytorch_designer.components import evaluate_model
    from pytorch_designer.storage.output import check_outputs

    with library_call("evaluate", options, ports=_PORTS):
        inputs = {"scored_dataset": _folder_of(scored, "scored")}
        if compare is not None:
            inputs["scored_dataset_to_compare"] = _folder_of(compare, "compare")
        folder = ResultFolder(output)
        outputs = {"evaluation_results": folder.path}
        check_outputs(outputs, inputs)
        evaluate_model.run(inputs, outputs, evaluate_model.EvaluateModelParameters())
    return ModelEvaluation(folder)


def _folder_of(scores: ImageScores | str | os.PathLike[str], name: str) -> Path:
    return scores.path if isinstance(scores, ImageScores) else path_argument(scores, name)


def _percent(share: float | None) -> str:
    from pytorch_designer.reporting.numbers import percent

    return percent(math.nan if share is None else share)


def _decimal(value: float | None) -> str:
    from pytorch_designer.reporting.numbers import decimal

    return decimal(math.nan if value is None else value)
