"""Run of a sweep: trials in turn or side by side, the best trial's outputs as those of the sweep.

    draw values -> run or reuse the trial -> read its metric, end it if it is poor -> copy the best trial's outputs

RUN/nodes/NAME/trials/trial_0/     the run folder of each trial, with its outputs
RUN/nodes/NAME/trials.json         all trials: values, state, metric
RUN/nodes/NAME/sweep.html          the same as a page
"""

from __future__ import annotations

import time
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Protocol

from pytorch_designer.errors import DesignerError, InterruptedRunError, InvalidSpecError, TimeLimitError
from pytorch_designer.harness.job.node import NodeResult, NodeState
from pytorch_designer.harness.reuse.file_trees import copy_to
from pytorch_designer.harness.schema.binding_scope import Source
from pytorch_designer.harness.sweep.early_termination import reason_to_end
from pytorch_designer.harness.sweep.sampling import open_sampler
from pytorch_designer.harness.sweep.sweep_report import PAGE_FILE, trial_line, trial_table, write_report
from pytorch_designer.harness.sweep.trial import TrialResult, TrialState, best_of, shown_value, trial_name
from pytorch_designer.harness.sweep.trial_metrics import keep_metrics, kept_metrics, logged_metrics
from pytorch_designer.storage.output import writing_errors
from pytorch_designer.system.resources import available_memory_bytes
from pytorch_designer.system.stop_requests import StopRequest

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from pytorch_designer.harness.job.child_processes import LineReceiver
    from pytorch_designer.harness.job.node import PlannedNode
    from pytorch_designer.harness.job.run_store import RunStore
    from pytorch_designer.harness.node_kinds.sweep_settings import SweepSettings
    from pytorch_designer.harness.schema.specification import Scalar

_POLL_SECONDS = 0.2
_MIN_FREE_BYTES = 1 << 30


class TrialRunner(Protocol):
    """Runs one trial as a node of its own; raises as `job.run_job` does."""

    def __call__(
        self,
        trial: PlannedNode,
        start: NodeResult,
        on_line: LineReceiver,
        stop: StopRequest,
        before_keeping: Callable[[], None],
    ) -> NodeResult:
        """Run or reuse it; `before_keeping` is called when it has run, before its result is kept."""


@dataclass(frozen=True)
class SweepRequest:
    """Sweep request.

    Attributes:
        node: The node; its `spec` is the trial.
        settings: How trials are chosen.
        start: The state of the node so far; `outputs` says where each output goes.
        run_trial: Runs a trial.
        store: Where trials log their metrics.
        run_id: The MLflow run of the sweep, which is the parent of its trials.
        max_parallel: Maximum number of processes of all trials at a time.
    """

    node: PlannedNode
    settings: SweepSettings
    start: NodeResult
    run_trial: TrialRunner
    store: RunStore
    run_id: str
    max_parallel: int


def run_sweep(request: SweepRequest, on_line: LineReceiver, stop: StopRequest) -> NodeResult:
    """Run a sweep to its end.

    Args:
        request: What to run.
        on_line: Receives lines of the sweep and of its trials.
        stop: Ends the sweep and its trials from outside.

    Raises:
        TimeLimitError: The time for the sweep is over.
        InvalidSpecError: The trials do not log the primary metric.
        InterruptedRunError: `stop` was requested; all processes have ended.
        DesignerError: As `job.run_job` raises it, where a trial cannot be started.
    """
    return _SweepRun(request, on_line, stop).run()


def trial_node(sweep: PlannedNode, number: int, values: Mapping[str, Scalar]) -> PlannedNode:
    """A trial as a node of its own."""
    return replace(
        sweep,
        name=f"{sweep.name}.{trial_name(number)}",
        inputs={**sweep.inputs, **{name: Source((str(value),)) for name, value in values.items()}},
        pipeline_outputs={},
        sweep=None,
        conditions=(),
    )


