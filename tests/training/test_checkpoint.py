"""A checkpoint holds the whole state of a run, and is whole or not there (CASES 3 to 7, 11, 12)."""

from __future__ import annotations

import errno
import hashlib
import json
import logging
import math
import os
import signal
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load, save
from torch import Tensor, nn

from pytorch_designer.errors import FailedToWriteOutputsError, InterruptedRunError, UnsupportedEnvironmentError
from pytorch_designer.reporting.outcomes import Outcomes
from pytorch_designer.training.checkpoint import CheckpointStore
from pytorch_designer.training.history import EpochRecord, Metrics, MetricSums
from pytorch_designer.training.recipe import build_optimizer
from pytorch_designer.training.state import BestEpoch, TrainingState, copy_weights

from .small_run import EXTENT, BuildRun, SmallRun, same_tensors, small_network


def state_of(network: nn.Module) -> TrainingState:
    return TrainingState(network, build_optimizer(network, 0.1))


@pytest.fixture
def state() -> TrainingState:
    """In the middle of epoch 3, with momentum, a best epoch, and a validation loss that is not a number."""
    state = state_of(small_network())
    for _ in range(2):
        state.network(torch.rand(4, 3, 8, 8)).sum().backward()
        state.optimizer.step()
    best = {name: tensor + 1 for name, tensor in copy_weights(state.network).items()}
    outcomes = Outcomes.blank(np.array([0, 1, 2] * 4))
    outcomes.record(np.arange(11), np.random.default_rng(0).dirichlet(np.ones(3), 11))  # the last one is a bad file
    state.best = BestEpoch(1, best, torch.arange(9).reshape(3, 3), outcomes)
    metrics = Metrics(loss=0.1 + 0.2, top1=1 / 3, top5=1.0, num_images=33)
    for epoch, validation in ((1, metrics), (2, Metrics(math.nan, 0.0, 0.5, 12))):
        state.history.append(EpochRecord(epoch, metrics, validation, 0.05, 123.4, 5.6, epoch == 1))
    state.step, state.seconds = 7, 1.25
    state.sums = MetricSums()
    state.sums.add_batch(loss=1 / 7, top1=3, top5=5, num_images=8)
    return state


def momenta(state: TrainingState) -> list[Tensor]:
    return [state.optimizer.state[parameter]["momentum_buffer"] for parameter in state.network.parameters()]


def restored(store: CheckpointStore) -> TrainingState:
    fresh = state_of(small_network(seed=99))
    assert store.restore(fresh)
    return fresh


@pytest.fixture
def store(tmp_path: Path) -> CheckpointStore:
    return CheckpointStore(tmp_path, "this run", EXTENT)


def step_of(store: CheckpointStore) -> int | None:
    fresh = state_of(small_network(seed=99))
    return fresh.step if store.restore(fresh) else None


def save_steps(store: CheckpointStore, state: TrainingState, *steps: int) -> None:
    for step in steps:
        state.step = step
        store.save(state, step)


def test_everything_that_changes_in_a_run_comes_back_bit_for_bit(state: TrainingState, store: CheckpointStore) -> None:
    store.save(state, 42)
    fresh = restored(store)
    assert same_tensors(copy_weights(fresh.network), copy_weights(state.network))
    assert all(torch.equal(*pair) for pair in zip(momenta(fresh), momenta(state), strict=True))
    assert repr(fresh.history) == repr(state.history), "NaN included, which equals nothing"
    assert (fresh.step, fresh.seconds, fresh.epoch) == (7, 1.25, 3)
    assert fresh.sums.to_dict() == state.sums.to_dict()
    assert fresh.best is not None
    assert state.best is not None
    assert fresh.best.epoch == 1
    assert same_tensors(fresh.best.weights, state.best.weights)
    assert torch.equal(fresh.best.confusion, state.best.confusion)


