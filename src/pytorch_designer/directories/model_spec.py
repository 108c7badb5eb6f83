"""Model specification, `model_spec.yaml`: network, storage of the weights, and preprocessing of a ModelDirectory.

Two layouts are read. The old designer wrote `serialization_method: state_dict` and named a Python class of its own;
this project writes `safetensors` (or `none`: no weights yet) and names an architecture. No name found in a file is
imported: the old class names only select from a table (`pytorch_designer.models.legacy`). Keys that are not listed
here are ignored.

    old                                              new
    flavor: {name: pytorch,                          flavor: {name: pytorch,
             serialization_method: state_dict}                serialization_method: safetensors | none}
    model_file: model                                model_file: model.safetensors     # absent with none
    flavor_extras:                                   flavor_extras:
      module: ...classification.resnet                 architecture: resnet18
      class: ResNet                                    source: torchvision | timm
      init_params: {model_name: resnet18, ...}         init_params: {zero_init_residual: false}
                                                       head: classifier | stacked
    inputs: [{name: image, pre_processor:            inputs: [{name: image, pre_processor:
      {class: ImageNormalizer,                         {class: Preprocessing,
       init_params: {mean: [...], std: [...]}}}]        init_params: {resize_size: 256, ...}}}]
"""

from __future__ import annotations

from math import isfinite
from typing import TYPE_CHECKING, Annotated, Any, Literal

import yaml
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StrictBool, StrictInt, ValidationError

from pytorch_designer.directories.image_schema import MAX_CLASSES
from pytorch_designer.directories.preprocessing import Preprocessing
from pytorch_designer.errors import InvalidModelDirectoryError, describe_value
from pytorch_designer.storage.bounded_documents import parse_yaml
from pytorch_designer.storage.paths import read_bounded

if TYPE_CHECKING:
    from pathlib import Path

MODEL_SPEC_FILE = "model_spec.yaml"
_MAX_SPEC_BYTES = 1_000_000
_MAX_SIDE = 16_384
_PICKLE_SUFFIXES = (".pkl", ".pickle", ".joblib")
_UNSAFE_ADVICE = (
    "Only models that DenseNet, ResNet, Image Model or Train PyTorch Model wrote are read; others could run code."
)


def _check_mean(values: tuple[float, float, float]) -> tuple[float, float, float]:
    if not all(isfinite(value) for value in values):
        raise ValueError("must be three finite numbers")
    return values


def _check_std(values: tuple[float, float, float]) -> tuple[float, float, float]:
    if not all(isfinite(value) and value > 0 for value in values):
        raise ValueError("must be three finite numbers above 0")
    return values


Mean = Annotated[tuple[float, float, float], AfterValidator(_check_mean)]
Std = Annotated[tuple[float, float, float], AfterValidator(_check_std)]


