"""Command job: one job without a pipeline (schema commandJob, or what `azure.ai.ml.command()` gives).

It is read and checked as a pipeline of one node, and run as a job of its own.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytorch_designer.harness.job.job_run import JobRequest
from pytorch_designer.harness.job.run_store import DEFAULT_EXPERIMENT
from pytorch_designer.harness.pipeline.pipeline_plan import plan_pipeline
from pytorch_designer.harness.schema.pipeline_specification import COMMAND_JOB_NODE
from pytorch_designer.harness.schema.values import check_names

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from pytorch_designer.harness.schema.assets import Assets
    from pytorch_designer.harness.schema.pipeline_specification import PipelineSpec
    from pytorch_designer.harness.schema.spec_faults import SpecFault


def command_job_request(
    job: PipelineSpec,
    run_folder: Path,
    *,
    inputs: Mapping[str, object],
    outputs: Mapping[str, Path],
    environment_variables: Mapping[str, str],
    assets: Assets | None = None,
) -> tuple[JobRequest, tuple[SpecFault, ...]]:
    """A checked request to run a command job.

    Args:
        job: The job, as `pipeline_file.read_pipeline` or `azure_objects.pipeline_job` reads it.
        run_folder: See `run_folder`.
        inputs: Values instead of those of the job.
        outputs: Where outputs go, likewise.
        environment_variables: Variables beside those of the job, before which they go.
        assets: Where registered data is.

    Returns:
        The request, and what Azure ML passes although it is suspicious.

    Raises:
        DesignerError: The job cannot be run as it is; see `pipeline_plan.plan_pipeline`.
    """
    plan = plan_pipeline(job, inputs, assets)
    check_names("output", outputs, job.outputs, job.label)
    node = plan.nodes[COMMAND_JOB_NODE]
    variables = {name: source.text({}) for name, source in node.environment_variables.items()}
    request = JobRequest(
        spec=node.spec,
        run_folder=run_folder,
        inputs={name: source.text({}) for name, source in node.inputs.items()},
        outputs={**job.given_outputs, **outputs},
        environment_variables={**variables, **environment_variables},
        experiment=job.experiment_name or DEFAULT_EXPERIMENT,
    )
    return request, plan.warnings