@pytest.mark.parametrize("best_epoch", [0, 2])
def test_a_history_from_epoch_0_comes_back(state: TrainingState, store: CheckpointStore, best_epoch: int) -> None:
    nothing = Metrics(math.nan, math.nan, math.nan, 0)
    state.history.insert(0, EpochRecord(0, nothing, Metrics(1.0, 0.5, 1.0, 12), 0.0, math.nan, 1.0, is_best=True))
    assert state.best is not None
    state.best = replace(state.best, epoch=best_epoch)
    store.save(state, 42)
    fresh = restored(store)
    assert repr(fresh.history) == repr(state.history)
    assert fresh.best is not None
    assert (fresh.best.epoch, fresh.epoch) == (best_epoch, 3)


def test_restored_tensors_do_not_depend_on_the_file(state: TrainingState, store: CheckpointStore) -> None:
    store.save(state, 42)
    fresh = restored(store)
    for path in store.folder.glob("*.safetensors"):
        path.write_bytes(bytes(path.stat().st_size))
    assert fresh.best is not None
    assert state.best is not None
    assert same_tensors(fresh.best.weights, state.best.weights)


def test_buffers_of_other_processes_come_back_where_they_differ(state: TrainingState, tmp_path: Path) -> None:
    store = CheckpointStore(tmp_path, "this run", replace(EXTENT, num_processes=3))
    own = {name: tensor.clone() for name, tensor in state.network.named_buffers()}
    other = own | {"1.running_mean": own["1.running_mean"] + 1}
    state.buffers_of_others = [other, own]
    store.save(state, 42)
    second, third = restored(store).buffers_of_others
    assert same_tensors(second, {"1.running_mean": other["1.running_mean"]})
    assert third == {}


def test_another_number_of_processes_is_refused_by_name(state: TrainingState, store: CheckpointStore) -> None:
    store.save(state, 42)
    for_three = CheckpointStore(store.output, "this run", replace(EXTENT, num_processes=3, num_steps=5))
    with pytest.raises(UnsupportedEnvironmentError, match="by 1 process; 3 cannot") as caught:
        for_three.restore(state_of(small_network()))
    assert "with 1 process again" in caught.value.advice
    path = store.folder / "00000042.json"
    path.write_text(path.read_text().replace('"processes": 1', '"processes": 2'))
    assert not store.restore(state_of(small_network())), "no run wrote this: it is damaged instead of refused"


def test_the_two_newest_are_kept(state: TrainingState, store: CheckpointStore) -> None:
    save_steps(store, state, 8, 9, 10, 100)
    assert sorted(path.name for path in store.folder.iterdir()) == [
        "00000010.json",
        "00000010.safetensors",
        "00000100.json",
        "00000100.safetensors",
    ]


def _cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def _flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


@pytest.mark.parametrize("suffix", [".json", ".safetensors"])
@pytest.mark.parametrize("damage", [_cut, _flip, lambda path: path.write_bytes(b""), Path.unlink])
def test_a_damaged_newest_checkpoint_is_passed_over_with_a_warning(
    state: TrainingState,
    store: CheckpointStore,
    suffix: str,
    damage: Callable[[Path], None],
    caplog: pytest.LogCaptureFixture,
) -> None:
    save_steps(store, state, 5, 6)
    damage(store.folder / f"00000006{suffix}")
    with caplog.at_level(logging.WARNING):
        assert step_of(store) == 5
    is_invisible = damage is Path.unlink and suffix == ".json"  # as after a kill before the last rename
    assert is_invisible or "00000006.json is damaged" in caplog.text


@pytest.mark.slow
def test_no_flipped_bit_of_the_position_is_believed(state: TrainingState, store: CheckpointStore) -> None:
    save_steps(store, state, 5, 6)
    path = store.folder / "00000006.json"
    content = path.read_bytes()
    for position in range(0, len(content), 7):
        flipped = content[:position] + bytes([content[position] ^ 1]) + content[position + 1 :]
        path.write_bytes(flipped)
        assert step_of(store) == 5 or json.dumps(json.loads(flipped)) == content.decode(), "a digit beyond a double's"


