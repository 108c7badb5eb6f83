"""Run of one node of a pipeline: reuse of an equal job's result, or a job whose result is kept."""

from __future__ import annotations

import json
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from pytorch_designer.errors import DesignerError, FailedToWriteOutputsError, InterruptedRunError, NullOrEmptyError
from pytorch_designer.harness.fault_injection.injected_faults import NO_FAULTS
from pytorch_designer.harness.job.folder_mark import remove_own
from pytorch_designer.harness.job.job_run import JobRequest, run_job
from pytorch_designer.harness.job.node import NodeFault, NodeResult, NodeState
from pytorch_designer.harness.job.run_folder import RunFolder
from pytorch_designer.harness.job.run_store import open_run_store
from pytorch_designer.harness.pipeline.reuse_forecast import REUSE_IS_OFF, with_faults
from pytorch_designer.harness.reuse.reuse_cache import is_empty
from pytorch_designer.harness.sweep.sweep_run import SweepRequest, run_sweep
from pytorch_designer.mlflow_database import DATABASE_FILE
from pytorch_designer.storage.output import writing_errors
from pytorch_designer.system.special_files import resolved

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from pytorch_designer.harness.environments.job_python import JobPython
    from pytorch_designer.harness.fault_injection.injected_faults import InjectedFaults
    from pytorch_designer.harness.job.child_processes import LineReceiver, MemoryReceiver
    from pytorch_designer.harness.job.job_run import JobResult
    from pytorch_designer.harness.job.node import PlannedNode
    from pytorch_designer.harness.job.run_store import RunStore
    from pytorch_designer.harness.node_kinds.sweep_settings import SweepSettings
    from pytorch_designer.harness.reuse.node_reuse import Reuse
    from pytorch_designer.system.stop_requests import StopRequest

