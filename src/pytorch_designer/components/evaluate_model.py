"""Evaluate Model: one or two scored datasets in, their metrics and a page out."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from pytorch_designer.imports import quick_import
from pytorch_designer.spec.component import Component, DirectoryType, Port
from pytorch_designer.spec.parameters import Parameters

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path


class EvaluateModelParameters(Parameters):
    """Evaluate Model has no parameters."""


def run(inputs: Mapping[str, Path], outputs: Mapping[str, Path], parameters: EvaluateModelParameters) -> None:
    """Write the evaluation; see `pytorch_designer.evaluation.evaluation_run.evaluate_model`."""
    # joblib, which scikit-learn imports, warns where no processes can share memory; none are started here.
    os.environ.setdefault("JOBLIB_MULTIPROCESSING", "0")
    with quick_import("sklearn"):
        from pytorch_designer.evaluation.evaluation_run import evaluate_model

    evaluate_model(
        scored_dataset=inputs["scored_dataset"],
        scored_dataset_to_compare=inputs.get("scored_dataset_to_compare"),
        evaluation_results=outputs["evaluation_results"],
    )


COMPONENT = Component(
    name="evaluate_model",
    display_name="Evaluate Model",
    category="Model Scoring & Evaluation",
    description="Measures how well scores match labels: accuracy, top-5 accuracy, precision, recall and F1, log loss, "
    "ROC AUC, confusion matrix and calibration, overall and for each class, as JSON, CSV, figures and one page. "
    "With a second scored dataset, such as the same images scored with another model, the two are compared side by "
    "side. Images without scores are left out and counted.",
    inputs=(
        Port("scored_dataset", DirectoryType.DATA_FRAME, "Scored labeled images: the output of Score Image Model."),
        Port(
            "scored_dataset_to_compare",
            DirectoryType.DATA_FRAME,
            "A second scored dataset to compare with the first one.",
            is_optional=True,
        ),
    ),
    outputs=(
        Port(
            "evaluation_results",
            DirectoryType.EVALUATION,
            "metrics.json, tables as CSV, figures as SVG, and index.html, which shows all of it.",
        ),
    ),
    parameters=EvaluateModelParameters,
    run=run,
)
