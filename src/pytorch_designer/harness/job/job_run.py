"""Local run of one command job, as Azure ML would run it.

    check values and folders -> list and copy the snapshot -> render the command -> create the MLflow run
    -> start the processes, follow them -> collect ./outputs and ./logs -> deliver outputs -> check the inputs

Everything that can be refused is refused before a process starts. Differences from Azure ML:

* `python` is the one that runs the harness, another, or that of the environment, which is built (`environments`), or
  that of the environment's image: the job then runs in a container.
* Inputs are not mounted read-only, but compared afterwards (`read_only`).
* All nodes are on this machine (`job_processes`).
* Only a fault limits /dev/shm.
"""

from __future__ import annotations

import signal
import time
import uuid
from contextlib import nullcontext
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING

from pytorch_designer.errors import (
    InterruptedRunError,
    InvalidSpecError,
    TimeLimitError,
    UnsupportedLocallyError,
)
from pytorch_designer.harness.environments.containers import Container
from pytorch_designer.harness.environments.job_python import OWN_PYTHON, JobPython
from pytorch_designer.harness.fault_injection.injected_faults import NO_FAULTS, InjectedFaults
from pytorch_designer.harness.fault_injection.injection import Injection, check_possible
from pytorch_designer.harness.job.child_processes import Child, LineReceiver, MemoryReceiver, Outcome, run_children
from pytorch_designer.harness.job.file_tracking import FileTracking
from pytorch_designer.harness.job.job_data import JobData
from pytorch_designer.harness.job.job_processes import (
    callers_variables,
    distribution_variables,
    find_shell,
    free_port,
    platform_variables,
    process_places,
)
from pytorch_designer.harness.job.leftover_processes import MARK_VARIABLE
from pytorch_designer.harness.job.rendering import check_texts, render_command
from pytorch_designer.harness.job.run_folder import TRACKING_FOLDER, RunFolder, RunRecord
from pytorch_designer.harness.job.run_store import DEFAULT_EXPERIMENT
from pytorch_designer.harness.job.snapshot import code_snapshot
from pytorch_designer.harness.schema.values import check_names, render_value
from pytorch_designer.storage.output import writing_errors
from pytorch_designer.system.stop_requests import StopRequest

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from pytorch_designer.harness.job.job_processes import Place
    from pytorch_designer.harness.job.run_store import RunStore
    from pytorch_designer.harness.schema.specification import CommandSpec

GRACE_SECONDS = 10.0
_VARIABLES_OF_CONTAINERS = (MARK_VARIABLE, "PYTHONUNBUFFERED")


@dataclass(frozen=True)
class JobRequest:
    """Job request. A node's own distribution, resources or command are set in `spec` with `dataclasses.replace`.

    Attributes:
        inputs: By name; see `values.check_values`.
        outputs: Folder (or, for a `uri_file`, file) of each output; those left out get one in the run folder.
        run_folder: See `run_folder`.
        environment_variables: Variables of this job, which take precedence over all others.
        store: MLflow store in which the job's run is created; the run ends with the job. None: no tracking.
        parent_run_id: The run of the pipeline that the job is a node of.
        experiment: Name of the experiment if there is no store.
        run_name: Name of the MLflow run; None: the component's label.
        grace_seconds: Time between SIGTERM and SIGKILL when the processes must end.
        keep_working_directory: Whether it is kept after a success too.
        faults: Faults to inject.
        python: The Python that its command finds.
        is_in_foreground: Whether the job has the terminal, so that `breakpoint()` works. Its log is then empty.
    """

    spec: CommandSpec
    run_folder: Path
    inputs: Mapping[str, object] = field(default_factory=dict)
    outputs: Mapping[str, Path] = field(default_factory=dict)
    environment_variables: Mapping[str, str] = field(default_factory=dict)
    store: RunStore | None = None
    parent_run_id: str | None = None
    experiment: str = DEFAULT_EXPERIMENT
    run_name: str | None = None
    grace_seconds: float = GRACE_SECONDS
    keep_working_directory: bool = False
    faults: InjectedFaults = NO_FAULTS
    python: JobPython = OWN_PYTHON
    is_in_foreground: bool = False

    def without_faults(self, result: JobResult) -> JobRequest:
        """The same job on the outputs of `result`, as a preempted job is restarted, in a run folder of its own."""
        folder = result.run_folder.with_name(f"{result.run_folder.name}-rerun")
        return replace(self, faults=NO_FAULTS, outputs=result.outputs, run_folder=folder)


