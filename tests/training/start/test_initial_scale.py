"""Scale of initial weights, and the ends of residual branches in networks whose classes are known here."""

from __future__ import annotations

import copy
from collections.abc import Callable

import numpy as np
import pytest
import torch
import torchvision
from torch import Tensor, nn

from pytorch_designer.directories.preprocessing import Preprocessing
from pytorch_designer.errors import NonFiniteLossError
from pytorch_designer.images.loader import Batch
from pytorch_designer.inference.compute import Compute
from pytorch_designer.inference.predictor import Predictor
from pytorch_designer.models.architectures import Architecture, build_network, build_on_meta
from pytorch_designer.training.start.initial_scale import (
    CHANGE_PER_STEP,
    last_norm_weights,
    normalized_convolutions,
    scale_convolutions,
    scale_initial_weights,
)
from pytorch_designer.training.step import batch_loss
from tests.training.small_run import BuildRun, small_network

COMPUTE = Compute(torch.device("cpu"), "fp32", torch.contiguous_format, 1, is_deterministic=True)
PREPROCESSING = Preprocessing(resize_size=32, crop_height=32, crop_width=32)


def some_batch(num_images: int = 8) -> Batch:
    generator = torch.Generator().manual_seed(3)
    images_nchw = torch.randint(256, (num_images, 3, 32, 32), generator=generator, dtype=torch.uint8)
    return Batch(images=images_nchw, labels=torch.arange(num_images) % 4, indices=np.arange(num_images))


def predictor_for(network: nn.Module) -> Predictor:
    return Predictor(network, PREPROCESSING, COMPUTE)


def resnet() -> nn.Module:
    torch.manual_seed(1)
    network: nn.Module = torchvision.models.resnet18(num_classes=4)
    return network


def forward_loss_of(predictor: Predictor, batch: Batch) -> Callable[[slice], tuple[Tensor, Tensor]]:
    return lambda rows: batch_loss(predictor, batch.images[rows], batch.labels[rows])


def scale(predictor: Predictor, batch: Batch, learning_rate: float = 0.001) -> None:
    scale_initial_weights(predictor, batch, learning_rate=learning_rate)


def weights_of(network: nn.Module) -> list[Tensor]:
    return [convolution.weight.detach().clone() for convolution, _ in normalized_convolutions(network)]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("learning_rate", "expected"), [(0.001, CHANGE_PER_STEP), (0.05, CHANGE_PER_STEP), (1e-4, CHANGE_PER_STEP / 10)]
)
@pytest.mark.parametrize(
    ("reduces", "tolerance"),
    [(False, 0.02), (True, 0.12)],  # the less weights weigh, the more epsilon does
)
def test_a_first_step_changes_each_weight_by_the_same_share(
    learning_rate: float, expected: float, reduces: bool, tolerance: float
) -> None:
    predictor, batch = predictor_for(resnet().train()), some_batch()
    if reduces:
        scale(predictor, batch, learning_rate)
    else:
        scale_convolutions(predictor.network, forward_loss_of(predictor, batch), len(batch.labels), learning_rate)
    _, loss = batch_loss(predictor, batch.images, batch.labels)
    loss.backward()
    shares = [
        learning_rate * (convolution.weight.grad.norm() / convolution.weight.norm()).item()
        for convolution, _ in normalized_convolutions(predictor.network)
        if convolution.weight.grad is not None
    ]
    assert len(shares) == 20
    assert shares == pytest.approx([expected] * 20, rel=tolerance)


@pytest.mark.slow
def test_scaling_changes_nothing_else_of_the_network_nor_what_it_computes() -> None:
    network = resnet()
    predictor, before, batch = predictor_for(network), predictor_for(copy.deepcopy(network)), some_batch()
    network.train()
    scale_convolutions(network, forward_loss_of(predictor, batch), len(batch.labels), learning_rate=0.001)
    pairs = normalized_convolutions(network)
    scaled = {id(convolution.weight) for convolution, _ in pairs} | {id(norm.running_var) for _, norm in pairs}
    for (name, tensor), tensor_before in zip(
        [*network.named_parameters(), *network.named_buffers()],
        [*before.network.parameters(), *before.network.buffers()],
        strict=True,
    ):
        assert (id(tensor) in scaled) != torch.equal(tensor, tensor_before), name
        assert tensor.grad is None
    torch.testing.assert_close(
        predictor.logits(batch.images), before.logits(batch.images), rtol=0, atol=0.01
    )  # apart from the epsilon of batch norm; as validation has it, and below as training has it
    network.train()
    before.network.train()
    logits, _ = batch_loss(predictor, batch.images, batch.labels)
    logits_before, _ = batch_loss(before, batch.images, batch.labels)
    torch.testing.assert_close(logits, logits_before, rtol=0, atol=0.01)


