"""Models as the old designer wrote them, made with torchvision and torch alone."""

from __future__ import annotations

import csv
import math
from typing import TYPE_CHECKING, Any

import torch
import yaml
from torch import Tensor

if TYPE_CHECKING:
    from pathlib import Path

_PACKAGE = "azureml.designer.modules.dl.pytorch.initialize_models.vision.classification"


def write_legacy_model(
    root: Path,
    state_dict: dict[str, Tensor],
    *,
    model_name: str = "resnet18",
    classes: tuple[str, ...] | None = None,
    pretrained: bool = False,
    changes: dict[str, Any] | None = None,
) -> Path:
    """Write a ModelDirectory of the old layout into the new folder `root`; returns `root`."""
    root.mkdir()
    family, class_name = ("densenet", "DenseNet") if "dense" in model_name else ("resnet", "ResNet")
    init_params: dict[str, Any] = {"model_name": model_name, "pretrained": pretrained}
    spec: dict[str, Any] = {
        "flavor": {"name": "pytorch", "serialization_method": "state_dict"},
        "model_file": "model",
        "time_created": "2020-11-20T08:37:30.713075+0000",
        "flavor_extras": {
            "module": f"{_PACKAGE}.{family}",
            "class": class_name,
            "is_cuda": False,
            "init_params": init_params,
        },
        "task_type": "MultiClassification",
    }
    meta: dict[str, Any] = {"type": "ModelDirectory", "extension": {}, "model": "model_spec.yaml"}
    if classes is not None:
        init_params["num_classes"] = len(classes)
        normalizer = {"mean": [0.5, 0.4, 0.3], "std": [0.5, 0.25, 0.125]}
        module = "azureml.designer.modules.dl.pytorch.common.pytorch.pre_processor"
        pre_processor = {"module": module, "class": "ImageNormalizer", "init_params": normalizer}
        spec["label_map_file"] = "index_to_label.csv"
        spec["inputs"] = [{"name": "image", "pre_processor": pre_processor}]
        with (root / "index_to_label.csv").open("w", newline="", encoding="utf-8") as stream:
            csv.writer(stream, lineterminator="\n").writerows([["", "label"], *enumerate(classes)])
        meta |= {"registerModel": True, "modelOutputPath": "trained_model_outputs"}
    (root / "model_spec.yaml").write_text(yaml.safe_dump({**spec, **(changes or {})}), encoding="utf-8")
    (root / "_meta.yaml").write_text(yaml.safe_dump(meta), encoding="utf-8")
    torch.save(state_dict, root / "model")
    return root


def deterministic_weights(state_dict: dict[str, Tensor]) -> dict[str, Tensor]:
    """Noise instead of the values of a state dict, the same on every machine: no random number generator is used.

    `tests/data/old_designer/scores.json` was made with these.
    """
    return {
        name: _noise(name, position, tensor) if tensor.is_floating_point() else tensor
        for position, (name, tensor) in enumerate(state_dict.items())
    }


def _noise(name: str, position: int, tensor: Tensor) -> Tensor:
    waves = torch.sin(torch.arange(tensor.numel(), dtype=torch.float64) * 12.9898 + position) * 43758.5453
    values = 2 * (waves - waves.floor()) - 1
    if tensor.ndim > 1:  # convolutions and linear layers keep the size of what goes through them
        values = values * math.sqrt((10 if tensor.ndim == 2 else 6) / tensor[0].numel())
    elif name.endswith(("running_var", "weight")):
        values = 1 + values / 10
    else:
        values = values / 10
    return values.reshape(tensor.shape).to(tensor.dtype)
