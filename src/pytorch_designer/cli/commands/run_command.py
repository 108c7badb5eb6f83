"""`pytorch-designer run`: a component, a job or a pipeline on this machine, as Azure ML would run it."""

from __future__ import annotations

import argparse
import sys
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from pytorch_designer.addresses import local_path
from pytorch_designer.cli.command_parser import CommandParser
from pytorch_designer.cli.commands.run_findings import warning_lines
from pytorch_designer.errors import DesignerError
from pytorch_designer.harness.environments.job_python import ENVIRONMENTS, choose_python
from pytorch_designer.harness.fault_injection.injected_faults import parse_faults
from pytorch_designer.harness.job.job_run import GRACE_SECONDS, JobRequest, run_job
from pytorch_designer.harness.job.leftover_processes import adopted_orphans
from pytorch_designer.harness.job.run_folder import RUNS_FOLDER, new_run_folder
from pytorch_designer.harness.job.run_store import DEFAULT_EXPERIMENT, RunStore, open_run_store
from pytorch_designer.harness.lint.linter import findings_for_run
from pytorch_designer.harness.pipeline.command_job import command_job_request
from pytorch_designer.harness.schema.assets import Assets, read_assets
from pytorch_designer.harness.schema.component_file import Kind, command_spec, is_pipeline, is_sweep_job, kind_of
from pytorch_designer.harness.schema.interface import kind_warnings
from pytorch_designer.harness.schema.pipeline_file import pipeline_spec
from pytorch_designer.harness.schema.values import check_values
from pytorch_designer.harness.schema.yaml_tree import read_yaml
from pytorch_designer.mlflow_database import DATABASE_FILE
from pytorch_designer.shown_text import on_one_line, program_line
from pytorch_designer.system.stop_requests import stop_on_signals

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from pytorch_designer.cli.commands.pipeline_command import PipelineCommandOptions
    from pytorch_designer.harness.environments.job_python import JobPython
    from pytorch_designer.harness.fault_injection.injected_faults import InjectedFaults
    from pytorch_designer.harness.job.job_run import JobResult
    from pytorch_designer.harness.schema.spec_faults import SpecFault
    from pytorch_designer.harness.schema.specification import CommandSpec
    from pytorch_designer.harness.schema.yaml_tree import YamlDocument

_MEBIBYTE = 1 << 20
_PIPELINE_NAMES = {"--from": "start_from", "--to": "up_to"}
_PIPELINE_OPTIONS = (
    *("--max-parallel", "--force-rerun", "--only", "--from", "--to"),
    *("--explain-reuse", "--dry-run", "--watch", "--debug"),
)


