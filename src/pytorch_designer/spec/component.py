"""Component definition, as data.

The Azure ML YAML, the command line, the validation and the reference page of a component are all generated from one
`Component`.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, Generic

from pytorch_designer.spec.parameters import P, ParameterSpec, parameter_specs

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path


class DirectoryType(str, Enum):
    """Directory type of a port. Azure ML knows only `uri_folder`, so the type is stored in the component's tags."""

    ANY = "AnyDirectory"
    IMAGES = "ImageDirectory"
    UNTRAINED_MODEL = "UntrainedModelDirectory"
    MODEL = "ModelDirectory"
    TRANSFORMATION = "TransformationDirectory"
    DATA_FRAME = "DataFrameDirectory"
    EVALUATION = "EvaluationDirectory"


@dataclass(frozen=True)
class Port:
    """An input or output folder of a component.

    Attributes:
        name: Name in the YAML and, with dashes, on the command line.
        directory_type: Type of the folder's content.
        description: One or two sentences for the designer's side pane, the help and the reference page.
        is_optional: Whether an input may be left unconnected.
    """

    name: str
    directory_type: DirectoryType
    description: str
    is_optional: bool = False


@dataclass(frozen=True)
class Component(Generic[P]):
    """The definition of a component.

    Attributes:
        name: Azure ML name; lower case with underscores.
        display_name: Name that the designer shows.
        category: Category in which the designer lists it.
        description: What it does, in a few sentences of Markdown.
        inputs: Input ports, in display order.
        outputs: Output ports, in display order.
        parameters: The pydantic model of the parameters.
        run: Function that runs the component. It is called with the connected input folders by port name, the output
            folders by port name, and the parameters. It imports its dependencies itself, so that definitions load fast.
        is_deterministic: Whether equal inputs and parameters give equal outputs, so that a result may be reused.
        is_distributed: Whether the job is started as a PyTorch distribution, with one process per GPU.
        keeps_own_result: Whether a complete output is left as it is where it is the result of the same run; else it
            is refused.
    """

    name: str
    display_name: str
    category: str
    description: str
    inputs: tuple[Port, ...]
    outputs: tuple[Port, ...]
    parameters: type[P]
    run: Callable[[Mapping[str, Path], Mapping[str, Path], P], None]
    is_deterministic: bool = True
    is_distributed: bool = False
    keeps_own_result: bool = False

    @property
    def command(self) -> str:
        """The subcommand of `pytorch-designer` that runs the component."""
        return dashed(self.name)

    @property
    def parameter_specs(self) -> tuple[ParameterSpec, ...]:
        """The parameters as plain data."""
        return parameter_specs(self.parameters)


def dashed(name: str) -> str:
    """The command-line spelling of a component's, port's or parameter's name."""
    return name.replace("_", "-")