def test_after_damaged_checkpoints_new_ones_are_kept_though_they_are_not_as_far(
    state: TrainingState, store: CheckpointStore
) -> None:
    save_steps(store, state, 8, 9)
    for path in store.folder.iterdir():
        path.write_bytes(b"damaged")
    assert step_of(store) is None
    save_steps(store, state, 1, 2)
    assert step_of(store) == 2
    assert {path.stem for path in store.folder.iterdir()} == {"00000001", "00000002"}


def test_checkpoint_of_another_run_is_not_used_and_said(
    state: TrainingState, store: CheckpointStore, caplog: pytest.LogCaptureFixture
) -> None:
    save_steps(store, state, 5, 6)
    with caplog.at_level(logging.WARNING):
        assert step_of(CheckpointStore(store.output, "another run", EXTENT)) is None
    assert "other data, parameters, model or versions" in caplog.text
    assert not store.folder.exists()


def test_without_a_checkpoint_there_is_nothing_to_restore(store: CheckpointStore) -> None:
    assert step_of(store) is None


def test_what_a_kill_left_half_written_is_removed_by_the_next_save(
    state: TrainingState, store: CheckpointStore
) -> None:
    save_steps(store, state, 5)
    for name in ("00000006.partial", ".00000006.json.partial", "00000006.safetensors"):
        (store.folder / name).write_bytes(b"half")
    assert step_of(store) == 5
    save_steps(store, state, 7)
    assert {path.stem for path in store.folder.iterdir()} == {"00000005", "00000007"}


def test_a_disk_that_fails_to_flush_is_named_and_the_old_checkpoint_stays(
    state: TrainingState, store: CheckpointStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    save_steps(store, state, 5)

    def failing(descriptor: int) -> None:
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(os, "fsync", failing)
    with pytest.raises(FailedToWriteOutputsError) as caught:
        save_steps(store, state, 6)
    assert str(caught.value.where).startswith(str(store.output))
    assert step_of(store) == 5
    assert not list(store.folder.glob("*.partial"))


@pytest.mark.skipif(os.name != "posix", reason="POSIX limit")
def test_no_room_for_the_tensors_is_named_and_the_old_checkpoint_stays(
    state: TrainingState, store: CheckpointStore
) -> None:
    import resource

    save_steps(store, state, 5)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (2000, hard))  # the library that writes them is not Python
    try:
        with pytest.raises(FailedToWriteOutputsError) as caught:
            save_steps(store, state, 6)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert caught.value.where == str(store.folder / "00000006.partial")
    assert step_of(store) == 5
    assert not list(store.folder.glob("*.partial"))


def interrupt(small: SmallRun, number: int = signal.SIGTERM) -> None:
    small.run.stop_request.request(number)


def test_a_signal_before_the_first_step_ends_the_run_there(build_run: BuildRun) -> None:
    small = build_run()
    interrupt(small)
    with pytest.raises(InterruptedRunError, match="after 0 of 4 steps"):
        small.train()
    assert small.display.losses == []


