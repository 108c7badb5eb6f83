"""Init Image Transformation: a list of image transforms, chosen with parameters."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pydantic import Field, create_model

from pytorch_designer.errors import ParameterParsingError
from pytorch_designer.spec.component import Component, DirectoryType, Port
from pytorch_designer.spec.parameters import Parameters
from pytorch_designer.transforms.registrations import TRANSFORMS, parse_transform

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path


def _fields() -> dict[str, Any]:
    """The parameters of each transform, in the order in which the transforms apply."""
    fields: dict[str, Any] = {}
    for transform in TRANSFORMS.values():
        switch = transform.switch
        fields[switch.name] = (bool, Field(switch.default, description=switch.description))
        fields |= {name: (type(field.default), field) for name, field in switch.parameters.items()}
    return fields


InitImageTransformationParameters: Any = create_model(
    "InitImageTransformationParameters",
    __base__=Parameters,
    __doc__="The transforms in the order in which they apply, each with its arguments.",
    **_fields(),
)


def chosen_transforms(parameters: Parameters) -> Iterator[tuple[str, dict[str, Any]]]:
    """The chosen transforms as (op, args), with torchvision's names.

    Raises:
        ParameterParsingError: The parameters of a transform do not fit it.
    """
    for op, transform in TRANSFORMS.items():
        switch = transform.switch
        if not getattr(parameters, switch.name):
            continue
        args = switch.arguments(**{name: getattr(parameters, name) for name in switch.parameters})
        try:
            parse_transform(op, args)
        except ValueError as error:
            raise ParameterParsingError(
                f"The parameters of {switch.name} do not fit: {error}.",
                where=switch.name,
                advice=f"Change {' or '.join(switch.parameters)}, or switch {switch.name} off.",
            ) from error
        yield op, args


def run(inputs: Mapping[str, Path], outputs: Mapping[str, Path], parameters: Parameters) -> None:
    """Write the TransformationDirectory."""
    from pytorch_designer.directories.transformation_directory import write_transformation_directory
    from pytorch_designer.storage.output import open_output

    pairs = list(chosen_transforms(parameters))
    with open_output(outputs["output_image_transformation"], apart_from={}) as output, output.stage() as folder:
        write_transformation_directory(folder, pairs)


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
