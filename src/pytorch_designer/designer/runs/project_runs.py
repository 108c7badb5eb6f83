"""Runs of a project: its history, each run as it is now, its logs and its metrics."""

from __future__ import annotations

import math
import os
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from pytorch_designer.designer.runs.log_parts import log_part
from pytorch_designer.designer.runs.node_progress import read_progress
from pytorch_designer.designer.runs.run_views import log_files, node_view, run_summary
from pytorch_designer.errors import DesignerError, UnknownNameError, describe_value
from pytorch_designer.harness.job.node import NodeState
from pytorch_designer.harness.job.run_folder import PIPELINE_FILE, RECORD_FILE, RUNS_FOLDER
from pytorch_designer.harness.pipeline.event_log import EventReader
from pytorch_designer.harness.pipeline.pipeline_state import SOURCE_FILE, PipelineResult
from pytorch_designer.harness.runs.run_comparison import node_values
from pytorch_designer.harness.runs.run_list import open_run
from pytorch_designer.storage.bounded_documents import parse_yaml
from pytorch_designer.storage.paths import path_fault, read_bounded

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from pytorch_designer.harness.job.node import NodeResult

_RUNNING = "running"
_MAX_TEXT_BYTES = 16 << 20


class ProjectRuns:
    """Runs of a project; may be used from several threads.

    Args:
        project: The folder of the project, absolute.
        path_now: What a document is called now that was called so at a time.
    """

    def __init__(self, project: Path, path_now: Callable[[str, float], str] = lambda path, _: path) -> None:
        self._project = project
        self._path_now = path_now
        self.folder = project / RUNS_FOLDER
        self._ended: dict[str, tuple[tuple[int, int], PipelineResult]] = {}  # those that no longer change

    def names(self) -> list[str]:
        """The names of the run folders, those that begin first first."""
        try:
            with os.scandir(self.folder) as entries:
                return sorted(entry.name for entry in entries if entry.is_dir(follow_symlinks=False))
        except OSError:  # there are none yet
            return []

    def summaries(self, search: str = "") -> list[dict[str, Any]]:
        """The history, the latest run first; `search` is looked for in names, states and documents."""
        found = [self.summary(run) for run in self._all()]
        words = search.casefold().split()
        shown = ("run", "name", "state", "document", "error")
        texts = (" ".join(str(summary[key] or "") for key in shown).casefold() for summary in found)
        kept = [summary for summary, text in zip(found, texts, strict=True) if all(word in text for word in words)]
        return sorted(kept, key=lambda summary: summary["started"], reverse=True)

    def open(self, name: str) -> PipelineResult:
        """A run, as it is now.

        Raises:
            UnknownNameError: There is none of this name, or its state cannot be read.
        """
        place = self.folder / name
        if path_fault(name) is not None or place.name != name or place.is_symlink() or not place.is_dir():
            raise _no_run(name, self.folder)
        mark = _mark(place)
        if mark is None:
            raise _no_run(name, self.folder)
        known = self._ended.get(name)
        if known is not None and known[0] == mark:
            return known[1]
        run = open_run(place)
        if run.state != _RUNNING:
            self._ended[name] = (mark, run)
        return run

    def view(self, name: str, sequence: int) -> dict[str, Any]:
        """A run with its nodes, as the page shows it.

        Args:
            name: The run.
            sequence: The number of the last event about it.

        Raises:
            UnknownNameError: There is none of this name, or its state cannot be read.
        """
        run = self.open(name)
        memory = sampled_memory(run)
        return {
            **self.summary(run),
            "nodes": {
                node.name: node_view(node, current_progress(node), memory.get(node.name)) for node in run.nodes.values()
            },
            "inputs": dict(run.inputs),
            "sequence": sequence,
        }

    def summary(self, run: PipelineResult) -> dict[str, Any]:
        """The line of the history of a run."""
        summary = run_summary(run, self._project)
        document = summary["document"]
        return summary if document is None else {**summary, "document": self._path_now(document, run.started)}

    def node(self, name: str, node: str) -> NodeResult:
        """A node of a run.

        Raises:
            UnknownNameError: There is no such run or node.
        """
        nodes = self.open(name).nodes
        if node not in nodes:
            raise UnknownNameError(
                f"The run has no node {describe_value(node)}.",
                where=name,
                advice=f"It has {', '.join(nodes)}.",
                reason="no_such_node",
            )
        return nodes[node]

    def logs(self, name: str, node: str) -> list[dict[str, Any]]:
        """The logs of a node: `name` and `size`.

        Raises:
            UnknownNameError: There is no such run or node.
        """
        return [{"name": path.name, "size": path.stat().st_size} for path in log_files(self.node(name, node))]

    def log(self, name: str, node: str, file: str, *, offset: int, before: int | None, limit: int) -> dict[str, Any]:
        """A part of a log; see `log_parts.log_part`.

        Raises:
            UnknownNameError: There is no such run, node or log.
            OSError: It cannot be read.
        """
        result = self.node(name, node)
        files = {path.name: path for path in log_files(result)}
        if file not in files:
            raise UnknownNameError(
                f"{node} has no log {describe_value(file)}.",
                where=node,
                advice=f"It has {', '.join(files)}." if files else "It has not started.",
                reason="no_log",
            )
        return log_part(files[file], offset=offset, before=before, limit=limit, is_complete=result.state.has_ended)

    def metrics(self, name: str, node: str | None = None) -> dict[str, dict[str, list[list[float | None]]]]:
        """The metrics that nodes have logged: points of step, value (None where it is not a number) and time.

        Raises:
            UnknownNameError: There is no such run.
            UnsupportedEnvironmentError: The MLflow database cannot be read.
        """
        values = node_values(self.open(name))
        return {
            owner: {
                metric: [
                    [point.step, point.value if math.isfinite(point.value) else None, point.time] for point in points
                ]
                for metric, points in found.metrics.items()
            }
            for owner, found in values.items()
            if node in {None, owner}
        }

    def source(self, name: str) -> str:
        """The text of the pipeline that was run.

        Raises:
            UnknownNameError: There is no such run, or it was of a component, or an object.
        """
        place = self.open(name).run_folder / SOURCE_FILE
        if not place.is_file():
            raise UnknownNameError(
                "The text of this run is not kept.",
                where=place,
                advice="Only runs of pipelines from files have one.",
                reason="no_text",
            )
        return read_bounded(place, _MAX_TEXT_BYTES, UnknownNameError).decode("utf-8", "replace")

    def named_outputs(self, run: PipelineResult) -> list[Path]:
        """The places that the text of a run names for the outputs of the pipeline."""
        if run.source is None:
            return []
        try:
            content = parse_yaml(self.source(run.run_folder.name).encode())
            outputs = content["outputs"].values()
            named = [output["path"] for output in outputs if isinstance(output, dict) and "path" in output]
        except (DesignerError, ValueError, TypeError, KeyError, AttributeError):  # it names none, or is no such text
            return []
        return [run.source.parent / path for path in named if isinstance(path, str) and "\0" not in path]

    def _all(self) -> Iterator[PipelineResult]:
        for name in self.names():
            with suppress(DesignerError):  # no run, or a damaged one
                yield self.open(name)


