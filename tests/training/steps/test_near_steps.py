"""Steps near given weights, against values worked out by hand and against networks whose inputs are centered."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from pytorch_designer.training.recipe import build_optimizer
from pytorch_designer.training.steps.near_steps import CenteredConvolutions, NearSteps
from pytorch_designer.training.weight_plan import WeightPlan
from tests.training.small_run import AWAY, NEAR, BuildRun, head_of, norm_of


@pytest.mark.parametrize("is_growing", [False, True])
@pytest.mark.parametrize(
    ("learning_rate", "loss", "factor"),
    [
        (0.001, 10.0, 1.0),
        (0.002, 10.0, 1.0),
        (0.004, 10.0, 0.5),
        (0.02, 10.0, 0.1),
        (0.001, 0.1, 1.0),  # 0.01 long, and as far from a loss of 0
        (0.001, 0.05, 0.5),
        (0.02, 0.1, 0.05),
        (0.02, 0.0, 0.0),
    ],
)
def test_steps_are_bounded_by_their_length_and_by_the_way_to_no_loss(
    learning_rate: float, loss: float, factor: float, *, is_growing: bool
) -> None:
    weights = [nn.Parameter(torch.zeros(1)) for _ in range(3)]
    optimizer = build_optimizer(nn.ParameterList(weights), 0.001 if is_growing else learning_rate)
    near_steps = NearSteps(optimizer, None if is_growing else learning_rate)
    optimizer.param_groups[0]["lr"] = learning_rate
    weights[0].grad, weights[1].grad = torch.tensor([6.0]), torch.tensor([-8.0])  # their norm is 10; one is unused

    near_steps.take(loss)

    steps = [-learning_rate * 1.9 * factor * gradient for gradient in (6.0, -8.0, 0.0)]  # the first step of Nesterov
    assert [weight.item() for weight in weights] == pytest.approx(steps, rel=1e-5)


@pytest.mark.parametrize("loss", [0.0, 1.0, torch.tensor(1.0, dtype=torch.float64)])
@pytest.mark.parametrize("learning_rate", [5e-324, 0.001, 1e30])
def test_steps_without_gradients_change_nothing(loss: float, learning_rate: float) -> None:
    weight = nn.Parameter(torch.ones(2))
    weight.grad = torch.zeros(2)

    NearSteps(build_optimizer(nn.ParameterList([weight]), 0.001), learning_rate).take(loss)

    assert weight.grad.tolist() == [0.0, 0.0]
    assert weight.tolist() == [1.0, 1.0]


@pytest.mark.parametrize("learning_rate", [0.001, 0.01, 0.1])
def test_a_nearly_perfect_start_on_small_features_is_kept(build_run: BuildRun, learning_rate: float) -> None:
    trained = build_run(learning_rate=0.05, num_epochs=20)
    trained.train()
    with torch.no_grad():
        for parameter in norm_of(trained.network).parameters():
            parameter.div_(1000.0)
        head_of(trained.network).weight.mul_(1000.0)

    def most_loss(plan: WeightPlan) -> float:
        small = build_run(network=copy.deepcopy(trained.network), learning_rate=learning_rate, plan=plan)
        small.train()
        assert small.display.losses[0] < 0.01
        return max(small.display.losses)

    assert most_loss(NEAR) < 0.3
    assert most_loss(AWAY) > 10.0


def network_before_norms(groups: int) -> nn.Sequential:
    torch.manual_seed(1)
    network = nn.Sequential(
        nn.Conv2d(4, 6, 3, groups=groups, bias=False), nn.BatchNorm2d(6), nn.ReLU(), nn.Flatten(), nn.Linear(24, 3)
    ).eval()
    norm = norm_of(network)
    with torch.no_grad():
        for tensor in (norm.weight, norm.bias, norm.running_mean, norm.running_var):
            assert tensor is not None
            tensor.uniform_(0.5, 2.0)
    return network


@pytest.mark.parametrize("groups", [1, 2])
def test_centered_convolutions_learn_as_if_their_mean_input_were_zero(groups: int) -> None:
    network = network_before_norms(groups)
    twin = copy.deepcopy(network)
    twin_norm = norm_of(twin)
    mean_4hw = torch.tensor([3.0, -1.0, 2.0, 0.5])[:, None, None].expand(-1, 3, 3)
    mean = mean_4hw[None] if groups == 1 else mean_4hw.unflatten(0, (2, 2)).repeat_interleave(3, 0)
    convolution, twin_convolution = network[0], twin[0]
    assert isinstance(convolution, nn.Conv2d)
    assert isinstance(twin_convolution, nn.Conv2d)
    assert twin_norm.running_mean is not None
    before = copy.deepcopy(network.state_dict())
    twin_norm.running_mean.sub_((before["0.weight"] * mean).flatten(1).sum(1))  # its inputs have no mean
    optimizer, twin_optimizer = build_optimizer(network, 0.05), build_optimizer(twin, 0.05)
    near_steps = NearSteps(optimizer, 0.05, CenteredConvolutions(network, {"0": mean}))
    twin_steps = NearSteps(twin_optimizer, 0.05)

    def step(learner: nn.Module, steps: NearSteps, images: Tensor) -> Tensor:
        outputs: Tensor = learner(images)
        loss = cross_entropy(outputs, torch.arange(8) % 3)
        learner.zero_grad()
        loss.backward()
        steps.take(loss.item())
        return outputs.detach()

    for _ in range(10):
        centered = torch.randn(8, 4, 4, 4)
        images = centered + mean_4hw[None, :, :1, :1]
        found, expected = step(network, near_steps, images), step(twin, twin_steps, centered)
        torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-4)

    torch.testing.assert_close(convolution.weight, twin_convolution.weight, rtol=1e-4, atol=1e-4)
    after = network.state_dict()
    assert not torch.allclose(after["0.weight"], before["0.weight"], atol=1e-3)
    assert torch.equal(after["1.running_var"], before["1.running_var"])


def test_centered_convolutions_begin_anew_from_weights_that_were_changed() -> None:
    network = network_before_norms(1)
    means = {"0": torch.rand(1, 4, 3, 3)}
    early = CenteredConvolutions(network, means)
    assert early.names == {"0"}
    convolution, norm = network[0], norm_of(network)
    assert isinstance(convolution, nn.Conv2d)
    assert norm.running_var is not None
    with torch.no_grad():
        convolution.weight.mul_(3.0)
        norm.running_var.mul_(9.0)
    early.begin()
    twin = copy.deepcopy(network)
    for learner, centered in ((network, early), (twin, CenteredConvolutions(twin, means))):
        cross_entropy(learner(torch.ones(2, 4, 4, 4)), torch.tensor([0, 1])).backward()
        NearSteps(build_optimizer(learner, 0.01), 0.01, centered).take(1.0)
    for tensor, other in zip(network.state_dict().values(), twin.state_dict().values(), strict=True):
        assert torch.equal(tensor, other)


def test_convolutions_without_a_mean_learn_as_they_are() -> None:
    network = network_before_norms(1)
    twin = copy.deepcopy(network)
    for learner, centered in ((network, CenteredConvolutions(network, {})), (twin, None)):
        cross_entropy(learner(torch.ones(2, 4, 4, 4)), torch.tensor([0, 1])).backward()
        NearSteps(build_optimizer(learner, 0.01), 0.01, centered).take(1.0)
    for tensor, other in zip(network.state_dict().values(), twin.state_dict().values(), strict=True):
        assert torch.equal(tensor, other)


class Shift(nn.Module):
    """Adds a constant, far above the deviation of its inputs."""

    CONSTANT = 100.0

    def forward(self, images: Tensor) -> Tensor:
        return images + self.CONSTANT


@pytest.mark.parametrize("learning_rate", [0.003, 0.01, 0.03, 0.1])
def test_a_large_mean_of_the_inputs_does_not_harm_what_is_given(
    build_run: BuildRun, learning_rate: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    trained = build_run(learning_rate=0.05, num_epochs=20)
    trained.train()

    def most_loss() -> float:
        layers = list(copy.deepcopy(trained.network).children())
        convolution, norm = layers[:2]
        assert isinstance(convolution, nn.Conv2d)
        assert isinstance(norm, nn.BatchNorm2d)
        assert norm.running_mean is not None
        norm.running_mean.add_(Shift.CONSTANT * convolution.weight.detach().sum((1, 2, 3)))  # computes what it did
        network = nn.Sequential(Shift(), *layers)
        small = build_run(network=network, learning_rate=learning_rate, plan=NEAR, num_epochs=10)
        small.train()
        return max(small.display.losses)

    assert most_loss() < 0.3
    monkeypatch.setattr("pytorch_designer.training.loop.measure_input_means", lambda run: {})
    assert most_loss() > 1.0
