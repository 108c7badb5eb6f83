"""What a component takes and gives, read from its YAML."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from pytorch_designer.harness.lint.schema import PARAMETER_TYPES

if TYPE_CHECKING:
    from pytorch_designer.harness.lint.findings import Position
    from pytorch_designer.harness.lint.yaml_tree import Value


@dataclass(frozen=True)
class Port:
    """An input or output.

    Attributes:
        name: Its name.
        position: Where it is declared.
        type_name: One of Azure ML's types, or None if unknown.
        is_optional: Whether it may be left out.
        default: Its default, if it has one.
        minimum: The declared `min`, or None.
        maximum: The declared `max`, or None.
        choices: The entries of `enum`.
        holds: What a folder holds, by the component's tag `port.<name>`, or None.
    """

    name: str
    position: Position
    type_name: str | None
    is_optional: bool = False
    default: Value | None = None
    minimum: Value | None = None
    maximum: Value | None = None
    choices: tuple[str, ...] = ()
    holds: str | None = None

    @property
    def is_parameter(self) -> bool:
        """Whether it is a value, not data."""
        return self.type_name in PARAMETER_TYPES

    @property
    def is_required(self) -> bool:
        """Whether it must be given."""
        return not self.is_optional and self.default is None


@dataclass(frozen=True)
class Interface:
    """The ports of a component.

    Attributes:
        type_name: The component's type: command, pipeline, ...
        inputs: Inputs by name.
        outputs: Outputs by name.
    """

    type_name: str
    inputs: dict[str, Port]
    outputs: dict[str, Port]


def read_interface(component: Value) -> Interface:
    """The interface of a component. What is malformed there is left out; it is reported on the component itself."""
    type_name = component.get("type")
    return Interface(
        type_name=((type_name.text or "") if type_name is not None else "command").lower() or "command",
        inputs=read_ports(component, "inputs"),
        outputs=read_ports(component, "outputs"),
    )


def read_ports(component: Value, section: str) -> dict[str, Port]:
    """The ports of the section `inputs` or `outputs`, by name."""
    declared = component.get(section)
    if declared is None:
        return {}
    return {name: _port(component, name, value) for name, value in declared.children.items()}


def _port(component: Value, name: str, value: Value) -> Port:
    type_name, optional, choices = value.get("type"), value.get("optional"), value.get("enum")
    holds = component.get("tags", f"port.{name}")
    return Port(
        name=name,
        position=value.key_position,
        type_name=None if type_name is None else type_name.text,
        is_optional=optional is not None and str(optional.plain).lower() == "true",
        default=value.get("default"),
        minimum=value.get("min"),
        maximum=value.get("max"),
        choices=() if choices is None else tuple(str(entry.plain) for entry in choices.entries),
        holds=None if holds is None else holds.text,
    )
