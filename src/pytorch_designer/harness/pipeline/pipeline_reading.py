"""Runs of pipelines, read back from their run folders: while they go on, after their end, and after a crash.

`pipeline.json` says what the run has last written. Whether it still goes on, the lock of the run folder tells, which
the system releases when its owner dies. What a dead run was doing is `interrupted`.
"""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pytorch_designer.errors import UnknownNameError
from pytorch_designer.harness.job.node import NodeFault, NodeResult, NodeState
from pytorch_designer.harness.job.run_folder import PIPELINE_FILE, is_held
from pytorch_designer.harness.pipeline.pipeline_state import PipelineResult
from pytorch_designer.system.regular_files import read_regular

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

INTERRUPTED = "interrupted"
_RUNNING = "running"
_MAX_BYTES = 64 << 20
_NEVER_STARTED = "The run was interrupted before this node started."
_WAS_INTERRUPTED = "The run was interrupted while this node ran: the program that ran it was killed."


def read_result(run_folder: Path) -> PipelineResult:
    """The state of a pipeline, as it is now.

    Its state is that of the file, or `interrupted`: the program that ran it has died.

    Raises:
        UnknownNameError: The folder is not the run folder of a pipeline, or its state cannot be read.
    """
    result = _read(run_folder)
    if result.state != _RUNNING or is_held(run_folder):
        return result
    result = _read(run_folder)  # it may have ended between the first look at the file and that at the lock
    return result if result.state != _RUNNING else _interrupted(result)


def _interrupted(result: PipelineResult) -> PipelineResult:
    nodes = {}
    for name, node in result.nodes.items():
        if node.state is NodeState.RUNNING:
            nodes[name] = replace(node, state=NodeState.INTERRUPTED, error=_WAS_INTERRUPTED)
        elif node.state is NodeState.WAITING:
            nodes[name] = replace(node, state=NodeState.CANCELED, error=_NEVER_STARTED)
        else:
            nodes[name] = node
    return replace(result, state=INTERRUPTED, nodes=nodes)


def read_state(path: Path, of_plain: Callable[[Mapping[str, Any]], PipelineResult], *, logs: str) -> PipelineResult:
    """The state that `of_plain` makes of the JSON in a file; `logs` is where the logs of the run are, below its folder.

    Raises:
        UnknownNameError: There is none, or it cannot be read.
    """
    try:
        if path.stat().st_size > _MAX_BYTES:
            raise ValueError("the file is too large")
        return of_plain(json.loads(read_regular(path)))
    except (OSError, ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise UnknownNameError(
            f"The state of the run cannot be read ({type(error).__name__}: {error}).",
            where=path,
            advice=f"The file is damaged, or of another program; the logs are in {logs}.",
        ) from error


def _read(run_folder: Path) -> PipelineResult:
    path = run_folder / PIPELINE_FILE
    if not path.exists():
        raise UnknownNameError(
            "There is no run of a pipeline in this folder.",
            where=run_folder,
            advice="Name the run folder of a pipeline; `pytorch-designer runs list` shows those in ./runs.",
        )
    return read_state(path, lambda plain: _result(plain, run_folder), logs="nodes/NODE/user_logs")


def _result(plain: Mapping[str, Any], run_folder: Path) -> PipelineResult:
    database = plain.get("database")
    return PipelineResult(
        name=str(plain["pipeline"]),
        state=str(plain["state"]),
        nodes={name: _node(name, node) for name, node in plain["nodes"].items()},
        outputs={name: Path(path) for name, path in plain["outputs"].items()},
        run_folder=run_folder.absolute(),
        run_id=str(plain["run_id"]),
        started=float(plain["started"]),
        seconds=_number(plain["seconds"]),
        source=None if plain.get("source") is None else Path(plain["source"]),
        inputs={str(name): str(value) for name, value in (plain.get("inputs") or {}).items()},
        database=None if database is None else Path(database),
    )


def _node(name: str, plain: Mapping[str, Any]) -> NodeResult:
    fault = plain.get("fault")
    folder = Path(plain["run_folder"])
    return NodeResult(
        name=name,
        run_folder=folder,
        state=NodeState(plain["state"]),
        outputs={port: Path(path) for port, path in plain["outputs"].items()},
        exit_code=plain["exit_code"],
        started=_number(plain["started"]),
        seconds=_number(plain["seconds"]),
        peak_memory_bytes=plain["peak_memory_bytes"],
        run_id=plain["run_id"],
        error=plain["error"],
        reused_from=_number(plain["reused_from"]),
        key=plain["key"],
        log_files=tuple(sorted((folder / "user_logs").glob("std_log*.txt"))),
        reason=plain.get("reason"),
        fault=None if fault is None else NodeFault(**{**fault, "examples": tuple(fault["examples"])}),
    )


def _number(value: Any) -> float | None:
    return None if value is None else float(value)