def test_a_signal_in_validation_ends_the_run_there_and_it_is_validated_again(
    build_run: BuildRun, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    whole = build_run(output=tmp_path / "whole")
    whole.train()
    first = build_run(output=tmp_path / "stopped")
    validated = first.display.validated

    def stop(*, epoch: int, num_images: int) -> None:
        validated(epoch=epoch, num_images=num_images)
        interrupt(first)

    monkeypatch.setattr(first.display, "validated", stop)
    with pytest.raises(InterruptedRunError, match="epoch 1, after 4 of 4 steps"):
        first.train()
    second = build_run(network=small_network(seed=99), output=tmp_path / "stopped")
    assert second.store.restore(second.state)
    second.train()
    assert len(second.display.losses) == len(whole.display.losses) - 4
    assert same_tensors(copy_weights(second.network), copy_weights(whole.network))
    assert [record.validation for record in second.state.history] == [r.validation for r in whole.state.history]


def test_a_signal_while_saving_lets_the_save_end_and_stops_a_step_later(
    build_run: BuildRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    small = build_run(checkpoint_seconds=0.0)
    save = CheckpointStore.save

    def interrupted(store: CheckpointStore, state: TrainingState, position: int) -> None:
        if position == 2:
            interrupt(small)
        save(store, state, position)

    monkeypatch.setattr(CheckpointStore, "save", interrupted)
    with pytest.raises(InterruptedRunError, match="after 3 of 4 steps"):
        small.train()
    assert {path.stem for path in small.store.folder.iterdir()} == {"00000002", "00000003"}


def test_a_run_that_patience_had_stopped_stays_stopped(build_run: BuildRun, tmp_path: Path) -> None:
    parts = {"num_epochs": 9, "patience": 1, "learning_rate": 1e-20, "checkpoint_seconds": 0.0}
    network = nn.Sequential(nn.Flatten(), nn.Linear(192, 3))  # without statistics, its loss can only stay equal
    first = build_run(network=network, output=tmp_path / "o", **parts)
    reason = first.train()
    assert len(first.state.history) == 2
    second = build_run(network=nn.Sequential(nn.Flatten(), nn.Linear(192, 3)), output=tmp_path / "o", **parts)
    assert second.store.restore(second.state)
    assert second.train() == reason
    assert second.display.losses == []


def test_checkpoints_become_rarer_where_writing_them_takes_long(
    build_run: BuildRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    small = build_run(checkpoint_seconds=1e-9)
    saved: list[int] = []
    now = [0.0]

    def slow_save(store: CheckpointStore, state: TrainingState, position: int) -> None:
        saved.append(position)
        now[0] += 1.0

    def clock() -> float:
        now[0] += 5.0  # a step asks the time once
        return now[0]

    monkeypatch.setattr(CheckpointStore, "save", slow_save)
    monkeypatch.setattr("pytorch_designer.training.loop.time.monotonic", clock)
    small.train()
    assert len(small.display.losses) == 12
    assert 1 <= len(saved) <= 2, "one second of saving asks for fifty of training"


@pytest.mark.parametrize(
    ("step_seconds", "save_seconds", "expected"),
    [
        (150.0, 0.0, [5, 10, 15]),  # an epoch is 600 of the 1,000 seconds between checkpoints: all three have one
        (50.0, 0.0, [15]),  # before the first, half of the 1,000 seconds have to pass
        (150.0, 20.0, [5, 13]),  # 20 seconds are 2 % of 1,000: the next comes within the third epoch
        (20.0, 0.0, []),
    ],
)
def test_the_end_of_an_epoch_has_a_checkpoint_where_they_stay_cheap(
    build_run: BuildRun,
    monkeypatch: pytest.MonkeyPatch,
    step_seconds: float,
    save_seconds: float,
    expected: list[int],
) -> None:
    small = build_run(checkpoint_seconds=1000.0)
    saved: list[int] = []
    now = [0.0]
    step_taken = small.display.step_taken

    def slow_step(**step: Any) -> None:
        now[0] += step_seconds
        step_taken(**step)

    def slow_save(store: CheckpointStore, state: TrainingState, position: int) -> None:
        saved.append(position)
        now[0] += save_seconds

    monkeypatch.setattr(small.display, "step_taken", slow_step)
    monkeypatch.setattr(CheckpointStore, "save", slow_save)
    monkeypatch.setattr("pytorch_designer.training.loop.time.monotonic", lambda: now[0])
    small.train()
    assert saved == expected


def test_positions_are_json_that_anybody_can_read(state: TrainingState, store: CheckpointStore) -> None:
    store.save(state, 42)
    content = json.loads((store.folder / "00000042.json").read_text(encoding="utf-8"))
    assert (content["step"], content["best_epoch"], content["fingerprint"]) == (7, 1, "this run")


def edited(
    store: CheckpointStore, position: int, change: Callable[[dict[str, Any], dict[str, Tensor]], object]
) -> None:
    """Change a checkpoint, and make its hash right."""
    path = store.folder / f"{position:08d}.json"
    content = json.loads(path.read_text(encoding="utf-8"))
    tensors = load(path.with_suffix(".safetensors").read_bytes())
    del content["sha256"]
    change(content, tensors)
    data = save(tensors)
    path.with_suffix(".safetensors").write_bytes(data)
    digest = hashlib.sha256(json.dumps(content, sort_keys=True).encode() + data).hexdigest()
    path.write_text(json.dumps(content | {"sha256": digest}), encoding="utf-8")


EDITS: dict[str, Callable[[dict[str, Any], dict[str, Tensor]], object]] = {
    "a step beyond the epoch": lambda content, tensors: content.update(step=1001),
    "a step below zero": lambda content, tensors: content.update(step=-1),
    "a step that is text": lambda content, tensors: content.update(step="7"),
    "a step that is true": lambda content, tensors: content.update(step=True),
    "no step": lambda content, tensors: content.pop("step"),
    "endless seconds": lambda content, tensors: content.update(seconds=math.inf),
    "no history": lambda content, tensors: content.pop("history"),
    "a history that is an object": lambda content, tensors: content.update(history={}),
    "epochs beyond the run": lambda content, tensors: content.update(
        history=[record | {"epoch": number} for number, record in enumerate(content["history"] * 6)]
    ),
    "epochs from 2": lambda content, tensors: content["history"].pop(0),
    "an epoch twice": lambda content, tensors: content["history"][1].update(epoch=1),
    "a loss that is text": lambda content, tensors: content["history"][0]["training"].update(loss="0.1"),
    "a loss too large for a float": lambda content, tensors: content["history"][0]["training"].update(loss=10**400),
    "a share above one": lambda content, tensors: content["history"][0]["validation"].update(top1=5.0),
    "a count too large for a float": lambda content, tensors: content["sums"].update(num_images=10**400),
    "metrics that are a list": lambda content, tensors: content["history"][0].update(training=[]),
    "another field": lambda content, tensors: content["sums"].update(more=1),
    "no sums": lambda content, tensors: content.pop("sums"),
    "a best epoch to come": lambda content, tensors: content.update(best_epoch=3),
    "a best epoch that is a list": lambda content, tensors: content.update(best_epoch=[1]),
    "no tensors": lambda content, tensors: tensors.clear(),
    "a weight missing": lambda content, tensors: tensors.pop("network.0.weight"),
    "a weight of the best missing": lambda content, tensors: tensors.pop("best.0.weight"),
    "a weight more": lambda content, tensors: tensors.update({"network.9.weight": torch.zeros(1)}),
    "another shape": lambda content, tensors: tensors.update({"network.0.weight": torch.zeros(1)}),
    "another type": lambda content, tensors: tensors.update({"network.0.weight": tensors["network.0.weight"].double()}),
    "momentum of another shape": lambda content, tensors: tensors.update({"momentum.0.bias": torch.zeros(9)}),
    "a mean input of another shape": lambda content, tensors: tensors.update(
        {"input_means.0": torch.zeros(1, 3, 1, 3)}
    ),
    "a mean input of no convolution": lambda content, tensors: tensors.update(
        {"input_means.5": torch.zeros(1, 3, 3, 3)}
    ),
    "more classes": lambda content, tensors: tensors.update({"confusion": torch.zeros(9, 9, dtype=torch.int64)}),
    "an outcome missing": lambda content, tensors: tensors.pop("outcomes.confidence"),
    "outcomes of other images": lambda content, tensors: tensors.update(
        {"outcomes.confidence": torch.zeros(13, dtype=torch.float64)}
    ),
    "a class that is none": lambda content, tensors: tensors["outcomes.predicted"].fill_(3),
    "a label that is none": lambda content, tensors: tensors["outcomes.labels"].fill_(-2),
    "a probability above one": lambda content, tensors: tensors["outcomes.confidence"].fill_(1.5),
    "a probability that is no number": lambda content, tensors: tensors["outcomes.confidence"].fill_(math.nan),
    "counts below zero": lambda content, tensors: tensors.update({"confusion": -torch.ones(3, 3, dtype=torch.int64)}),
}


def test_the_outcomes_of_the_best_epoch_are_restored(state: TrainingState, store: CheckpointStore) -> None:
    store.save(state, 5)
    best, again = state.best, restored(store).best
    assert best is not None
    assert again is not None
    assert vars(again.outcomes).keys() == vars(best.outcomes).keys()
    for name, column in vars(best.outcomes).items():
        assert np.array_equal(vars(again.outcomes)[name], column, equal_nan=True)
        assert vars(again.outcomes)[name].dtype == column.dtype


def test_a_checkpoint_of_an_earlier_release_has_no_outcomes_and_is_continued(
    state: TrainingState, store: CheckpointStore
) -> None:
    assert state.best is not None
    state.best = replace(state.best, outcomes=None)
    store.save(state, 5)
    again = restored(store).best
    assert again is not None
    assert again.outcomes is None


@pytest.mark.parametrize("edit", EDITS)
def test_no_edit_is_believed_whose_hash_was_made_right(
    edit: str, state: TrainingState, store: CheckpointStore, caplog: pytest.LogCaptureFixture
) -> None:
    save_steps(store, state, 5, 6)
    edited(store, 6, lambda content, tensors: None)
    assert step_of(store) == 6, "an edit that changes nothing"
    edited(store, 6, EDITS[edit])
    with caplog.at_level(logging.WARNING):
        assert step_of(store) == 5
    assert "00000006.json is damaged" in caplog.text
    assert "passed over" in caplog.text


def _pipe(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


def _sparse(path: Path) -> None:
    os.truncate(path, 6 << 30)


def _link(path: Path) -> None:
    elsewhere = path.parent.parent / f"elsewhere{path.suffix}"
    path.rename(elsewhere)
    path.symlink_to(elsewhere)


def _folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


def _device(path: Path) -> None:
    path.unlink()
    path.symlink_to("/dev/zero")


def _nested(path: Path) -> None:
    path.write_text("[" * 200_000, encoding="utf-8")


def _digits(path: Path) -> None:
    path.write_text('{"step": 1' + "0" * 100_000 + "}", encoding="utf-8")


@pytest.mark.skipif(os.name != "posix", reason="named pipes in folders")
@pytest.mark.parametrize("suffix", [".json", ".safetensors"])
@pytest.mark.parametrize("plant", [_pipe, _sparse, _link, _folder, _device, _nested, _digits])
def test_what_was_put_in_place_of_a_checkpoint_is_passed_over(
    state: TrainingState,
    store: CheckpointStore,
    suffix: str,
    plant: Callable[[Path], None],
    caplog: pytest.LogCaptureFixture,
) -> None:
    save_steps(store, state, 5, 6)
    plant(store.folder / f"00000006{suffix}")
    with caplog.at_level(logging.WARNING):
        assert step_of(store) == 5
    assert "00000006.json is damaged" in caplog.text
    save_steps(store, state, 7)
    assert [path.name for path in sorted(store.folder.iterdir())][-1] == "00000007.safetensors"
    assert step_of(store) == 7


@pytest.mark.skipif(os.name != "posix", reason="links need rights elsewhere")
def test_a_folder_of_checkpoints_that_leads_elsewhere_is_not_followed(
    state: TrainingState, store: CheckpointStore, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    victim = tmp_path / "victim"
    victim.mkdir()
    for name in ("letter.txt", "00000003.json", "00000003.safetensors"):
        (victim / name).write_text("mine", encoding="utf-8")
    store.folder.symlink_to(victim)
    with caplog.at_level(logging.WARNING):
        assert step_of(store) is None
    assert "is not a folder" in caplog.text
    save_steps(store, state, 5, 6, 7)
    assert len(list(victim.iterdir())) == 3
    assert step_of(store) == 7


def test_files_of_others_beside_the_checkpoints_stay(state: TrainingState, store: CheckpointStore) -> None:
    save_steps(store, state, 5)
    (store.folder / ".00000004.json.partial").write_text("", encoding="utf-8")  # of a kill while it was written
    for name in ("notes.json", "notes.partial", "1.json"):
        (store.folder / name).write_text("{}", encoding="utf-8")
    save_steps(store, state, 6, 7)
    names = {path.name for path in store.folder.iterdir()}
    assert {"notes.json", "notes.partial", "1.json"} <= names
    assert ".00000004.json.partial" not in names
    assert step_of(store) == 7
