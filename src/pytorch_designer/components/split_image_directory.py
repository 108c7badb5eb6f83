"""Split Image Directory: one image directory to two, class by class."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from pydantic import Field

from pytorch_designer.spec.component import Component, DirectoryType, Port
from pytorch_designer.spec.parameters import Parameters
from pytorch_designer.wording import count

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

_log = logging.getLogger(__name__)


class SplitImageDirectoryParameters(Parameters):
    """The parameters of Split Image Directory."""

    fraction: float = Field(
        0.9,
        ge=0.0,
        le=1.0,
        description="Share of the images that go to the first output; both outputs need at least one image, and one "
        "of each class that has two or more.",
    )
    random_seed: int = Field(
        1, description="Decides which images go where: the same seed gives the same split. Any whole number."
    )


def run(inputs: Mapping[str, Path], outputs: Mapping[str, Path], parameters: SplitImageDirectoryParameters) -> None:
    """Write the two parts; see `pytorch_designer.directories.splitting`."""
    from pytorch_designer.directories.splitting import split_image_directory

    num_images = split_image_directory(
        inputs["input_image_directory"],
        (outputs["output_image_directory1"], outputs["output_image_directory2"]),
        fraction=parameters.fraction,
        seed=parameters.random_seed,
    )
    _log.info("Split into %s and %s.", *(count(number, "image") for number in num_images))


COMPONENT = Component(
    name="split_image_directory",
    display_name="Split Image Directory",
    category="Computer Vision/Image Data Transformation",
    description="Splits an image directory in two, for training and validation for instance. Each class is split in "
    "the same proportion, and a class with at least two images is in both outputs. Image files are copied as they are.",
    inputs=(
        Port(
            "input_image_directory",
            DirectoryType.IMAGES,
            "The images to split: an image directory, or a folder of images, labeled or not.",
        ),
    ),
    outputs=(
        Port("output_image_directory1", DirectoryType.IMAGES, "The share of the images that the fraction names."),
        Port("output_image_directory2", DirectoryType.IMAGES, "All other images."),
    ),
    parameters=SplitImageDirectoryParameters,
    run=run,
)