def run_command_parser(program: str) -> argparse.ArgumentParser:
    """The options of `run`."""
    parser = CommandParser(
        prog=f"{program} run",
        description="Runs a command component, a command job or a pipeline on this machine, as Azure ML would: a copy "
        "of the code as working directory, inputs, outputs, variables and logs. The exit code is that of the "
        "component; 1 where a node of a pipeline failed.",
        epilog="Without --python or --environments, `python` in a command is the one that runs this program.",
    )
    parser.add_argument("file", type=local_path, metavar="FILE", help="YAML file of a component or job")
    for option, metavar, meaning in (
        ("--input", "NAME=PATH", "folder or file of an input port"),
        ("--param", "NAME=VALUE", "value of a parameter; those left out have their defaults"),
        ("--output", "NAME=PATH", "where an output port is written; those left out are in the run folder"),
        ("--env", "NAME=VALUE", "an environment variable of the job"),
    ):
        parser.add_argument(option, action="append", default=[], type=_assignment, metavar=metavar, help=meaning)
    parser.add_argument(
        "--run-folder",
        type=local_path,
        metavar="DIR",
        help="logs, ./outputs and run.json; default: a new folder in ./runs",
    )
    parser.add_argument(
        "--experiment", metavar="NAME", help=f"MLflow experiment; default: the pipeline's, or {DEFAULT_EXPERIMENT}"
    )
    parser.add_argument(
        "--no-mlflow", action="store_true", help=f"do not create an MLflow run in ./{DATABASE_FILE} for the job"
    )
    parser.add_argument(
        "--grace-seconds",
        type=float,
        default=GRACE_SECONDS,
        metavar="N",
        help="time that processes have to end by themselves when they must; default: %(default)s",
    )
    parser.add_argument(
        "--python", type=local_path, metavar="PATH", help="the Python of the job, such as .venv/bin/python"
    )
    parser.add_argument(
        "--environments",
        choices=ENVIRONMENTS,
        help="build: install what the job's conda file or Dockerfile asks of pip (and of conda, where micromamba is "
        "installed) into a virtual environment, which is kept; docker: run the job in the image of its environment",
    )
    parser.add_argument(
        "--debugpy",
        type=_count,
        metavar="PORT",
        help="the job's Python waits on this port of 127.0.0.1 for a debugger; in a pipeline with --debug NODE",
    )
    parser.add_argument(
        "--keep-working-directory", action="store_true", help="keep it after a success too, not only after a failure"
    )
    parser.add_argument(
        "--fault",
        action="append",
        default=[],
        metavar="FAULT",
        help="what is to go wrong, to test the component; in a pipeline NODE:FAULT. Faults: kill-after=SECONDS, "
        "kill-at-write=N, small-shm=64m, read-only-output=NAME, full-output=NAME:SIZE, slow-open=MILLISECONDS, "
        "flaky-open=RATE[:SEED], no-network",
    )
    components = parser.add_argument_group("components and command jobs only")
    components.add_argument(
        "--foreground", action="store_true", help="give the job the terminal, so that `breakpoint()` works"
    )
    components.add_argument(
        "--rerun",
        action="store_true",
        help="when the faults have made the job fail, run it again without them on the same outputs",
    )
    pipelines = parser.add_argument_group("pipelines only")
    pipelines.add_argument(
        "--assets", type=local_path, metavar="FILE", help="YAML file that says where registered components and data are"
    )
    pipelines.add_argument(
        "--max-parallel", type=_count, metavar="N", help="most processes at a time; default: the number of cores"
    )
    pipelines.add_argument("--force-rerun", action="store_true", help="run every node, reuse none")
    for option, name, meaning in (
        (
            "--only",
            "only",
            "run this node alone; what it needs is taken from the cache, or the last run in ./runs",
        ),
        ("--from", "start_from", "run this node and all that need it, likewise"),
        ("--to", "up_to", "run this node and all that it needs"),
    ):
        pipelines.add_argument(
            option, dest=name, action="append", default=[], metavar="NODE", help=f"{meaning}; may be repeated"
        )
    pipelines.add_argument(
        "--debug",
        metavar="NODE",
        help="run this node alone, as --only does, and in the foreground, so that `breakpoint()` works",
    )
    pipelines.add_argument(
        "--explain-reuse", action="store_true", help="say of each node what has changed since its result was kept"
    )
    pipelines.add_argument(
        "--dry-run", action="store_true", help="check everything, say which nodes would run and why, and run nothing"
    )
    pipelines.add_argument(
        "--watch", action="store_true", help="when files change, run again what depends on them, until Ctrl-C"
    )
    return parser


def run_command(arguments: Sequence[str], program: str) -> int:
    """Parse the command line of `run`, run the component or pipeline, and return its exit code.

    Raises:
        SystemExit: The command line is wrong (code 2), or asks for help (code 0).
        DesignerError: Any named error.
    """
    parser = run_command_parser(program)
    options = parser.parse_args(arguments)
    if options.python is not None and options.environments is not None:
        parser.error("--python and --environments exclude each other")
    for option, value in (("--debugpy", options.debugpy), ("--fault", options.fault)):
        if value and options.environments == "docker":
            parser.error(f"{option} and --environments docker exclude each other")
    document = read_yaml(options.file)
    if is_pipeline(document) or is_sweep_job(document):
        from pytorch_designer.cli.commands.pipeline_command import run_pipeline_file
        from pytorch_designer.cli.commands.pipeline_watch import watch_pipeline_file

        run = watch_pipeline_file if options.watch else run_pipeline_file
        with adopted_orphans(), _no_empty_folder(pipeline := _pipeline_options(parser, options)):
            return run(document, pipeline, _show)
    for option in _PIPELINE_OPTIONS:
        if getattr(options, _PIPELINE_NAMES.get(option, option[2:].replace("-", "_"))):
            parser.error(f"{option} is for pipelines only")
    findings = findings_for_run(document)
    with findings.joined():
        request, warnings = _job_request(parser, options, document)
    request = _with_places(request, options)
    what = "Job" if kind_of(document.root) is Kind.COMMAND_JOB else "Component"
    _show(_header(request, what, (*findings.warnings, *warnings)))
    with adopted_orphans(), stop_on_signals() as stop:
        result = run_job(request, _printer(request.spec), stop)
        _show(_summary(result, request.store))
        if options.rerun and not result.has_succeeded:
            request = request.without_faults(result)
            _show(["", *_header(request, what)])
            result = run_job(request, _printer(request.spec), stop)
            _show(_summary(result, request.store))
    return result.exit_code


