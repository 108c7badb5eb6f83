"""Output of a training run: the trained model with its report."""

from __future__ import annotations

import logging
from dataclasses import replace
from typing import TYPE_CHECKING

from pytorch_designer.models.saving import write_trained_model
from pytorch_designer.reporting.page import copy_page_for_studio
from pytorch_designer.training.display import log_result
from pytorch_designer.training.report.earlier_result import REPORT_FOLDER
from pytorch_designer.training.report.report_images import gather_images
from pytorch_designer.training.report.training_report import PAGE_FILE, write_report
from pytorch_designer.training.run_info import dataset_records, weights_info

if TYPE_CHECKING:
    from pathlib import Path

    from pytorch_designer.storage.output import Output
    from pytorch_designer.training.history import RunSummary
    from pytorch_designer.training.inputs import TrainingInputs
    from pytorch_designer.training.state import BestEpoch

_log = logging.getLogger(__name__)

_STUDIO_PAGE = "training_report.html"


def write_result(output: Output, summary: RunSummary, inputs: TrainingInputs, best: BestEpoch) -> None:
    """Write the trained model and its report, and log what came out.

    Raises:
        FailedToWriteOutputsError: The output cannot be written; it is as it was.
    """
    with output.stage() as folder:
        write_trained_model(
            folder,
            architecture=inputs.model.architecture,
            state_dict=best.weights,
            classes=inputs.datasets.training.classes,
            preprocessing=inputs.preprocessing,
            meta={"visualization": [{"type": "html", "path": f"{REPORT_FOLDER}/{PAGE_FILE}"}]},
        )
        _write_report(folder / REPORT_FOLDER, summary, inputs, best)
    copy_page_for_studio(output.path / REPORT_FOLDER / PAGE_FILE, _STUDIO_PAGE)
    log_result(summary, model=output.path, report=output.path / REPORT_FOLDER / PAGE_FILE)


def show_finished(trained_model: Path) -> None:
    """Log that nothing is left to do, and show the page of the earlier run again."""
    _log.info("%s already holds the result of this very run: nothing is left to do.", trained_model)
    copy_page_for_studio(trained_model / REPORT_FOLDER / PAGE_FILE, _STUDIO_PAGE)


def _write_report(folder: Path, summary: RunSummary, inputs: TrainingInputs, best: BestEpoch) -> None:
    """Write the report; where it cannot be made, the model is written without it."""
    try:
        images = None if best.outcomes is None else gather_images(inputs.datasets, inputs.preprocessing, best.outcomes)
        data, records = summary.data | weights_info(best.weights), dataset_records(inputs.datasets)
        write_report(folder, replace(summary, data=data, datasets=records), images)
    except OSError:  # the disk is full: the run ends by name, and can be repeated
        raise
    except Exception as error:  # noqa: BLE001 - whatever it is, the trained model is worth more
        _log.warning("The report is not complete: %s: %s", type(error).__name__, error)
