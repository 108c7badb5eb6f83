"""Local run of a pipeline.

    read and check everything -> run the nodes whose inputs exist, several at a time -> report how each ended

Of the nodes that are ready, one starts if none is running. A further one starts as long as all running nodes have at
most `max_parallel` processes together and at least `MIN_FREE_BYTES` of memory are free. Besides the differences from
Azure ML that `job_run` lists, `compute`, `limits`, `identity` and similar settings are ignored.
"""

from __future__ import annotations

import logging
import time
import uuid
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Protocol

from pytorch_designer.errors import DesignerError, InterruptedRunError
from pytorch_designer.harness.job.node import NodeResult, NodeState
from pytorch_designer.harness.job.run_folder import NODES_FOLDER
from pytorch_designer.harness.pipeline.node_run import NodeRunner
from pytorch_designer.harness.pipeline.pipeline_request import prepare_pipeline
from pytorch_designer.harness.pipeline.pipeline_state import PipelineResult, prepared_folder, write_state
from pytorch_designer.harness.reuse.node_reuse import Reuse
from pytorch_designer.system.resources import available_memory_bytes
from pytorch_designer.system.stop_requests import StopRequest, stop_on_signals

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from typing_extensions import Unpack

    from pytorch_designer.harness.pipeline.pipeline_request import PipelineOptions, PipelineRequest
    from pytorch_designer.harness.reuse.reuse_cache import ReuseCache
    from pytorch_designer.harness.schema.pipeline_specification import PipelineSpec

_log = logging.getLogger(__name__)

MIN_FREE_BYTES = 1 << 30
OUTPUTS_FOLDER = "named-outputs"
_POLL_SECONDS = 0.1


class PipelineView(Protocol):
    """Observer of a pipeline run; called from several threads, but one at a time per node."""

    def node_changed(self, node: NodeResult) -> None:
        """A node has started or ended."""

    def line_written(self, node: str, rank: int, line: str) -> None:
        """A process of a node has written a line."""


class SilentView:
    """View that shows nothing."""

    def node_changed(self, node: NodeResult) -> None:
        """Drop the event."""

    def line_written(self, node: str, rank: int, line: str) -> None:
        """Drop the line."""


def run_pipeline(
    job: PipelineSpec | str | Path | Any,
    *,
    run_folder: str | Path,
    view: PipelineView | None = None,
    stop: StopRequest | None = None,
    **options: Unpack[PipelineOptions],
) -> PipelineResult:
    """Run a pipeline and wait for its end.

    Args:
        job: A pipeline of azure-ai-ml (what a `@dsl.pipeline` function or `load_job` returns), the path of a YAML
            file, or a `PipelineSpec`.
        run_folder: New, empty, or that of an earlier run; see `pipeline_state`.
        view: Is told what happens.
        stop: Ends the pipeline from outside. None: Ctrl-C and SIGTERM do, if this is the main thread.
        options: See `PipelineOptions`.

    Returns:
        How it ended; nodes may have failed.

    Raises:
        DesignerError: As `prepare_pipeline` raises it. Nothing was started.
        InterruptedRunError: `stop` was requested; all processes have ended.
    """
    request = prepare_pipeline(job, run_folder=run_folder, **options)
    context: AbstractContextManager[StopRequest] = stop_on_signals() if stop is None else nullcontext(stop)
    with context as asked:
        return run_plan(request, view or SilentView(), asked)


def run_plan(request: PipelineRequest, view: PipelineView, stop: StopRequest) -> PipelineResult:
    """Run a checked pipeline; returns and raises as `run_pipeline` does."""
    return _PipelineRun(request, view, stop).run()


