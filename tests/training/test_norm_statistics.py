"""Statistics of batch norm, estimated before validation."""

from __future__ import annotations

import math
import signal
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from pytorch_designer.errors import InterruptedRunError
from pytorch_designer.images.order import epoch_order
from pytorch_designer.training import norm_statistics
from pytorch_designer.training.norm_statistics import estimate_norm_statistics

from .small_run import NEAR, BuildRun, norm_of, same_tensors, small_network


def do_nothing() -> None:
    """The empty callback between batches."""


def test_statistics_are_those_of_the_first_batches_of_the_epoch(
    build_run: BuildRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(norm_statistics, "LEAST_IMAGES", 10)
    small = build_run(batch_size=8)
    estimate_norm_statistics(small.run, 3, do_nothing)
    rows = epoch_order(33, seed=7, epoch=3)
    batches = list(small.run.training.batches([rows[:8], rows[8:16]]))
    predictor, norm = small.run.predictor, norm_of(small.network)
    with torch.no_grad():
        activations = [small.network.get_submodule("0")(predictor.prepare(batch.images)) for batch in batches]
    mean = torch.stack([part.mean((0, 2, 3)) for part in activations]).mean(0)
    variance = torch.stack([part.var((0, 2, 3)) for part in activations]).mean(0)
    assert norm.running_mean is not None
    assert norm.running_var is not None
    torch.testing.assert_close(norm.running_mean, mean, rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(norm.running_var, variance, rtol=1e-5, atol=1e-6)
    assert norm.momentum == 0.1


def test_nothing_of_before_is_left_and_nothing_else_is_changed(build_run: BuildRun) -> None:
    states = []
    for value in (0.0, 1e6):
        small = build_run()
        norm = norm_of(small.network)
        assert norm.running_mean is not None
        norm.running_mean.fill_(value)
        before = {name: tensor.clone() for name, tensor in small.network.state_dict().items()}
        estimate_norm_statistics(small.run, 1, do_nothing)
        after = small.network.state_dict()
        assert {name for name in after if not torch.equal(after[name], before[name])} == {
            "1.running_mean",
            "1.running_var",
        }
        states.append({name: tensor.clone() for name, tensor in after.items()})
    assert same_tensors(*states)


def test_a_network_that_learns_is_not_validated_at_chance_after_a_few_steps(build_run: BuildRun) -> None:
    """Three steps per epoch from statistics that are far from those of the data."""
    network = small_network()
    norm = norm_of(network)
    norm.momentum = 0.0003
    assert norm.running_mean is not None
    norm.running_mean.fill_(30.0)
    small = build_run(network=network, num_epochs=5, batch_size=11)
    small.train()
    losses = [record.validation.loss for record in small.state.history]
    assert losses[0] < math.log(3)
    assert losses == sorted(losses, reverse=True)


@pytest.mark.slow
def test_momentum_of_the_network_does_not_matter(build_run: BuildRun) -> None:
    histories = []
    for momentum in (0.0003, 0.1, None):
        network = small_network()
        norm_of(network).momentum = momentum
        small = build_run(network=network, num_epochs=3)
        small.train()
        histories.append([record.validation for record in small.state.history])
    assert histories[0] == histories[1] == histories[2]


def test_statistics_that_training_normalizes_by_stay(build_run: BuildRun) -> None:
    small = build_run(batch_size=1, normalizes_lone_image=False)
    before = {name: tensor.clone() for name, tensor in small.network.state_dict().items()}
    estimate_norm_statistics(small.run, 1, do_nothing)
    assert same_tensors(before, small.network.state_dict())


def test_given_statistics_are_those_of_training_validation_and_the_saved_model(build_run: BuildRun) -> None:
    small = build_run(plan=NEAR, num_epochs=2)
    norm = norm_of(small.network)
    assert norm.running_mean is not None
    norm.running_mean.fill_(0.25)
    before = small.network.state_dict()["0.weight"].clone()
    norm.register_forward_pre_hook(lambda module, inputs: pytest.fail("trained") if module.training else None)
    small.train()
    assert small.state.best is not None
    weights = small.state.best.weights
    moved_o = ((weights["0.weight"] - before) * small.state.input_means["0"]).flatten(1).sum(1)
    assert moved_o.abs().min() > 1e-5
    torch.testing.assert_close(weights["1.running_mean"], 0.25 + moved_o)  # as far as weights move the mean input
    assert (weights["1.running_var"] == 1).all()
    assert small.state.history[1].training.loss < small.state.history[0].training.loss
    assert not torch.equal(norm.weight, torch.ones(4))  # weight and bias do learn


def test_networks_without_running_statistics_are_not_passed(build_run: BuildRun) -> None:
    network = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4, track_running_stats=False), nn.Flatten())
    network.register_forward_pre_hook(lambda module, inputs: pytest.fail("a forward pass"))
    estimate_norm_statistics(build_run(network=network).run, 1, do_nothing)


