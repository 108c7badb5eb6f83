"""Apply Image Transformation: an image directory through a list of transforms."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from pydantic import Field

from pytorch_designer.imports import quick_import
from pytorch_designer.spec.component import Component, DirectoryType, Port
from pytorch_designer.spec.parameters import Parameters

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path


class ApplyImageTransformationParameters(Parameters):
    """The parameters of Apply Image Transformation."""

    mode: Literal["For training", "For inference"] = Field(
        "For training",
        description="For training: random transforms, and what follows them, are drawn afresh in each epoch by Train "
        "PyTorch Model. For inference: random transforms are left out, for images to validate or score.",
    )


def run(
    inputs: Mapping[str, Path], outputs: Mapping[str, Path], parameters: ApplyImageTransformationParameters
) -> None:
    """Write the ImageDirectory; see `pytorch_designer.transformation.apply.apply_transformation`."""
    from pytorch_designer.directories.transformation_directory import open_transformation_directory
    from pytorch_designer.system.places import check_temporary_folder

    check_temporary_folder()
    open_transformation_directory(inputs["input_image_transformation"])  # its faults show before torch is imported
    with quick_import("torch"):
        from pytorch_designer.transformation.apply import apply_transformation

    apply_transformation(
        inputs["input_image_transformation"],
        inputs["input_image_directory"],
        outputs["output_image_directory"],
        is_for_training=parameters.mode == "For training",
    )


COMPONENT = Component(
    name="apply_image_transformation",
    display_name="Apply Image Transformation",
    category="Computer Vision/Image Data Transformation",
    description="Applies a list of transforms to the images of an image directory. Deterministic transforms are "
    "applied once: changed images become PNG files, unchanged ones are copied as they are. The directory records "
    "what was done, and a model trained on it does the same to the images that it validates, scores and serves.",
    inputs=(
        Port(
            "input_image_transformation",
            DirectoryType.TRANSFORMATION,
            "The list of transforms: the output of Init Image Transformation.",
        ),
        Port(
            "input_image_directory",
            DirectoryType.IMAGES,
            "The images, labeled or not: an image directory, or a folder with one folder of images a class.",
        ),
    ),
    outputs=(
        Port(
            "output_image_directory",
            DirectoryType.IMAGES,
            "The transformed images with their labels, and the transforms that are left to training.",
        ),
    ),
    parameters=ApplyImageTransformationParameters,
    run=run,
)