class _PipelineRun:
    """One run: the main thread decides, and a thread for each running node waits for its job."""

    def __init__(self, request: PipelineRequest, view: PipelineView, stop: StopRequest) -> None:
        self._request = request
        self._plan = request.plan
        self._view = view
        self._stop = stop
        self._stop_nodes = StopRequest()
        self._waiting = dict(request.plan.nodes)
        self._running: dict[Future[NodeResult], str] = {}
        self._paths: dict[tuple[str, str], Path] = {}
        self._result = PipelineResult(
            name=request.plan.pipeline.label,
            state="running",
            nodes={name: self._first_state(name) for name in request.plan.nodes},
            outputs={},
            run_folder=request.run_folder,
            run_id=uuid.uuid4().hex,
            started=time.time(),
        )

    def run(self) -> PipelineResult:
        with prepared_folder(self._request.run_folder, tuple(self._request.outputs.values())):
            return self._run()

    def _run(self) -> PipelineResult:
        if self._request.store is not None:
            self._result = replace(self._result, run_id=self._request.store.start_run(self._result.name))
        runner = self._runner()
        try:
            write_state(self._result)
            self._run_nodes(runner)
        except BaseException:
            self._end("failed", "FAILED")
            raise
        if self._stop.signal_number is not None and not self._result.has_succeeded:
            self._end("canceled", "KILLED")
            raise InterruptedRunError(
                f"The pipeline {self._result.name} was stopped.",
                signal_number=self._stop.signal_number,
                where=self._result.state_file,
                advice="Run it again with the same run folder: completed nodes are reused, and interrupted ones go on "
                "from what they have written, if they can.",
            )
        has_succeeded = self._result.has_succeeded
        self._end("completed" if has_succeeded else "failed", "FINISHED" if has_succeeded else "FAILED")
        return self._result

    def _runner(self) -> NodeRunner:
        request = self._request
        return NodeRunner(
            folder=request.run_folder,
            named_outputs=frozenset(request.outputs.values()),
            reuse=None if request.cache is None else self._reuse(request.cache),
            store=request.store,
            parent_run_id=self._result.run_id,
            experiment=request.experiment,
            grace_seconds=request.grace_seconds,
            keep_working_directory=request.keep_working_directory,
            max_parallel=request.max_parallel,
        )

    def _reuse(self, cache: ReuseCache) -> Reuse | None:
        request = self._request
        try:
            cache.claim()
        except OSError as error:
            advice = "PYTORCH_DESIGNER_REUSE_CACHE can name another folder"
            _log.warning("Nothing is reused or kept, because the cache cannot be written (%s): %s", advice, error)
            return None
        own = () if request.store is None else request.store.own_paths
        not_code = (*own, cache.folder, *request.outputs.values())
        return Reuse(cache, stop=self._stop_nodes, is_forced=request.is_forced, not_code=not_code)

    def _run_nodes(self, runner: NodeRunner) -> None:
        with ThreadPoolExecutor(max_workers=max(len(self._plan.nodes), 1)) as threads:
            try:
                while self._waiting or self._running:
                    self._pass_on_stop()
                    self._skip_lost()
                    self._bypass()
                    for name in self._ready():
                        if self._has_room(self._plan.nodes[name].num_processes):
                            self._start(name, runner, threads)
                    for future in wait(self._running, _POLL_SECONDS, FIRST_COMPLETED).done:
                        self._change(self._ended(self._running.pop(future), future))
            finally:  # a bug, or a full disk: no process stays
                self._stop_nodes.request()

    def _start(self, name: str, runner: NodeRunner, threads: ThreadPoolExecutor) -> None:
        node = self._waiting.pop(name)
        start = replace(self._result.nodes[name], state=NodeState.RUNNING, started=time.time())
        self._change(start)

        def on_line(rank: int, line: str) -> None:
            self._view.line_written(name, rank, line)

        future = threads.submit(runner.run, node, start, dict(self._paths), on_line, self._stop_nodes)
        self._running[future] = name

    def _skip_lost(self) -> None:
        """End what needs a node that has failed; in the plan's order, so that what needs those goes too."""
        for name, node in list(self._waiting.items()):
            states = {needed: self._result.nodes[needed].state for needed in node.needs}
            lost = sorted(needed for needed, state in states.items() if state.has_ended and not state.has_succeeded)
            if lost:
                is_bypassed = all(states[needed] is NodeState.BYPASSED for needed in lost)
                state = NodeState.BYPASSED if is_bypassed else NodeState.SKIPPED
                self._drop(name, state, f"It needs {', '.join(lost)}.")

    def _bypass(self) -> None:
        """End what the conditions of `if_else` nodes leave out."""
        for name in self._ready():
            with self._failing(name):
                unmet = [condition for condition in self._waiting[name].conditions if not condition.is_met(self._paths)]
                if unmet:
                    what = f"The condition of {unmet[0].name} is {unmet[0].source.text(self._paths)}."
                    self._drop(name, NodeState.BYPASSED, what)

    @contextmanager
    def _failing(self, name: str) -> Iterator[None]:
        """Let a node that waits fail where something raises a named error."""
        try:
            yield
        except DesignerError as error:
            self._drop(name, NodeState.FAILED, str(error))

    def _drop(self, name: str, state: NodeState, why: str) -> None:
        del self._waiting[name]
        self._change(replace(self._result.nodes[name], state=state, error=why))

    def _ready(self) -> list[str]:
        done = {name for name, node in self._result.nodes.items() if node.state.has_succeeded}
        return [name for name, node in self._waiting.items() if node.needs <= done]

    def _has_room(self, num_processes: int) -> bool:
        if not self._running:
            return True
        running = sum(self._plan.nodes[name].num_processes for name in self._running.values())
        if running + num_processes > self._request.max_parallel:
            return False
        return available_memory_bytes() >= MIN_FREE_BYTES

    def _ended(self, name: str, future: Future[NodeResult]) -> NodeResult:
        try:
            node = future.result()
        except InterruptedRunError as error:
            return self._failed(name, NodeState.CANCELED, error)
        except DesignerError as error:
            node = self._failed(name, NodeState.FAILED, error)
        if node.state.has_succeeded:
            self._paths.update({(name, port): path for port, path in node.outputs.items()})
        elif not self._plan.pipeline.settings.continue_on_step_failure:
            self._stop_nodes.request()
            self._cancel_waiting(f"{name} has failed, and continue_on_step_failure is false.")
        return node

    def _failed(self, name: str, state: NodeState, error: DesignerError) -> NodeResult:
        node = self._result.nodes[name]
        logs = tuple(sorted((node.run_folder / "user_logs").glob("std_log*.txt")))
        seconds = None if node.started is None else time.time() - node.started
        return replace(node, state=state, error=str(error), seconds=seconds, log_files=logs)

    def _pass_on_stop(self) -> None:
        if self._stop.signal_number is None:
            return
        if self._stop_nodes.signal_number is None or (self._stop.is_urgent and not self._stop_nodes.is_urgent):
            self._stop_nodes.request(self._stop.signal_number)
        self._cancel_waiting("The pipeline was stopped.")

    def _cancel_waiting(self, why: str) -> None:
        for name in list(self._waiting):
            self._drop(name, NodeState.CANCELED, why)

    def _change(self, node: NodeResult) -> None:
        self._result = self._result.with_node(node)
        write_state(self._result)
        self._view.node_changed(node)

    def _end(self, state: str, status: str) -> None:
        for node in self._result.nodes.values():
            if not node.state.has_ended:
                self._result = self._result.with_node(replace(node, state=NodeState.CANCELED))
        outputs = {name: self._paths[place] for name, place in self._plan.outputs.items() if place in self._paths}
        self._result = self._result.ended(state, outputs)
        write_state(self._result)
        if self._request.store is not None:
            self._request.store.end_run(self._result.run_id, status)

    def _first_state(self, name: str) -> NodeResult:
        node = self._plan.nodes[name]
        folder = self._request.run_folder / NODES_FOLDER / name
        outputs = {}
        for port, spec in node.spec.outputs.items():
            pipeline_output = node.pipeline_outputs.get(port)
            given = None if pipeline_output is None else self._request.outputs.get(pipeline_output)
            place = folder / OUTPUTS_FOLDER / port
            if pipeline_output is not None:
                place = self._request.run_folder / OUTPUTS_FOLDER / pipeline_output
            outputs[port] = given or (place / port if spec.is_file else place)
        return NodeResult(name, folder, outputs=outputs)