@dataclass(frozen=True)
class JobResult:
    """Result of a job that was not stopped.

    Attributes:
        exit_code: That of the process that failed first, or 128 + n if signal n ended it; else 0.
        failed_rank: The rank of that process, or None.
        seconds: Time the processes ran.
        peak_memory_bytes: See `child_processes.Outcome`.
        log_files: The log of every process, by rank.
        outputs: The path of every output.
        run_folder: The run folder.
        run_id: The id of the run, also in MLflow.
        fault_notes: The effect of each fault, one sentence per fault.
    """

    exit_code: int
    failed_rank: int | None
    seconds: float
    peak_memory_bytes: int | None
    log_files: tuple[Path, ...]
    outputs: Mapping[str, Path]
    run_folder: Path
    run_id: str
    fault_notes: tuple[str, ...] = ()

    @property
    def has_succeeded(self) -> bool:
        """True if every process ended with 0."""
        return self.exit_code == 0


def run_job(
    request: JobRequest,
    on_line: LineReceiver | None = None,
    stop: StopRequest | None = None,
    on_memory: MemoryReceiver | None = None,
) -> JobResult:
    """Run a job and wait for its end.

    Args:
        request: What to run.
        on_line: Receives the rank and text of each line of output, from one other thread at a time.
        stop: Ends the job from outside; see `stop_requests`.
        on_memory: Receives the memory in use.

    Returns:
        How it ended, which may be with an exit code other than 0.

    Raises:
        ParameterError: A value is missing, unknown or unusable. Nothing was started.
        InvalidSpecError: The component cannot be run as it is written. Nothing was started.
        UnsupportedLocallyError: It needs what this machine cannot give. Nothing was started.
        FailedToWriteOutputsError: The run folder or an output cannot be written.
        TimeLimitError: It ran longer than its limit; all processes have ended.
        InputChangedError: The job succeeded but wrote into an input.
        InterruptedRunError: `stop` was requested; all processes have ended.
    """
    return _JobRun(request).run(on_line or _ignore, stop or StopRequest(), on_memory)


