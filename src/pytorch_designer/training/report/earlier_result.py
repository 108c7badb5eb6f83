"""Result that an earlier run left in an output folder: recognized by its report, without torch.

OUTPUT/_meta.yaml            type: ModelDirectory
OUTPUT/report/run.json       parameters, fingerprint, ...; see `training_report`
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pytorch_designer.directories.meta import read_meta
from pytorch_designer.directories.model_directory import LABEL_MAP_FILE, MODEL_DIRECTORY, WEIGHTS_FILE
from pytorch_designer.directories.model_spec import MODEL_SPEC_FILE
from pytorch_designer.errors import FailedToWriteOutputsError
from pytorch_designer.models.mlflow_files import MLFLOW_ENTRIES
from pytorch_designer.storage.bounded_documents import read_json
from pytorch_designer.storage.output import META_FILE, OWN_ENTRIES, refuse_entries

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

REPORT_FOLDER = "report"
RUN_FILE = "run.json"
NEXT_STEPS_FILE = "NEXT_STEPS.md"
TEST_FOLDER = "test"
_MAX_RECORD_BYTES = 1 << 30  # the confusion matrix of 20,000 classes
_MODEL_FILES = (META_FILE, MODEL_SPEC_FILE, WEIGHTS_FILE, LABEL_MAP_FILE)
_ENTRIES = frozenset((*_MODEL_FILES, *MLFLOW_ENTRIES, REPORT_FOLDER, NEXT_STEPS_FILE, TEST_FOLDER))


def recorded_run(output: Path) -> dict[str, Any]:
    """The record of the run whose result is in the folder; empty where there is none."""
    try:
        run = read_json(output / REPORT_FOLDER / RUN_FILE, _MAX_RECORD_BYTES, FailedToWriteOutputsError)
    except (FailedToWriteOutputsError, ValueError):
        return {}
    return run if isinstance(run, dict) else {}


def refuse_other_result(output: Path, parameters: Mapping[str, object]) -> None:
    """Refuse a folder with the result of a run that had other parameters, before anything slow begins.

    Raises:
        FailedToWriteOutputsError: There is one.
    """
    if (output / META_FILE).exists() and recorded_run(output).get("parameters") != dict(parameters):
        refuse_entries(output)


def replaceable_entries(output: Path) -> frozenset[str]:
    """Names of what an earlier run left in the folder, so that a new run may replace it; empty where there is nothing.

    Raises:
        FailedToWriteOutputsError: The folder is not the output of a training run alone.
    """
    return earlier_entries(output, _ENTRIES, "a trained model of this program", lambda: _is_trained_model(output))


def earlier_entries(path: Path, known: frozenset[str], result: str, is_ours: Callable[[], bool]) -> frozenset[str]:
    """Names of what an earlier run left in the folder, so that a new run may replace it; empty where there is nothing.

    Args:
        path: The output.
        known: Names that a result may have.
        result: What a result is called in the message.
        is_ours: Whether there is one, where no other names are.

    Raises:
        FailedToWriteOutputsError: There is something else.
    """
    present = {entry.name for entry in path.iterdir()} - OWN_ENTRIES if path.is_dir() else set()
    foreign = sorted(present - known)
    if foreign or (present and not is_ours()):
        raise FailedToWriteOutputsError(
            f"The output folder holds something else than {result}; nothing in it was changed.",
            where=path,
            examples=foreign or sorted(present),
            advice="Move what is named out of the folder, or name another output folder.",
            reason="not_ours",
        )
    return frozenset(present)


def _is_trained_model(folder: Path) -> bool:
    try:
        read_meta(folder, MODEL_DIRECTORY, FailedToWriteOutputsError)
    except FailedToWriteOutputsError:
        return False
    return bool(recorded_run(folder))
