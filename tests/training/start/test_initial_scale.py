"""Scale of initial weights, and the ends of residual branches in networks whose classes are known here."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import replace

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
from pytorch_designer.models.architectures import build_network, find_architecture
from pytorch_designer.models.batch_norm import normalized_convolutions
from pytorch_designer.training.start.initial_scale import (
    CHANGE_PER_STEP,
    LEAST_CHANGE_OF_GIVEN,
    last_norm_weights,
    scale_convolutions,
    scale_initial_weights,
)
from pytorch_designer.training.steps.near_steps import CenteredConvolutions
from pytorch_designer.training.steps.step import batch_loss
from pytorch_designer.training.weight_plan import WeightPlan
from tests.training.small_run import AWAY, NEAR, BuildRun, head_of, small_network

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


def scale(predictor: Predictor, batch: Batch, learning_rate: float = 0.001, *, are_given: bool = False) -> None:
    scale_initial_weights(predictor, batch, learning_rate=learning_rate, are_given=are_given)


def weights_of(network: nn.Module) -> list[Tensor]:
    return [convolution.weight.detach().clone() for convolution, _ in normalized_convolutions(network).values()]


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
        for convolution, _ in normalized_convolutions(predictor.network).values()
        if convolution.weight.grad is not None
    ]
    assert len(shares) == 20
    assert shares == pytest.approx([expected] * 20, rel=tolerance)


@pytest.mark.slow
def test_a_first_step_changes_given_weights_by_no_less_and_no_more_than_the_two_shares() -> None:
    predictor, batch = predictor_for(resnet().train()), some_batch()

    def shares() -> list[float]:
        _, loss = batch_loss(predictor, batch.images, batch.labels)
        predictor.network.zero_grad()
        loss.backward()
        pairs = normalized_convolutions(predictor.network).values()
        gradients = [(one.weight, one.weight.grad) for one, _ in pairs if one.weight.grad is not None]
        return [0.001 * (gradient.norm() / weight.norm()).item() for weight, gradient in gradients]

    before = shares()
    predictor.network.zero_grad(set_to_none=True)
    scale(predictor, batch, are_given=True)
    expected = [min(max(share, LEAST_CHANGE_OF_GIVEN), CHANGE_PER_STEP) for share in before]
    assert {LEAST_CHANGE_OF_GIVEN, CHANGE_PER_STEP} < set(expected)  # some lie between them
    assert shares() == pytest.approx(expected, rel=0.03)


@pytest.mark.slow
@pytest.mark.parametrize("are_given", [False, True])
def test_scaling_changes_nothing_else_of_the_network_nor_what_it_computes(are_given: bool) -> None:
    network = resnet()
    predictor, before, batch = predictor_for(network), predictor_for(copy.deepcopy(network)), some_batch()
    network.train()
    scale_convolutions(
        network, forward_loss_of(predictor, batch), len(batch.labels), learning_rate=0.002, are_given=are_given
    )
    pairs = normalized_convolutions(network).values()
    scaled = {id(convolution.weight) for convolution, _ in pairs} | {id(norm.running_var) for _, norm in pairs}
    for (name, tensor), tensor_before in zip(
        [*network.named_parameters(), *network.named_buffers()],
        [*before.network.parameters(), *before.network.buffers()],
        strict=True,
    ):
        is_changed = not torch.equal(tensor, tensor_before)
        assert is_changed <= (id(tensor) in scaled) if are_given else is_changed == (id(tensor) in scaled), name
        assert tensor.grad is None
    torch.testing.assert_close(
        predictor.logits(batch.images), before.logits(batch.images), rtol=0, atol=0.01
    )  # apart from the epsilon of batch norm; as validation has it, and below as training has it
    network.train()
    before.network.train()
    logits, _ = batch_loss(predictor, batch.images, batch.labels)
    logits_before, _ = batch_loss(before, batch.images, batch.labels)
    torch.testing.assert_close(logits, logits_before, rtol=0, atol=0.01)


def learned(network: nn.Module) -> nn.Module:
    """With running statistics of its own, and biases of norms, as training leaves them."""
    network.train()
    for seed in range(3):
        network(torch.randn(8, 3, 32, 32, generator=torch.Generator().manual_seed(seed)))
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.normal_(module.bias, std=0.1)
    return network


def means_of(network: nn.Module) -> dict[str, Tensor]:
    return {name: torch.rand_like(one.weight[:1]) for name, (one, _) in normalized_convolutions(network).items()}


@pytest.mark.slow
def test_a_first_step_near_given_weights_changes_what_is_centered_by_no_less_and_no_more_than_the_two_shares() -> None:
    network = learned(resnet())
    predictor = Predictor(network, PREPROCESSING, COMPUTE, keeps_statistics=True)
    means, batch = means_of(network), some_batch()
    del means["conv1"]
    centered, learning_rate = CenteredConvolutions(network, means), 0.028
    weights_before, logits_before = weights_of(network), predictor.logits(batch.images)

    def shares() -> list[float]:
        network.eval()
        network.zero_grad()
        batch_loss(predictor, batch.images, batch.labels)[1].backward()
        centered.center_gradients()
        pairs = {name: one.weight for name, (one, _) in normalized_convolutions(network).items()}
        gradients = [(pairs[name], pairs[name].grad) for name in means]
        return [
            learning_rate * (gradient.norm() / weight.norm()).item()
            for weight, gradient in gradients
            if gradient is not None
        ]

    before = shares()
    network.zero_grad(set_to_none=True)
    scale_initial_weights(predictor, batch, learning_rate=learning_rate, are_given=True, centered=centered)
    centered.begin()

    expected = [min(max(share, LEAST_CHANGE_OF_GIVEN), CHANGE_PER_STEP) for share in before]
    assert {LEAST_CHANGE_OF_GIVEN, CHANGE_PER_STEP} < set(expected)  # some lie between them
    assert shares() == pytest.approx(expected, rel=0.03)
    assert torch.equal(weights_of(network)[0], weights_before[0])  # it is not centered
    torch.testing.assert_close(predictor.logits(batch.images), logits_before, rtol=0, atol=0.01)


@pytest.mark.parametrize("is_near", [False, True])
def test_convolutions_with_biases_compute_what_they_did(is_near: bool) -> None:
    torch.manual_seed(5)
    layers: list[nn.Module] = []
    for width, wider in ((3, 8), (8, 8)):
        layers += [nn.Conv2d(width, wider, 3), nn.BatchNorm2d(wider), nn.ReLU()]
    network = learned(nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 4)))
    predictor = Predictor(network, PREPROCESSING, COMPUTE, keeps_statistics=is_near)
    before, logits_before = weights_of(network), predictor.logits(some_batch().images)
    centered = CenteredConvolutions(network, means_of(network)) if is_near else None

    scale_initial_weights(predictor, some_batch(), learning_rate=0.001, are_given=True, centered=centered)

    factors = [float(weight.norm() / other.norm()) for weight, other in zip(weights_of(network), before, strict=True)]
    assert all(not 0.8 < factor < 1.25 for factor in factors)
    torch.testing.assert_close(predictor.logits(some_batch().images), logits_before, rtol=0, atol=0.01)


def test_given_norms_stay_as_they_are() -> None:
    network = resnet()
    before = {name: module.state_dict() for name, module in network.named_modules()}
    scale(predictor_for(network), some_batch(), are_given=True)
    norms = {name: module for name, module in network.named_modules() if isinstance(module, nn.BatchNorm2d)}
    assert len(norms) == 20
    assert all(torch.equal(norm.weight, torch.ones_like(norm.weight)) for norm in norms.values())
    assert all(torch.equal(norm.bias, before[name]["bias"]) for name, norm in norms.items())


class Added(nn.Module):
    """A batch norm that is defined after a convolution, and takes its output together with a branch's."""

    def __init__(self) -> None:
        super().__init__()
        self.branch = nn.Conv2d(3, 4, 3)
        self.convolution = nn.Conv2d(3, 4, 3)
        self.norm = nn.BatchNorm2d(4)

    def forward(self, images_nchw: Tensor) -> Tensor:
        pooled: Tensor = self.norm(self.branch(images_nchw) + self.convolution(images_nchw)).relu().mean((2, 3))
        return pooled


