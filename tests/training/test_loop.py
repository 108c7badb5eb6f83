"""The training algorithm on real handwritten digits with a small network."""

from __future__ import annotations

import math
import signal
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import torch
from torch import Tensor, nn

from pytorch_designer.errors import InterruptedRunError, NonFiniteLossError
from pytorch_designer.images.order import batch_slices
from pytorch_designer.inference.predictor import inference_batch_size
from pytorch_designer.training.history import MetricSums
from pytorch_designer.training.state import copy_weights

from .small_run import BuildRun, SmallRun, same_tensors, small_network

if TYPE_CHECKING:
    from pytorch_designer.directories.image_directory import ImageDirectory


def trained(small: SmallRun) -> SmallRun:
    small.train()
    return small


def best_weights(small: SmallRun) -> dict[str, Tensor]:
    assert small.state.best is not None
    return small.state.best.weights


@pytest.mark.slow
def test_network_learns(build_run: BuildRun) -> None:
    small = trained(build_run(num_epochs=20, patience=20))
    assert small.state.history[-1].training.loss < small.state.history[0].training.loss / 2
    assert max(record.validation.top1 for record in small.state.history) >= 0.8


def test_same_seed_gives_the_same_weights_and_history(build_run: BuildRun) -> None:
    first, second = trained(build_run()), trained(build_run())
    assert same_tensors(best_weights(first), best_weights(second))
    assert first.display.losses == second.display.losses


def test_other_seed_gives_other_weights(build_run: BuildRun) -> None:
    first, second = trained(build_run()), trained(build_run(random_seed=-1))
    assert not same_tensors(best_weights(first), best_weights(second))


@pytest.mark.slow
def test_threads_and_cache_change_nothing(build_run: BuildRun, datasets: dict[str, ImageDirectory]) -> None:
    from pytorch_designer.images.loader import ImageLoader

    first = trained(build_run())
    with ImageLoader(
        datasets["training"],
        first.run.predictor.preprocessing,
        num_threads=7,
        tolerance=0.0,
        port="training_dataset",
    ) as uncached:
        second = trained(build_run(training=uncached))
    assert same_tensors(best_weights(first), best_weights(second))


def test_every_image_is_seen_once_an_epoch_and_a_lone_last_one_joins_its_neighbour(build_run: BuildRun) -> None:
    small = trained(build_run(num_epochs=1, batch_size=8))  # 33 images
    assert small.display.num_images == [8, 8, 8, 9]
    assert small.state.history[0].training.num_images == 33


def test_batch_size_above_the_number_of_images_is_one_batch(build_run: BuildRun) -> None:
    assert trained(build_run(num_epochs=2, batch_size=1000)).display.num_images == [33, 33]


def test_saved_weights_give_the_best_epochs_metrics_exactly(build_run: BuildRun) -> None:
    small = trained(build_run(num_epochs=6, patience=6))
    best = small.state.best
    assert best is not None
    small.network.load_state_dict(best.weights)
    sums = MetricSums()
    size = inference_batch_size(small.run.predictor.preprocessing)  # another size may take another order of sums
    for batch in small.run.validation.batches([torch.arange(12).numpy()[part] for part in batch_slices(12, size)]):
        sums.add(small.run.predictor.logits(batch.images), batch.labels)
    assert sums.metrics() == small.state.history[best.epoch - 1].validation
    assert int(best.confusion.sum()) == 12
    assert int(best.confusion.diagonal().sum()) == round(12 * sums.metrics().top1)


def test_best_weights_are_a_copy_that_later_epochs_do_not_touch(build_run: BuildRun) -> None:
    small = build_run(num_epochs=2)
    small.train()
    kept = {name: tensor.clone() for name, tensor in best_weights(small).items()}
    with torch.no_grad():
        for parameter in small.network.parameters():
            parameter.add_(1.0)
    assert same_tensors(kept, best_weights(small))


def test_first_epoch_is_saved_when_none_is_better(build_run: BuildRun) -> None:
    small = trained(build_run(learning_rate=5e-324, network=_without_statistics(), num_epochs=3))
    assert small.state.best is not None
    assert small.state.best.epoch == 1
    assert [record.is_best for record in small.state.history] == [True, False, False]


def test_training_stops_when_the_validation_loss_no_longer_falls(build_run: BuildRun) -> None:
    small = build_run(learning_rate=5e-324, network=_without_statistics(), num_epochs=50, patience=2)
    reason = small.train()
    assert len(small.state.history) == 3
    assert "2 epochs in a row" in reason


