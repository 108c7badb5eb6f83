"""`pytorch-designer run` for a pipeline: what it says before, while and after the nodes run."""

from __future__ import annotations

import sys
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from pytorch_designer.cli.commands.pipeline_view import LiveView, PlainView, date_of, node_table
from pytorch_designer.cli.commands.run_findings import warning_lines
from pytorch_designer.harness.job.node import NodeState
from pytorch_designer.harness.job.run_store import open_run_store
from pytorch_designer.harness.lint.linter import findings_for_run
from pytorch_designer.harness.pipeline.pipeline_request import PipelineRequest, prepare_pipeline
from pytorch_designer.harness.pipeline.pipeline_run import run_plan
from pytorch_designer.harness.pipeline.reuse_forecast import forecast
from pytorch_designer.harness.reuse.reuse_cache import chosen_cache
from pytorch_designer.harness.schema.assets import Assets, read_assets
from pytorch_designer.mlflow_database import DATABASE_FILE
from pytorch_designer.settings import settings
from pytorch_designer.shown_text import on_one_line
from pytorch_designer.system.stop_requests import stop_on_signals

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from pytorch_designer.cli.commands.pipeline_view import OpenView
    from pytorch_designer.harness.environments.job_python import JobPython
    from pytorch_designer.harness.fault_injection.injected_faults import InjectedFaults
    from pytorch_designer.harness.pipeline.pipeline_state import PipelineResult
    from pytorch_designer.harness.schema.yaml_tree import YamlDocument
    from pytorch_designer.system.stop_requests import StopRequest

_TAIL_LINES = 20
_ALIKE_LINES = 5
_MAX_NAME = 36


@dataclass(frozen=True)
class PipelineCommandOptions:
    """The options of `run` for a pipeline."""

    inputs: Mapping[str, str]
    outputs: Mapping[str, Path]
    run_folder: Path
    assets: Path | None
    experiment: str | None
    has_mlflow: bool
    max_parallel: int | None
    force_rerun: bool
    grace_seconds: float
    keep_working_directory: bool
    only: Sequence[str]
    start_from: Sequence[str]
    up_to: Sequence[str]
    explains: bool
    is_dry: bool
    python: JobPython
    is_in_foreground: bool
    faults: Mapping[str, InjectedFaults]


def run_pipeline_file(
    document: YamlDocument, options: PipelineCommandOptions, show: Callable[[list[str]], None]
) -> int:
    """Run the pipeline in a YAML file.

    Args:
        document: The file.
        options: How to run it.
        show: Prints lines.

    Returns:
        0, or 1 where a node failed.

    Raises:
        DesignerError: Any named error.
    """
    with stop_on_signals() as stop:
        return run_request(pipeline_request(document, options), options, show, stop)


def run_request(
    request: PipelineRequest, options: PipelineCommandOptions, show: Callable[[list[str]], None], stop: StopRequest
) -> int:
    """Run a checked pipeline as `run_pipeline_file` does, until `stop` ends it."""
    show(_header(request))
    if options.is_dry or options.explains:
        show(_forecast(request, stop))
    if options.is_dry:
        show(["Nothing was run, because of --dry-run."])
        return 0
    with _view(request, show) as view:
        result = run_plan(request, view, stop)
    show(_summary(result, request))
    return result.exit_code


def pipeline_request(document: YamlDocument, options: PipelineCommandOptions) -> PipelineRequest:
    """Read and check a pipeline; what the linter warns of is among the warnings of its plan.

    Raises:
        DesignerError: Any named error.
    """
    findings = findings_for_run(document)
    with findings.joined():
        request = _checked_request(document, options)
    plan = replace(request.plan, warnings=(*findings.warnings, *request.plan.warnings))
    request = replace(request, plan=plan)
    if not options.has_mlflow or options.is_dry:
        return request
    # Only now, so that a pipeline that is refused leaves no database.
    return replace(request, store=open_run_store(Path(DATABASE_FILE), options.experiment or request.experiment))


def _checked_request(document: YamlDocument, options: PipelineCommandOptions) -> PipelineRequest:
    assets = Assets() if options.assets is None else read_assets(options.assets)
    return prepare_pipeline(
        document,
        run_folder=options.run_folder,
        inputs=options.inputs,
        outputs=options.outputs,
        assets=assets,
        cache=chosen_cache(),
        force_rerun=options.force_rerun,
        max_parallel=options.max_parallel,
        grace_seconds=options.grace_seconds,
        keep_working_directory=options.keep_working_directory,
        only=options.only,
        start_from=options.start_from,
        up_to=options.up_to,
        explains=options.explains,
        python=options.python,
        is_in_foreground=options.is_in_foreground,
        faults=options.faults,
    )


