"""`pytorch-designer run` for a pipeline: what it says before, while and after the nodes run."""

from __future__ import annotations

import sys
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from pytorch_designer.cli.commands.pipeline_view import LiveView, PlainView, describe
from pytorch_designer.cli.commands.run_findings import warning_lines
from pytorch_designer.harness.job.node import NodeState
from pytorch_designer.harness.job.run_store import open_run_store
from pytorch_designer.harness.pipeline.pipeline_request import PipelineRequest, prepare_pipeline
from pytorch_designer.harness.pipeline.pipeline_run import run_plan
from pytorch_designer.harness.reuse.reuse_cache import open_cache
from pytorch_designer.harness.schema.assets import Assets, read_assets
from pytorch_designer.harness.schema.pipeline_file import pipeline_spec
from pytorch_designer.mlflow_database import DATABASE_FILE
from pytorch_designer.settings import settings
from pytorch_designer.shown_text import on_one_line
from pytorch_designer.system.stop_requests import stop_on_signals

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from pytorch_designer.cli.commands.pipeline_view import OpenView
    from pytorch_designer.harness.lint.linter import FindingsForRun
    from pytorch_designer.harness.pipeline.pipeline_state import PipelineResult
    from pytorch_designer.harness.schema.spec_faults import SpecFault
    from pytorch_designer.harness.schema.yaml_tree import YamlDocument

_TAIL_LINES = 20


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


def run_pipeline_file(
    document: YamlDocument,
    options: PipelineCommandOptions,
    findings: FindingsForRun,
    show: Callable[[list[str]], None],
) -> int:
    """Run the pipeline in a YAML file.

    Args:
        document: The file.
        options: How to run it.
        findings: What the linter says of it.
        show: Prints lines.

    Returns:
        0, or 1 where a node failed.

    Raises:
        DesignerError: Any named error.
    """
    with findings.joined():
        request = _request(document, options)
    show(_header(request, findings.warnings))
    with stop_on_signals() as stop, _view(request, show) as view:
        result = run_plan(request, view, stop)
    show(_summary(result, request))
    return result.exit_code


def _request(document: YamlDocument, options: PipelineCommandOptions) -> PipelineRequest:
    assets = Assets() if options.assets is None else read_assets(options.assets)
    chosen = settings()
    request = prepare_pipeline(
        pipeline_spec(document, assets),
        run_folder=options.run_folder,
        inputs=options.inputs,
        outputs=options.outputs,
        assets=assets,
        cache=open_cache(chosen.reuse_cache, chosen.reuse_cache_bytes) if chosen.reuse_cache_bytes else None,
        force_rerun=options.force_rerun,
        max_parallel=options.max_parallel,
        grace_seconds=options.grace_seconds,
        keep_working_directory=options.keep_working_directory,
    )
    if not options.has_mlflow:
        return request
    # Only now, so that a pipeline that is refused leaves no database.
    return replace(request, store=open_run_store(Path(DATABASE_FILE), options.experiment or request.experiment))


def _view(request: PipelineRequest, show: Callable[[list[str]], None]) -> OpenView:
    progress = settings().progress
    if sys.stdout.isatty() if progress == "auto" else progress == "live":
        return LiveView(request.plan.nodes)
    return PlainView({name: node.spec.num_processes for name, node in request.plan.nodes.items()}, show)


def _header(request: PipelineRequest, findings: Sequence[SpecFault]) -> list[str]:
    pipeline = request.plan.pipeline
    cache = "off" if request.cache is None else str(request.cache.folder)
    return [
        on_one_line(f"Pipeline    {pipeline.label}, {pipeline.source}"),
        f"Python      {sys.executable}; the components' own environments are not built locally",
        f"Nodes       {len(request.plan.nodes)}, at most {request.max_parallel} at a time",
        f"Reuse       {cache}{', but every node runs' if request.is_forced and request.cache else ''}",
        *(f"Input       {name} = {on_one_line(value)}" for name, value in request.plan.inputs.items()),
        *warning_lines((*findings, *request.plan.warnings)),
        f"Run folder  {request.run_folder}",
        "",
    ]


def _summary(result: PipelineResult, request: PipelineRequest) -> list[str]:
    states = [node.state for node in result.nodes.values()]
    counts = ", ".join(f"{states.count(state)} {state.value}" for state in NodeState if state in states)
    lines = ["", f"{result.state.capitalize()} after {result.seconds or 0:.1f} s: {counts}"]
    width = max((len(name) for name in result.nodes), default=0)
    for name, node in result.nodes.items():
        first, *rest = describe(node).splitlines()
        lines += [f"  {name:<{width}}  {first}", *(f"  {'':<{width}}  {line}" for line in rest)]
    for node in result.nodes.values():
        if node.state is NodeState.FAILED:
            for log in node.log_files:
                lines += ["", f"The end of {log}:", *_tail(log)]
    lines.append("")
    lines += [f"Output      {name} = {path}" for name, path in result.outputs.items()]
    lines.append(f"Run folder  {result.run_folder}; the logs are in nodes/NODE/user_logs")
    if request.store is not None:
        lines.append(f"MLflow      run {result.run_id} in {request.store.database}")
    return lines


def _tail(log: Path) -> list[str]:
    if not log.is_file():
        return []
    return [f"  {line}" for line in log.read_text(encoding="utf-8", errors="replace").splitlines()[-_TAIL_LINES:]]