def _job_request(
    parser: argparse.ArgumentParser, options: argparse.Namespace, document: YamlDocument
) -> tuple[JobRequest, tuple[SpecFault, ...]]:
    inputs = _unique(parser, "--input and --param", [*options.input, *options.param])
    outputs = {name: local_path(path, name=name) for name, path in _unique(parser, "--output", options.output).items()}
    variables = _unique(parser, "--env", options.env)
    warnings: tuple[SpecFault, ...] = ()
    if kind_of(document.root) is Kind.COMMAND_JOB:
        assets = Assets() if options.assets is None else read_assets(options.assets)
        job = pipeline_spec(document, assets)
        request, warnings = command_job_request(
            job, Path(), inputs=inputs, outputs=outputs, environment_variables=variables, assets=assets
        )
    elif options.assets:
        parser.error("--assets is for pipelines and command jobs; a component is given its data with --input")
    else:
        request = JobRequest(command_spec(document), Path(), inputs, outputs, variables)
        warnings = kind_warnings(request.spec, check_values(request.spec, inputs))
    return request, warnings


def _with_places(request: JobRequest, options: argparse.Namespace) -> JobRequest:
    """The request with its run folder and MLflow database, which are created."""
    experiment = options.experiment or request.experiment
    python = _job_python(options)
    python.check()
    check_values(request.spec, request.inputs)  # before anything is created, the MLflow database included
    return replace(
        request,
        run_folder=options.run_folder or new_run_folder(request.spec.name),
        store=None if options.no_mlflow else open_run_store(Path(DATABASE_FILE), experiment),
        experiment=experiment,
        grace_seconds=options.grace_seconds,
        keep_working_directory=options.keep_working_directory,
        faults=parse_faults(options.fault),
        python=python,
        is_in_foreground=options.foreground,
    )


def _pipeline_options(parser: argparse.ArgumentParser, options: argparse.Namespace) -> PipelineCommandOptions:
    from pytorch_designer.cli.commands.pipeline_command import PipelineCommandOptions

    if options.rerun or options.foreground:
        parser.error("--rerun and --foreground are for components and command jobs only")
    if options.env:
        parser.error("--env is for components; a node of a pipeline has its environment_variables")
    if sum(map(bool, (options.only, options.start_from, options.up_to, options.debug))) > 1:
        parser.error("--only, --from, --to and --debug exclude each other")
    if options.debugpy and not options.debug:
        parser.error("--debugpy needs --debug NODE in a pipeline")
    if options.watch and (options.dry_run or options.force_rerun):
        parser.error("--watch excludes --dry-run and --force-rerun")
    return PipelineCommandOptions(
        inputs=_unique(parser, "--input and --param", [*options.input, *options.param]),
        outputs={
            name: local_path(path, name=name) for name, path in _unique(parser, "--output", options.output).items()
        },
        run_folder=options.run_folder or _run_folder(options),
        assets=options.assets,
        experiment=options.experiment,
        has_mlflow=not options.no_mlflow,
        max_parallel=options.max_parallel,
        force_rerun=options.force_rerun or bool(options.debug),
        grace_seconds=options.grace_seconds,
        keep_working_directory=options.keep_working_directory,
        only=[options.debug] if options.debug else options.only,
        start_from=options.start_from,
        up_to=options.up_to,
        explains=options.explain_reuse,
        is_dry=options.dry_run,
        python=_job_python(options),
        is_in_foreground=bool(options.debug) and not options.debugpy,
        faults=_node_faults(parser, options.fault),
    )


def _job_python(options: argparse.Namespace) -> JobPython:
    assets = None if options.assets is None else read_assets(options.assets)
    return choose_python(options.python, options.environments, assets=assets, debugpy_port=options.debugpy)


