"""Environment of a process: Azure ML's variables, torchrun's, half a set, contradictions, MPI."""

from __future__ import annotations

from pathlib import Path

import pytest

from pytorch_designer.distributed.joining import StartVariables, read_start_variables
from pytorch_designer.errors import UnsupportedEnvironmentError
from pytorch_designer.harness.job.job_processes import Place, distribution_variables
from pytorch_designer.harness.schema.specification import CommandSpec, Distribution, Resources

AZURE = {"WORLD_SIZE": "4", "RANK": "3", "LOCAL_RANK": "1", "MASTER_ADDR": "10.0.0.4", "MASTER_PORT": "6105"}
TORCHRUN = AZURE | {
    "LOCAL_WORLD_SIZE": "2",
    "TORCHELASTIC_USE_AGENT_STORE": "True",
    "TORCHELASTIC_RUN_ID": "run",
    "TORCHELASTIC_RESTART_COUNT": "1",
}


def test_without_variables_a_process_is_alone() -> None:
    assert read_start_variables({}) == StartVariables(size=1)
    assert read_start_variables(dict.fromkeys(AZURE, "")) == StartVariables(size=1)


@pytest.mark.parametrize("others", [{}, {"RANK": "0", "LOCAL_RANK": "0"}, AZURE | {"RANK": "0", "LOCAL_RANK": "0"}])
def test_a_world_of_one_is_alone(others: dict[str, str]) -> None:
    assert read_start_variables({**others, "WORLD_SIZE": "1"}) == StartVariables(size=1)


def test_variables_of_azure_ml_do_without_node_rank() -> None:
    found = read_start_variables(AZURE)
    assert (found.rank, found.size, found.local_rank, found.local_size) == (3, 4, 1, None)
    assert (found.address, found.port, found.is_store_served) == ("10.0.0.4", 6105, False)
    assert read_start_variables(AZURE | {"NODE_RANK": "nonsense"}) == found


def test_variables_of_torchrun_tell_starts_apart() -> None:
    found = read_start_variables(TORCHRUN)
    assert (found.local_size, found.is_store_served, found.start) == (2, True, "run/1")
    assert found.is_by_torchrun
    assert read_start_variables(TORCHRUN | {"TORCHELASTIC_RESTART_COUNT": "2"}).start != found.start


@pytest.mark.parametrize("missing", list(AZURE))
def test_half_a_set_names_what_is_missing(missing: str) -> None:
    with pytest.raises(UnsupportedEnvironmentError, match=f"not {missing}") as caught:
        read_start_variables({name: value for name, value in AZURE.items() if name != missing})
    assert (caught.value.where, caught.value.reason) == (missing, "half_a_set")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("WORLD_SIZE", "two"),
        ("WORLD_SIZE", "0"),
        ("WORLD_SIZE", "²"),
        ("RANK", "4"),
        ("RANK", "-1"),
        ("LOCAL_RANK", "4"),
        ("MASTER_PORT", "0"),
        ("MASTER_PORT", "70000"),
    ],
)
def test_a_wrong_value_names_its_variable(name: str, value: str) -> None:
    with pytest.raises(UnsupportedEnvironmentError, match=f"{name} is '{value}'") as caught:
        read_start_variables(AZURE | {name: value})
    assert caught.value.where == name


@pytest.mark.parametrize("name", ["OMPI_COMM_WORLD_SIZE", "PMI_SIZE"])
def test_mpi_is_refused_by_name(name: str) -> None:
    with pytest.raises(UnsupportedEnvironmentError, match="MPI has started this job as 2 processes"):
        read_start_variables({name: "2"})
    assert read_start_variables({name: "1"}).size == 1
    assert read_start_variables({name: "4"} | AZURE).size == 4


@pytest.mark.parametrize(("rank", "node"), [(0, 0), (3, 1)])
def test_the_harness_sets_what_is_read(rank: int, node: int) -> None:
    resources = Resources(instance_count=2)
    spec = CommandSpec("x", "true", Path("x.yaml"), distribution=Distribution("pytorch", 2), resources=resources)
    found = read_start_variables(distribution_variables(spec, Place(rank, rank % 2, node), port=1234))
    assert (found.rank, found.size, found.local_rank, found.port) == (rank, 4, rank % 2, 1234)
