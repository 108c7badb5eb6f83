"""From a network to a ModelDirectory, which is an MLflow model as well when it is trained."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from pytorch_designer.directories.meta import write_meta
from pytorch_designer.directories.model_directory import (
    LABEL_MAP_FILE,
    MODEL_DIRECTORY,
    WEIGHTS_FILE,
    write_label_map,
)
from pytorch_designer.directories.model_spec import (
    MODEL_SPEC_FILE,
    Flavor,
    ModelInput,
    ModelSpec,
    PreProcessor,
    StoredNetwork,
    write_model_spec,
)
from pytorch_designer.models.architectures import default_preprocessing, pretrained_architecture
from pytorch_designer.models.legacy import is_stacked
from pytorch_designer.models.mlflow_files import write_mlflow_files
from pytorch_designer.models.pretrained import download_weights
from pytorch_designer.models.weights import write_safetensors
from pytorch_designer.storage.output import open_output

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from torch import Tensor

    from pytorch_designer.directories.preprocessing import Preprocessing
    from pytorch_designer.models.architectures import Architecture


_log = logging.getLogger(__name__)


def save_untrained_model(output: Path, architecture: Architecture, *, pretrained: bool) -> None:
    """Make `output` an untrained ModelDirectory, complete or not at all; see `write_untrained_model`.

    Raises:
        FailedToWriteOutputsError: `output` cannot be written.
        FailedToDownloadFilesError: The pretrained weights cannot be had.
    """
    with open_output(output, apart_from={}) as opened, opened.stage() as folder:
        write_untrained_model(folder, architecture, pretrained)
    weights = "with pretrained weights" if pretrained else "without weights: training draws them from its seed"
    _log.info("Wrote the untrained model %s %s.", architecture.name, weights)


def write_untrained_model(staging: Path, architecture: Architecture, pretrained: bool) -> None:
    """Write an untrained ModelDirectory into the folder `staging`.

    Without pretrained weights none are stored: training draws them from its own seed.

    Args:
        staging: An empty folder, as `Output.stage` yields it.
        architecture: Which network; it has passed `check_architecture`.
        pretrained: Download the published weights and store them, so that training needs no network.

    Raises:
        FailedToDownloadFilesError: The pretrained weights cannot be had.
        OSError: A file cannot be written.
    """
    if pretrained:
        write_safetensors(staging / WEIGHTS_FILE, download_weights(architecture))
        architecture = pretrained_architecture(architecture)
    spec = ModelSpec(
        flavor=Flavor(serialization_method="safetensors" if pretrained else "none"),
        flavor_extras=_stored_network(architecture),
        model_file=WEIGHTS_FILE if pretrained else None,
        task_type="MultiClassification",
        inputs=_inputs(default_preprocessing(architecture, pretrained)),
    )
    write_model_spec(staging / MODEL_SPEC_FILE, spec)
    write_meta(staging, MODEL_DIRECTORY, model=MODEL_SPEC_FILE)


def write_trained_model(
    staging: Path,
    *,
    architecture: Architecture,
    state_dict: Mapping[str, Tensor],
    classes: Sequence[str],
    preprocessing: Preprocessing,
    meta: Mapping[str, Any] | None = None,
) -> None:
    """Write a trained ModelDirectory, which is an MLflow model too, into the folder `staging`.

    Args:
        staging: A folder, as `Output.stage` yields it.
        architecture: Which network; for a stack of the old designer, the network inside.
        state_dict: Weights of `network_for_classes`, of any device and memory layout.
        classes: Class names in the order of the logits.
        preprocessing: What training did to each image.
        meta: Further keys of `_meta.yaml`, `visualization` for instance.

    Raises:
        OSError: A file cannot be written.
    """
    write_safetensors(staging / WEIGHTS_FILE, state_dict)
    write_label_map(staging / LABEL_MAP_FILE, classes)
    spec = ModelSpec(
        flavor=Flavor(serialization_method="safetensors"),
        flavor_extras=_stored_network(architecture, has_stack=is_stacked(state_dict)),
        model_file=WEIGHTS_FILE,
        label_map_file=LABEL_MAP_FILE,
        task_type="MultiClassification",
        inputs=_inputs(preprocessing),
    )
    write_model_spec(staging / MODEL_SPEC_FILE, spec)
    write_mlflow_files(staging, classes, uses_timm=architecture.source == "timm")
    keys = {"model": MODEL_SPEC_FILE, "registerModel": True, "modelOutputPath": "trained_model_outputs"}
    write_meta(staging, MODEL_DIRECTORY, **(keys | dict(meta or {})))


def _stored_network(architecture: Architecture, *, has_stack: bool = False) -> StoredNetwork:
    return StoredNetwork(
        architecture=architecture.name,
        source=architecture.source,
        init_params=dict(architecture.init_params),
        head="stacked" if has_stack else "classifier",
    )


def _inputs(preprocessing: Preprocessing | None) -> tuple[ModelInput, ...]:
    if preprocessing is None:
        return ()
    pre_processor = PreProcessor(class_name="Preprocessing", init_params=preprocessing.to_dict())
    return (ModelInput(name="image", pre_processor=pre_processor),)