def _node_faults(parser: argparse.ArgumentParser, given: list[str]) -> dict[str, InjectedFaults]:
    by_node: dict[str, list[str]] = {}
    for text in given:
        node, separator, fault = text.partition(":")
        if not separator or "=" in node:
            parser.error(f"--fault {text} does not name a node; in a pipeline it is --fault NODE:FAULT")
        by_node.setdefault(node, []).append(fault)
    return {node: parse_faults(texts) for node, texts in by_node.items()}


@contextmanager
def _no_empty_folder(options: PipelineCommandOptions) -> Iterator[None]:
    """Remove the run folder of a pipeline that was refused before anything was written."""
    try:
        yield
    except DesignerError:
        with suppress(OSError):
            options.run_folder.rmdir()
        raise


def _run_folder(options: argparse.Namespace) -> Path:
    name = options.file.stem
    return Path(RUNS_FOLDER, name).absolute() if options.dry_run else new_run_folder(name)


def _count(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number of at least 1")
    return int(text)


def _assignment(text: str) -> tuple[str, str]:
    name, separator, value = text.partition("=")
    if not name or not separator:
        raise argparse.ArgumentTypeError(f"{text!r} is not NAME=VALUE")
    return name, value


def _unique(parser: argparse.ArgumentParser, option: str, pairs: list[tuple[str, str]]) -> dict[str, str]:
    names = [name for name, _ in pairs]
    for name in names:
        if names.count(name) > 1:
            parser.error(f"{option}: {name} is given more than once")
    return dict(pairs)


def _python_of(request: JobRequest, what: str) -> str:
    """The Python of a job, whose environment may not be built yet."""
    containers, environments = request.python.containers, request.python.environments
    image = None if containers is None else containers.source(request.spec)
    if image is not None:
        return f"that of the image {image.label}"
    if environments is not None and environments.source(request.spec) is not None:
        return f"that of the {what.lower()}'s own environment"
    return f"{request.python.executable or sys.executable}; the {what.lower()}'s own environment is not built"


def _header(request: JobRequest, what: str, warnings: Sequence[SpecFault] = ()) -> list[str]:
    spec = request.spec
    version = f" {spec.version}" if spec.version else ""
    lines = [
        on_one_line(f"{what:<11} {spec.label} ({spec.name}{version}), {spec.source}"),
        f"Python      {_python_of(request, what)}",
    ]
    if spec.num_processes > 1:
        nodes = spec.resources.instance_count
        lines.append(f"Processes   {spec.num_processes}" + (f" on {nodes} simulated nodes" if nodes > 1 else ""))
    values = check_values(spec, request.inputs)
    lines += [f"Input       {name} = {on_one_line(str(value))}" for name, value in values.items()]
    lines += warning_lines(warnings)
    lines += [f"Fault       {text}" for text in request.faults.texts]
    lines += [f"Run folder  {request.run_folder}", ""]
    return lines


def _summary(result: JobResult, store: RunStore | None) -> list[str]:
    verdict = "Completed" if result.has_succeeded else f"Failed with exit code {result.exit_code}"
    if result.failed_rank is not None and len(result.log_files) > 1:
        verdict += f" (process {result.failed_rank} first)"
    memory = result.peak_memory_bytes
    peak = "" if memory is None else f", peak memory {memory / _MEBIBYTE:.0f} MiB"
    lines = ["", f"{verdict} after {result.seconds:.1f} s{peak}"]
    lines += [f"Fault       {note}" for note in result.fault_notes]
    lines += [f"Log         {path}" for path in result.log_files]
    lines += [f"Output      {name} = {path}" for name, path in result.outputs.items()]
    lines.append(f"Run folder  {result.run_folder}")
    if store is not None:
        lines.append(f"MLflow      run {result.run_id} in {store.database}")
    return lines


def _printer(spec: CommandSpec) -> _Printer:
    return _Printer(width=len(str(spec.num_processes - 1)) if spec.num_processes > 1 else 0)


class _Printer:
    """Shows each line of output, after the rank of its process where there are several."""

    def __init__(self, width: int) -> None:
        self._width = width

    def __call__(self, rank: int, line: str) -> None:
        _show([f"[{rank:>{self._width}}] {line}" if self._width else line])


def _show(lines: list[str]) -> None:
    print("\n".join(map(program_line, lines)), flush=True)