def current_progress(node: NodeResult) -> dict[str, Any] | None:
    """Progress of a running node, from the log of its first process."""
    if node.state is not NodeState.RUNNING:
        return None
    files = log_files(node)
    return read_progress(files[0]) if files else None


def sampled_memory(run: PipelineResult, reader: EventReader | None = None) -> dict[str, int]:
    """The most memory that each node has used, as far as the events since the last call say; empty after its end."""
    if run.state != _RUNNING:
        return {}
    most: dict[str, int] = {}
    for event in (reader or EventReader(run.run_folder)).read():
        if event.kind == "node_sampled":
            node, num_bytes = str(event.fields.get("node")), int(event.fields.get("memory_bytes") or 0)
            most[node] = max(most.get(node, 0), num_bytes)
    return most


def _mark(run_folder: Path) -> tuple[int, int] | None:
    """Mark that differs after each change of a run's state; None if there is no run."""
    for file in (PIPELINE_FILE, RECORD_FILE):
        try:
            status = (run_folder / file).stat()
        except OSError:
            continue
        return status.st_mtime_ns, status.st_size
    return None


def _no_run(name: str, folder: Path) -> UnknownNameError:
    return UnknownNameError(
        f"There is no run {describe_value(name)}.",
        where=folder,
        advice="The history lists the runs that there are.",
        reason="no_run",
    )