def test_norms_start_small_and_smallest_where_residual_branches_end() -> None:
    network = resnet()
    scale(predictor_for(network), some_batch())
    expected = {name: 0.5 for name, module in network.named_modules() if isinstance(module, nn.BatchNorm2d)}
    expected |= {f"layer{stage}.{block}.bn2": 0.125 for stage in range(1, 5) for block in range(2)}
    found = {name: network.get_parameter(f"{name}.weight") for name in expected}
    assert all(torch.equal(weight, torch.full_like(weight, expected[name])) for name, weight in found.items())
    assert len(found) == 20


@pytest.mark.slow
def test_norms_that_are_to_start_from_zero_do_and_their_branches_are_scaled_all_the_same() -> None:
    torch.manual_seed(1)
    network: nn.Module = torchvision.models.resnet18(num_classes=4, zero_init_residual=True)
    before = weights_of(network)
    scale(predictor_for(network), some_batch())
    ends = [weight for name, weight in network.named_parameters() if name.endswith("bn2.weight")]
    assert len(ends) == 8
    assert all(not weight.any() for weight in ends)
    factors = [(after.norm() / weight.norm()).item() for after, weight in zip(weights_of(network), before, strict=True)]
    assert all(factor < 0.5 for factor in factors[1:])


@pytest.mark.parametrize("name", ["mobilenet_v3_small", "mobilenet_v2"])
def test_weights_stay_large_enough_for_the_epsilon_of_batch_norm(name: str) -> None:
    torch.manual_seed(1)
    network: nn.Module = torchvision.models.get_model(name, num_classes=4)
    predictor, batch = predictor_for(network), some_batch(16)
    scale(predictor, batch)
    ratios: list[float] = []
    for _, norm in normalized_convolutions(network):
        norm.register_forward_pre_hook(
            lambda norm, inputs: ratios.append(inputs[0].var(dim=(0, 2, 3)).median().item() / norm.eps)
        )
    batch_loss(predictor, batch.images, batch.labels)
    assert len(ratios) > 30
    assert min(ratios) > 2


def built_on_meta(name: str) -> nn.Module:
    return build_on_meta(lambda: build_network(Architecture(name), 4)).eval()


@pytest.mark.slow
@pytest.mark.parametrize(
    "name",
    [
        "densenet121",
        "efficientnet_b0",
        "googlenet",
        "inception_v3",
        "mnasnet0_5",
        "mobilenet_v3_small",
        "regnet_y_400mf",
        "resnet50",
        "shufflenet_v2_x0_5",
        "vgg11_bn",
    ],
)
def test_batch_norm_gets_what_the_convolution_gives(name: str) -> None:
    network = built_on_meta(name)
    given: list[tuple[nn.Module, Tensor]] = []
    followed: set[tuple[nn.Module, nn.Module]] = set()
    for module in network.modules():
        if isinstance(module, nn.Conv2d):
            module.register_forward_hook(lambda module, inputs, output: given.append((module, output)))
        elif isinstance(module, nn.BatchNorm2d):
            module.register_forward_pre_hook(
                lambda norm, inputs: followed.update((source, norm) for source, output in given if output is inputs[0])
            )
    network(torch.empty(2, 3, 96, 96, device="meta"))
    found = normalized_convolutions(network)
    assert len(found) > 5
    assert set(found) == followed


@pytest.mark.parametrize("name", ["alexnet", "squeezenet1_1", "convnext_tiny"])
def test_networks_without_batch_norm_have_none(name: str) -> None:
    assert not normalized_convolutions(built_on_meta(name))


class Cut(nn.Module):
    """A convolution with batch norm that the logits do not depend on, or that makes them NaN."""

    def __init__(self, factor: float) -> None:
        super().__init__()
        self.factor = factor
        self.body = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4))

    def forward(self, images_nchw: Tensor) -> Tensor:
        features: Tensor = self.body(images_nchw)
        return self.factor * features.mean((2, 3))


@pytest.mark.parametrize("factor", [0.0, np.nan])
def test_weights_without_a_usable_gradient_are_left_as_they_are(factor: float) -> None:
    network = Cut(factor)
    before = weights_of(network)
    scale(predictor_for(network), some_batch())
    assert all(map(torch.equal, weights_of(network), before))