class _SpecPart(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore", populate_by_name=True, protected_namespaces=())


class Normalization(_SpecPart):
    """Mean and standard deviation per channel, for pixel values from 0 to 1."""

    mean: Mean
    std: Std


class _StoredPreprocessing(Normalization):
    """Bounds on a `Preprocessing` from a file, so that no file can exhaust the memory."""

    resize_size: int | None = Field(None, le=_MAX_SIDE)
    crop_height: int = Field(le=_MAX_SIDE)
    crop_width: int = Field(le=_MAX_SIDE)


class LegacyInitParams(_SpecPart):
    """Arguments with which the old designer constructed its class."""

    model_name: str
    pretrained: StrictBool = False
    num_classes: StrictInt | None = Field(None, ge=1, le=MAX_CLASSES)
    zero_init_residual: StrictBool = False
    memory_efficient: StrictBool = False


class LegacyNetwork(_SpecPart):
    """`flavor_extras` of the old layout."""

    module: str
    class_name: str = Field(alias="class")
    init_params: LegacyInitParams


class StoredNetwork(_SpecPart):
    """`flavor_extras` of the new layout.

    `head` is `stacked` for a network of the old designer that has a Linear after its 1000 ImageNet logits.
    """

    architecture: str
    source: Literal["torchvision", "timm"]
    init_params: dict[str, StrictBool | StrictInt] = Field(default_factory=dict)
    head: Literal["classifier", "stacked"] = "classifier"


class PreProcessor(_SpecPart):
    """Way of an image to the network's input: a known name and its numbers."""

    class_name: str = Field(alias="class")
    init_params: dict[str, Any] = Field(default_factory=dict)


class ModelInput(_SpecPart):
    """One entry of `inputs`; an image network has one."""

    name: str
    pre_processor: PreProcessor | None = None


class Flavor(_SpecPart):
    """`flavor`: always PyTorch here."""

    name: Literal["pytorch"] = "pytorch"
    serialization_method: Literal["state_dict", "safetensors", "none"]


class ModelSpec(_SpecPart):
    """The content of `model_spec.yaml`, either layout."""

    flavor: Flavor
    flavor_extras: LegacyNetwork | StoredNetwork
    model_file: str | None = None
    label_map_file: str | None = None
    task_type: str | None = None
    inputs: tuple[ModelInput, ...] = ()

    @property
    def has_weights(self) -> bool:
        """True if a weight file belongs to the model; False means that training draws random weights."""
        return self.flavor.serialization_method != "none"

    def preprocessing(self) -> Preprocessing | None:
        """The whole deterministic preprocessing, if the model carries one (new layout).

        Raises:
            pydantic.ValidationError: Its numbers are unusable.
        """
        pre_processor = self._pre_processor("Preprocessing")
        if pre_processor is None:
            return None
        _StoredPreprocessing.model_validate(pre_processor.init_params)
        return Preprocessing.model_validate(pre_processor.init_params)

    def normalization(self) -> Normalization | None:
        """The old layout's mean and standard deviation, if the model carries them.

        Raises:
            pydantic.ValidationError: Its numbers are unusable.
        """
        pre_processor = self._pre_processor("ImageNormalizer")
        return None if pre_processor is None else Normalization.model_validate(pre_processor.init_params)

    def _pre_processor(self, class_name: str) -> PreProcessor | None:
        for model_input in self.inputs:
            if model_input.pre_processor is not None and model_input.pre_processor.class_name == class_name:
                return model_input.pre_processor
        return None


def read_model_spec(path: Path) -> ModelSpec:
    """Read and validate a `model_spec.yaml` of either layout.

    Raises:
        InvalidModelDirectoryError: It is missing, not YAML, of another flavor or serialization, or a key is wrong.
    """
    content = _read_mapping(path)
    _refuse_other_flavors(content, path)
    network = LegacyNetwork if content["flavor"]["serialization_method"] == "state_dict" else StoredNetwork
    try:
        # Validated against one layout only, so that the faults named are those of the layout that was meant.
        extras = network.model_validate(content.get("flavor_extras"))
        spec = ModelSpec.model_validate({**content, "flavor_extras": extras})
        spec.preprocessing()
        spec.normalization()
    except ValidationError as error:
        raise InvalidModelDirectoryError(
            "The model specification has wrong or missing keys.",
            where=path,
            examples=[_describe(fault) for fault in error.errors(include_input=False, include_url=False)],
            reason="bad_spec",
        ) from error
    if spec.has_weights and not spec.model_file:
        raise InvalidModelDirectoryError("The model specification names no model_file.", where=path, reason="bad_spec")
    return spec


def write_model_spec(path: Path, spec: ModelSpec) -> None:
    """Write `spec` as YAML that `read_model_spec` reads.

    Args:
        path: The file.
        spec: What to write; keys without a value are left out.

    Raises:
        OSError: The file cannot be written.
    """
    content = spec.model_dump(mode="json", by_alias=True, exclude_none=True)
    content = {key: value for key, value in content.items() if value != []}
    path.write_text(yaml.safe_dump(content, sort_keys=False, allow_unicode=True), encoding="utf-8")


def _read_mapping(path: Path) -> dict[str, Any]:
    data = read_bounded(path, _MAX_SPEC_BYTES, InvalidModelDirectoryError)
    try:
        content = parse_yaml(data)
    except ValueError as error:
        raise InvalidModelDirectoryError(
            "The model specification is not usable YAML.", where=path, examples=[error], reason="bad_spec"
        ) from error
    if not isinstance(content, dict):
        raise InvalidModelDirectoryError("The model specification is not a mapping.", where=path, reason="bad_spec")
    return content


def _refuse_other_flavors(content: dict[str, Any], path: Path) -> None:
    flavor = content.get("flavor")
    if not isinstance(flavor, dict) or flavor.get("name") != "pytorch":
        found = flavor.get("name") if isinstance(flavor, dict) else flavor
        raise InvalidModelDirectoryError(
            f"The model's flavor is {describe_value(found)}, not 'pytorch'.",
            where=path,
            advice=_UNSAFE_ADVICE,
            reason="flavor",
        )
    method = flavor.get("serialization_method")
    if method not in ("state_dict", "safetensors", "none"):
        raise InvalidModelDirectoryError(
            f"The model's serialization_method is {describe_value(method)}; known are state_dict, safetensors and "
            "none.",
            where=path,
            advice=_UNSAFE_ADVICE,
            reason="flavor",
        )
    model_file = content.get("model_file")
    is_pickled = isinstance(model_file, str) and model_file.lower().endswith(_PICKLE_SUFFIXES)
    if "file_name" in content or is_pickled:
        raise InvalidModelDirectoryError(
            "The model is a pickled Python object.", where=path, advice=_UNSAFE_ADVICE, reason="pickle"
        )


def _describe(fault: Any) -> str:
    location = ".".join(str(part) for part in fault["loc"])
    return f"{location}: {fault['msg']}" if location else str(fault["msg"])