class _SweepRun:
    """One run: this thread decides, and a thread for each running trial waits for its job."""

    def __init__(self, request: SweepRequest, on_line: LineReceiver, stop: StopRequest) -> None:
        self._request = request
        self._settings = request.settings
        self._on_line = on_line
        self._stop = stop
        self._sampler = open_sampler(request.settings)
        self._trials: dict[int, TrialResult] = {}
        self._running: dict[Future[NodeResult], int] = {}
        self._stops: dict[int, StopRequest] = {}
        self._ends: dict[int, tuple[TrialState, str]] = {}
        self._started: dict[int, float] = {}
        self._num_told = 0
        self._error: DesignerError | None = None
        self._folder = request.start.run_folder
        self._log = self._folder / "user_logs" / "std_log.txt"
        at_a_time = request.max_parallel // max(request.node.spec.num_processes, 1)
        self._at_a_time = max(min(request.settings.max_concurrent_trials, at_a_time), 1)

    def run(self) -> NodeResult:
        started = time.monotonic()
        settings = self._settings
        goal = "maximize" if settings.is_maximized else "minimize"
        self._say(
            f"{settings.num_trials} trials, at most {self._at_a_time} at a time, {settings.sampling.type} sampling, to "
            f"{goal} {settings.primary_metric}"
        )
        try:
            self._run_trials(started)
        finally:
            if self._trials:
                write_report(self._folder, self._request.node.name, settings, list(self._trials.values()))
        if self._stop.signal_number is not None:
            raise InterruptedRunError(
                f"{self._request.node.name} was stopped.",
                signal_number=self._stop.signal_number,
                where=self._folder,
                advice="Run it again: trials that have succeeded are reused.",
            )
        for line in trial_table(settings, list(self._trials.values())):
            self._say(line)
        self._say(f"All trials: {self._folder / PAGE_FILE}")
        if self._error is not None:
            raise self._error
        best = best_of(self._trials.values(), is_maximized=settings.is_maximized)
        if best is not None:
            self._deliver(best)
            self._say(f"The outputs are those of trial {best.number}.")
        return replace(
            self._request.start,
            state=NodeState.FAILED if best is None else NodeState.COMPLETED,
            error=self._no_trial() if best is None else None,
            seconds=time.monotonic() - started,
            run_id=self._request.run_id,
            log_files=(self._log,),
        )

    def _run_trials(self, started: float) -> None:
        with ThreadPoolExecutor(max_workers=self._at_a_time) as threads:
            try:
                while True:
                    self._check_end(started)
                    while self._can_start():
                        self._start(threads)
                    if not self._running:
                        return
                    for future in wait(self._running, _POLL_SECONDS, FIRST_COMPLETED).done:
                        self._end(self._running.pop(future), future)
                    self._end_poor_trials()
            finally:  # a bug, or a full disk: no process stays
                self._end_running(TrialState.CANCELED, "The sweep has ended.")

    def _check_end(self, started: float) -> None:
        """Pass on what ends the sweep: a stop request, an error, its timeout."""
        number = self._stop.signal_number
        if number is not None:
            self._end_running(TrialState.CANCELED, "The sweep was stopped.", number)
        limit = self._settings.timeout_seconds
        if limit is not None and self._error is None and time.monotonic() - started > limit:
            self._error = TimeLimitError(
                f"The sweep ran longer than its limit of {limit} s and was ended.",
                where=self._request.node.name,
                advice="Raise limits.timeout; trials that have succeeded are reused in the next run.",
            )
        if self._error is not None:
            self._end_running(TrialState.CANCELED, self._error.what)

    def _can_start(self) -> bool:
        number = len(self._trials)
        if number == self._settings.num_trials or self._error is not None or self._stop.signal_number is not None:
            return False
        if len(self._running) >= self._at_a_time:
            return False
        if self._sampler.looks_back:
            return all(other not in self._running.values() for other in range(number - self._at_a_time + 1))
        return not self._running or available_memory_bytes() >= _MIN_FREE_BYTES

    def _start(self, threads: ThreadPoolExecutor) -> None:
        number = len(self._trials)
        if self._sampler.looks_back:
            for other in range(self._num_told, number - self._at_a_time + 1):
                self._tell(self._trials[other])
        values = self._sampler.values(number)
        trial = TrialResult(number, values, self._folder / "trials" / f"trial_{number}")
        self._trials[number] = trial
        self._stops[number] = StopRequest()
        self._started[number] = time.monotonic()
        self._say(f"Trial {number} starts: {', '.join(f'{name}={shown_value(v)}' for name, v in values.items())}")
        self._running[threads.submit(self._run_trial, trial, self._stops[number])] = number

    def _run_trial(self, trial: TrialResult, stop: StopRequest) -> NodeResult:
        node = self._request.node
        outputs = {}
        for port, spec in node.spec.outputs.items():
            place = trial.folder / "named-outputs" / port
            outputs[port] = place / port if spec.is_file else place
        planned = trial_node(node, trial.number, trial.values)
        start = NodeResult(planned.name, trial.folder, state=NodeState.RUNNING, outputs=outputs)
        has_ranks = node.spec.num_processes > 1

        def on_line(rank: int, line: str) -> None:
            self._on_line(0, f"trial {trial.number} | {f'[{rank}] ' if has_ranks else ''}{line}")

        def keep() -> None:
            with writing_errors(trial.folder):
                keep_metrics(trial.folder, self._logged(trial))

        return self._request.run_trial(planned, start, on_line, stop, keep)

    def _end(self, number: int, future: Future[NodeResult]) -> None:
        trial = self._trials[number]
        seconds = time.monotonic() - self._started[number]
        try:
            node = future.result()
        except InterruptedRunError:
            state, why = self._ends.get(number, (TrialState.CANCELED, "It was stopped."))
            trial = replace(trial, state=state, error=why, seconds=seconds)
        except DesignerError as error:
            trial = replace(trial, state=TrialState.FAILED, error=str(error), seconds=seconds)
        else:
            states = {NodeState.COMPLETED: TrialState.COMPLETED, NodeState.REUSED: TrialState.REUSED}
            trial = replace(
                trial,
                state=states.get(node.state, TrialState.FAILED),
                seconds=node.seconds,
                run_id=node.run_id,
                outputs=node.outputs,
                error=node.error,
            )
            if node.reason is not None:
                self._say(f"Trial {number} was run, not reused: {node.reason}")
        metrics = self._logged(trial) or kept_metrics(trial.folder)
        history = metrics.get(self._settings.primary_metric, [])
        trial = replace(trial, history=tuple(history), metrics=tuple(sorted(metrics)))
        self._trials[number] = trial
        best = best_of(self._trials.values(), is_maximized=self._settings.is_maximized)
        self._say(trial_line(self._settings, trial, is_best=best is not None and best.number == number))
        if trial.state.has_succeeded and best is None and self._error is None:
            self._error = self._metric_not_found(trial)

    def _tell(self, trial: TrialResult) -> None:
        self._sampler.tell(trial.number, trial.objective(is_maximized=self._settings.is_maximized))
        self._num_told += 1

    def _end_poor_trials(self) -> None:
        """End running trials that take too long, or that the early-termination policy ends."""
        limit, policy = self._settings.trial_timeout_seconds, self._settings.termination
        for number in self._running.values():
            if limit is not None and time.monotonic() - self._started[number] > limit:
                self._end_trial(number, TrialState.TIMED_OUT, f"It took more than trial_timeout, {limit} s.")
        if policy is None:
            return
        histories = {number: list(trial.history) for number, trial in self._trials.items()}
        for number in self._running.values():
            histories[number] = self._logged(self._trials[number]).get(self._settings.primary_metric, [])
        for number in self._running.values():
            why = reason_to_end(policy, number, histories, is_maximized=self._settings.is_maximized)
            if why is not None:
                self._end_trial(number, TrialState.TERMINATED, why)

    def _end_trial(self, number: int, state: TrialState, why: str, signal_number: int | None = None) -> None:
        stop = self._stops[number]
        if stop.signal_number is None:
            self._ends[number] = (state, why)
            stop.request() if signal_number is None else stop.request(signal_number)
        elif self._stop.is_urgent and not stop.is_urgent:
            stop.request()

    def _end_running(self, state: TrialState, why: str, signal_number: int | None = None) -> None:
        for number in self._running.values():
            self._end_trial(number, state, why, signal_number)

    def _no_trial(self) -> str:
        return f"None of the {len(self._trials)} trials has succeeded; their logs are in {self._folder / 'trials'}."

    def _metric_not_found(self, trial: TrialResult) -> DesignerError:
        logged = ", ".join(trial.metrics) or "none"
        return InvalidSpecError(
            f"Trial {trial.number} has not logged the primary metric {self._settings.primary_metric!r}.",
            where=self._request.node.name,
            advice=f"It has logged these metrics: {logged}. Name one of them at objective.primary_metric, or log this "
            "one with mlflow.log_metric.",
            reason="no_metric",
        )

    def _deliver(self, best: TrialResult) -> None:
        for port, path in self._request.start.outputs.items():
            source = best.outputs[port]
            with writing_errors(path):
                if source.exists():
                    copy_to(source, path)
        for name in ("outputs", "logs"):
            with writing_errors(self._folder):
                if (best.folder / name).is_dir():
                    copy_to(best.folder / name, self._folder / name)
        if best.run_id is not None:
            self._request.store.copy_values(best.run_id, self._request.run_id)

    def _logged(self, trial: TrialResult) -> dict[str, list[float]]:
        return logged_metrics(self._request.store, self._request.run_id, f"{self._request.node.name}.{trial.name}")

    def _say(self, line: str) -> None:
        with writing_errors(self._log), self._log.open("a", encoding="utf-8") as stream:
            stream.write(f"{line}\n")
        self._on_line(0, line)
