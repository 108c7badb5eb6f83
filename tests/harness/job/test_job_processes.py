from __future__ import annotations

import socket
from pathlib import Path

import pytest

from pytorch_designer.errors import UnsupportedLocallyError
from pytorch_designer.harness.job.job_processes import (
    LOOPBACK,
    Place,
    distribution_variables,
    free_port,
    process_places,
)
from pytorch_designer.harness.schema.specification import CommandSpec, Distribution, Resources


def _spec(kind: str | None, per_node: int = 1, nodes: int = 1) -> CommandSpec:
    distribution = None if kind is None else Distribution(kind, per_node)
    return CommandSpec(
        "sample", "true", Path("c.yaml"), distribution=distribution, resources=Resources(instance_count=nodes)
    )


def test_ranks_count_through_the_nodes() -> None:
    assert process_places(_spec("pytorch", per_node=2, nodes=2)) == (
        Place(rank=0, local_rank=0, node_rank=0),
        Place(rank=1, local_rank=1, node_rank=0),
        Place(rank=2, local_rank=0, node_rank=1),
        Place(rank=3, local_rank=1, node_rank=1),
    )


def test_the_variables_are_those_of_azure_ml() -> None:
    spec = _spec("pytorch", per_node=2, nodes=2)

    assert distribution_variables(spec, process_places(spec)[3], port=1234) == {
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": "1234",
        "WORLD_SIZE": "4",
        "RANK": "3",
        "LOCAL_RANK": "1",
        "NODE_RANK": "1",
    }


def test_one_process_gets_them_too_but_only_with_a_distribution() -> None:
    place = Place(rank=0, local_rank=0, node_rank=0)

    assert distribution_variables(_spec("pytorch"), place, port=1)["WORLD_SIZE"] == "1"
    assert distribution_variables(_spec(None), place, port=1) == {}


@pytest.mark.parametrize("kind", ["mpi", "tensorflow", "ray", None])
def test_processes_that_need_a_launcher_are_refused_by_name(kind: str | None) -> None:
    with pytest.raises(UnsupportedLocallyError, match=kind or "no distribution"):
        process_places(_spec(kind, per_node=2, nodes=2))


def test_one_process_of_any_kind_can_run() -> None:
    assert len(process_places(_spec("mpi"))) == 1


def test_the_port_can_be_listened_on() -> None:
    with socket.socket() as listener:
        listener.bind((LOOPBACK, free_port()))
