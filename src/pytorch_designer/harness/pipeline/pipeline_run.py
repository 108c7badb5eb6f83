"""Local run of a pipeline.

    read and check everything -> run the nodes whose inputs exist, several at a time -> report how each ended

Of the nodes that are ready, one starts if none is running. A further one starts as long as all running nodes have at
most `max_parallel` processes together and at least `MIN_FREE_BYTES` of memory are free. Besides the differences from
Azure ML that `job_run` lists, `compute`, `identity` and similar settings are ignored.
"""

from __future__ import annotations

import signal
import time
import uuid
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext, suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from pytorch_designer.errors import DesignerError, InterruptedRunError
from pytorch_designer.harness.job.node import NodeFault, NodeResult, NodeState
from pytorch_designer.harness.job.run_folder import NODES_FOLDER
from pytorch_designer.harness.pipeline.control_plan import LoopRounds
from pytorch_designer.harness.pipeline.node_run import NodeRunner
from pytorch_designer.harness.pipeline.pipeline_reading import read_result
from pytorch_designer.harness.pipeline.pipeline_request import prepare_pipeline
from pytorch_designer.harness.pipeline.pipeline_state import PipelineResult, prepared_folder
from pytorch_designer.harness.pipeline.reuse_forecast import Selection, open_reuse, select_results
from pytorch_designer.harness.pipeline.run_recording import PipelineView, RunRecorder, SilentView
from pytorch_designer.harness.pipeline.run_requests import RequestInbox
from pytorch_designer.system.resources import available_memory_bytes
from pytorch_designer.system.stop_requests import StopRequest, stop_on_signals

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from typing_extensions import Unpack

    from pytorch_designer.harness.pipeline.pipeline_request import PipelineOptions, PipelineRequest
    from pytorch_designer.harness.reuse.node_reuse import Reuse
    from pytorch_designer.harness.schema.pipeline_specification import PipelineSpec