def test_learning_rate_of_the_record_is_that_of_the_last_step(build_run: BuildRun) -> None:
    small = trained(build_run(num_epochs=1, batch_size=11, learning_rate=1.0))  # three steps
    assert small.state.history[0].learning_rate == pytest.approx(2 / 3)


def test_infinite_loss_stops_before_the_step_and_names_it(build_run: BuildRun) -> None:
    small = build_run(network=_Explodes(after=5), num_epochs=3)
    weights: list[dict[str, Tensor]] = []
    small.display.after_step = lambda _: weights.append(copy_weights(small.network))
    with pytest.raises(NonFiniteLossError) as caught:
        small.train()
    assert "step 2 of epoch 2" in caught.value.what
    assert "lower `" in caught.value.advice
    assert same_tensors(weights[-1], copy_weights(small.network))
    assert list(small.store.folder.glob("*.json")), "the best weights so far are kept"


def test_no_finite_validation_loss_is_an_error_and_no_model(build_run: BuildRun) -> None:
    small = build_run(network=_Explodes(after=1_000_000, in_evaluation=True), num_epochs=1)
    with pytest.raises(NonFiniteLossError, match="validation loss was not finite"):
        small.train()
    assert small.state.best is None


def test_stop_request_saves_the_state_and_names_the_place(build_run: BuildRun) -> None:
    small = build_run()

    def stop_at_third(num_steps: int) -> None:
        if num_steps == 3:
            small.run.stop_request.request(signal.SIGTERM)

    small.display.after_step = stop_at_third
    with pytest.raises(InterruptedRunError, match="after 3 of 4 steps") as caught:
        small.train()
    assert caught.value.signal_number == signal.SIGTERM
    assert len(list(small.store.folder.glob("*.json"))) == 1


@pytest.mark.slow
@pytest.mark.parametrize("stop_after", range(1, 13))
def test_run_that_was_stopped_after_any_step_continues_bit_for_bit(
    build_run: BuildRun, tmp_path: Path, stop_after: int
) -> None:
    whole = trained(build_run())
    assert len(whole.display.losses) == 12
    first = build_run(output=tmp_path / "stopped")

    def stop(num_steps: int) -> None:
        if num_steps == stop_after:
            first.run.stop_request.request(signal.SIGINT)

    first.display.after_step = stop
    with pytest.raises(InterruptedRunError):
        first.train()
    second = build_run(network=small_network(seed=99), output=tmp_path / "stopped")
    assert second.store.restore(second.state)
    second.train()
    assert first.display.losses + second.display.losses == whole.display.losses
    assert same_tensors(best_weights(second), best_weights(whole))
    assert same_tensors(copy_weights(second.network), copy_weights(whole.network))
    measured = [(record.training, record.validation, record.is_best) for record in second.state.history]
    assert measured == [(record.training, record.validation, record.is_best) for record in whole.state.history]


def test_finished_state_is_not_trained_further(build_run: BuildRun) -> None:
    small = trained(build_run(num_epochs=2))
    before = copy_weights(small.network)
    assert small.train().startswith("All 2 epochs were trained")
    assert same_tensors(before, copy_weights(small.network))


def test_lone_images_train_a_network_whose_batch_norm_cannot_take_one(build_run: BuildRun) -> None:
    torch.manual_seed(0)
    network = nn.Sequential(nn.AvgPool2d(8), nn.Flatten(), nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Linear(4, 3))
    before = copy_weights(network)
    small = trained(build_run(network=network, batch_size=1, num_epochs=1, normalizes_lone_image=False))
    assert small.display.num_images == [1] * 33
    after = copy_weights(small.network)
    assert torch.equal(after["3.running_var"], before["3.running_var"]), "one value has no variance to learn from"
    assert not torch.equal(after["2.weight"], before["2.weight"])


def _without_statistics() -> nn.Module:
    """A network whose validation loss changes with its parameters alone."""
    torch.manual_seed(0)
    return nn.Sequential(nn.Flatten(), nn.Linear(192, 3))


class _Explodes(nn.Module):
    """Linear, until its training forward pass has been used so many times; or in evaluation."""

    def __init__(self, after: int, *, in_evaluation: bool = False) -> None:
        super().__init__()
        self.linear = nn.Linear(192, 3)
        self.after = after
        self.in_evaluation = in_evaluation
        self.num_calls = 0

    def forward(self, images_nchw: Tensor) -> Tensor:
        logits_nk: Tensor = self.linear(images_nchw.flatten(1))
        self.num_calls += self.training
        explodes = self.num_calls > self.after if self.training else self.in_evaluation
        return logits_nk * math.inf if explodes else logits_nk
