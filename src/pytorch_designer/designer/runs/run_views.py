"""Runs as the page shows them: plain data of states, times and errors."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pytorch_designer.harness.job.node import NodeState
from pytorch_designer.harness.runs.run_list import elapsed_seconds
from pytorch_designer.shown_text import redacted

if TYPE_CHECKING:
    from pathlib import Path

    from pytorch_designer.errors import DesignerError
    from pytorch_designer.harness.job.node import NodeFault, NodeResult
    from pytorch_designer.harness.pipeline.pipeline_state import PipelineResult

# The page has one word for nodes that did not run; their reasons say why.
_SHOWN_STATES = {NodeState.BYPASSED: "skipped", NodeState.LEFT_OUT: "skipped"}
_NOT_ASKED_FOR = "This run was of other nodes."
_LOG_ADVICE = "The end of its log says why."


def run_summary(run: PipelineResult, project: Path) -> dict[str, Any]:
    """A line of the history."""
    nodes = run.nodes.values()
    return {
        "run": run.run_folder.name,
        "name": run.name,
        "state": run.state,
        "started": run.started,
        "seconds": elapsed_seconds(run),
        "document": document_of(run, project),
        "num_nodes": len(nodes),
        "num_reused": sum(node.state is NodeState.REUSED for node in nodes),
        "error": _first_error(run),
    }


def document_of(run: PipelineResult, project: Path) -> str | None:
    """The document that was run, relative to the project; None where it is none of the project."""
    if run.source is None or not run.source.is_relative_to(project):
        return None
    return run.source.relative_to(project).as_posix()


def node_view(
    node: NodeResult, progress: dict[str, Any] | None = None, memory_bytes: int | None = None
) -> dict[str, Any]:
    """The state of a node.

    Args:
        node: The node.
        progress: What it is at, if it runs.
        memory_bytes: The most that it has used so far, if it runs.
    """
    error = _error(node)
    return {
        "state": _SHOWN_STATES.get(node.state, node.state.value),
        "started": node.started,
        "seconds": elapsed_seconds(node),
        "progress": progress,
        "reason": node.reason or _why_not(node, error),
        "reused_from": node.reused_from,
        "exit_code": node.exit_code,
        "error": error,
        "peak_memory_bytes": node.peak_memory_bytes if node.peak_memory_bytes is not None else memory_bytes,
        "log_files": [path.name for path in log_files(node)],
        "outputs": sorted(node.outputs),
    }


def log_files(node: NodeResult) -> list[Path]:
    """The logs of the processes of a node that there are at the moment, by rank."""
    folder = node.run_folder / "user_logs"
    return sorted(path for path in folder.glob("std_log*.txt") if path.is_file() and not path.is_symlink())


def error_content(error: DesignerError) -> dict[str, Any]:
    """A named error and its faults as the page gets them, without secrets."""
    return {**_shown(error), "faults": [fault.to_dict() for fault in error.faults]}


def _shown(error: DesignerError | NodeFault) -> dict[str, Any]:
    return {
        "code": error.code,
        "reason": error.reason,
        "name": error.name,
        "message": redacted(error.what),
        "where": None if error.where is None else redacted(error.where),
        "advice": redacted(error.advice),
        "examples": [redacted(example) for example in error.examples],
    }


def _error(node: NodeResult) -> dict[str, Any] | None:
    if node.state not in {NodeState.FAILED, NodeState.INTERRUPTED, NodeState.CANCELED}:
        return None
    if node.fault is not None:
        return _shown(node.fault)
    if node.error is None:
        return None
    advice = _LOG_ADVICE if node.exit_code else ""
    return {
        "code": None,
        "reason": None,
        "name": None,
        "message": redacted(node.error),
        "where": None,
        "advice": advice,
        "examples": [],
    }


def _why_not(node: NodeResult, error: dict[str, Any] | None) -> str | None:
    if node.state is NodeState.LEFT_OUT:
        return _NOT_ASKED_FOR
    return node.error if error is None else None


def _first_error(run: PipelineResult) -> str | None:
    for node in run.nodes.values():
        if node.state is NodeState.FAILED:
            error = _error(node)
            return f"{node.name}: {'' if error is None else error['message']}"
    return None
