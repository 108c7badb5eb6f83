"""Models written, read back, and made ready for other classes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import torch
import yaml

from pytorch_designer.directories.model_directory import open_model_directory, open_trained_model_directory
from pytorch_designer.directories.preprocessing import Preprocessing
from pytorch_designer.errors import FailedToWriteOutputsError, InvalidDatasetError, InvalidModelDirectoryError
from pytorch_designer.models.architectures import Architecture, build_network, find_architecture
from pytorch_designer.models.loading import (
    LoadedModel,
    check_forward,
    load_model,
    network_for_classes,
)
from pytorch_designer.models.saving import save_untrained_model, write_trained_model, write_untrained_model
from pytorch_designer.models.weights import read_safetensors, write_safetensors

pytestmark = pytest.mark.slow

if TYPE_CHECKING:
    from pathlib import Path

SQUEEZENET = Architecture("squeezenet1_1")
PREPROCESSING = Preprocessing(resize_size=40, crop_height=32, crop_width=36, mean=(0.1, 0.2, 0.3), std=(0.4, 0.5, 0.6))
CLASSES = ("cat", "dog", "emu")


@pytest.fixture
def trained(tmp_path: Path) -> Path:
    """A trained SqueezeNet of three classes."""
    torch.manual_seed(1)
    root = tmp_path / "trained"
    root.mkdir()
    write_trained_model(
        root,
        architecture=SQUEEZENET,
        state_dict=build_network(SQUEEZENET, 3).state_dict(),
        classes=CLASSES,
        preprocessing=PREPROCESSING,
    )
    return root


def _change_spec(root: Path, **changes: Any) -> None:
    path = root / "model_spec.yaml"
    spec = yaml.safe_load(path.read_text(encoding="utf-8"))
    path.write_text(yaml.safe_dump({**spec, **changes}), encoding="utf-8")


def _score(network: torch.nn.Module) -> torch.Tensor:
    with torch.inference_mode():
        logits: torch.Tensor = network.eval()(torch.rand(2, 3, 32, 36, generator=torch.Generator().manual_seed(0)))
    return logits


def test_trained_model_comes_back_with_its_weights_classes_and_preprocessing(trained: Path) -> None:
    torch.manual_seed(1)
    written = build_network(SQUEEZENET, 3)

    loaded = load_model(open_trained_model_directory(trained))

    assert loaded.classes == CLASSES
    assert loaded.preprocessing == PREPROCESSING
    assert loaded.preprocessing_for(500, 500) == PREPROCESSING
    assert (loaded.normalization.mean, loaded.normalization.std) == (PREPROCESSING.mean, PREPROCESSING.std)
    assert loaded.architecture == SQUEEZENET
    assert loaded.has_weights
    assert not loaded.is_stacked_legacy
    assert not loaded.network.training
    assert all(parameter.requires_grad for parameter in loaded.network.parameters())
    assert torch.equal(_score(loaded.network), _score(written))


def test_trained_directory_has_the_files_of_the_format(trained: Path) -> None:
    meta = yaml.safe_load((trained / "_meta.yaml").read_text(encoding="utf-8"))
    spec = yaml.safe_load((trained / "model_spec.yaml").read_text(encoding="utf-8"))
    assert meta == {
        "type": "ModelDirectory",
        "extension": {},
        "model": "model_spec.yaml",
        "registerModel": True,
        "modelOutputPath": "trained_model_outputs",
    }
    assert spec["flavor"] == {"name": "pytorch", "serialization_method": "safetensors"}
    assert spec["model_file"] == "model.safetensors"
    assert spec["label_map_file"] == "index_to_label.csv"
    assert spec["flavor_extras"]["architecture"] == "squeezenet1_1"
    assert spec["inputs"][0]["pre_processor"]["init_params"]["crop_width"] == 36
    names = {path.name for path in trained.iterdir()}
    assert {"MLmodel", "requirements.txt", "conda.yaml", "python_env.yaml"} <= names


def test_untrained_model_without_weights_stores_none_and_says_so(tmp_path: Path) -> None:
    architecture = Architecture("resnet18", "torchvision", {"zero_init_residual": True})
    save_untrained_model(tmp_path / "model", architecture, pretrained=False)

    loaded = load_model(open_model_directory(tmp_path / "model"))

    assert {path.name for path in (tmp_path / "model").iterdir()} == {"_meta.yaml", "model_spec.yaml"}
    assert loaded.architecture == architecture
    assert (loaded.classes, loaded.preprocessing, loaded.has_weights) == (None, None, False)
    assert loaded.preprocessing_for(20, 30) == Preprocessing(resize_size=None, crop_height=20, crop_width=30)


def test_untrained_network_is_drawn_from_the_callers_seed(tmp_path: Path) -> None:
    write_untrained_model(tmp_path, SQUEEZENET, pretrained=False)
    scores = []
    for seed in (3, 3, 4):
        loaded = load_model(open_model_directory(tmp_path))
        torch.manual_seed(seed)
        scores.append(_score(network_for_classes(loaded, CLASSES)))
    assert torch.equal(scores[0], scores[1])
    assert not torch.equal(scores[0], scores[2])
    assert scores[0].shape == (2, 3)


def test_output_that_is_not_empty_is_kept(tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("mine", encoding="utf-8")
    with pytest.raises(FailedToWriteOutputsError):
        save_untrained_model(tmp_path, SQUEEZENET, pretrained=False)
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]


def test_untrained_model_is_no_trained_one(tmp_path: Path) -> None:
    write_untrained_model(tmp_path, SQUEEZENET, pretrained=False)
    with pytest.raises(InvalidModelDirectoryError, match="untrained"):
        load_model(open_trained_model_directory(tmp_path))


def test_timm_model_comes_back(tmp_path: Path) -> None:
    architecture = find_architecture("timm/test_vit")
    network = build_network(architecture, 2)
    size = Preprocessing(resize_size=160, crop_height=160, crop_width=160)
    write_trained_model(
        tmp_path, architecture=architecture, state_dict=network.state_dict(), classes=["a", "b"], preprocessing=size
    )
    images = torch.rand(1, 3, 160, 160)
    with torch.inference_mode():
        assert torch.equal(load_model(open_trained_model_directory(tmp_path)).network(images), network.eval()(images))
    assert "timm==" in (tmp_path / "requirements.txt").read_text(encoding="utf-8")


def test_same_classes_keep_the_head_in_the_new_order(trained: Path) -> None:
    before = _score(load_model(open_model_directory(trained)).network)
    network = network_for_classes(load_model(open_model_directory(trained)), ("emu", "cat", "dog"))
    assert torch.equal(_score(network), before[:, [2, 0, 1]])


def test_model_of_classes_with_gaps_comes_back_and_keeps_its_head(tmp_path: Path) -> None:
    network = build_network(SQUEEZENET, 4)
    write_trained_model(
        tmp_path,
        architecture=SQUEEZENET,
        state_dict=network.state_dict(),
        classes=("Others", "cat", "Others", "dog"),
        preprocessing=PREPROCESSING,
    )
    before = _score(load_model(open_trained_model_directory(tmp_path)).network)
    assert torch.equal(
        _score(network_for_classes(load_model(open_model_directory(tmp_path)), ("Others", "cat", "Others", "dog"))),
        before,
    )
    reordered = network_for_classes(load_model(open_model_directory(tmp_path)), ("dog", "Others", "Others", "cat"))
    assert torch.equal(_score(reordered), before[:, [3, 0, 2, 1]])


def test_other_classes_keep_the_body_and_get_a_head_from_the_seed(trained: Path) -> None:
    original = load_model(open_model_directory(trained)).network.state_dict()
    states = []
    for seed in (0, 0, 1):
        loaded = load_model(open_model_directory(trained))
        torch.manual_seed(seed)
        states.append(network_for_classes(loaded, ("cat", "dog", "fox", "gnu")).state_dict())
    head = {"classifier.1.weight", "classifier.1.bias"}
    assert all(torch.equal(states[0][name], original[name]) for name in original.keys() - head)
    assert states[0]["classifier.1.weight"].shape[0] == 4
    assert torch.equal(states[0]["classifier.1.weight"], states[1]["classifier.1.weight"])
    assert not torch.equal(states[0]["classifier.1.weight"], states[2]["classifier.1.weight"])


def test_images_that_are_too_small_are_refused_by_size_and_name() -> None:
    with pytest.raises(InvalidDatasetError, match=r"alexnet does not take images of 62 x 80 pixels"):
        check_forward(build_network(Architecture("alexnet"), 2), 62, 80, Architecture("alexnet"))


def test_wrong_size_for_a_network_of_one_size_is_refused(tmp_path: Path) -> None:
    write_untrained_model(tmp_path, Architecture("vit_b_32"), pretrained=False)
    network = load_model(open_model_directory(tmp_path)).network
    check_forward(network, 224, 224)
    with pytest.raises(InvalidDatasetError, match="VisionTransformer"):
        check_forward(network, 224, 192)


def test_trial_forward_leaves_no_trace() -> None:
    network = build_network(Architecture("mobilenet_v3_small"), 2).eval()
    network.get_submodule("features").train()
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    modes = [module.training for module in network.modules()]
    random_state = torch.get_rng_state()

    check_forward(network, 32, 32)

    assert all(torch.equal(tensor, before[name]) for name, tensor in network.state_dict().items())
    assert [module.training for module in network.modules()] == modes
    assert torch.equal(torch.get_rng_state(), random_state)


@pytest.mark.parametrize(
    ("name", "size", "takes_one"),
    [
        ("resnet18", 64, True),  # 2x2 values a channel before the last batch norms
        ("resnet18", 32, False),  # 1x1
        ("vit_b_32", 224, True),  # no batch norm
    ],
)
def test_trial_forward_tells_whether_a_lone_image_can_be_normalized(name: str, size: int, takes_one: bool) -> None:
    assert check_forward(build_network(Architecture(name), 2), size, size) is takes_one


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"flavor": {"name": "custom", "serialization_method": "safetensors"}}, "flavor"),
        ({"flavor": {"name": "sklearn"}}, "flavor"),
        ({"flavor": "pytorch"}, "flavor"),
        ({"flavor": {"name": "pytorch", "serialization_method": "pickle"}}, "flavor"),
        ({"flavor": {"name": "pytorch", "serialization_method": ["safetensors"]}}, "flavor"),
        ({"model_file": "model.pkl"}, "pickle"),
        ({"file_name": "model.bin"}, "pickle"),
        ({"model_file": None}, "bad_spec"),
        ({"model_file": "gone.safetensors"}, "no_file"),
        ({"model_file": "/etc/passwd"}, "path_outside"),
        ({"model_file": "../model.safetensors"}, "path_outside"),
        ({"model_file": "index_to_label.csv"}, "bad_weights"),
        ({"flavor": {"name": "pytorch", "serialization_method": "none"}}, "no_weights"),
        ({"label_map_file": "../index_to_label.csv"}, "path_outside"),
        ({"label_map_file": "gone.csv"}, "no_file"),
        ({"label_map_file": "MLmodel"}, "bad_label_map"),
        ({"inputs": []}, "no_preprocessing"),
        ({"inputs": [{"name": "image", "pre_processor": {"class": "os.system"}}]}, "no_preprocessing"),
        ({"flavor_extras": None}, "bad_spec"),
        ({"flavor_extras": {"architecture": "os.system", "source": "torchvision"}}, "unknown_architecture"),
        ({"flavor_extras": {"architecture": "squeezenet1_1", "source": "os"}}, "bad_spec"),
        ({"flavor_extras": {"architecture": "hf-hub:a/b", "source": "timm"}}, "unknown_architecture"),
        ({"flavor_extras": {"architecture": "squeezenet1_0", "source": "torchvision"}}, "other_weights"),
        (
            {
                "flavor_extras": {
                    "architecture": "squeezenet1_1",
                    "source": "torchvision",
                    "init_params": {"image_size": 3},
                }
            },
            "bad_init_params",
        ),
        (
            {"flavor_extras": {"architecture": "squeezenet1_1", "source": "torchvision", "head": "stacked"}},
            "other_weights",
        ),
    ],
)
def test_unusable_specification_is_refused_with_its_reason(trained: Path, changes: dict[str, Any], reason: str) -> None:
    _change_spec(trained, **changes)
    with pytest.raises(InvalidModelDirectoryError) as caught:
        load_model(open_model_directory(trained))
    assert caught.value.reason == reason
    assert str(trained) in str(caught.value.where)


@pytest.mark.parametrize(
    "numbers",
    [
        {"std": [0.5, 0.0, 0.5]},
        {"mean": [0.5, float("nan"), 0.5]},
        {"mean": [0.5]},
        {"crop_height": 0},
        {"crop_width": 10**9},
        {"resize_size": 10**30},
        {"interpolation": "__import__"},
    ],
)
def test_unusable_preprocessing_is_refused(trained: Path, numbers: dict[str, Any]) -> None:
    init_params = {**PREPROCESSING.to_dict(), **numbers}
    _change_spec(
        trained, inputs=[{"name": "image", "pre_processor": {"class": "Preprocessing", "init_params": init_params}}]
    )
    with pytest.raises(InvalidModelDirectoryError) as caught:
        load_model(open_model_directory(trained))
    assert caught.value.reason == "bad_spec"


def test_missing_weight_file_is_no_untrained_model(trained: Path) -> None:
    (trained / "model.safetensors").unlink()
    with pytest.raises(InvalidModelDirectoryError, match="weight file is missing"):
        load_model(open_model_directory(trained))


def test_weights_with_nan_are_refused(trained: Path) -> None:
    tensors = read_safetensors(trained / "model.safetensors")
    tensors["classifier.1.bias"][1] = float("nan")
    write_safetensors(trained / "model.safetensors", tensors)
    with pytest.raises(InvalidModelDirectoryError) as caught:
        load_model(open_model_directory(trained))
    assert caught.value.examples == ("classifier.1.bias",)


def test_label_map_of_another_length_does_not_fit_the_weights(trained: Path) -> None:
    (trained / "index_to_label.csv").write_text(",label\n0,cat\n1,dog\n", encoding="utf-8")
    with pytest.raises(InvalidModelDirectoryError) as caught:
        load_model(open_model_directory(trained))
    assert caught.value.reason == "other_weights"


def test_directory_of_another_type_is_refused(tmp_path: Path) -> None:
    (tmp_path / "_meta.yaml").write_text("type: DataFrameDirectory\nextension: {}\n", encoding="utf-8")
    with pytest.raises(InvalidModelDirectoryError, match="DataFrameDirectory"):
        load_model(open_model_directory(tmp_path))


def test_loaded_model_is_immutable(trained: Path) -> None:
    loaded = load_model(open_model_directory(trained))
    assert isinstance(loaded, LoadedModel)
    with pytest.raises(AttributeError):
        loaded.classes = ()  # type: ignore[misc]  # is refused
