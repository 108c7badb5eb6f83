"""Runner of components and pipelines in tests, for fixtures of any scope."""

from __future__ import annotations

import logging
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pytorch_designer.errors import InterruptedRunError
from pytorch_designer.harness.fault_injection.injected_faults import parse_faults
from pytorch_designer.harness.job.job_run import JobRequest, run_job
from pytorch_designer.harness.job.run_store import RunStore, open_run_store
from pytorch_designer.harness.lint.linter import findings_for_run
from pytorch_designer.harness.pipeline.command_job import command_job_request
from pytorch_designer.harness.pipeline.pipeline_request import PipelineRequest, prepare_pipeline
from pytorch_designer.harness.pipeline.pipeline_run import run_plan
from pytorch_designer.harness.pipeline.run_recording import SilentView
from pytorch_designer.harness.schema.assets import Assets, read_assets
from pytorch_designer.harness.schema.azure_objects import command_component, is_command_job, pipeline_job
from pytorch_designer.harness.schema.component_file import Kind, command_spec, kind_of
from pytorch_designer.harness.schema.interface import kind_warnings
from pytorch_designer.harness.schema.pipeline_file import pipeline_spec
from pytorch_designer.harness.schema.spec_faults import distinct_faults
from pytorch_designer.harness.schema.values import check_values
from pytorch_designer.harness.schema.yaml_tree import read_yaml
from pytorch_designer.harness.testing.runs import (
    ComponentRun,
    NodeRun,
    PipelineRun,
    read_error_info,
    read_log,
    read_metrics,
    read_parameters,
)
from pytorch_designer.mlflow_database import DATABASE_FILE
from pytorch_designer.system.stop_requests import StopRequest, stop_on_signals

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from pytorch_designer.harness.job.node import NodeResult
    from pytorch_designer.harness.schema.spec_faults import SpecFault
    from pytorch_designer.harness.schema.yaml_tree import YamlDocument

RunComponent = Callable[..., ComponentRun]
"""Type of the fixture `run_component`; see `Runner.run_component`."""

RunPipeline = Callable[..., PipelineRun]
"""Type of the fixture `run_pipeline`; see `Runner.run_pipeline`."""

TIMEOUT_SECONDS = 600.0
_log = logging.getLogger(__name__)


