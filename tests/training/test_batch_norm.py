"""Running statistics that follow the batches closely enough for short runs."""

from __future__ import annotations

from torch import nn
from torchvision.models import get_model

from pytorch_designer.training.batch_norm import raise_momentum
from pytorch_designer.training.loop import train

from .small_run import BuildRun, small_network


def test_small_momentum_is_raised_and_a_larger_one_stays() -> None:
    network = nn.Sequential(nn.BatchNorm2d(3, momentum=0.0003), nn.BatchNorm1d(3, momentum=0.3))
    raise_momentum(network)
    assert [module.momentum for module in network] == [0.1, 0.3]


def test_plain_mean_over_all_batches_stays() -> None:
    network = nn.Sequential(nn.BatchNorm2d(3, momentum=None))
    raise_momentum(network)
    assert network[0].momentum is None


def test_networks_that_were_published_with_a_small_momentum_have_the_usual_one() -> None:
    network = get_model("mnasnet0_5", num_classes=2)
    raise_momentum(network)
    assert {module.momentum for module in network.modules() if isinstance(module, nn.BatchNorm2d)} == {0.1}


def test_what_a_short_run_has_learnt_shows_in_validation_whatever_momentum_the_network_came_with(
    build_run: BuildRun,
) -> None:
    histories = []
    for momentum in (0.0003, 0.1):
        network = small_network()
        norm = network[1]  # type: ignore[index]
        norm.momentum = momentum
        small = build_run(network=network, num_epochs=5, patience=5)
        train(small.run, small.state)
        histories.append([record.validation for record in small.state.history])
    assert histories[0] == histories[1]
