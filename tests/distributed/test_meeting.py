"""Meeting of processes: whether they fit together, and their places."""

from __future__ import annotations

import re
import socket
import time
from dataclasses import replace

import pytest
import torch.distributed as dist

from pytorch_designer.distributed.faults import Fault, is_broken_exchange, process_name
from pytorch_designer.distributed.joining import StartVariables
from pytorch_designer.distributed.meeting import (
    Arrival,
    Meeting,
    check_fit,
    connect,
    first_fault,
    part_of_store,
    report_fault,
)
from pytorch_designer.distributed.world import Membership
from pytorch_designer.errors import (
    DesignerError,
    InterruptedRunError,
    LostProcessError,
    ModuleOutOfMemoryError,
    OtherProcessError,
    UnsupportedEnvironmentError,
)
from pytorch_designer.system.stop_requests import SignalInterrupt


def arrival(rank: int, *, per_node: int = 2, gpu: str | None = None, machine: str = "", processes: int = 1) -> Arrival:
    node = rank // per_node
    return Arrival(
        rank=rank,
        local_rank=rank % per_node,
        token=str(rank),
        machine=machine or f"machine {node}",
        address="",
        pid=rank,
        started=None,
        gpu=gpu,
        device=None,
        versions="these",
        processes=processes,
    )


def meeting(*arrivals: Arrival, rank: int) -> Meeting:
    return Meeting(StartVariables(rank=rank, size=len(arrivals)), dist.HashStore(), arrivals)  # type: ignore[attr-defined]  # not in the stubs


def test_places_follow_from_ranks_without_node_rank() -> None:
    found = meeting(*(arrival(rank) for rank in range(4)), rank=3).membership
    assert (found.node, found.num_nodes, found.local_rank, found.local_size) == (1, 2, 1, 2)


def test_simulated_nodes_share_the_cores_of_their_machine() -> None:
    found = meeting(*(arrival(rank, machine="one") for rank in range(4)), rank=2).membership
    assert (found.node, found.num_nodes, found.local_size) == (1, 2, 4)


@pytest.mark.parametrize(("per_node", "processes", "expected"), [(1, 4, True), (1, 1, False), (2, 4, False)])
def test_a_process_stands_for_its_node_only_where_it_is_alone_there(
    per_node: int, processes: int, expected: bool
) -> None:
    arrivals = [arrival(rank, per_node=per_node, processes=processes) for rank in range(2)]
    assert meeting(*arrivals, rank=0).is_of_nodes is expected


@pytest.mark.parametrize(
    ("other", "words"),
    [
        (arrival(1, gpu="GPU-1"), "Ranks 0 and 1 would share one GPU"),
        (replace(arrival(1), versions="others"), "Rank 0 runs these, rank 1 others"),
    ],
)
def test_processes_that_do_not_fit_together_are_refused_by_name(other: Arrival, words: str) -> None:
    with pytest.raises(UnsupportedEnvironmentError, match=words) as caught:
        check_fit([arrival(0, gpu="GPU-1"), other])
    assert caught.value.where == "rank 1"


def test_gpus_of_the_same_name_on_two_machines_are_two() -> None:
    check_fit([arrival(0, per_node=1, gpu="GPU-1"), arrival(1, per_node=1, gpu="GPU-1")])


@pytest.fixture
def short_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTORCH_DESIGNER_JOIN_SECONDS", "1")


@pytest.mark.slow
@pytest.mark.usefixtures("short_wait")
def test_a_program_that_listens_in_place_of_rank_0_and_says_nothing_is_not_waited_for_longer() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        variables = StartVariables(rank=1, size=2, local_rank=1, address="127.0.0.1", port=port)
        with pytest.raises(LostProcessError, match="what listens there does not answer") as caught:
            connect(variables, time.monotonic() + 1)
        assert "another program uses it" in caught.value.advice
        assert re.search(r"Rank 1 of 2 did not reach rank 0 within \d+(\.\d+)? s", caught.value.what)
        assert str(port) in str(caught.value.where)


@pytest.mark.usefixtures("short_wait")
def test_an_address_that_is_none_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    def unknown(*_: object, **__: object) -> None:
        raise socket.gaierror(-2, "Name or service not known")

    monkeypatch.setattr(socket, "create_connection", unknown)
    variables = StartVariables(rank=1, size=2, local_rank=0, address="nowhere.invalid", port=6105)
    with pytest.raises(LostProcessError, match="Name or service not known") as caught:
        connect(variables, time.monotonic() + 0.1)
    assert "does not know the name in MASTER_ADDR" in caught.value.advice


def test_the_first_fault_wins() -> None:
    store = part_of_store(dist.HashStore(), "run")  # type: ignore[attr-defined]  # not in the stubs
    assert first_fault(store) is None
    memory = Fault.of(ModuleOutOfMemoryError("too little", where="here"), 3, "rank 3 of 4 (node 1), training")
    assert report_fault(store, memory) == memory
    assert report_fault(store, Fault.of(ZeroDivisionError("later"), 0, "rank 0 of 4 (node 0), training")) == memory
    assert first_fault(store) == memory


def test_the_others_end_with_the_first_cause() -> None:
    place = process_name(Membership(rank=3, size=4, node=1, num_nodes=2), "training, epoch 2", 17)
    error = Fault.of(ModuleOutOfMemoryError("too little", where="here"), 3, place).as_error("rank 0 of 4 (node 0)")
    assert isinstance(error, OtherProcessError)
    expected = "rank 3 of 4 (node 1), training, epoch 2, step 17, ended: ModuleOutOfMemoryError (0138): too little"
    assert error.what == expected
    assert "Process: rank 0 of 4 (node 0)" in str(error)
    assert error.to_dict()["name"] == "ModuleOutOfMemoryError"
    assert error.to_dict()["process"] == place


def test_a_signal_to_one_process_interrupts_all() -> None:
    error = Fault.of(SignalInterrupt(15), 1, "rank 1 of 2, joining").as_error("rank 0 of 2, joining")
    assert isinstance(error, InterruptedRunError)
    assert error.signal_number == 15
    assert (error.what, error.where) == (
        "The run was stopped by SIGTERM to one of its processes.",
        "rank 1 of 2, joining",
    )


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (RuntimeError("[gloo/transport/tcp/pair.cc:547] Connection closed by peer [127.0.0.1]:1"), True),
        (ConnectionResetError(104, "Connection reset by peer"), True),
        (RuntimeError("shapes do not match"), False),
        (ModuleOutOfMemoryError("too little"), False),
        (ZeroDivisionError("a bug"), False),
    ],
)
def test_a_broken_exchange_is_told_from_an_error_of_its_own(error: Exception, expected: bool) -> None:
    assert is_broken_exchange(error) is expected


def test_verdicts_that_all_reach_together_stay_as_they_are() -> None:
    fault = Fault.of(ModuleOutOfMemoryError("too little"), 0, "rank 0 of 2, training")
    same: DesignerError = ModuleOutOfMemoryError("too little")
    assert fault.is_of_same_cause(same)
    assert not fault.is_of_same_cause(ModuleOutOfMemoryError("something else"))
    assert not fault.is_of_same_cause(ZeroDivisionError("too little"))
