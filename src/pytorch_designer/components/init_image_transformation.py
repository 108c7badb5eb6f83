"""Init Image Transformation: a list of image transforms, chosen with parameters."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import Field

from pytorch_designer.spec.component import Component, DirectoryType, Port
from pytorch_designer.spec.parameters import Parameters

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path
    from typing import Any

# The old designer's are not documented. Torchvision's own defaults change nothing; these are the usual ones for photos.
COLOR_JITTER = {"brightness": 0.4, "contrast": 0.4, "saturation": 0.4, "hue": 0.1}


class InitImageTransformationParameters(Parameters):
    """The transforms in the order in which they apply, each with its arguments."""

    resize: bool = Field(True, description="Resize images so that the shorter side gets the length of size.")
    size: int = Field(256, ge=1, description="Length of the shorter side in pixels, for resize.")
    center_crop: bool = Field(True, description="Cut out the middle of images.")
    crop_size: int = Field(224, ge=1, description="Height and width in pixels of the part that center_crop cuts out.")
    pad: bool = Field(False, description="Put a black margin around images.")
    padding: int = Field(0, ge=0, description="Width in pixels of the margin on each side, for pad.")
    color_jitter: bool = Field(
        False,
        description="Change colours at random: brightness, contrast and saturation by up to 40 percent, the hue by up "
        "to a tenth of the colour circle.",
    )
    grayscale: bool = Field(False, description="Turn images gray; they keep three channels, which networks need.")
    random_resized_crop: bool = Field(
        False,
        description="Cut out a random part of 8 to 100 percent of the image, with a random aspect ratio from 3:4 to "
        "4:3, and resize it to random_size.",
    )
    random_size: int = Field(256, ge=1, description="Height and width in pixels after random_resized_crop.")
    random_crop: bool = Field(False, description="Cut out a part of random_crop_size at a random place.")
    random_crop_size: int = Field(
        224,
        ge=1,
        description="Height and width in pixels of the part that random_crop cuts out; images must not be smaller.",
    )
    random_horizontal_flip: bool = Field(True, description="Mirror images left to right, half of the time.")
    random_vertical_flip: bool = Field(False, description="Mirror images top to bottom, half of the time.")
    random_rotation: bool = Field(False, description="Rotate images by a random angle.")
    random_rotation_degrees: int = Field(
        0, ge=0, le=180, description="Largest angle of random_rotation in degrees, either way."
    )
    random_affine: bool = Field(False, description="Rotate images by a random angle, their middle kept in place.")
    random_affine_degrees: int = Field(
        0, ge=0, le=180, description="Largest angle of random_affine in degrees, either way."
    )
    random_grayscale: bool = Field(False, description="Turn images gray, one time in ten.")
    random_perspective: bool = Field(False, description="Distort images as if seen from the side, half of the time.")
    random_erasing: bool = Field(
        False, description="Paint a random rectangle of 2 to 33 percent of the image black, half of the time."
    )


def transforms(parameters: InitImageTransformationParameters) -> Iterator[tuple[str, dict[str, Any]]]:
    """The chosen transforms as (op, args), with torchvision's names."""
    chosen: tuple[tuple[bool, str, dict[str, Any]], ...] = (
        (parameters.resize, "Resize", {"size": parameters.size}),
        (parameters.center_crop, "CenterCrop", {"size": parameters.crop_size}),
        (parameters.pad, "Pad", {"padding": parameters.padding}),
        (parameters.color_jitter, "ColorJitter", COLOR_JITTER),
        (parameters.grayscale, "Grayscale", {"num_output_channels": 3}),
        (parameters.random_resized_crop, "RandomResizedCrop", {"size": parameters.random_size}),
        (parameters.random_crop, "RandomCrop", {"size": parameters.random_crop_size}),
        (parameters.random_horizontal_flip, "RandomHorizontalFlip", {}),
        (parameters.random_vertical_flip, "RandomVerticalFlip", {}),
        (parameters.random_rotation, "RandomRotation", {"degrees": parameters.random_rotation_degrees}),
        (parameters.random_affine, "RandomAffine", {"degrees": parameters.random_affine_degrees}),
        (parameters.random_grayscale, "RandomGrayscale", {}),
        (parameters.random_perspective, "RandomPerspective", {}),
        (parameters.random_erasing, "RandomErasing", {}),
    )
    for is_chosen, op, args in chosen:
        if is_chosen:
            yield op, args


def run(inputs: Mapping[str, Path], outputs: Mapping[str, Path], parameters: InitImageTransformationParameters) -> None:
    """Write the TransformationDirectory."""
    from pytorch_designer.directories.transformation_directory import write_transformation_directory
    from pytorch_designer.storage.output import open_output

    with open_output(outputs["output_image_transformation"], apart_from={}) as output, output.stage() as folder:
        write_transformation_directory(folder, transforms(parameters))


COMPONENT = Component(
    name="init_image_transformation",
    display_name="Init Image Transformation",
    category="Computer Vision/Image Data Transformation",
    description="Lists transforms of images for Apply Image Transformation. They apply in the order of the parameters, "
    "and are torchvision's transforms of the same names.",
    inputs=(),
    outputs=(
        Port(
            "output_image_transformation",
            DirectoryType.TRANSFORMATION,
            "The list of transforms; connect it to Apply Image Transformation.",
        ),
    ),
    parameters=InitImageTransformationParameters,
    run=run,
)
