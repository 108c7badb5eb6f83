"""All components, by name."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pytorch_designer.components import (
    apply_image_transformation,
    convert_to_image_directory,
    densenet,
    evaluate_model,
    image_model,
    init_image_transformation,
    resnet,
    score_image_model,
    split_image_directory,
    train_pytorch_model,
)

if TYPE_CHECKING:
    from pytorch_designer.spec.component import Component

_ALL: tuple[Component[Any], ...] = (
    convert_to_image_directory.COMPONENT,
    split_image_directory.COMPONENT,
    init_image_transformation.COMPONENT,
    apply_image_transformation.COMPONENT,
    densenet.COMPONENT,
    resnet.COMPONENT,
    image_model.COMPONENT,
    train_pytorch_model.COMPONENT,
    score_image_model.COMPONENT,
    evaluate_model.COMPONENT,
)

COMPONENTS: dict[str, Component[Any]] = {component.name: component for component in _ALL}