class Runner:
    """Runner of components and pipelines, each in its own folder below `folder`, beside their MLflow database.

    No process is left when a run has ended, failed or timed out.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._numbers = count(1)

    def run_component(
        self,
        component: str | Path | Any,
        *,
        inputs: Mapping[str, str | Path] | None = None,
        parameters: Mapping[str, object] | None = None,
        outputs: Mapping[str, str | Path] | None = None,
        environment: Mapping[str, str] | None = None,
        faults: Iterable[str] = (),
        has_mlflow: bool = True,
        timeout_seconds: float = TIMEOUT_SECONDS,
    ) -> ComponentRun:
        """Run a command component or command job to its end, whatever its exit code.

        Args:
            component: Its YAML file, or what `load_component`, `load_job` or `command()` of azure-ai-ml returned.
            inputs: The path of each data port.
            parameters: Values; those left out have their defaults, or those of the job.
            outputs: Where to write; outputs left out get a folder of the test's.
            environment: Variables of the job, beside those of this process and of the platform.
            faults: What is to go wrong, as `pytorch-designer run --fault` takes it, for instance `kill-at-write=3`.
            has_mlflow: Whether the job has an MLflow run; without, it has no metrics and starts faster.
            timeout_seconds: When to stop it.

        Raises:
            DesignerError: The job cannot be run, or it wrote into an input.
            TimeoutError: It did not end in time.
        """
        request, warnings = job_request(
            component,
            self._new_folder(),
            inputs={**(inputs or {}), **(parameters or {})},
            outputs={name: Path(path) for name, path in (outputs or {}).items()},
            environment_variables=environment or {},
        )
        store = self._store() if has_mlflow else None
        request = replace(request, store=store, faults=parse_faults(faults))
        return run_to_its_end(request, timeout_seconds, warnings)

    def run_pipeline(
        self,
        pipeline: str | Path | Any,
        *,
        inputs: Mapping[str, object] | None = None,
        outputs: Mapping[str, str | Path] | None = None,
        assets: str | Path | None = None,
        has_mlflow: bool = True,
        timeout_seconds: float = TIMEOUT_SECONDS,
    ) -> PipelineRun:
        """Run a pipeline to its end, whatever becomes of its nodes; every node runs, none is reused.

        Args:
            pipeline: Its YAML file, or a pipeline job of azure-ai-ml.
            inputs: Values for inputs of the pipeline, instead of its own.
            outputs: Where to write outputs of the pipeline.
            assets: YAML file that says where registered components and data are.
            has_mlflow: Whether the pipeline and its nodes have MLflow runs.
            timeout_seconds: When to stop it.

        Raises:
            DesignerError: The pipeline cannot be run as it is.
            TimeoutError: It did not end in time.
        """
        folder = self._new_folder()
        store = self._store() if has_mlflow else None
        request = pipeline_request(
            pipeline, run_folder=folder, inputs=inputs, outputs=outputs, assets=assets, store=store
        )
        return run_pipeline_to_its_end(request, timeout_seconds)

    def _new_folder(self) -> Path:
        return self._folder / str(next(self._numbers))

    def _store(self) -> RunStore:
        return open_run_store(self._folder / DATABASE_FILE)


def job_request(
    component: str | Path | Any, run_folder: Path, **given: Any
) -> tuple[JobRequest, tuple[SpecFault, ...]]:
    """The request to run a command component or job (its YAML file, or what azure-ai-ml made), and warnings."""
    if isinstance(component, (str, Path)):
        document = read_yaml(Path(component))
        findings = findings_for_run(document)
        with findings.joined():
            request, warnings = _document_request(document, run_folder, given)
        return request, distinct_faults((*findings.warnings, *warnings))
    if is_command_job(component):
        return command_job_request(pipeline_job(component), run_folder, **given)
    request = JobRequest(command_component(component), run_folder, **given)
    return request, kind_warnings(request.spec, check_values(request.spec, request.inputs))


def _document_request(
    document: YamlDocument, run_folder: Path, given: Mapping[str, Any]
) -> tuple[JobRequest, tuple[SpecFault, ...]]:
    if kind_of(document.root) is Kind.COMMAND_JOB:
        return command_job_request(pipeline_spec(document), run_folder, **given)
    request = JobRequest(command_spec(document), run_folder, **given)
    return request, kind_warnings(request.spec, check_values(request.spec, request.inputs))


def pipeline_request(pipeline: str | Path | Any, **options: Any) -> PipelineRequest:
    """The request to run a pipeline (its YAML file, or what azure-ai-ml made); see `prepare_pipeline`.

    What the linter says of a file counts as in the command `run`: it is refused, or among the warnings of the plan.
    """
    if not isinstance(pipeline, (str, Path)):
        request = prepare_pipeline(pipeline, **options)
        return replace(request, plan=replace(request.plan, warnings=distinct_faults(request.plan.warnings)))
    given = options.pop("assets", None)
    assets = Assets() if given is None else read_assets(Path(given))
    document = read_yaml(Path(pipeline))
    findings = findings_for_run(document)
    with findings.joined():
        request = prepare_pipeline(document, assets=assets, **options)
    warnings = distinct_faults((*findings.warnings, *request.plan.warnings))
    return replace(request, plan=replace(request.plan, warnings=warnings))


def run_to_its_end(
    request: JobRequest, timeout_seconds: float | None, warnings: Iterable[SpecFault] = ()
) -> ComponentRun:
    """Run a job until it ends or its time is over; raises as `Runner.run_component` does."""
    told = _told(warnings)
    with time_limit(timeout_seconds, request.run_folder) as stop:
        result = run_job(request, stop=stop)
    database = None if request.store is None else request.store.database
    return ComponentRun(
        name=request.spec.name,
        exit_code=result.exit_code,
        outputs=result.outputs,
        run_folder=result.run_folder,
        log=read_log(result.log_files),
        metrics=read_metrics(database, result.run_id),
        parameters=read_parameters(database, result.run_id),
        error_info=read_error_info(result.run_folder),
        seconds=result.seconds,
        fault_notes=result.fault_notes,
        rerun=lambda: run_to_its_end(request.without_faults(result), timeout_seconds),
        warnings=told,
    )


def run_pipeline_to_its_end(request: PipelineRequest, timeout_seconds: float | None) -> PipelineRun:
    """Run a pipeline until it ends or its time is over; raises as `Runner.run_pipeline` does."""
    told = _told(request.plan.warnings)
    with time_limit(timeout_seconds, request.run_folder) as stop:
        result = run_plan(request, SilentView(), stop)
    return PipelineRun(
        name=result.name,
        nodes={name: _node_run(node, request.store) for name, node in result.nodes.items()},
        outputs=result.outputs,
        run_folder=result.run_folder,
        seconds=result.seconds or 0.0,
        warnings=told,
    )


def _told(warnings: Iterable[SpecFault]) -> tuple[str, ...]:
    """The warnings as lines, which are logged before anything runs."""
    lines = tuple(map(str, warnings))
    for line in lines:
        _log.warning("%s", line)
    return lines


def _node_run(node: NodeResult, store: RunStore | None) -> NodeRun:
    database = None if store is None else store.database
    return NodeRun(
        name=node.name,
        exit_code=node.exit_code,
        outputs=node.outputs,
        run_folder=node.run_folder,
        log=read_log(node.log_files),
        metrics=read_metrics(database, node.run_id),
        parameters=read_parameters(database, node.run_id),
        error_info=read_error_info(node.run_folder),
        state=node.state.value,
        error=node.error,
    )


@contextmanager
def time_limit(seconds: float | None, run_folder: Path) -> Iterator[StopRequest]:
    """A request that ends the processes at the time limit, if there is one, and on Ctrl-C, which still ends the tests.

    Raises:
        TimeoutError: The time is over.
        KeyboardInterrupt: After Ctrl-C.
    """
    with stop_on_signals() as stop:
        has_expired = threading.Event()

        def expire() -> None:
            has_expired.set()
            stop.request()

        timer = threading.Timer(0 if seconds is None else seconds, expire)
        timer.daemon = True
        if seconds is not None:
            timer.start()
        try:
            yield stop
        except InterruptedRunError as error:
            if has_expired.is_set():
                message = f"The run did not end within {seconds:g} s; what it wrote is in {run_folder}."
                raise TimeoutError(message) from error
            if stop.signal_number == signal.SIGINT:
                raise KeyboardInterrupt from error
            raise
        finally:
            timer.cancel()
            if seconds is not None:
                timer.join()