@pytest.mark.parametrize("are_given", [False, True])
def test_a_convolution_whose_output_is_added_to_another_is_left_alone(are_given: bool) -> None:
    torch.manual_seed(1)
    network = Added()
    before = copy.deepcopy(network)
    scale(predictor_for(network), some_batch(), are_given=are_given)
    assert torch.equal(network.convolution.weight, before.convolution.weight)
    assert torch.equal(network.norm.running_var, before.norm.running_var)  # type: ignore[arg-type]  # it has one


@pytest.mark.slow
@pytest.mark.parametrize(
    "name",
    ["densenet121", "mobilenet_v3_small", "regnet_x_400mf", "shufflenet_v2_x0_5", "timm/resnetv2_50", "timm/repvgg_a0"],
)
def test_given_weights_compute_what_they_did(name: str) -> None:
    torch.manual_seed(1)
    network = build_network(find_architecture(name), 4)
    with torch.no_grad():
        for norm in network.modules():
            if isinstance(norm, nn.BatchNorm2d):
                norm.weight.uniform_(0.5, 1.5)
                norm.bias.uniform_(-0.3, 0.3)
        batch = some_batch(16)
        predictor = predictor_for(network.train())
        for _ in range(40):
            network(predictor.prepare(batch.images))  # the running statistics are those of the images
    before, weights = predictor.logits(batch.images), weights_of(network)
    scale(predictor, batch, are_given=True)
    assert sum(not torch.equal(*pair) for pair in zip(weights, weights_of(network), strict=True)) > 10
    assert (predictor.logits(batch.images) - before).norm() < 0.02 * before.norm()


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
    for _, norm in normalized_convolutions(network).values():
        norm.register_forward_pre_hook(
            lambda norm, inputs: ratios.append(inputs[0].var(dim=(0, 2, 3)).median().item() / norm.eps)
        )
    batch_loss(predictor, batch.images, batch.labels)
    assert len(ratios) > 30
    assert min(ratios) > 2


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


@pytest.mark.parametrize("is_scaled", [False, True])
@pytest.mark.parametrize("plan", [NEAR, AWAY])
def test_learned_weights_are_scaled_where_the_plan_does(
    build_run: BuildRun, plan: WeightPlan, *, is_scaled: bool
) -> None:
    network = small_network()
    plan = replace(plan, scales_convolutions=is_scaled)
    small = build_run(network=network, learning_rate=5e-324, plan=plan, new_head=head_of(network), num_epochs=1)
    before = weights_of(network)
    small.train()
    (factor,) = [(after / weight).flatten() for after, weight in zip(weights_of(network), before, strict=True)]
    assert torch.allclose(factor, factor[0], rtol=1e-5)
    assert (factor[0].item() != 1.0) == is_scaled


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