_ERROR_INFO = "error_info.json"
_MAX_ERROR_BYTES = 1 << 20
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
        kept: Nodes whose kept results are wanted: they are restored, or fail.
        explains: Whether nodes say why they run.
        python: The Python of the jobs.
        is_in_foreground: See `job.JobRequest`.
        faults: Faults to inject, by node.
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
    kept: frozenset[str]
    explains: bool
    python: JobPython
    is_in_foreground: bool
    faults: Mapping[str, InjectedFaults]

    def run(
        self,
        node: PlannedNode,
        start: NodeResult,
        paths: Mapping[tuple[str, str], Path],
        on_line: LineReceiver,
        stop: StopRequest,
        *,
        on_memory: MemoryReceiver | None = None,
        before_keeping: Callable[[], None] | None = None,
    ) -> NodeResult:
        """Run a node to its end.

        Args:
            node: The node.
            start: Its state so far; `outputs` says where each output goes.
            paths: The outputs of the nodes that have run, by node and port.
            on_line: See `job.run_job`.
            stop: Likewise.
            on_memory: Likewise.
            before_keeping: Is called when its job has run, before its result is kept for reuse.

        Raises:
            DesignerError: As `job.run_job` raises it.
        """
        if node.sweep is not None:
            return _run_sweep(self._sweep_request(node, node.sweep, start, paths), on_line, stop)
        parts = None if self.reuse is None else self.reuse.parts(node, paths)
        start = replace(start, key=None if parts is None else parts.key)
        is_continued = self._is_continued(start)
        if not is_continued:
            self._remove_old_outputs(start.outputs)
        faults = self.faults.get(node.name, NO_FAULTS)
        reused = None
        if self.reuse is not None and not faults.texts:
            reused = self.reuse.restore(node, start, is_wanted=node.name in self.kept)
        if reused is not None:
            return replace(reused, run_id=self._record_reuse(reused))
        if node.name in self.kept:
            raise NullOrEmptyError(
                f"The result of {node.name} is no longer kept; it was removed a moment ago.",
                where=node.name,
                advice="Run the pipeline again.",
                reason="no_result",
            )
        if faults.texts:
            start = replace(start, reason=with_faults(faults))
        elif self.explains:
            reason = REUSE_IS_OFF if self.reuse is None else self.reuse.why_it_runs(node, parts)
            start = replace(start, reason=reason)
        is_debugged = self.is_in_foreground or self.python.debugpy_port is not None  # whoever did may have changed it
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
            python=self.python,
            is_in_foreground=self.is_in_foreground,
            faults=faults,
        )
        result = self._run_job(request, start, on_line, stop, on_memory)
        if before_keeping is not None:
            before_keeping()
        is_usual = is_fresh and not is_debugged and not faults.texts
        if result.has_succeeded and self.reuse is not None and parts is not None and is_usual:
            self.reuse.keep(node, parts, result)
        return replace(
            start,
            state=NodeState.COMPLETED if result.has_succeeded else NodeState.FAILED,
            exit_code=result.exit_code,
            error=None if result.has_succeeded else f"The job ended with exit code {result.exit_code}.",
            seconds=result.seconds,
            peak_memory_bytes=result.peak_memory_bytes,
            run_id=result.run_id,
            log_files=result.log_files,
            fault=None if result.has_succeeded else reported_fault(result.run_folder),
        )

    def _sweep_request(
        self, node: PlannedNode, settings: SweepSettings, start: NodeResult, paths: Mapping[tuple[str, str], Path]
    ) -> SweepRequest:
        self._remove_old_outputs(start.outputs)
        RunFolder(start.run_folder).prepare(start.outputs.values())
        # Trials are compared by their metrics, so that they are tracked even where nobody asked for it.
        store = self.store or open_run_store(start.run_folder / DATABASE_FILE, self.experiment)
        run_id = store.start_run(node.name, parent_run_id=self.parent_run_id)
        runner = replace(self, store=store, parent_run_id=run_id, kept=frozenset())

        def run_trial(
            trial: PlannedNode,
            start: NodeResult,
            on_line: LineReceiver,
            stop: StopRequest,
            before_keeping: Callable[[], None],
        ) -> NodeResult:
            return runner.run(trial, start, paths, on_line, stop, before_keeping=before_keeping)

        return SweepRequest(node, settings, start, run_trial, store, run_id, self.max_parallel)

    def _is_continued(self, start: NodeResult) -> bool:
        """True if its outputs are those of an equal job that was interrupted or killed, and may go on from them."""
        path = _key_file(start)
        with suppress(OSError):
            return start.key is not None and path.is_file() and path.read_bytes() == start.key.encode()
        return False

    def _run_job(
        self,
        request: JobRequest,
        start: NodeResult,
        on_line: LineReceiver,
        stop: StopRequest,
        on_memory: MemoryReceiver | None,
    ) -> JobResult:
        key_file = _key_file(start)
        with writing_errors(key_file):
            key_file.parent.mkdir(parents=True, exist_ok=True)
            key_file.write_text(start.key or "", encoding="utf-8")
        try:
            result = run_job(request, on_line, stop, on_memory)
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
                if resolved(self.folder) not in resolved(path.parent).parents:
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
        return self.store.copy_run(reused.run_id, reused.name, parent_run_id=self.parent_run_id, tags=tags)


def _run_sweep(request: SweepRequest, on_line: LineReceiver, stop: StopRequest) -> NodeResult:
    """Run a sweep, and end its MLflow run."""
    status = "FAILED"
    try:
        result = run_sweep(request, on_line, stop)
        status = "FINISHED" if result.state.has_succeeded else "FAILED"
    except InterruptedRunError:
        status = "KILLED"
        raise
    finally:
        request.store.end_run(request.run_id, status)
    return result


def reported_fault(run_folder: Path) -> NodeFault | None:
    """The named error that a job has written to ./outputs/error_info.json, as the components of this project do."""
    path = run_folder / "outputs" / _ERROR_INFO
    try:
        if not path.is_file() or path.stat().st_size > _MAX_ERROR_BYTES:
            return None
        found = json.loads(path.read_bytes())
        texts = {name: None if found.get(name) is None else str(found[name]) for name in ("code", "where", "reason")}
        examples = tuple(str(item) for item in found.get("examples") or ())
        return NodeFault(
            str(found["name"]), str(found["what"]), advice=str(found.get("advice") or ""), examples=examples, **texts
        )
    except (OSError, ValueError, TypeError, KeyError, AttributeError, RecursionError):  # another program's file
        return None


def _key_file(start: NodeResult) -> Path:
    return start.run_folder.with_name(f"{start.run_folder.name}.key")
