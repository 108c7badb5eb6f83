"""Convert to Image Directory: folders, archives and COCO datasets to the typed image directory."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from pytorch_designer.spec.component import Component, DirectoryType, Port
from pytorch_designer.spec.parameters import Parameters

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path


_log = logging.getLogger(__name__)


class ConvertToImageDirectoryParameters(Parameters):
    """Convert to Image Directory has no parameters."""


def run(inputs: Mapping[str, Path], outputs: Mapping[str, Path], parameters: ConvertToImageDirectoryParameters) -> None:
    """Write the ImageDirectory."""
    from pytorch_designer.directories.image_writer import convert_to_image_directory

    output = outputs["output_image_directory"]
    convert_to_image_directory(inputs["input_dataset"], output)
    _log.info("Output: %s", output)


COMPONENT = Component(
    name="convert_to_image_directory",
    display_name="Convert to Image Directory",
    category="Computer Vision/Image Data Transformation",
    description="Converts a folder of class folders, a flat folder of images, a COCO dataset, images with a CSV of "
    "labels, or an archive of any of these (zip, tar, tar.gz, tar.bz2, tar.xz) to an image directory. Image files are "
    "copied as they are.",
    inputs=(
        Port(
            "input_dataset",
            DirectoryType.ANY,
            "One folder of images per class; or images without classes; or images with a COCO json or a CSV of labels; "
            "or a folder with one archive of these.",
        ),
    ),
    outputs=(
        Port("output_image_directory", DirectoryType.IMAGES, "The images and their classes as an image directory."),
    ),
    parameters=ConvertToImageDirectoryParameters,
    run=run,
)