def _view(request: PipelineRequest, show: Callable[[list[str]], None]) -> OpenView:
    progress = "plain" if request.is_in_foreground else settings().progress
    if sys.stdout.isatty() if progress == "auto" else progress == "live":
        return LiveView(request.plan.nodes)
    return PlainView({name: node.spec.num_processes for name, node in request.plan.nodes.items()}, show)


def _header(request: PipelineRequest) -> list[str]:
    pipeline = request.plan.pipeline
    cache = "off" if request.cache is None else str(request.cache.folder)
    return [
        on_one_line(f"Pipeline    {pipeline.label}, {pipeline.source}"),
        f"Python      {_python(request.python)}",
        f"Nodes       {_chosen(request)}, at most {request.max_parallel} at a time",
        f"Reuse       {cache}{', but every node runs' if request.is_forced and request.cache else ''}",
        *(f"Input       {name} = {on_one_line(value)}" for name, value in request.plan.inputs.items()),
        *_left_out(request),
        *warning_lines(request.plan.warnings),
        f"Run folder  {request.run_folder}",
        "",
    ]


def _python(python: JobPython) -> str:
    """The Python of the jobs, as the header shows it."""
    if python.containers is not None:
        return f"that of each job's image, run with {python.containers.program}"
    if python.environments is not None:
        return f"that of each job's environment, built in {python.environments.folder}"
    return f"{python.executable or sys.executable}; the components' own environments are not built"


def _chosen(request: PipelineRequest) -> str:
    num_nodes = len(request.plan.nodes)
    return str(num_nodes) if request.chosen is None else f"{len(request.chosen)} of {num_nodes}"


def _left_out(request: PipelineRequest) -> list[str]:
    found = ", ".join(f"{name} ({why})" for name, why in request.left_out.items())
    return [f"Left out    {found}"] if found else []


def _forecast(request: PipelineRequest, stop: StopRequest) -> list[str]:
    """A line for each node that says whether it will be reused, and why not."""
    found = forecast(request, stop)
    width = min(_MAX_NAME, max((len(name) for name in found), default=0))
    lines = ["Forecast of the nodes:"]
    for name, node in found.items():
        if node.is_reused and node.reused_from is not None:
            text = f"reused, from {date_of(node.reused_from)}"
        else:
            is_said = node.is_reused is None and node.reason.startswith("bypassed")
            text = node.reason if is_said else f"{'runs' if node.is_reused is False else 'open'}: {node.reason}"
        lines += [f"  {name:<{width}}  {text}"] if len(name) <= width else [f"  {name}", f"  {'':<{width}}  {text}"]
    return [*lines, ""]


def _summary(result: PipelineResult, request: PipelineRequest) -> list[str]:
    states = [node.state for node in result.nodes.values()]
    counts = ", ".join(f"{states.count(state)} {state.value}" for state in NodeState if state in states)
    lines = ["", f"{result.state.capitalize()} after {result.seconds or 0:.1f} s: {counts}"]
    lines += node_table(result.nodes.values())
    for node in result.nodes.values():
        if node.state is NodeState.FAILED:
            lines += _ends_of_logs(node.log_files)
    lines.append("")
    lines += [f"Output      {name} = {path}" for name, path in result.outputs.items()]
    lines.append(f"Run folder  {result.run_folder}; the logs are in nodes/NODE/user_logs")
    if request.store is not None:
        lines.append(f"MLflow      run {result.run_id} in {request.store.database}")
    return lines


def _ends_of_logs(logs: Sequence[Path]) -> list[str]:
    """The end of each process's log, but of those that end alike that of the first: all may have met one error."""
    shown: dict[tuple[str, ...], list[Path]] = {}
    for log in logs:
        shown.setdefault(tuple(_tail(log)[-_ALIKE_LINES:]), []).append(log)
    lines = []
    for first, *others in shown.values():
        lines += ["", f"The end of {first}:", *_tail(first)]
        if others:
            lines.append(f"{', '.join(log.name for log in others)}: the same")
    return lines


def _tail(log: Path) -> list[str]:
    if not log.is_file():
        return []
    return [f"  {line}" for line in log.read_text(encoding="utf-8", errors="replace").splitlines()[-_TAIL_LINES:]]
