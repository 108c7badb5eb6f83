"""The environment variables that a job sees.

In this order, later ones winning:

    the caller's own        all of it, secrets included: they are passed on and never shown
    PATH                    begins with the folder of the Python that runs the harness, so that `python` in a command
                            is that one: environments (Docker, conda) are not built locally
    PYTHONUNBUFFERED=1      so that the output is live, unless the caller has set it
    AZUREML_RUN_ID, AZUREML_ROOT_RUN_ID, AZUREML_EXPERIMENT_NAME
                            the run; its root is the pipeline's, where the job is a node of one
    AZURE_ML_INPUT_<name>, AZURE_ML_OUTPUT_<name>
                            the path of each data port
    MLFLOW_TRACKING_URI, MLFLOW_RUN_ID, MLFLOW_EXPERIMENT_NAME
                            where the job is tracked; see `run_store`
    MASTER_ADDR ...         see `distribution`; removed from what the caller has where the job has no distribution
    the request's own       `--env`, or the node's environment_variables

Not set are the variables that name a workspace (AZUREML_ARM_*, AZUREML_RUN_TOKEN, service endpoints): there is none,
and programs would try to reach it.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from pytorch_designer.harness.job.distribution import VARIABLES

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pytorch_designer.harness.schema.specification import InputValue


def platform_variables(
    *, run_id: str, root_run_id: str, experiment: str, inputs: Mapping[str, InputValue], outputs: Mapping[str, Path]
) -> dict[str, str]:
    """The variables that Azure ML sets on every process of a job."""
    return {
        "AZUREML_RUN_ID": run_id,
        "AZUREML_ROOT_RUN_ID": root_run_id,
        "AZUREML_EXPERIMENT_NAME": experiment,
        **{f"AZURE_ML_INPUT_{name}": str(value) for name, value in inputs.items() if isinstance(value, Path)},
        **{f"AZURE_ML_OUTPUT_{name}": str(path) for name, path in outputs.items()},
    }


def callers_variables() -> dict[str, str]:
    """The environment of this process as a job inherits it."""
    inherited = {name: value for name, value in os.environ.items() if name not in VARIABLES}
    python_folder = str(Path(sys.executable).parent)
    inherited["PATH"] = os.pathsep.join([python_folder, *filter(None, [inherited.get("PATH")])])
    inherited.setdefault("PYTHONUNBUFFERED", "1")
    return inherited
