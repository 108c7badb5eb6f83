"""Training in several processes: every image once, exact validation, equal bits after any interruption."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from pytorch_designer.distributed.world import ONE_PROCESS
from tests.distributed.worlds import outcomes_of_world, run_world

from .together import Request, run_together

pytestmark = pytest.mark.slow


@pytest.fixture
def request_(digit_folders: dict[str, Path], tmp_path: Path) -> Request:
    return Request(digit_folders["training"].parent, tmp_path / "output")


@pytest.mark.parametrize(
    ("size", "num_training", "num_validation", "batch_size"),
    [(2, 33, 12, 4), (3, 40, 12, 4), (5, 17, 7, 2), (5, 3, 1, 4), (2, 1, 2, 1), (3, 8, 12, 1)],
)
def test_every_image_is_seen_once_an_epoch_and_validation_is_that_of_one_process(
    request_: Request, size: int, num_training: int, num_validation: int, batch_size: int
) -> None:
    request = replace(
        request_,
        folder=request_.folder,
        num_training=min(num_training, 33),
        num_validation=num_validation,
        batch_size=batch_size,
    )
    found = run_world(size, run_together, request)
    for epoch in range(request.num_epochs):
        seen = [row for one in found for row in one.rows[2 * epoch]]
        assert sorted(seen) == list(range(request.num_training))
    first = found[0]
    assert first.validated == first.expected, "metrics, confusion and outcomes, to the last bit"
    assert [record[0].num_images for record in first.history] == [request.num_training] * request.num_epochs
    for other in found[1:]:
        assert (other.weights, other.momentum, other.history) == (first.weights, first.momentum, first.history)
        assert (other.losses, other.num_images) == (first.losses, first.num_images)


def test_the_same_number_of_processes_gives_the_same_bits_and_another_number_other_ones(request_: Request) -> None:
    first, second = run_world(2, run_together, request_), run_world(2, run_together, request_)
    assert [one.result for one in first] == [one.result for one in second]
    assert run_together(ONE_PROCESS, request_).result != first[0].result


@pytest.mark.parametrize(("size", "rank", "step"), [(2, 1, 1), (3, 0, 3), (3, 2, 5)])
def test_a_stop_request_to_any_process_stops_all_after_the_same_step(
    request_: Request, tmp_path: Path, size: int, rank: int, step: int
) -> None:
    whole = run_world(size, run_together, request_)
    stopped = replace(request_, output=tmp_path / "stopped", stops=(rank, step))
    for one in run_world(size, run_together, stopped):
        assert one.error["name"] == "InterruptedRunError"
        assert len(one.losses) == step
    again = run_world(size, run_together, replace(stopped, stops=None))
    assert [one.result for one in again] == [one.result for one in whole]


@pytest.mark.parametrize(("size", "stays_near"), [(2, True), (3, True), (2, False)])
def test_the_start_of_the_classifier_is_validated_by_all_and_equal_after_a_stop(
    request_: Request, tmp_path: Path, size: int, stays_near: bool
) -> None:
    request = replace(request_, has_given_weights=True, stays_near=stays_near)
    whole = run_world(size, run_together, request)
    assert all((one.history, one.weights) == (whole[0].history, whole[0].weights) for one in whole)
    assert whole[0].history[0] == run_together(ONE_PROCESS, replace(request, output=tmp_path / "alone")).history[0]
    stopped = replace(request, output=tmp_path / "stopped", stops=(1, 1))
    assert all(one.error["name"] == "InterruptedRunError" for one in run_world(size, run_together, stopped))
    again = run_world(size, run_together, replace(stopped, stops=None))
    assert [one.result for one in again] == [one.result for one in whole]


@pytest.mark.parametrize("size", [2, 3])
def test_a_run_that_is_killed_after_every_step_continues_to_the_same_bits(
    request_: Request, tmp_path: Path, size: int
) -> None:
    """One process is killed, each in turn, or all of them are at once.

    The first start is killed after its first step; those after it after their second, of which the first is saved.
    """
    few = replace(request_, num_training=17)  # two or three steps an epoch
    whole = run_world(size, run_together, few)
    num_steps = len(whole[0].losses)
    for kind in ("one process", "all at once"):
        request = replace(few, output=tmp_path / kind, checkpoint_seconds=0)
        for step in range(1, num_steps + 1):
            victim = step % size if kind == "one process" else None
            ends = outcomes_of_world(size, run_together, replace(request, kills=(victim, min(step, 2))))
            killed = [rank for rank, end in enumerate(ends) if end.exit_code == -9]
            assert killed == (list(range(size)) if victim is None else [victim]), ends
        again = run_world(size, run_together, request)
        assert [one.losses for one in again] == [one.losses[-1:] for one in whole], "one step is lost by each kill"
        assert [one.result for one in again] == [one.result for one in whole]


def test_a_loss_that_is_not_finite_in_one_process_ends_all_at_the_same_step(request_: Request) -> None:
    found = run_world(2, run_together, replace(request_, explodes=(1, 3)))
    for one in found:
        assert one.error["name"] == "NonFiniteLossError"
        assert "step 2 of epoch 1" in one.error["what"] or "step 3 of epoch 1" in one.error["what"]
    assert found[0].error == found[1].error
    assert found[0].weights == found[1].weights


def test_bad_files_of_one_process_are_known_to_all_and_counted_together(request_: Request, tmp_path: Path) -> None:
    folder = tmp_path / "data"
    shutil.copytree(request_.folder, folder)
    for name in ("training/digit 0/1.png", "training/digit 1/2.png", "validation/digit 2/0.png"):
        (folder / name).write_bytes(b"no image")
    tolerant = replace(request_, folder=folder, tolerance=0.1)
    found = run_world(2, run_together, tolerant)
    assert found[0].bad_files == found[1].bad_files
    assert len(found[0].bad_files) == 3
    assert found[0].validated == found[0].expected
    assert [record[0].num_images for record in found[0].history] == [31, 31]
    for one in run_world(2, run_together, replace(tolerant, tolerance=0.04, output=tmp_path / "strict")):
        assert one.error["reason"] == "bad_images", "one each is tolerated, two are not"
        assert one.error["num_offending"] == 2


def test_a_checkpoint_of_another_number_of_processes_is_refused_by_name(request_: Request) -> None:
    run_world(2, run_together, replace(request_, stops=(0, 2)))
    for found in (run_together(ONE_PROCESS, request_), *run_world(3, run_together, request_)):
        assert found.error["reason"] == "other_processes"
        assert "by 2 processes" in found.error["what"]
    assert not run_world(2, run_together, request_)[0].error
