"""A component as data.

One `Component` is the single definition out of which come the Azure ML YAML, the command line, the validation and
the reference page.
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
    """What a port carries. Azure ML knows only `uri_folder`, so this travels in the component's tags."""

    ANY = "AnyDirectory"
    IMAGES = "ImageDirectory"
    UNTRAINED_MODEL = "UntrainedModelDirectory"
    MODEL = "ModelDirectory"
    TRANSFORMATION = "TransformationDirectory"
    DATA_FRAME = "DataFrameDirectory"
    EVALUATION = "EvaluationDirectory"


@dataclass(frozen=True)
class Port:
    """A folder that goes in or comes out.

    Attributes:
        name: Name in the YAML and, with dashes, on the command line.
        directory_type: What the folder holds.
        description: One or two sentences for the designer's pane, the help and the reference page.
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
        display_name: What the designer shows.
        category: Where the designer would list it.
        description: What it does, in a few sentences of Markdown.
        inputs: Ports in, in the order in which they are shown.
        outputs: Ports out.
        parameters: The pydantic model of the parameters.
        run: Runs it. Called with the input folders by port name (those that are connected), the output folders
            by port name, and the parameters. Imports what it needs itself, so that a definition costs nothing.
        is_deterministic: Whether equal inputs and parameters give equal outputs, so that a result may be reused.
        is_distributed: Whether the job is started as a PyTorch distribution, one process a GPU.
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
