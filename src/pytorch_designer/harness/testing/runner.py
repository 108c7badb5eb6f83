"""Runner of components and pipelines in tests, for fixtures of any scope."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pytorch_designer.errors import InterruptedRunError
from pytorch_designer.harness.fault_injection.injected_faults import parse_faults
from pytorch_designer.harness.job.job_run import JobRequest, run_job
from pytorch_designer.harness.job.run_store import RunStore, open_run_store
from pytorch_designer.harness.pipeline.pipeline_run import run_pipeline
from pytorch_designer.harness.schema.azure_objects import command_component
from pytorch_designer.harness.schema.component_file import read_component
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
    from pytorch_designer.harness.pipeline.pipeline_state import PipelineResult
    from pytorch_designer.harness.schema.specification import CommandSpec

RunComponent = Callable[..., ComponentRun]
"""Type of the fixture `run_component`; see `Runner.run_component`."""

RunPipeline = Callable[..., PipelineRun]
"""Type of the fixture `run_pipeline`; see `Runner.run_pipeline`."""

TIMEOUT_SECONDS = 600.0


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
        """Run a command component to its end, whatever its exit code.

        Args:
            component: Its YAML file, or what `azure.ai.ml.load_component` returned.
            inputs: The path of each data port.
            parameters: Values; those left out have their defaults.
            outputs: Where to write; outputs left out get a folder of the test's.
            environment: Variables of the job, beside those of this process and of the platform.
            faults: What is to go wrong, as `pytorch-designer run --fault` takes it, for instance `kill-at-write=3`.
            has_mlflow: Whether the job has an MLflow run; without, it has no metrics and starts faster.
            timeout_seconds: When to stop it.

        Raises:
            DesignerError: The job cannot be run, or it wrote into an input.
            TimeoutError: It did not end in time.
        """
        folder = self._new_folder()
        request = JobRequest(
            spec=command_spec_of(component),
            run_folder=folder,
            inputs={**(inputs or {}), **(parameters or {})},
            outputs={name: Path(path) for name, path in (outputs or {}).items()},
            environment_variables=environment or {},
            store=self._store() if has_mlflow else None,
            faults=parse_faults(faults),
        )
        return run_to_its_end(request, timeout_seconds)

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
        with time_limit(timeout_seconds, folder) as stop:
            result = run_pipeline(
                pipeline, run_folder=folder, inputs=inputs, outputs=outputs, assets=assets, store=store, stop=stop
            )
        return ended_pipeline(result, store)

    def _new_folder(self) -> Path:
        return self._folder / str(next(self._numbers))

    def _store(self) -> RunStore:
        return open_run_store(self._folder / DATABASE_FILE)


def command_spec_of(component: str | Path | Any) -> CommandSpec:
    """The command component in a YAML file, or that `azure.ai.ml.load_component` returned."""
    return read_component(Path(component)) if isinstance(component, (str, Path)) else command_component(component)


def run_to_its_end(request: JobRequest, timeout_seconds: float | None) -> ComponentRun:
    """Run a job until it ends or its time is over; raises as `Runner.run_component` does."""
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
    )


def ended_pipeline(result: PipelineResult, store: RunStore | None) -> PipelineRun:
    """A pipeline that has ended, with the logs and metrics of its nodes."""
    return PipelineRun(
        name=result.name,
        nodes={name: _node_run(node, store) for name, node in result.nodes.items()},
        outputs=result.outputs,
        run_folder=result.run_folder,
        seconds=result.seconds or 0.0,
    )


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
