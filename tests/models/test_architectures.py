"""All torchvision classifiers by name, and some of timm's: building, sizes, preprocessing."""

from __future__ import annotations

import pytest
import torch
from torchvision import models

from pytorch_designer.directories.preprocessing import Preprocessing
from pytorch_designer.errors import InvalidModelDirectoryError, ParameterParsingError
from pytorch_designer.models.architectures import (
    Architecture,
    architecture_names,
    build_network,
    build_on_meta,
    check_architecture,
    default_preprocessing,
    find_architecture,
    minimum_image_size,
    pretrained_architecture,
)
from pytorch_designer.models.heads import replace_head


def _shapes(network: torch.nn.Module) -> dict[str, tuple[int, ...]]:
    return {name: tuple(tensor.shape) for name, tensor in network.state_dict().items()}


def test_names_are_classifiers_only() -> None:
    names = architecture_names()
    assert len(names) >= 80
    assert {"resnet18", "densenet201", "vit_h_14", "swin_v2_t", "maxvit_t", "regnet_y_128gf"} <= set(names)
    assert not [name for name in names if "quantized" in name or "rcnn" in name or "r3d" in name or "deeplab" in name]


@pytest.mark.slow
@pytest.mark.parametrize("name", models.list_models(module=models))
def test_each_architecture_takes_a_new_head_at_its_minimum_size(name: str) -> None:
    architecture = Architecture(name)
    network = build_on_meta(lambda: build_network(architecture, None))
    before = _shapes(network)
    with torch.device("meta"):
        replace_head(network, architecture, 3)
    after = _shapes(network)
    height, width = minimum_image_size(architecture)

    with torch.no_grad():
        logits = network.train()(torch.empty(2, 3, height, width, device="meta"))

    assert logits.shape == (2, 3)
    changed = {key for key in before if before[key] != after[key]}
    assert before.keys() == after.keys()
    assert len({key.rpartition(".")[0] for key in changed}) == 1
    assert {before[key][0] for key in changed} == {1000}
    assert {after[key][0] for key in changed} == {3}


@pytest.mark.slow
@pytest.mark.parametrize("name", ["alexnet", "convnext_tiny", "densenet121", "squeezenet1_1", "swin_t", "vgg11"])
def test_one_pixel_less_than_the_minimum_is_too_small(name: str) -> None:
    architecture = Architecture(name)
    network = build_on_meta(lambda: build_network(architecture, None))
    height, width = minimum_image_size(architecture)
    with pytest.raises((RuntimeError, ValueError)), torch.no_grad():
        network.train()(torch.empty(2, 3, height - 1, width - 1, device="meta"))


def test_building_on_meta_leaves_the_random_state_alone() -> None:
    before = torch.get_rng_state()
    build_on_meta(lambda: build_network(Architecture("swin_t"), 2))
    assert torch.equal(torch.get_rng_state(), before)


def test_same_seed_builds_the_same_network() -> None:
    states = []
    for _ in range(2):
        torch.manual_seed(5)
        states.append(build_network(Architecture("squeezenet1_1"), 3).state_dict())
    assert all(torch.equal(states[0][key], states[1][key]) for key in states[0])


def test_zero_init_residual_zeroes_the_last_norm_of_each_branch() -> None:
    network = build_network(Architecture("resnet18", "torchvision", {"zero_init_residual": True}), 2)
    assert not network.get_parameter("layer1.0.bn2.weight").any()
    assert network.get_parameter("layer1.0.bn1.weight").all()


@pytest.mark.slow
def test_memory_efficient_densenet_computes_the_same() -> None:
    logits = []
    images = torch.rand(2, 3, 32, 32)
    for memory_efficient in (False, True):
        torch.manual_seed(0)
        architecture = Architecture("densenet121", "torchvision", {"memory_efficient": memory_efficient})
        logits.append(build_network(architecture, 2)(images))
    assert torch.equal(logits[0], logits[1])


@pytest.mark.parametrize(
    ("name", "init_params"),
    [
        ("resnet18", {"memory_efficient": True}),
        ("densenet121", {"zero_init_residual": False}),
        ("resnet18", {"zero_init_residual": 1}),
        ("vit_b_16", {"image_size": -224}),
        ("vit_b_16", {"image_size": True}),
        ("vit_b_16", {"image_size": 225}),
        ("vit_b_16", {"image_size": 16 * 10**30}),
        ("resnet18", {"weights": "DEFAULT"}),
        ("resnet18", {"norm_layer": 3}),
        ("maskrcnn_resnet50_fpn", {}),
        ("quantized_resnet18", {}),
        ("os.system", {}),
        ("", {}),
    ],
)
def test_unknown_names_and_init_params_are_refused(name: str, init_params: dict[str, object]) -> None:
    with pytest.raises(InvalidModelDirectoryError):
        check_architecture(Architecture(name, "torchvision", init_params), InvalidModelDirectoryError)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["hf-hub:timm/resnet18", "local-dir:/etc", "resnet18.no_such_tag", "nothing"])