def test_the_largest_learning_rate_gives_finite_weights() -> None:
    network = resnet()
    scale(predictor_for(network), some_batch(), 1e300)
    assert all(weight.isfinite().all() for weight in weights_of(network))


def test_a_loss_that_is_not_finite_leaves_the_weights_to_the_first_step(build_run: BuildRun) -> None:
    small = build_run(network=Cut(np.nan))
    with pytest.raises(NonFiniteLossError, match="step 1 of epoch 1"):
        small.train()


def test_the_first_batch_is_seen_once_more_than_the_others(build_run: BuildRun) -> None:
    network = small_network()
    passes: list[int] = []
    network.register_forward_pre_hook(lambda module, inputs: passes.append(len(inputs[0])) if module.training else None)
    build_run(network=network, num_epochs=1).train()
    assert passes == [2, 8, 8, 8, 8, 9]


def test_learned_weights_are_not_scaled(build_run: BuildRun) -> None:
    small = build_run(learning_rate=5e-324, starts_from_scratch=False, num_epochs=1)
    before = {name: parameter.detach().clone() for name, parameter in small.network.named_parameters()}
    small.train()
    assert all(torch.equal(parameter, before[name]) for name, parameter in small.network.named_parameters())


def ends_found_in(network: nn.Module, side: int = 64) -> set[str]:
    names = {id(parameter): name for name, parameter in network.named_parameters()}
    weights = last_norm_weights(network.train()(torch.zeros(2, 3, side, side)))
    assert len({id(weight) for weight in weights}) == len(weights)
    return {names[id(weight)] for weight in weights}


def blocks_of(network: nn.Module, kind: type[nn.Module], last: str) -> set[str]:
    return {f"{name}.{last}.weight" for name, module in network.named_modules() if isinstance(module, kind)}


@pytest.mark.slow
def test_each_block_of_a_resnet_has_one() -> None:
    basic, deep = torchvision.models.resnet18(), torchvision.models.resnet50()
    assert ends_found_in(basic) == blocks_of(basic, torchvision.models.resnet.BasicBlock, "bn2")
    assert ends_found_in(deep) == blocks_of(deep, torchvision.models.resnet.Bottleneck, "bn3")


def test_regnet_has_one_in_each_block() -> None:
    network = torchvision.models.regnet_y_400mf()
    assert ends_found_in(network) == blocks_of(network, torchvision.models.regnet.ResBottleneckBlock, "f.c.1")


def test_only_those_blocks_of_a_mobilenet_that_add_have_one() -> None:
    network = torchvision.models.mobilenet_v2()
    adding = {
        f"{name}.conv.3.weight" for name, module in network.named_modules() if getattr(module, "use_res_connect", False)
    }
    assert len(adding) == 10
    assert ends_found_in(network) == adding


def test_dropping_whole_branches_hides_none() -> None:
    torch.manual_seed(0)
    assert len(ends_found_in(torchvision.models.efficientnet_b0())) == 9


@pytest.mark.slow
@pytest.mark.parametrize("name", ["densenet121", "shufflenet_v2_x0_5", "vgg11_bn", "alexnet", "vit_b_16"])
def test_networks_without_residual_batch_norms_have_none(name: str) -> None:
    assert ends_found_in(torchvision.models.get_model(name), side=224 if name.startswith("vit") else 64) == set()


def test_a_sum_of_two_norms_counts_the_longer_path_and_a_norm_without_weights_counts_as_none() -> None:
    class Sum(nn.Module):
        def __init__(self, *, has_weights: bool) -> None:
            super().__init__()
            self.long = nn.Sequential(
                nn.Conv2d(3, 3, 1), nn.ReLU(), nn.Conv2d(3, 3, 1), nn.BatchNorm2d(3, affine=has_weights)
            )
            self.short = nn.Sequential(nn.Conv2d(3, 3, 1), nn.BatchNorm2d(3))

        def forward(self, images: Tensor) -> Tensor:
            total: Tensor = self.short(images) + self.long(images)
            return total + 1

    assert ends_found_in(Sum(has_weights=True)) == {"long.3.weight"}
    assert ends_found_in(Sum(has_weights=False)) == set()


def test_an_output_without_a_graph_has_none() -> None:
    assert last_norm_weights(torch.zeros(2, 3)) == []
