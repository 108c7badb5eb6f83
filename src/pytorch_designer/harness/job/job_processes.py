"""The processes of a job and the environment variables that they see.

Azure ML starts `process_count_per_instance` processes on each of `instance_count` nodes itself. Here all nodes are this
machine: each simulated node has its own working directory, and all processes meet on a free port of the loopback
interface. Their environment, in which later lines take precedence:

    the caller's own        all variables, secrets included, which are never shown
    PATH                    begins with the folder of the Python that runs the harness, or of the one that was asked
                            for (`job_python`): the job's own environment is built only on request
                            A job in a container has none of these (`environments.containers`).
    PYTHONUNBUFFERED=1      for live output, unless the caller has set it
    DESIGNER_HARNESS_JOB    token of the job; see `leftover_processes`
    GOMP_SPINCOUNT          how long OpenMP's threads spin, bounded: nodes share this machine. Unless the caller has set
                            it, or OMP_WAIT_POLICY
    AZUREML_RUN_ID, AZUREML_ROOT_RUN_ID, AZUREML_EXPERIMENT_NAME
                            the run; its root is that of the pipeline, if the job is a node of one
    AZURE_ML_INPUT_<name>, AZURE_ML_OUTPUT_<name>
                            the path of each data port
    AZUREML_PARAMETER_<name>
                            the value of each parameter, as the command gets it
    MLFLOW_TRACKING_URI, MLFLOW_RUN_ID, MLFLOW_EXPERIMENT_NAME
                            where the job is tracked; see `run_store`
    MASTER_ADDR ...         the place of the process; the caller's are removed if the job has no distribution
    OMPI_COMM_WORLD_RANK ...
                            likewise for MPI, which runs with one process: nothing is launched by `mpirun`
    the request's own       `--env`, or the node's environment_variables

The variables that name a workspace (AZUREML_ARM_*, AZUREML_RUN_TOKEN, service endpoints) are not set: there is no
workspace, and programs would try to reach it.
"""

from __future__ import annotations

import os
import shutil
import socket
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from pytorch_designer.errors import UnsupportedEnvironmentError, UnsupportedLocallyError
from pytorch_designer.harness.schema.values import render_value
from pytorch_designer.system.openmp import bound_spinning

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from pytorch_designer.harness.schema.specification import CommandSpec, InputValue

LOOPBACK = "127.0.0.1"
DISTRIBUTION_VARIABLES = (
    *("MASTER_ADDR", "MASTER_PORT", "WORLD_SIZE", "RANK", "LOCAL_RANK", "NODE_RANK", "AZ_BATCH_MASTER_NODE"),
    *("LOCAL_WORLD_SIZE", "TORCHELASTIC_RUN_ID", "TORCHELASTIC_USE_AGENT_STORE", "TORCHELASTIC_RESTART_COUNT"),
    *(f"OMPI_COMM_WORLD_{name}" for name in ("SIZE", "RANK", "LOCAL_SIZE", "LOCAL_RANK")),
)


@dataclass(frozen=True)
class Place:
    """Rank of one process in its job and on its node, counted from 0."""

    rank: int
    local_rank: int
    node_rank: int


def process_places(spec: CommandSpec) -> tuple[Place, ...]:
    """Places of all processes of a job of `spec`, by rank.

    Raises:
        UnsupportedLocallyError: Its processes need a launcher (MPI, TensorFlow, Ray), or it has several nodes without
            saying how they work together.
    """
    if spec.num_processes > 1 and (spec.distribution is None or spec.distribution.type != "pytorch"):
        kind = "no distribution" if spec.distribution is None else f"distribution {spec.distribution.type!r}"
        raise UnsupportedLocallyError(
            f"{spec.name} asks for {spec.num_processes} processes with {kind}; only 'pytorch' can run here.",
            where=spec.source,
            advice="Use `distribution: {type: pytorch}`, or one process on one instance.",
        )
    per_node = spec.num_processes // spec.resources.instance_count
    return tuple(Place(rank, rank % per_node, rank // per_node) for rank in range(spec.num_processes))


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
        **{
            f"AZUREML_PARAMETER_{name}": render_value(value)
            for name, value in inputs.items()
            if not isinstance(value, Path)
        },
    }


def callers_variables(python_folders: Sequence[Path] = ()) -> dict[str, str]:
    """The environment of this process as a job inherits it.

    Args:
        python_folders: First on its PATH, that of its Python the last; empty: that of the running Python.
    """
    inherited = {name: value for name, value in os.environ.items() if name not in DISTRIBUTION_VARIABLES}
    own = Path(sys.executable).parent
    folders = list(python_folders) or [own]
    inherited["PATH"] = os.pathsep.join([*map(str, folders), *filter(None, [inherited.get("PATH")])])
    if folders[-1] != own and (folders[-1].parent / "pyvenv.cfg").exists():
        inherited["VIRTUAL_ENV"] = str(folders[-1].parent)  # for uv, which looks nowhere else
    inherited.setdefault("PYTHONUNBUFFERED", "1")
    bound_spinning(inherited)  # the processes of a pipeline share this machine
    return inherited


def distribution_variables(spec: CommandSpec, place: Place, port: int) -> dict[str, str]:
    """The variables that Azure ML sets for PyTorch's and MPI's distribution, even for one process; else none."""
    kind = None if spec.distribution is None else spec.distribution.type
    if kind == "mpi":
        return {
            "AZ_BATCH_MASTER_NODE": f"{LOOPBACK}:{port}",
            "OMPI_COMM_WORLD_SIZE": "1",
            "OMPI_COMM_WORLD_RANK": "0",
            "OMPI_COMM_WORLD_LOCAL_SIZE": "1",
            "OMPI_COMM_WORLD_LOCAL_RANK": "0",
        }
    if kind != "pytorch":
        return {}
    return {
        "MASTER_ADDR": LOOPBACK,
        "MASTER_PORT": str(port),
        "WORLD_SIZE": str(spec.num_processes),
        "RANK": str(place.rank),
        "LOCAL_RANK": str(place.local_rank),
        "NODE_RANK": str(place.node_rank),
    }


def free_port() -> int:
    """A port of the loopback interface that no process listens on at the moment."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as listener:
        listener.bind((LOOPBACK, 0))
        port: int = listener.getsockname()[1]
        return port


def find_shell() -> str:
    """The shell that runs the commands of jobs.

    Raises:
        UnsupportedEnvironmentError: There is none.
    """
    for name in ("bash", "sh"):
        found = shutil.which(name)
        if found is not None:
            return found
    raise UnsupportedEnvironmentError(
        "There is no bash or sh on this machine, in which Azure ML runs the command of a component.",
        advice="Install one; on Windows, run this in WSL or install Git for Windows.",
    )