class _JobRun:
    """One run of one request; the constructor refuses what cannot be run, before anything is written."""

    def __init__(self, request: JobRequest) -> None:
        spec = request.spec
        self._request = request
        self._spec = spec
        self._folder = RunFolder(request.run_folder)
        self._places = process_places(spec)
        self._data = JobData(spec, request.inputs, request.outputs, self._folder)
        self._data.check_apart("The run folder", self._folder.path)
        if request.store is not None:
            self._data.check_apart("The MLflow database", request.store.database)
        self._folder.check_own(self._data.outputs.values())
        self._check_faults()
        if request.is_in_foreground and len(self._places) > 1:
            raise UnsupportedLocallyError(
                f"{spec.name} has {len(self._places)} processes, which cannot share the terminal.",
                where=spec.source,
                advice="Give it one process to debug it.",
            )
        written = self._data.written_outputs
        self._injection = Injection(request.faults, self._data.input_paths.values(), written)
        self._shell = find_shell()
        request.python.check_job(spec)
        own = () if request.store is None else request.store.own_paths
        self._snapshot = code_snapshot(spec, excluded=(self._folder.path, *own))
        self._command = render_command(spec, self._data.inputs, written)
        check_texts(spec, self._command, self._data.inputs, request.environment_variables)

    def run(self, on_line: LineReceiver, stop: StopRequest, on_memory: MemoryReceiver | None) -> JobResult:
        with self._folder.held(self._data.outputs.values()):
            return self._run(on_line, stop, on_memory)

    def _run(self, on_line: LineReceiver, stop: StopRequest, on_memory: MemoryReceiver | None) -> JobResult:
        self._data.list_inputs()
        self._folder.prepare(self._data.outputs.values())
        self._data.prepare_outputs()
        self._copy_snapshot()
        run_id = self._start_run()
        record = self._record(run_id)
        try:
            self._folder.write_record(record)
            outcome = self._run_processes(run_id, on_line, stop, on_memory)
            self._collect(outcome)
        except BaseException as error:
            is_canceled = isinstance(error, (InterruptedRunError, KeyboardInterrupt))
            self._end_run(run_id, "KILLED" if is_canceled else "FAILED")
            message = str(error) or type(error).__name__
            self._folder.write_record(record.ended("canceled" if is_canceled else "failed", error=message))
            raise
        self._end_run(run_id, "FAILED" if outcome.exit_code else "FINISHED")
        self._folder.write_record(
            record.ended(
                "failed" if outcome.exit_code else "completed",
                seconds=outcome.seconds,
                exit_code=outcome.exit_code,
                peak_memory_bytes=outcome.peak_memory_bytes,
            )
        )
        return JobResult(
            exit_code=outcome.exit_code,
            failed_rank=outcome.failed_rank,
            seconds=outcome.seconds,
            peak_memory_bytes=outcome.peak_memory_bytes,
            log_files=self._folder.log_files(len(self._places)),
            outputs=self._data.outputs,
            run_folder=self._folder.path,
            run_id=run_id,
            fault_notes=self._injection.notes,
        )

    def _check_faults(self) -> None:
        names = self._request.faults.output_names
        check_names("output", names, self._spec.outputs, self._spec.name)
        for name in names:
            if self._spec.outputs[name].is_file:
                raise UnsupportedLocallyError(f"Output {name} is a file; only folders can be read-only or full.")
        check_possible(self._request.faults)
        if self._request.faults.texts and self._request.python.containers is not None:
            raise UnsupportedLocallyError(
                "Faults cannot be injected into a container.",
                where=self._spec.source,
                advice="Leave `--fault` or `--environments docker` out.",
            )

    def _copy_snapshot(self) -> None:
        for node_rank in range(self._spec.resources.instance_count):
            folder = self._folder.working_directory(node_rank)
            with writing_errors(folder):
                try:
                    self._snapshot.copy_to(folder)
                except FileNotFoundError as error:
                    raise InvalidSpecError(
                        "A file of the code vanished while it was copied.", where=error.filename
                    ) from error
        self._folder.make_collected(self._spec.resources.instance_count)

    def _start_run(self) -> str:
        if self._request.store is None:
            return uuid.uuid4().hex
        name = self._request.run_name or self._spec.label
        tags = {"mlflow.source.name": self._spec.name}
        return self._request.store.start_run(name, parent_run_id=self._request.parent_run_id, tags=tags)

    def _end_run(self, run_id: str, status: str) -> None:
        if self._request.store is not None:
            self._request.store.end_run(run_id, status)

    def _record(self, run_id: str) -> RunRecord:
        return RunRecord(
            state="running",
            run_id=run_id,
            component=self._spec.name,
            version=self._spec.version,
            source=str(self._spec.source),
            command=self._command,
            inputs={name: render_value(value) for name, value in self._data.inputs.items()},
            outputs={name: str(path) for name, path in self._data.outputs.items()},
            environment_variables=tuple(self._request.environment_variables),
            started=time.time(),
            database=None if self._request.store is None else str(self._request.store.database),
        )

    def _run_processes(
        self, run_id: str, on_line: LineReceiver, stop: StopRequest, on_memory: MemoryReceiver | None
    ) -> Outcome:
        python = self._request.python.of(self._spec, partial(on_line, 0), stop)
        store, tracking = self._request.store, None
        if store is not None and python.has_own_mlflow(self._command, self._snapshot.files.values()):
            tracking = FileTracking(store, run_id, self._spec.label, self._folder.path / TRACKING_FOLDER)
        with self._injection as injection, nullcontext() if tracking is None else tracking.followed():
            outcome = run_children(
                self._children(run_id, python, tracking),
                on_line,
                stop,
                self._request.grace_seconds,
                injection.on_start,
                on_memory=on_memory,
                timeout_seconds=self._spec.timeout_seconds,
            )
        if outcome.was_timed_out:
            self._folder.collect(self._spec.resources.instance_count)
            raise TimeLimitError(
                f"{self._spec.name} ran longer than its limit of {self._spec.timeout_seconds} s and was ended.",
                where=self._folder.path,
            )
        if outcome.was_stopped:
            self._folder.collect(self._spec.resources.instance_count)
            raise InterruptedRunError(
                f"{self._spec.name} was stopped.",
                signal_number=stop.signal_number or signal.SIGTERM,
                where=self._folder.path,
                advice="Run it with the same outputs and run folder to go on from what it has written, if it can.",
            )
        return outcome

    def _children(self, run_id: str, python: JobPython, tracking: FileTracking | None) -> list[Child]:
        place = self._folder.working_directory(0).with_name("python")
        folders = () if python.image else python.folders(place, self._command, self._snapshot.files.values())
        outer = callers_variables(folders)
        own = platform_variables(
            run_id=run_id,
            root_run_id=self._request.parent_run_id or run_id,
            experiment=self._request.store.experiment if self._request.store else self._request.experiment,
            inputs=self._data.inputs,
            outputs=self._data.written_outputs,
        )
        if tracking is not None:
            own |= tracking.variables()
        elif self._request.store is not None:
            own |= self._request.store.variables(run_id)
        port = free_port()
        asked = dict(self._request.environment_variables)
        return [
            self._child(place, log_file, outer, own | distribution_variables(self._spec, place, port) | asked, python)
            for place, log_file in zip(self._places, self._folder.log_files(len(self._places)), strict=True)
        ]

    def _child(
        self, place: Place, log_file: Path, outer: dict[str, str], own: dict[str, str], python: JobPython
    ) -> Child:
        """A process with the caller's variables and its own; in a container it has its own alone."""
        working_directory = self._folder.working_directory(place.node_rank)
        container = self._container(python)
        if container is None:
            arguments, descriptors = self._injection.wrap((self._shell, "-c", self._command), working_directory)
        else:
            names = {*own, *_VARIABLES_OF_CONTAINERS}
            has_terminal = self._request.is_in_foreground
            arguments = container.arguments(self._command, working_directory, names, has_terminal=has_terminal)
            descriptors = ()
        return Child(
            arguments=arguments,
            working_directory=working_directory,
            environment=outer | own,
            log_file=log_file,
            descriptors=descriptors,
            is_in_foreground=self._request.is_in_foreground,
            removal=() if container is None else container.removal,
        )

    def _container(self, python: JobPython) -> Container | None:
        if python.containers is None or python.image is None:
            return None
        outputs = (*self._data.outputs.items(), *self._data.written_outputs.items())
        folders = [path.parent if self._spec.outputs[name].is_file else path for name, path in outputs]
        tracked = () if self._request.store is None else (self._request.store.made_artifact_folder(),)
        return Container(
            python.containers,
            python.image,
            read_only=self._data.input_paths.values(),
            writable=(self._folder.path, *folders, *tracked),
            shm_size=self._spec.resources.shm_size,
        )

    def _collect(self, outcome: Outcome) -> None:
        self._folder.collect(self._spec.resources.instance_count)
        if outcome.exit_code != 0:
            return
        for path in self._data.collected_outputs:
            self._folder.copy_collected(path)
        self._data.deliver_outputs()
        self._data.check_inputs()
        if not self._request.keep_working_directory:
            self._folder.remove_working_directories()


def _ignore(rank: int, line: str) -> None:
    """Line receiver that discards lines; the log has them."""
