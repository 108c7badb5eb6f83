"""Components and pipelines on this machine, and the linter, with the defaults of the commands `run` and `lint`.

    from pytorch_designer import lint, run_component, run_pipeline

    run = run_pipeline("pipeline.yaml", inputs={"epochs": 3})
    assert run.has_succeeded, run.nodes["train"].log

They know no component of this project, and load neither torch nor MLflow.
"""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pytorch_designer.api.library_calls import path_argument
from pytorch_designer.errors import InvalidSpecError, UnknownNameError
from pytorch_designer.harness.environments.job_python import ENVIRONMENTS, JobPython, choose_python
from pytorch_designer.harness.fault_injection.injected_faults import parse_faults
from pytorch_designer.harness.job.run_folder import new_run_folder
from pytorch_designer.harness.job.run_store import open_run_store
from pytorch_designer.harness.lint.linter import lint as lint_paths
from pytorch_designer.harness.lint.linter import lint_object
from pytorch_designer.harness.lint.rules import RULES
from pytorch_designer.harness.reuse.reuse_cache import chosen_cache
from pytorch_designer.harness.schema.assets import read_assets
from pytorch_designer.harness.schema.values import check_values
from pytorch_designer.harness.testing.runner import (
    job_request,
    pipeline_request,
    run_pipeline_to_its_end,
    run_to_its_end,
)
from pytorch_designer.mlflow_database import DATABASE_FILE
from pytorch_designer.wording import nearest_name

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from pytorch_designer.harness.job.run_store import RunStore
    from pytorch_designer.harness.lint.linter import LintResult
    from pytorch_designer.harness.testing.runs import ComponentRun, PipelineRun


def run_component(
    component: str | os.PathLike[str] | Any,
    *,
    inputs: Mapping[str, str | os.PathLike[str]] | None = None,
    parameters: Mapping[str, object] | None = None,
    outputs: Mapping[str, str | os.PathLike[str]] | None = None,
    environment: Mapping[str, str] | None = None,
    faults: Iterable[str] = (),
    environments: str | os.PathLike[str] | None = None,
    run_folder: str | os.PathLike[str] | None = None,
    has_mlflow: bool = False,
    timeout_seconds: float | None = None,
) -> ComponentRun:
    """Run a command component on this machine, as Azure ML would, to its end, whatever its exit code.

    Args:
        component: Its YAML file, or what `azure.ai.ml.load_component` returned.
        inputs: The path of each data port.
        parameters: Values; those left out have their defaults.
        outputs: Where to write; outputs left out are in the run folder.
        environment: Variables of the job, beside those of this process and of the platform.
        faults: What is to go wrong, as `pytorch-designer run --fault` takes it, for instance "kill-at-write=3".
        environments: "build" installs what the environment of a job asks for, "docker" runs a job in its image; a path
            is that of the interpreter. None: the running Python.
        run_folder: Logs, ./outputs and run.json; None: a new folder in ./runs.
        has_mlflow: Whether the job has an MLflow run in ./mlflow.db; without, it has no metrics.
        timeout_seconds: When to stop it; None: never.

    Returns:
        Exit code, outputs, log, metrics and more; see docs/testing_components.md.

    Raises:
        DesignerError: The job cannot be run, or it wrote into an input.
        TimeoutError: It did not end in time.
        KeyboardInterrupt: After Ctrl-C, when its processes have ended.
    """
    values = {**{name: str(os.fspath(path)) for name, path in (inputs or {}).items()}, **(parameters or {})}
    request, warnings = job_request(
        os.fspath(component) if isinstance(component, os.PathLike) else component,
        Path(),
        inputs=values,
        outputs={name: path_argument(path, name) for name, path in (outputs or {}).items()},
        environment_variables=environment or {},
    )
    python = _python(environments)
    check_values(request.spec, request.inputs)  # before anything is created
    folder = _run_folder(run_folder, request.spec.name)
    store = _store() if has_mlflow else None
    request = replace(request, run_folder=folder, store=store, faults=parse_faults(faults), python=python)
    return run_to_its_end(request, timeout_seconds, warnings)


