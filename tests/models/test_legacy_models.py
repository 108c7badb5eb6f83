"""Models of the old designer: they score as they did, and can be trained further."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import torch
from torch import Tensor, nn
from torchvision import models

from pytorch_designer.directories.model_directory import open_model_directory, open_trained_model_directory
from pytorch_designer.directories.preprocessing import Preprocessing
from pytorch_designer.errors import InvalidModelDirectoryError
from pytorch_designer.models.loading import check_forward, load_model, network_for_classes
from pytorch_designer.models.saving import write_trained_model

pytestmark = pytest.mark.slow

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


CLASSES = ("cat", "dog", "emu")


def _prefixed(network: nn.Module) -> dict[str, Tensor]:
    return {f"model.{name}": tensor for name, tensor in network.state_dict().items()}


def _images() -> Tensor:
    return torch.rand(2, 3, 32, 32, generator=torch.Generator().manual_seed(0))


@pytest.fixture(scope="module")
def stack() -> tuple[nn.Module, nn.Linear]:
    """A network with ImageNet logits, and the Linear that the old designer put after them."""
    torch.manual_seed(0)
    return models.resnet18(weights=None).eval(), nn.Linear(1000, 3)


def _stacked_state(stack: tuple[nn.Module, nn.Linear]) -> dict[str, Tensor]:
    linear = {f"out_linear_model.{name}": tensor for name, tensor in stack[1].state_dict().items()}
    return _prefixed(stack[0]) | linear


def test_trained_model_scores_as_its_network_did(write_legacy_model: Callable[..., Path]) -> None:
    network = models.densenet121(weights=None, num_classes=3).eval()
    loaded = load_model(
        open_trained_model_directory(write_legacy_model(_prefixed(network), model_name="densenet121", classes=CLASSES))
    )
    with torch.inference_mode():
        assert torch.equal(loaded.network(_images()), network(_images()))
    assert loaded.classes == CLASSES
    assert loaded.architecture.init_params == {"memory_efficient": False}


def test_trained_model_scores_images_at_their_own_size(write_legacy_model: Callable[..., Path]) -> None:
    state = _prefixed(models.resnet18(weights=None, num_classes=3))
    loaded = load_model(open_trained_model_directory(write_legacy_model(state, classes=CLASSES)))
    assert loaded.preprocessing is None
    assert loaded.preprocessing_for(48, 64) == Preprocessing(
        resize_size=None, crop_height=48, crop_width=64, mean=(0.5, 0.4, 0.3), std=(0.5, 0.25, 0.125)
    )


def test_pretrained_trained_model_scores_through_its_stack(
    write_legacy_model: Callable[..., Path], stack: tuple[nn.Module, nn.Linear]
) -> None:
    loaded = load_model(
        open_trained_model_directory(write_legacy_model(_stacked_state(stack), classes=CLASSES, pretrained=True))
    )
    with torch.inference_mode():
        assert torch.equal(loaded.network(_images()), stack[1](stack[0](_images())))
    assert loaded.is_stacked_legacy


def test_a_class_that_the_label_map_leaves_out_is_named_by_its_index(write_legacy_model: Callable[..., Path]) -> None:
    # What the old designer wrote for categories with the ids 1 and 4: it kept one of the three gaps.
    network = models.resnet18(weights=None, num_classes=5).eval()
    root = write_legacy_model(_prefixed(network), classes=("0", "china", "2", "Others", "flower"))
    (root / "index_to_label.csv").write_text(",label\n3,Others\n1,china\n4,flower\n")
    loaded = load_model(open_trained_model_directory(root))
    assert loaded.classes == ("0", "china", "2", "Others", "flower")


def test_keys_of_the_first_packages_are_read(write_legacy_model: Callable[..., Path]) -> None:
    network = models.resnet18(weights=None, num_classes=3).eval()
    extras = {
        "module": "azureml.designer.modules.dl.pytorch.initialize_models.vision.classification.resnet",
        "class": "ResNet",
        "is_parallel": True,
        "is_cuda": True,
        "init_params": {"model_name": "resnet18", "pretrained": False, "num_classes": 3},
    }
    changes = {"flavor_extras": extras, "conda_file": "conda.yaml"}
    loaded = load_model(
        open_trained_model_directory(write_legacy_model(_prefixed(network), classes=CLASSES, changes=changes))
    )
    assert loaded.architecture.init_params == {"zero_init_residual": False}


def test_a_model_that_was_trained_on_a_gpu_is_read_without_one(
    write_legacy_model: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    network = models.resnet18(weights=None, num_classes=3).eval()
    monkeypatch.setattr("torch.serialization.location_tag", lambda _: "cuda:0")  # how a file says where a tensor was
    root = write_legacy_model(_prefixed(network), classes=CLASSES)
    monkeypatch.undo()
    with pytest.raises(RuntimeError, match="CUDA"):
        torch.load(root / "model", weights_only=True)
    with torch.inference_mode():
        assert torch.equal(load_model(open_trained_model_directory(root)).network(_images()), network(_images()))


def test_stack_for_the_same_classes_is_kept_reordered_and_saved(
    write_legacy_model: Callable[..., Path], stack: tuple[nn.Module, nn.Linear], tmp_path: Path
) -> None:
    loaded = load_model(
        open_model_directory(write_legacy_model(_stacked_state(stack), classes=CLASSES, pretrained=True))
    )
    wanted = ("emu", "cat", "dog")
    network = network_for_classes(loaded, wanted)
    check_forward(network, 32, 32)
    (tmp_path / "new").mkdir()
    write_trained_model(
        tmp_path / "new",
        architecture=loaded.architecture,
        state_dict=network.state_dict(),
        classes=wanted,
        preprocessing=loaded.preprocessing_for(32, 32),
    )

    again = load_model(open_trained_model_directory(tmp_path / "new"))

    with torch.inference_mode():
        assert torch.equal(again.network(_images()), stack[1](stack[0](_images()))[:, [2, 0, 1]])
    assert again.is_stacked_legacy
    assert again.preprocessing == loaded.preprocessing_for(32, 32)


def test_stack_for_other_classes_keeps_its_body_under_a_real_head(
    write_legacy_model: Callable[..., Path], stack: tuple[nn.Module, nn.Linear]
) -> None:
    loaded = load_model(
        open_model_directory(write_legacy_model(_stacked_state(stack), classes=CLASSES, pretrained=True))
    )
    network = network_for_classes(loaded, ("fox", "gnu"))
    assert isinstance(network, models.ResNet)
    assert network.fc.weight.shape == (2, 512)
    assert torch.equal(network.conv1.weight, stack[0].get_parameter("conv1.weight"))


def test_pretrained_untrained_model_brings_its_weights_and_imagenet_preprocessing(
    write_legacy_model: Callable[..., Path], stack: tuple[nn.Module, nn.Linear]
) -> None:
    loaded = load_model(open_model_directory(write_legacy_model(_prefixed(stack[0]), pretrained=True)))
    assert loaded.classes is None
    assert loaded.has_weights
    assert loaded.preprocessing == Preprocessing(resize_size=256, crop_height=224, crop_width=224)
    network = network_for_classes(loaded, CLASSES)
    assert torch.equal(network.get_parameter("conv1.weight"), stack[0].get_parameter("conv1.weight"))
    assert network.get_parameter("fc.weight").shape == (3, 512)


def test_untrained_model_without_pretraining_leaves_the_size_to_the_dataset(
    write_legacy_model: Callable[..., Path], stack: tuple[nn.Module, nn.Linear]
) -> None:
    loaded = load_model(open_model_directory(write_legacy_model(_prefixed(stack[0]))))
    assert loaded.preprocessing is None


def test_random_weights_of_an_untrained_model_are_drawn_again(
    write_legacy_model: Callable[..., Path], stack: tuple[nn.Module, nn.Linear]
) -> None:
    loaded = load_model(open_model_directory(write_legacy_model(_prefixed(stack[0]))))
    assert not loaded.has_weights
    torch.manual_seed(7)
    network = network_for_classes(loaded, CLASSES)
    torch.manual_seed(7)
    expected = models.resnet18(weights=None, num_classes=3)
    assert torch.equal(network.get_parameter("conv1.weight"), expected.conv1.weight)


@pytest.mark.parametrize(
    ("extras", "reason"),
    [
        ({"module": "os", "class": "system", "init_params": {"model_name": "resnet18"}}, "unknown_class"),
        (
            {"module": "a.classification.resnet", "class": "os.system", "init_params": {"model_name": "x"}},
            "unknown_class",
        ),
        (
            {"module": "a.classification.resnet", "class": "ResNet", "init_params": {"model_name": "vgg11"}},
            "unknown_arch",
        ),
        (
            {"module": "a.classification.densenet", "class": "ResNet", "init_params": {"model_name": "resnet18"}},
            "unknown_c",
        ),
        ({"module": "a.classification.resnet", "class": "ResNet"}, "bad_spec"),
        ({"class": "ResNet", "init_params": {"model_name": "resnet18"}}, "bad_spec"),
        (
            {"module": "a.classification.resnet", "class": "ResNet", "init_params": {"model_name": "resnet34"}},
            "other_w",
        ),
    ],
)
def test_class_that_is_not_the_old_designers_is_refused(
    write_legacy_model: Callable[..., Path], extras: dict[str, Any], reason: str
) -> None:
    state = {"model.fc.weight": torch.ones(3, 512)}
    with pytest.raises(InvalidModelDirectoryError) as caught:
        load_model(open_model_directory(write_legacy_model(state, classes=CLASSES, changes={"flavor_extras": extras})))
    assert str(caught.value.reason).startswith(reason)


def test_trained_model_without_normalization_is_refused(write_legacy_model: Callable[..., Path]) -> None:
    with pytest.raises(InvalidModelDirectoryError, match="normalized"):
        load_model(
            open_model_directory(write_legacy_model({"a": torch.ones(1)}, classes=CLASSES, changes={"inputs": []}))
        )


def test_model_file_that_is_safetensors_by_name_only_is_refused(write_legacy_model: Callable[..., Path]) -> None:
    flavor = {"name": "pytorch", "serialization_method": "safetensors"}
    with pytest.raises(InvalidModelDirectoryError):
        load_model(open_model_directory(write_legacy_model({"a": torch.ones(1)}, changes={"flavor": flavor})))
