"""Run of one node of a pipeline: reuse of an equal job's result, or a job whose result is kept."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from pytorch_designer.errors import DesignerError, FailedToWriteOutputsError, InterruptedRunError
from pytorch_designer.harness.job.folder_mark import remove_own
from pytorch_designer.harness.job.job_run import JobRequest, run_job
from pytorch_designer.harness.job.node import NodeResult, NodeState
from pytorch_designer.harness.reuse.reuse_cache import is_empty
from pytorch_designer.storage.output import writing_errors

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from pytorch_designer.harness.job.child_processes import LineReceiver
    from pytorch_designer.harness.job.job_run import JobResult
    from pytorch_designer.harness.job.node import PlannedNode
    from pytorch_designer.harness.job.run_store import RunStore
    from pytorch_designer.harness.reuse.node_reuse import Reuse
    from pytorch_designer.system.stop_requests import StopRequest

REUSED_TAG = "pytorch_designer.reused_from_run"


@dataclass(frozen=True)
class NodeRunner:
    """Node runner; several nodes may run at a time in their own threads.

    Attributes:
        folder: The pipeline's run folder. Old outputs in it are removed, but for the named ones.
        named_outputs: Outputs that the user has named.
        reuse: The cache; None: nothing is reused or kept.
        store: Where MLflow runs are created, or None.
        parent_run_id: The pipeline's run.
        experiment: The MLflow experiment's name.
        grace_seconds: See `job.JobRequest`.
        keep_working_directory: Likewise.
        max_parallel: Maximum number of processes at a time, of the trials of a sweep too.
    """

    folder: Path
    named_outputs: frozenset[Path]
    reuse: Reuse | None
    store: RunStore | None
    parent_run_id: str
    experiment: str
    grace_seconds: float
    keep_working_directory: bool
    max_parallel: int

    def run(
        self,
        node: PlannedNode,
        start: NodeResult,
        paths: Mapping[tuple[str, str], Path],
        on_line: LineReceiver,
        stop: StopRequest,
    ) -> NodeResult:
        """Run a node to its end.

        Args:
            node: The node.
            start: Its state so far; `outputs` says where each output goes.
            paths: The outputs of the nodes that have run, by node and port.
            on_line: See `job.run_job`.
            stop: Likewise.

        Raises:
            DesignerError: As `job.run_job` raises it.
        """
        if node.sweep is not None:
            return run_sweep(SweepRequest(self, node, node.sweep, start, paths, self.max_parallel), on_line, stop)
        start = replace(start, key=None if self.reuse is None else self.reuse.key(node, paths))
        is_continued = self._is_continued(start)
        if not is_continued:
            self._remove_old_outputs(start.outputs)
        reused = None if self.reuse is None else self.reuse.restore(node, start)
        if reused is not None:
            return replace(reused, run_id=self._record_reuse(reused))
        is_fresh = is_continued or all(is_empty(path) for path in start.outputs.values())
        request = JobRequest(
            spec=node.spec,
            run_folder=start.run_folder,
            inputs={name: source.text(paths) for name, source in node.inputs.items()},
            outputs=start.outputs,
            environment_variables={name: source.text(paths) for name, source in node.environment_variables.items()},
            store=self.store,
            parent_run_id=self.parent_run_id,
            experiment=self.experiment,
            run_name=node.name,
            grace_seconds=self.grace_seconds,
            keep_working_directory=self.keep_working_directory,
        )
        result = self._run_job(request, start, on_line, stop)
        if result.has_succeeded and self.reuse is not None and start.key is not None and is_fresh:
            self.reuse.keep(node, start.key, result)
        return replace(
            start,
            state=NodeState.COMPLETED if result.has_succeeded else NodeState.FAILED,
            exit_code=result.exit_code,
            error=None if result.has_succeeded else f"The job ended with exit code {result.exit_code}.",
            seconds=result.seconds,
            peak_memory_bytes=result.peak_memory_bytes,
            run_id=result.run_id,
            log_files=result.log_files,
        )

    def _is_continued(self, start: NodeResult) -> bool:
        """Whether its outputs are those of an equal job that was interrupted or killed, and may go on from them."""
        path = _key_file(start)
        with suppress(OSError):
            return start.key is not None and path.is_file() and path.read_bytes() == start.key.encode()
        return False

    def _run_job(self, request: JobRequest, start: NodeResult, on_line: LineReceiver, stop: StopRequest) -> JobResult:
        key_file = _key_file(start)
        with writing_errors(key_file):
            key_file.parent.mkdir(parents=True, exist_ok=True)
            key_file.write_text(start.key or "", encoding="utf-8")
        try:
            result = run_job(request, on_line, stop)
        except InterruptedRunError:
            raise
        except DesignerError:
            key_file.unlink(missing_ok=True)
            raise
        key_file.unlink(missing_ok=True)
        return result

    def _remove_old_outputs(self, outputs: Mapping[str, Path]) -> None:
        """Remove what an earlier run in the same folder has left, so that nothing of it mixes with the new."""
        for path in outputs.values():
            if self.folder in path.parents and path not in self.named_outputs:
                if self.folder.resolve() not in path.parent.resolve().parents:
                    raise FailedToWriteOutputsError(
                        "The output's place in the run folder leads out of it through a link; nothing was removed.",
                        where=path,
                        advice="Remove the link, or name another run folder.",
                        reason="path_outside",
                    )
                with writing_errors(path):
                    remove_own(path)

    def _record_reuse(self, reused: NodeResult) -> str | None:
        if self.store is None or reused.run_id is None:
            return reused.run_id
        tags = {REUSED_TAG: reused.run_id}
        run_id = self.store.start_run(reused.name, parent_run_id=self.parent_run_id, tags=tags)
        self.store.copy_values(reused.run_id, run_id)
        self.store.end_run(run_id, "FINISHED")
        return run_id


def _key_file(start: NodeResult) -> Path:
    return start.run_folder.with_name(f"{start.run_folder.name}.key")
