"""Pipelines as the linter sees them: ports, and nodes with what is known of their components."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from pytorch_designer.harness.lint.documents import component_file
from pytorch_designer.harness.schema.interface import given_value, read_interface
from pytorch_designer.harness.schema.specification import InputSpec, Interface, OutputSpec

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from pytorch_designer.harness.lint.documents import Library
    from pytorch_designer.harness.schema.yaml_tree import Value

_PYTHON_TYPES = {bool: "boolean", int: "integer", float: "number", str: "string"}


@dataclass(frozen=True)
class Node:
    """Node of a pipeline.

    Attributes:
        name: Its key under `jobs`.
        value: Its mapping.
        type_name: Its type in lower case; `command` if it names none.
        interface: The ports of its component, or None if the component cannot be read here.
        component_file: The local file that it names, whether or not it exists, or None.
    """

    name: str
    value: Value
    type_name: str
    interface: Interface | None
    component_file: Path | None

    @property
    def component_key(self) -> str:
        """The key that names the component: sweeps call it `trial`."""
        return "trial" if self.type_name == "sweep" else "component"

    @property
    def is_inline(self) -> bool:
        """True if the node has no component but a command of its own."""
        return self.component_key not in self.value.children

    @property
    def inputs(self) -> Mapping[str, Value]:
        """The values that it gives to inputs."""
        return children_at(self.value, "inputs")

    @property
    def outputs(self) -> Mapping[str, Value]:
        """Its entries for outputs."""
        return children_at(self.value, "outputs")


@dataclass(frozen=True)
class Pipeline:
    """Pipeline job or pipeline component.

    Attributes:
        root: The content of the document.
        interface: Its ports. Those of a job have the types of their values.
        nodes: Its nodes by name.
        literals: Values of a job's inputs by name.
    """

    root: Value
    interface: Interface
    nodes: Mapping[str, Node]
    literals: Mapping[str, Value]


def read_pipeline(root: Value, library: Library, *, is_job: bool) -> Pipeline:
    """Read a pipeline, and the component files that its nodes name."""
    literals = {name: literal_of(value) for name, value in children_at(root, "inputs").items()} if is_job else {}
    return Pipeline(
        root=root,
        interface=given_interface(root, "pipeline") if is_job else read_interface(root, is_strict=False),
        nodes={
            name: read_node(name, value, library)
            for name, value in children_at(root, "jobs").items()
            if value.is_mapping
        },
        literals={name: value for name, value in literals.items() if value is not None},
    )


def read_node(name: str, value: Value, library: Library) -> Node:
    """Read a node, or a job without nodes, which runs one pipeline component."""
    type_value = value.get("type")
    type_name = "command" if type_value is None else str(type_value.plain).lower()
    component = value.get("trial" if type_name == "sweep" else "component")
    file, interface = None, None
    if component is None:
        interface = given_interface(value, type_name)
    elif component.is_mapping:
        interface = read_interface(component, is_strict=False)
    elif component.text is not None:
        file = component_file(component)
        interface = None if file is None else library.interface(file)
    return Node(name, value, type_name, interface, file)


def literal_of(value: Value) -> Value | None:
    """The literal that an input is given, or None if it is data or a binding."""
    inner = given_value(value)
    if inner is None or not inner.is_scalar or "${{" in str(inner.plain):
        return None
    return inner


def children_at(owner: Value, key: str) -> Mapping[str, Value]:
    """The children of the mapping at a key; empty if there is none."""
    value = owner.get(key)
    return {} if value is None else value.children


def given_interface(owner: Value, type_name: str) -> Interface:
    """The interface of a job or inline node, which declares its ports by giving them values."""
    inputs, outputs = children_at(owner, "inputs"), children_at(owner, "outputs")
    best_model = {"best_model": OutputSpec("best_model", "")} if type_name == "automl" else {}
    return Interface(
        type_name,
        {name: InputSpec(name, _given_type(value, is_output=False)) for name, value in inputs.items()},
        best_model | {name: OutputSpec(name, _given_type(value, is_output=True)) for name, value in outputs.items()},
    )


def _given_type(value: Value, *, is_output: bool) -> str:
    type_value = value.get("type")
    if type_value is not None:
        return type_value.text or ""
    if is_output:
        return "uri_folder" if value.is_mapping else ""
    literal = literal_of(value)
    if literal is None:
        return "uri_folder" if value.get("path") is not None else ""
    return _PYTHON_TYPES.get(type(literal.plain), "")
