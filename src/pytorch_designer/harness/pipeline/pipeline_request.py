"""Checked request to run a pipeline, from a file, an azure-ai-ml object or plain data."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypedDict

from pytorch_designer.errors import (
    FailedToWriteOutputsError,
    NullOrEmptyError,
    UnknownNameError,
    UnsupportedLocallyError,
)
from pytorch_designer.harness.environments.job_python import OWN_PYTHON, JobPython
from pytorch_designer.harness.fault_injection.injection import check_possible
from pytorch_designer.harness.job.job_run import GRACE_SECONDS
from pytorch_designer.harness.job.run_store import DEFAULT_EXPERIMENT
from pytorch_designer.harness.node_kinds.disabled_nodes import LeftOut, without_disabled_nodes
from pytorch_designer.harness.pipeline.node_selection import select_nodes, unknown_node
from pytorch_designer.harness.pipeline.pipeline_plan import plan_pipeline
from pytorch_designer.harness.schema.assets import Assets, read_assets
from pytorch_designer.harness.schema.azure_objects import pipeline_job
from pytorch_designer.harness.schema.pipeline_file import pipeline_spec
from pytorch_designer.harness.schema.pipeline_specification import PipelineSpec
from pytorch_designer.harness.schema.spec_faults import FaultCollector, SpecPlace
from pytorch_designer.harness.schema.values import check_names
from pytorch_designer.harness.schema.yaml_tree import YamlDocument, read_yaml
from pytorch_designer.system.resources import usable_cores
from pytorch_designer.system.special_files import resolved

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from typing_extensions import Unpack

    from pytorch_designer.harness.fault_injection.injected_faults import InjectedFaults
    from pytorch_designer.harness.job.run_store import RunStore
    from pytorch_designer.harness.pipeline.pipeline_plan import Plan
    from pytorch_designer.harness.reuse.reuse_cache import ReuseCache

_ENABLE = "Enable nodes on the designer page, or remove designer.disabled from their properties."


class PipelineOptions(TypedDict, total=False):
    """Options of a pipeline run, all optional.

    Attributes:
        inputs: Values for inputs of the pipeline, instead of its own.
        outputs: Folders (or files) for outputs of the pipeline; those left out go below the run folder.
        assets: Where registered components and data are, or the YAML file that says it; see `assets`.
        cache: Cache of results; None: every node runs.
        force_rerun: Whether every node runs even if its result is kept, as with the pipeline's `settings.force_rerun`.
        max_parallel: Maximum number of processes at a time; a node with more runs alone. None: the number of cores.
        store: MLflow store of the runs: one for the pipeline, and one below it per node. None: no tracking.
        grace_seconds: Time between SIGTERM and SIGKILL when processes must end.
        keep_working_directory: Whether working directories of successful nodes are kept too.
        only: The nodes that run; what they need is taken from the cache, or the last run beside this run folder.
        start_from: Run these nodes and all that need them, likewise.
        up_to: Run these nodes and all that they need.
        explains: Whether each node that runs says why, in `NodeResult.reason`.
        python: The Python of the jobs.
        is_in_foreground: Whether jobs have the terminal, so that `breakpoint()` works; one node at a time. Like what
            ran under a debugger, their results are not kept.
        faults: Faults to inject, by node. Such a node runs even if its result is kept, and its result is not kept.
        source_text: The text of the pipeline, which is kept in the run folder; None: that of its file.
    """

    inputs: Mapping[str, object] | None
    outputs: Mapping[str, str | Path] | None
    assets: Assets | str | Path | None
    cache: ReuseCache | None
    force_rerun: bool
    max_parallel: int | None
    store: RunStore | None
    grace_seconds: float
    keep_working_directory: bool
    only: Collection[str]
    start_from: Collection[str]
    up_to: Collection[str]
    explains: bool
    python: JobPython
    is_in_foreground: bool
    faults: Mapping[str, InjectedFaults]
    source_text: str | None


@dataclass(frozen=True)
class PipelineRequest:
    """A checked pipeline, and how to run it; see `prepare_pipeline`, which makes it.

    Attributes:
        outputs: Where each output of the pipeline goes that was given a place.
        experiment: The MLflow experiment that the pipeline names, or the default one.
        chosen: The nodes that run; None: all.
        faults: Faults to inject, by node.
        source_text: The text of the pipeline, if it is not that of its file.
        left_out: Why nodes of the pipeline are not in the plan, by name: they are disabled, or need one that is.
    """

    plan: Plan
    run_folder: Path
    outputs: Mapping[str, Path]
    experiment: str
    cache: ReuseCache | None
    is_forced: bool
    max_parallel: int
    store: RunStore | None
    grace_seconds: float
    keep_working_directory: bool
    chosen: frozenset[str] | None
    explains: bool
    python: JobPython
    is_in_foreground: bool
    faults: Mapping[str, InjectedFaults]
    source_text: str | None
    left_out: Mapping[str, str]


def prepare_pipeline(
    job: YamlDocument | PipelineSpec | str | Path | Any, *, run_folder: str | Path, **options: Unpack[PipelineOptions]
) -> PipelineRequest:
    """Read and check a pipeline; nothing is written.

    Args:
        job: Its file, the document in it, an object of azure-ai-ml, or a `PipelineSpec`.
        run_folder: Where its logs and outputs go.
        options: How to run it.

    Raises:
        DesignerError: The pipeline cannot be run as it is; see `pipeline_plan.plan_pipeline`.
    """
    given = options.get("assets")
    assets = given if isinstance(given, Assets) else Assets() if given is None else read_assets(Path(given))
    pipeline, left_out = _read_job(job, assets)
    plan = plan_pipeline(pipeline, _without(left_out.inputs, options.get("inputs")), assets)
    selected = {
        "only": options.get("only", ()),
        "start_from": options.get("start_from", ()),
        "up_to": options.get("up_to", ()),
    }
    _check_left_out(left_out, plan, {*itertools.chain(*selected.values()), *(options.get("faults") or ())})
    python, is_in_foreground = options.get("python", OWN_PYTHON), options.get("is_in_foreground", False)
    python.check()
    _check_environments(plan, python)
    return PipelineRequest(
        plan=plan,
        run_folder=Path(run_folder).absolute(),
        outputs=_given_outputs(pipeline, _without(left_out.outputs, options.get("outputs"))),
        experiment=pipeline.experiment_name or DEFAULT_EXPERIMENT,
        cache=options.get("cache"),
        is_forced=options.get("force_rerun", False) or pipeline.settings.force_rerun,
        max_parallel=1 if is_in_foreground else options.get("max_parallel") or usable_cores(),
        store=options.get("store"),
        grace_seconds=options.get("grace_seconds", GRACE_SECONDS),
        keep_working_directory=options.get("keep_working_directory", False),
        chosen=select_nodes(plan.nodes, **selected),
        explains=options.get("explains", False),
        python=python,
        is_in_foreground=is_in_foreground,
        faults=_checked_faults(plan, options.get("faults") or {}),
        source_text=options.get("source_text"),
        left_out=left_out.nodes,
    )


def _checked_faults(plan: Plan, faults: Mapping[str, InjectedFaults]) -> dict[str, InjectedFaults]:
    for name, injected in faults.items():
        if name not in plan.nodes:
            raise unknown_node(name, plan.nodes)
        if plan.nodes[name].sweep is not None:
            raise UnsupportedLocallyError(
                f"{name} is a sweep; faults can be injected into a single job only.",
                where=name,
                advice="Run its trial alone, as a component, with --fault.",
            )
        check_names("output", injected.output_names, plan.nodes[name].spec.outputs, name)
        check_possible(injected)
    return dict(faults)


def _read_job(job: YamlDocument | PipelineSpec | str | Path | Any, assets: Assets) -> tuple[PipelineSpec, LeftOut]:
    """The part of a pipeline that runs, and what is left out. What code builds runs whole."""
    document = read_yaml(Path(job)) if isinstance(job, (str, Path)) else job
    if isinstance(document, YamlDocument):
        running, left_out = without_disabled_nodes(document)
        return pipeline_spec(running, assets), left_out
    return document if isinstance(document, PipelineSpec) else pipeline_job(document, assets), LeftOut()


def _without(names: Collection[str], given: Mapping[str, Any] | None) -> dict[str, Any]:
    return {name: value for name, value in (given or {}).items() if name not in names}


def _check_left_out(left_out: LeftOut, plan: Plan, asked_for: Collection[str]) -> None:
    for name in asked_for:
        if name in left_out.nodes:
            raise UnknownNameError(
                f"The node {name} does not run: {left_out.nodes[name]}.", where=name, advice=_ENABLE, reason="disabled"
            )
    if left_out.nodes and not plan.nodes:
        what = "No node of the pipeline runs: each is disabled, or left out because of one that is."
        raise NullOrEmptyError(what, where=plan.pipeline.source, advice=_ENABLE, reason="disabled")


def _check_environments(plan: Plan, python: JobPython) -> None:
    """Refuse jobs whose environments are to be built and cannot be, all at once."""
    faults = FaultCollector()
    for node in plan.nodes.values():
        with faults.collecting():
            python.check_job(node.spec)
    faults.raise_any(SpecPlace(str(plan.pipeline.source)))


def _given_outputs(pipeline: PipelineSpec, given: Mapping[str, str | Path]) -> dict[str, Path]:
    check_names("output", given, pipeline.outputs, pipeline.label)
    paths = {**pipeline.given_outputs, **{name: Path(path).absolute() for name, path in given.items()}}
    for (name, path), (other, place) in itertools.permutations(paths.items(), 2):
        if resolved(path) in (resolved(place), *resolved(place).parents):
            raise FailedToWriteOutputsError(
                f"The outputs {name} and {other} share a folder.", where=path, advice="Give each a folder of its own."
            )
    return paths