MIN_FREE_BYTES = 1 << 30
OUTPUTS_FOLDER = "named-outputs"
_CANCELED = "It was canceled."
_POLL_SECONDS = 0.1


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
        self._stops: dict[str, StopRequest] = {}
        self._memory: dict[str, int] = {}
        self._paths: dict[tuple[str, str], Path] = {}
        self._loops = [LoopRounds(loop) for loop in request.plan.loops]
        self._nodes = dict(request.plan.nodes)
        first = PipelineResult(
            name=request.plan.pipeline.label,
            state="running",
            nodes={name: self._first_state(name) for name in request.plan.nodes},
            outputs={},
            run_folder=request.run_folder,
            run_id=uuid.uuid4().hex,
            started=time.time(),
            source=request.plan.pipeline.source,
            inputs=request.plan.inputs,
            database=None if request.store is None else request.store.database,
        )
        self._recorder = RunRecorder(first, view)
        self._selection = Selection()

    @property
    def _result(self) -> PipelineResult:
        return self._recorder.result

    def run(self) -> PipelineResult:
        reuse = open_reuse(self._request, self._stop_nodes)
        self._selection = select_results(self._request, reuse)
        folder = self._request.run_folder
        with ExitStack() as stack:
            stack.enter_context(prepared_folder(folder, tuple(self._request.outputs.values())))
            stack.enter_context(self._recorder)
            self._inbox = RequestInbox(folder)
            return self._run(reuse)

    def _run(self, reuse: Reuse | None) -> PipelineResult:
        if self._request.store is not None:
            self._recorder.result = replace(self._result, run_id=self._request.store.start_run(self._result.name))
        self._leave_out()
        runner = self._runner(reuse)
        try:
            self._recorder.start(self._plan, self._request.source_text)
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
        states = {node.state for node in self._result.nodes.values()}
        if self._result.has_succeeded:
            self._end("completed", "FINISHED")
        elif NodeState.FAILED in states:
            self._end("failed", "FAILED")
        else:
            self._end("canceled", "KILLED")
        return self._result

    def _leave_out(self) -> None:
        """Set the states of nodes that do not run, because others were asked for."""
        chosen = self._request.chosen
        if chosen is None:
            return
        taken = self._selection.taken
        earlier = self._earlier_nodes()
        for name in list(self._waiting):
            if name in chosen or name in self._selection.kept:
                continue
            del self._waiting[name]
            node = taken.get(name) or earlier.get(name)
            if node is None:
                node = replace(self._result.nodes[name], state=NodeState.LEFT_OUT)
            self._recorder.result = self._result.with_node(node)
            if name in taken:
                self._paths.update({(name, port): path for port, path in node.outputs.items()})

    def _earlier_nodes(self) -> dict[str, NodeResult]:
        """Results that an earlier run has left in the same folder, which stay as they are."""
        with suppress(DesignerError):
            nodes = read_result(self._request.run_folder).nodes
            return {name: node for name, node in nodes.items() if node.state.has_succeeded}
        return {}

    def _runner(self, reuse: Reuse | None) -> NodeRunner:
        request = self._request
        return NodeRunner(
            folder=request.run_folder,
            named_outputs=frozenset(request.outputs.values()),
            reuse=reuse,
            store=request.store,
            parent_run_id=self._result.run_id,
            experiment=request.experiment,
            grace_seconds=request.grace_seconds,
            keep_working_directory=request.keep_working_directory,
            max_parallel=request.max_parallel,
            kept=self._selection.kept,
            explains=request.explains,
            python=request.python,
            is_in_foreground=request.is_in_foreground,
            faults=request.faults,
        )

    def _run_nodes(self, runner: NodeRunner) -> None:
        with ThreadPoolExecutor(max_workers=max(len(self._plan.nodes), 1)) as threads:
            try:
                while self._waiting or self._running or any(rounds.is_open for rounds in self._loops):
                    self._read_requests()
                    self._pass_on_stop()
                    self._go_round()  # before the nodes that wait for the end of a loop are looked at
                    self._skip_lost()
                    self._bypass()
                    for name in self._ready():
                        if self._has_room(self._nodes[name].num_processes):
                            self._start(name, runner, threads)
                    for future in wait(self._running, _POLL_SECONDS, FIRST_COMPLETED).done:
                        self._change(self._ended(self._running.pop(future), future))
                    running = self._running.values()
                    memory = {name: self._memory[name] for name in running if name in self._memory}
                    self._recorder.sample(memory, self._plan)
            finally:  # a bug, or a full disk: no process stays
                self._stop_all()

    def _start(self, name: str, runner: NodeRunner, threads: ThreadPoolExecutor) -> None:
        node = self._waiting.pop(name)
        start = replace(self._result.nodes[name], state=NodeState.RUNNING, started=time.time())
        self._change(start)

        def on_line(rank: int, line: str) -> None:
            self._view.line_written(name, rank, line)

        def on_memory(num_bytes: int) -> None:
            self._memory[name] = num_bytes

        self._stops[name] = StopRequest()
        paths = {**self._selection.paths, **self._paths}
        future = threads.submit(runner.run, node, start, paths, on_line, self._stops[name], on_memory=on_memory)
        self._running[future] = name

    def _read_requests(self) -> None:
        is_to_end, nodes = self._inbox.take()
        if is_to_end:
            self._stop.request()
        for name in nodes:
            if name in self._waiting:
                self._drop(name, NodeState.CANCELED, _CANCELED)
            elif name in self._running.values():
                self._stops[name].request()

    def _stop_all(self, number: int = signal.SIGTERM) -> None:
        self._stop_nodes.request(number)
        for name in self._running.values():
            self._stops[name].request(number)

    def _skip_lost(self) -> None:
        """End what needs a node that has failed; in the plan's order, so that what needs those goes too."""
        for name, node in list(self._waiting.items()):
            states = {needed: self._result.nodes[needed].state for needed in node.needs}
            lost = sorted(needed for needed, state in states.items() if state.has_ended and not state.has_succeeded)
            if lost and name not in self._selection.kept:
                why = {states[needed] for needed in lost}
                is_alike = why in ({NodeState.BYPASSED}, {NodeState.CANCELED})
                state = why.pop() if is_alike else NodeState.SKIPPED
                self._drop(name, state, f"It needs {', '.join(lost)}.")

    def _go_round(self) -> None:
        """Start the next round of loops whose round has ended, or end them."""
        for rounds in self._loops:
            if not rounds.has_round_ended(self._result.nodes):
                continue
            first = next(iter(rounds.loop.body))
            try:
                if rounds.end_round(self._result.nodes, self._paths):
                    for name, node in rounds.loop.body.items():
                        self._nodes[name] = self._waiting[name] = node
                        self._change(self._first_state(name, rounds.number))
                else:
                    rounds.deliver(self._paths, self._place_of_output)
            except DesignerError as error:
                self._change(self._failed(first, NodeState.FAILED, error))

    def _bypass(self) -> None:
        """End what the conditions of `if_else` nodes leave out."""
        if not any(node.conditions for node in self._waiting.values()):
            return
        paths = {**self._selection.paths, **self._paths}
        for name in self._ready():
            with self._failing(name):
                unmet = [condition for condition in self._waiting[name].conditions if not condition.is_met(paths)]
                if unmet and name not in self._selection.kept:
                    what = f"The condition of {unmet[0].name} is {unmet[0].source.text(paths)}."
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
        kept = self._selection.kept
        return [
            name
            for name, node in self._waiting.items()
            if name in kept or (node.needs <= done and not any(rounds.holds(name, node) for rounds in self._loops))
        ]

    def _has_room(self, num_processes: int) -> bool:
        if not self._running:
            return True
        running = sum(self._nodes[name].num_processes for name in self._running.values())
        if running + num_processes > self._request.max_parallel:
            return False
        return available_memory_bytes() >= MIN_FREE_BYTES

    def _ended(self, name: str, future: Future[NodeResult]) -> NodeResult:
        try:
            node = future.result()
        except InterruptedRunError as error:
            is_alone = self._stop_nodes.signal_number is None  # somebody has ended this node, not the run
            canceled = self._failed(name, NodeState.CANCELED, error)
            return replace(canceled, error=_CANCELED, fault=None) if is_alone else canceled
        except DesignerError as error:
            node = self._failed(name, NodeState.FAILED, error)
        if node.state.has_succeeded:
            self._paths.update({(name, port): path for port, path in node.outputs.items()})
        elif not self._plan.pipeline.settings.continue_on_step_failure:
            self._stop_all()
            self._cancel_waiting(f"{name} has failed, and continue_on_step_failure is false.")
        return node

    def _failed(self, name: str, state: NodeState, error: DesignerError) -> NodeResult:
        node = self._result.nodes[name]
        logs = tuple(sorted((node.run_folder / "user_logs").glob("std_log*.txt")))
        seconds = None if node.started is None else time.time() - node.started
        return replace(node, state=state, error=str(error), fault=NodeFault.of(error), seconds=seconds, log_files=logs)

    def _pass_on_stop(self) -> None:
        if self._stop.signal_number is None:
            return
        if self._stop_nodes.signal_number is None or (self._stop.is_urgent and not self._stop_nodes.is_urgent):
            self._stop_all(self._stop.signal_number)
        self._cancel_waiting("The pipeline was stopped.")

    def _cancel_waiting(self, why: str) -> None:
        for name in list(self._waiting):
            self._drop(name, NodeState.CANCELED, why)

    def _change(self, node: NodeResult) -> None:
        self._recorder.change(node)

    def _end(self, state: str, status: str) -> None:
        for node in self._result.nodes.values():
            if not node.state.has_ended:
                self._recorder.result = self._result.with_node(replace(node, state=NodeState.CANCELED))
        outputs = {name: self._paths[place] for name, place in self._plan.outputs.items() if place in self._paths}
        self._recorder.end(state, outputs)
        if self._request.store is not None:
            self._request.store.end_run(self._result.run_id, status)

    def _place_of_output(self, name: str, source: Path) -> Path:
        """Destination of the output of the pipeline that is the file or folder `source`."""
        place = self._request.run_folder / OUTPUTS_FOLDER / name
        return self._request.outputs.get(name) or (place if source.is_dir() else place / source.name)

    def _first_state(self, name: str, number: int = 1) -> NodeResult:
        """The state of a node that waits, in a round of its loop."""
        node = self._nodes[name]
        folder = self._request.run_folder / NODES_FOLDER / (name if number == 1 else f"{name}.round_{number}")
        outputs = {}
        for port, spec in node.spec.outputs.items():
            pipeline_output = node.pipeline_outputs.get(port)
            given = None if pipeline_output is None else self._request.outputs.get(pipeline_output)
            place = folder / OUTPUTS_FOLDER / port
            if pipeline_output is not None:
                place = self._request.run_folder / OUTPUTS_FOLDER / pipeline_output
            outputs[port] = given or (place / port if spec.is_file else place)
        return NodeResult(name, folder, outputs=outputs)
