"""List of the runs in a folder, of pipelines and of single components, each with its state as it is now."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pytorch_designer.errors import DesignerError, UnknownNameError
from pytorch_designer.harness.job.node import NodeResult, NodeState
from pytorch_designer.harness.job.run_folder import PIPELINE_FILE, RECORD_FILE, RUNS_FOLDER, is_held
from pytorch_designer.harness.pipeline.pipeline_reading import INTERRUPTED, read_result, read_state
from pytorch_designer.harness.pipeline.pipeline_state import PipelineResult

if TYPE_CHECKING:
    from collections.abc import Mapping

_STATES = {"completed": NodeState.COMPLETED, "failed": NodeState.FAILED, "canceled": NodeState.CANCELED}


@dataclass(frozen=True)
class ListedRun:
    """A run in a folder of runs.

    Attributes:
        name: The name of its folder.
        result: Its state, or None where it cannot be read.
    """

    name: str
    result: PipelineResult | None


def list_runs(folder: Path) -> list[ListedRun]:
    """The runs in a folder, the latest first; those that cannot be read are last."""
    found = []
    for path in sorted(folder.iterdir()) if folder.is_dir() else ():
        if (path / PIPELINE_FILE).is_file() or (path / RECORD_FILE).is_file():
            try:
                found.append(ListedRun(path.name, open_run(path)))
            except DesignerError:
                found.append(ListedRun(path.name, None))
    return sorted(found, key=lambda run: 0.0 if run.result is None else run.result.started, reverse=True)


def find_run(text: str, folder: Path = Path(RUNS_FOLDER)) -> PipelineResult:
    """The run that `text` names: a run folder, or the name or the beginning of the name of one in `folder`.

    Raises:
        UnknownNameError: There is none, or there are several.
    """
    for place in (Path(text), folder / text):
        if (place / PIPELINE_FILE).is_file() or (place / RECORD_FILE).is_file():
            return open_run(place)
    names = sorted(run.name for run in list_runs(folder) if run.name.startswith(text))
    if len(names) == 1:
        return open_run(folder / names[0])
    what = f"{len(names)} runs have names that begin with {text!r}." if names else f"There is no run {text!r}."
    raise UnknownNameError(
        what, where=folder.absolute(), examples=names, advice="`pytorch-designer runs list` shows those that there are."
    )


def open_run(run_folder: Path) -> PipelineResult:
    """The run in a folder; a single component is shown as a pipeline of one node.

    Raises:
        UnknownNameError: There is none, or its state cannot be read.
    """
    if (run_folder / PIPELINE_FILE).is_file() or not (run_folder / RECORD_FILE).is_file():
        return read_result(run_folder)
    return read_state(run_folder / RECORD_FILE, lambda plain: _of_job(plain, run_folder.absolute()), logs="user_logs")


def _of_job(plain: Mapping[str, Any], folder: Path) -> PipelineResult:
    state, started = str(plain["state"]), float(plain["started"])
    is_dead = state == "running" and not is_held(folder)
    node_state = NodeState.INTERRUPTED if is_dead else _STATES.get(state, NodeState.RUNNING)
    name = str(plain["component"])
    outputs = {str(port): Path(path) for port, path in plain["outputs"].items()}
    seconds = None if plain["seconds"] is None else float(plain["seconds"])
    node = NodeResult(
        name=name,
        run_folder=folder,
        state=node_state,
        outputs=outputs,
        exit_code=plain["exit_code"],
        started=started,
        seconds=seconds,
        peak_memory_bytes=plain["peak_memory_bytes"],
        run_id=str(plain["run_id"]),
        error=plain["error"] or (None if not plain["exit_code"] else f"exit code {plain['exit_code']}"),
        log_files=tuple(sorted((folder / "user_logs").glob("std_log*.txt"))),
    )
    database = plain.get("database")
    return PipelineResult(
        name=name,
        state=INTERRUPTED if is_dead else state,
        nodes={name: node},
        outputs=outputs,
        run_folder=folder,
        run_id=str(plain["run_id"]),
        started=started,
        seconds=seconds,
        source=Path(plain["source"]),
        inputs={str(port): str(value) for port, value in plain["inputs"].items()},
        database=None if database is None else Path(database),
    )


def elapsed_seconds(result: PipelineResult | NodeResult) -> float | None:
    """Seconds that a run or node took, or has taken so far; None where unknown, or it has not started."""
    is_going_on = result.state in {"running", NodeState.RUNNING}
    if result.seconds is not None or not is_going_on or result.started is None:
        return result.seconds
    return time.time() - result.started
