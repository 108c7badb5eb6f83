"""Recording of a pipeline run: state file, event log, and observers of every change."""

from __future__ import annotations

import os
import shutil
import time
from typing import TYPE_CHECKING, Protocol, runtime_checkable

from pytorch_designer.harness.job.run_folder import RunFolder
from pytorch_designer.harness.pipeline.event_log import EventLog, log_sizes
from pytorch_designer.harness.pipeline.pipeline_state import SOURCE_FILE, plain_node, write_state
from pytorch_designer.storage.output import writing_errors

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path
    from types import TracebackType

    from pytorch_designer.harness.job.node import NodeResult
    from pytorch_designer.harness.pipeline.pipeline_plan import Plan
    from pytorch_designer.harness.pipeline.pipeline_state import PipelineResult

_SAMPLE_SECONDS = 1.0


class PipelineView(Protocol):
    """Observer of a pipeline run; called from several threads, but one at a time per node."""

    def node_changed(self, node: NodeResult) -> None:
        """A node has started or ended."""

    def line_written(self, node: str, rank: int, line: str) -> None:
        """A process of a node has written a line."""


@runtime_checkable
class MemoryView(Protocol):
    """View that shows the memory of a node's processes, once per second."""

    def memory_sampled(self, node: str, num_bytes: int) -> None:
        """A node that runs uses this much at the moment."""


class SilentView:
    """View that shows nothing."""

    def node_changed(self, node: NodeResult) -> None:
        """Drop the event."""

    def line_written(self, node: str, rank: int, line: str) -> None:
        """Drop the line."""


class RunRecorder:
    """State of a run, kept on disk; a context manager. For one thread.

    Args:
        result: The state at the start.
        view: Is told of changes.

    Attributes:
        result: The state now.
    """

    def __init__(self, result: PipelineResult, view: PipelineView) -> None:
        self.result = result
        self._view = view
        self._next_sample = 0.0

    def __enter__(self) -> RunRecorder:
        self._events = EventLog(self.result.run_folder)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._events.close()

    def start(self, plan: Plan, source_text: str | None = None) -> None:
        """Write the first state, and the text of the pipeline.

        Args:
            plan: The plan.
            source_text: The text; None: that of the file that it was read from, if it was.

        Raises:
            FailedToWriteOutputsError: They cannot be written.
        """
        source, kept = plan.pipeline.source, self.result.run_folder / SOURCE_FILE
        with writing_errors(kept):
            kept.unlink(missing_ok=True)
            if source_text is not None:
                kept.write_bytes(source_text.encode("utf-8"))
            elif source.is_file():
                shutil.copyfile(source, kept)
        write_state(self.result)
        nodes = {
            name: {"needs": sorted(node.needs), "num_processes": node.spec.num_processes}
            for name, node in plan.nodes.items()
        }
        self._events.write(
            "run_started",
            pipeline=self.result.name,
            run_id=self.result.run_id,
            process_id=os.getpid(),
            nodes=nodes,
        )

    def change(self, node: NodeResult) -> None:
        """Record a new state of a node.

        Raises:
            FailedToWriteOutputsError: It cannot be written.
        """
        self.result = self.result.with_node(node)
        write_state(self.result)
        self._events.write("node_changed", node=node.name, **plain_node(node))
        self._view.node_changed(node)

    def sample(self, memory: Mapping[str, int], plan: Plan) -> None:
        """Tell, at most once a second, what nodes that run use and how much they have written.

        Args:
            memory: The memory of each, in bytes.
            plan: The plan.

        Raises:
            FailedToWriteOutputsError: The events cannot be written.
        """
        if not memory or time.monotonic() < self._next_sample:
            return
        self._next_sample = time.monotonic() + _SAMPLE_SECONDS
        for name, num_bytes in memory.items():
            if isinstance(self._view, MemoryView):
                self._view.memory_sampled(name, num_bytes)
            folder = RunFolder(self.result.nodes[name].run_folder)
            sizes = log_sizes(folder.log_files(plan.nodes[name].spec.num_processes))
            self._events.write("node_sampled", node=name, memory_bytes=num_bytes, log_bytes=sizes)

    def end(self, state: str, outputs: Mapping[str, Path]) -> None:
        """Record the end of the run.

        Raises:
            FailedToWriteOutputsError: It cannot be written.
        """
        self.result = self.result.ended(state, outputs)
        write_state(self.result)
        shown = {name: str(path) for name, path in outputs.items()}
        self._events.write("run_ended", state=state, seconds=self.result.seconds, outputs=shown)