@pytest.mark.parametrize("number", [1, 2, 3])
def test_a_run_that_was_stopped_while_estimating_continues_bit_for_bit(
    build_run: BuildRun, tmp_path: Path, number: int
) -> None:
    whole = build_run(output=tmp_path / "whole", num_epochs=2)
    whole.train()
    stopped = build_run(output=tmp_path / "stopped", num_epochs=2)
    estimates = 0

    def stop(module: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        nonlocal estimates
        estimates += module.training and not stopped.network.training
        if estimates == number:
            stopped.run.stop_request.request(signal.SIGTERM)

    norm_of(stopped.network).register_forward_pre_hook(stop)
    with pytest.raises(InterruptedRunError):
        stopped.train()
    again = build_run(network=small_network(seed=5), output=tmp_path / "stopped", num_epochs=2)
    assert again.store.restore(again.state)
    assert again.state.epoch == 1
    again.train()
    assert whole.state.best is not None
    assert again.state.best is not None
    assert same_tensors(whole.network.state_dict(), again.network.state_dict())
    assert same_tensors(whole.state.best.weights, again.state.best.weights)


@pytest.mark.parametrize("batch_size", [2, 4])
def test_statistics_of_maps_of_one_pixel_are_those_of_many_images_at_once(build_run: BuildRun, batch_size: int) -> None:
    """In batches of two, a channel has the same two values, whatever the images, and some have equal ones."""
    network = nn.Sequential(nn.Conv2d(3, 6, 8), nn.BatchNorm2d(6), nn.ReLU(), nn.Flatten(), nn.Linear(6, 3))
    small = build_run(network=network, batch_size=batch_size, normalizes_lone_image=False)
    assert estimate_norm_statistics(small.run, 2, do_nothing) == 33
    rows = epoch_order(33, seed=7, epoch=2)
    [batch] = small.run.training.batches([rows[:16]])
    [rest] = small.run.training.batches([rows[16:]])
    variances = [network[0](small.run.predictor.prepare(part.images)).var((0, 2, 3)) for part in (batch, rest)]
    variance = norm_of(small.network).running_var
    assert variance is not None
    torch.testing.assert_close(variance, (16 * variances[0] + 17 * variances[1]) / 33, rtol=1e-4, atol=1e-6)


@pytest.mark.slow
@pytest.mark.parametrize("batch_size", [1, 2])
def test_deep_networks_on_tiny_images_have_a_finite_validation_loss(build_run: BuildRun, batch_size: int) -> None:
    torch.manual_seed(0)
    layers = [nn.Sequential(nn.Conv2d(8, 8, 1, bias=False), nn.BatchNorm2d(8), nn.ReLU()) for _ in range(40)]
    network = nn.Sequential(nn.Conv2d(3, 8, 8), *layers, nn.Flatten(), nn.Linear(8, 3))
    small = build_run(network=network, batch_size=batch_size, num_epochs=2, normalizes_lone_image=False)
    small.train()
    assert all(record.validation.loss < 100 for record in small.state.history)
