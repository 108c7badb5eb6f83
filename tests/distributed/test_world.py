"""Worlds: exchanges of several processes, and the null form of one."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from pytorch_designer.distributed.world import ONE_PROCESS, World
from pytorch_designer.errors import InterruptedRunError, InvalidDatasetError

from .worlds import FailedInWorldError, run_world

pytestmark = pytest.mark.slow


def exchange_everything(world: World) -> dict[str, Any]:
    numbers = world.start_exchange([world.rank, 7])
    tensor = torch.full((3,), float(world.rank + 1))
    world.start_sum(tensor).wait()
    weights = torch.full((2,), float(world.rank))
    world.broadcast_tensors([weights])
    world.barrier()
    return {
        "numbers": numbers.wait(),
        "sum": tensor.tolist(),
        "weights": weights.tolist(),
        "broadcast": world.broadcast({"rank": world.rank}),
        "gather": world.gather(10 * world.rank),
        "verdict": world.verdict_of_first(lambda: world.rank),
        "own": world.verdict_of_all(lambda: world.rank),
        "is_first": world.is_first,
    }


def fail_in(world: World, rank: int, kind: str) -> dict[str, Any]:
    def check() -> None:
        if world.rank == rank:
            raise (
                InterruptedRunError("told to stop", signal_number=15, where="here")
                if kind == "stop"
                else InvalidDatasetError(f"bad in {world.rank}", examples=["a", "b"], reason="bad_images")
            )

    try:
        (world.verdict_of_first if rank == 0 else world.verdict_of_all)(check)
    except (InterruptedRunError, InvalidDatasetError) as error:
        return error.to_dict() | {"class": type(error).__name__, "args": error.args}
    return {}


@pytest.mark.parametrize("size", [2, 3])
def test_every_exchange_reaches_every_process(size: int) -> None:
    found = run_world(size, exchange_everything)
    for rank, result in enumerate(found):
        assert result == {
            "numbers": [[other, 7] for other in range(size)],
            "sum": [sum(range(1, size + 1))] * 3,
            "weights": [0.0, 0.0],
            "broadcast": {"rank": 0},
            "gather": [10 * other for other in range(size)],
            "verdict": 0,
            "own": rank,
            "is_first": rank == 0,
        }


def test_one_process_exchanges_with_itself() -> None:
    assert exchange_everything(ONE_PROCESS) == {
        "numbers": [[0, 7]],
        "sum": [1.0] * 3,
        "weights": [0.0, 0.0],
        "broadcast": {"rank": 0},
        "gather": [0],
        "verdict": 0,
        "own": 0,
        "is_first": True,
    }


@pytest.mark.parametrize("rank", [0, 1])
@pytest.mark.parametrize("kind", ["stop", "data"])
def test_a_named_error_of_one_process_is_that_of_all(rank: int, kind: str) -> None:
    first, second = run_world(2, fail_in, rank, kind)
    assert first == second
    assert first["class"] == ("InterruptedRunError" if kind == "stop" else "InvalidDatasetError")


def test_another_error_stays_with_its_process() -> None:
    with pytest.raises(FailedInWorldError, match="ZeroDivisionError"):
        run_world(2, divide_by_zero)


def divide_by_zero(world: World) -> float:
    return 1 / world.rank
