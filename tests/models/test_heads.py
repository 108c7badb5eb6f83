"""New and reordered classifiers, on real networks: one small member of each family."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from pytorch_designer.models.architectures import (
    Architecture,
    build_network,
    build_on_meta,
    find_architecture,
    minimum_image_size,
)
from pytorch_designer.models.heads import permute_head, replace_head

_NUM_CLASSES = 64
# Standard deviations of the head's weight and bias as torchvision's constructors draw them. A uniform distribution
# within +-b has b / sqrt(3); nn.Linear's own is uniform within 1 / sqrt(its inputs).
_HEADS = [
    ("alexnet", "classifier.6", (3 * 4096) ** -0.5, (3 * 4096) ** -0.5),
    ("convnext_tiny", "classifier.2", 0.02, 0),
    ("densenet121", "classifier", (3 * 1024) ** -0.5, 0),
    ("efficientnet_b0", "classifier.1", (3 * _NUM_CLASSES) ** -0.5, 0),
    ("googlenet", "fc", 0.01, (3 * 1024) ** -0.5),
    ("inception_v3", "fc", 0.1, (3 * 2048) ** -0.5),
    ("mnasnet0_5", "classifier.1", _NUM_CLASSES**-0.5, 0),
    ("maxvit_t", "classifier.5", 0.02, 0),
    ("mobilenet_v2", "classifier.1", 0.01, 0),
    ("mobilenet_v3_small", "classifier.3", 0.01, 0),
    ("regnet_x_400mf", "fc", 0.01, 0),
    ("resnet18", "fc", (3 * 512) ** -0.5, (3 * 512) ** -0.5),
    ("shufflenet_v2_x0_5", "fc", (3 * 1024) ** -0.5, (3 * 1024) ** -0.5),
    ("squeezenet1_1", "classifier.1", 0.01, 0),
    ("swin_t", "head", 0.02, 0),
    ("vgg11", "classifier.6", 0.01, 0),
    ("vit_b_32", "heads.head", 0, 0),
]


def _spread(tensor: Tensor | None) -> float:
    return 0.0 if tensor is None else float(tensor.detach().std())


def _network_of_zeros(architecture: Architecture) -> nn.Module:
    """The real network without the seconds that drawing its weights takes."""
    network = build_on_meta(lambda: build_network(architecture, None)).to_empty(device="cpu")
    with torch.no_grad():
        for tensor in network.state_dict().values():
            tensor.zero_()
    return network.eval()


@pytest.mark.slow
@pytest.mark.parametrize(("name", "path", "weight_std", "bias_std"), _HEADS)
def test_new_head_is_initialized_as_torchvision_does_and_scores(
    name: str, path: str, weight_std: float, bias_std: float
) -> None:
    torch.manual_seed(0)
    architecture = Architecture(name)
    network = _network_of_zeros(architecture)
    body = {key: tensor for key, tensor in network.state_dict(keep_vars=True).items() if not key.startswith(path)}

    replace_head(network, architecture, _NUM_CLASSES)

    head = network.get_submodule(path)
    assert isinstance(head, nn.Linear | nn.Conv2d)
    assert _spread(head.weight) == pytest.approx(weight_std, rel=0.05)
    assert _spread(head.bias) == pytest.approx(bias_std, rel=0.35)
    after = network.state_dict(keep_vars=True)
    assert all(after[key] is tensor for key, tensor in body.items())
    height, width = minimum_image_size(architecture)
    with torch.inference_mode():
        logits = network(torch.rand(2, 3, max(height, 32), max(width, 32)))
    assert logits.shape == (2, _NUM_CLASSES)
    assert logits.isfinite().all()


@pytest.mark.parametrize("name", ["squeezenet1_1", "timm/test_resnet"])
def test_permuted_head_gives_the_same_logits_in_another_order(name: str) -> None:
    architecture = find_architecture(name)
    network = build_network(architecture, 3).eval()
    images = torch.rand(2, 3, 64, 64)
    with torch.inference_mode():
        before = network(images)
    assert permute_head(network, architecture, [2, 0, 1])
    with torch.inference_mode():
        torch.testing.assert_close(network(images), before[:, [2, 0, 1]])  # a convolution's sums depend on its place


def test_head_of_another_kind_is_left_alone() -> None:
    architecture = find_architecture("timm/deit_tiny_distilled_patch16_224")  # two heads
    network = build_network(architecture, 2)
    before = {key: tensor.clone() for key, tensor in network.state_dict().items()}
    assert not permute_head(network, architecture, [1, 0])
    assert all(torch.equal(before[key], tensor) for key, tensor in network.state_dict().items())


def test_new_head_is_trainable_and_keeps_the_mode() -> None:
    architecture = Architecture("squeezenet1_1")
    network = build_network(architecture, None).eval()
    replace_head(network, architecture, 2)
    assert not any(module.training for module in network.modules())
    head = network.get_submodule("classifier.1")
    assert isinstance(head, nn.Conv2d)
    assert head.weight.requires_grad