def run_pipeline(
    pipeline: str | os.PathLike[str] | Any,
    *,
    inputs: Mapping[str, object] | None = None,
    outputs: Mapping[str, str | os.PathLike[str]] | None = None,
    assets: str | os.PathLike[str] | None = None,
    reuse: bool = True,
    max_parallel: int | None = None,
    environments: str | os.PathLike[str] | None = None,
    run_folder: str | os.PathLike[str] | None = None,
    has_mlflow: bool = False,
    timeout_seconds: float | None = None,
) -> PipelineRun:
    """Run a pipeline on this machine, as Azure ML would, to its end, whatever becomes of its nodes.

    Args:
        pipeline: Its YAML file, or a pipeline job of azure-ai-ml.
        inputs: Values for inputs of the pipeline, instead of its own.
        outputs: Where outputs of the pipeline go; those left out are in the run folder.
        assets: YAML file that says where registered components and data are.
        reuse: Whether nodes whose code and inputs are unchanged are taken from the cache of results, where
            PYTORCH_DESIGNER_REUSE_CACHE and PYTORCH_DESIGNER_REUSE_CACHE_BYTES say, or in the user's cache folder.
        max_parallel: Most processes at a time; None: the number of cores.
        environments: "build" installs what the environment of a job asks for, "docker" runs a job in its image; a path
            is that of the interpreter. None: the running Python.
        run_folder: Logs and state; None: a new folder in ./runs.
        has_mlflow: Whether the pipeline and its nodes have MLflow runs in ./mlflow.db; without, they have no metrics.
        timeout_seconds: When to stop it; None: never.

    Returns:
        Outputs, and state, log and metrics of each node; see docs/testing_components.md.

    Raises:
        DesignerError: The pipeline cannot be run as it is; `faults` lists everything that is wrong with it.
        TimeoutError: It did not end in time.
        KeyboardInterrupt: After Ctrl-C, when its processes have ended.
    """
    source = path_argument(pipeline, "pipeline") if isinstance(pipeline, str | os.PathLike) else pipeline
    label = source.stem if isinstance(source, Path) else str(getattr(source, "display_name", None) or "pipeline")
    given_assets = None if assets is None else path_argument(assets, "assets")
    request = pipeline_request(
        source,
        run_folder=Path(),
        inputs=inputs,
        outputs={name: path_argument(path, name) for name, path in (outputs or {}).items()},
        assets=given_assets,
        cache=chosen_cache() if reuse else None,
        max_parallel=max_parallel,
        python=_python(environments, given_assets),
    )
    folder = _run_folder(run_folder, label).absolute()  # only now, as the database: what is refused leaves nothing
    request = replace(request, run_folder=folder, store=_store() if has_mlflow else None)
    return run_pipeline_to_its_end(request, timeout_seconds)


def lint(*specifications: str | os.PathLike[str] | Any, ignored_rules: Iterable[str] = ()) -> LintResult:
    """Check components and pipeline jobs for errors that the SDK does not report.

        result = pytorch_designer.lint("components", "pipeline.yaml")
        result.num_errors, [finding.message for finding in result.findings]

    Args:
        specifications: YAML files, folders of them, and objects of azure-ai-ml.
        ignored_rules: Ids of rules that are switched off; docs/reference/lint_rules.md lists them.

    Raises:
        InvalidSpecError: There is no such file or folder.
        UnknownNameError: There is no such rule.
    """
    ignored = frozenset(ignored_rules)
    for rule in sorted(ignored - set(RULES)):
        near = nearest_name(rule, RULES)
        raise UnknownNameError(
            f"There is no rule {rule}.",
            where="ignored_rules",
            advice=f"Did you mean {near}?" if near else "docs/reference/lint_rules.md lists the rules.",
        )
    paths = [path_argument(item, "specifications") for item in specifications if isinstance(item, str | os.PathLike)]
    for path in paths:
        if not path.exists():
            raise InvalidSpecError("There is no such file or folder.", where=path, advice="Correct the path.")
    results = [lint_paths(paths, ignored_rules=ignored)]
    others = (item for item in specifications if not isinstance(item, str | os.PathLike))
    results += [lint_object(item, ignored_rules=ignored) for item in others]
    return type(results[0])(
        tuple(finding for result in results for finding in result.findings), sum(result.num_files for result in results)
    )


def _python(environments: str | os.PathLike[str] | None, assets: Path | None = None) -> JobPython:
    if environments is None or environments in ENVIRONMENTS:
        chosen = None if environments is None else str(environments)
        return choose_python(environments=chosen, assets=None if assets is None else read_assets(assets))
    path = path_argument(environments, "environments")
    if not path.exists():
        raise UnknownNameError(
            f"There is no interpreter {path}.",
            where="environments",
            advice=f"Say {' or '.join(map(repr, ENVIRONMENTS))}, or name an interpreter such as .venv/bin/python.",
        )
    python = choose_python(path)
    python.check()
    return python


def _run_folder(given: str | os.PathLike[str] | None, label: str) -> Path:
    return new_run_folder(label) if given is None else path_argument(given, "run_folder")


def _store() -> RunStore:
    return open_run_store(Path(DATABASE_FILE))