def test_timm_names_that_would_load_something_are_refused(name: str) -> None:
    with pytest.raises(ParameterParsingError, match="timm"):
        find_architecture("timm/" + name)


def test_misspelt_name_lists_similar_names() -> None:
    with pytest.raises(ParameterParsingError) as caught:
        find_architecture("resnet_18")
    assert "resnet18" in caught.value.examples
    assert caught.value.where == "model_name"


def test_found_architecture_has_its_source() -> None:
    assert find_architecture("vit_b_16") == Architecture("vit_b_16", "torchvision")
    assert find_architecture("timm/resnet18.a1_in1k") == Architecture("resnet18.a1_in1k", "timm")


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("resnet18", Preprocessing(resize_size=256, crop_height=224, crop_width=224)),
        ("resnet50", Preprocessing(resize_size=232, crop_height=224, crop_width=224)),
        ("inception_v3", Preprocessing(resize_size=342, crop_height=299, crop_width=299)),
        (
            "efficientnet_b3",
            Preprocessing(resize_size=320, crop_height=300, crop_width=300, interpolation="bicubic"),
        ),
        (
            "efficientnet_v2_l",
            Preprocessing(
                resize_size=480,
                crop_height=480,
                crop_width=480,
                interpolation="bicubic",
                mean=(0.5, 0.5, 0.5),
                std=(0.5, 0.5, 0.5),
            ),
        ),
    ],
)
def test_pretrained_preprocessing_is_the_published_one(name: str, expected: Preprocessing) -> None:
    assert default_preprocessing(Architecture(name), pretrained=True) == expected


def test_untrained_network_leaves_the_size_to_the_dataset_unless_it_is_fixed() -> None:
    assert default_preprocessing(Architecture("resnet50"), pretrained=False) is None
    assert default_preprocessing(Architecture("swin_t"), pretrained=False) is None
    fixed = default_preprocessing(Architecture("vit_h_14"), pretrained=False)
    assert fixed == Preprocessing(resize_size=224, crop_height=224, crop_width=224)


def test_pretrained_vision_transformer_takes_the_size_of_its_weights() -> None:
    architecture = pretrained_architecture(Architecture("vit_h_14"))
    assert minimum_image_size(architecture) == (518, 518)
    network = build_on_meta(lambda: build_network(architecture, None))
    assert network.get_parameter("encoder.pos_embedding").shape[1] == (518 // 14) ** 2 + 1


def test_pretrained_inception_normalizes_its_input_again() -> None:
    assert pretrained_architecture(Architecture("inception_v3")).init_params == {"transform_input": True}


def test_image_size_is_for_networks_of_one_size_only() -> None:
    vit = build_on_meta(lambda: build_network(Architecture("vit_b_32"), 2, image_size=(64, 64)))
    assert vit.get_parameter("encoder.pos_embedding").shape[1] == 2 * 2 + 1
    build_on_meta(lambda: build_network(Architecture("resnet18"), 2, image_size=(64, 64)))


@pytest.mark.slow
@pytest.mark.parametrize(
    "name", ["resnet18", "vit_tiny_patch16_224", "efficientvit_b0", "deit_tiny_distilled_patch16_224"]
)
def test_timm_networks_build_and_take_a_new_head(name: str) -> None:
    architecture = find_architecture("timm/" + name)
    network = build_on_meta(lambda: build_network(architecture, None))
    with torch.device("meta"):
        replace_head(network, architecture, 3)
    with torch.no_grad():
        assert network(torch.empty(2, 3, 224, 224, device="meta")).shape == (2, 3)


def test_timm_preprocessing_comes_from_its_configuration() -> None:
    preprocessing = default_preprocessing(find_architecture("timm/vit_tiny_patch16_224"), pretrained=True)
    assert preprocessing == Preprocessing(
        resize_size=249,  # 224 / 0.9, rounded up
        crop_height=224,
        crop_width=224,
        interpolation="bicubic",
        mean=(0.5, 0.5, 0.5),
        std=(0.5, 0.5, 0.5),
    )
    assert default_preprocessing(find_architecture("timm/resnet18"), pretrained=False) is None
    assert minimum_image_size(find_architecture("timm/vit_tiny_patch16_224")) == (224, 224)


def test_long_name_from_a_file_does_not_flood_the_message() -> None:
    with pytest.raises(InvalidModelDirectoryError) as caught:
        check_architecture(Architecture("x" * 1_000_000), InvalidModelDirectoryError)
    assert len(str(caught.value)) < 1000
