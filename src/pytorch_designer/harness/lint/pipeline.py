"""A pipeline as the linter sees it: its own ports and its nodes with what is known of their components."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from pytorch_designer.harness.lint.documents import Kind, Library
from pytorch_designer.harness.lint.interfaces import Interface, Port, read_interface, read_ports
from pytorch_designer.harness.lint.job_settings_checks import is_local

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from pytorch_designer.harness.lint.yaml_tree import Value

_PYTHON_TYPES = {bool: "boolean", int: "integer", float: "number", str: "string"}


@dataclass(frozen=True)
class Node:
    """A node of a pipeline.

    Attributes:
        name: Its key under `jobs`.
        value: Its mapping.
        type_name: Its type in lower case; `command` where it names none.
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
        """Whether the node has no component and says itself what it runs."""
        return self.component_key not in self.value.children

    @property
    def inputs(self) -> Mapping[str, Value]:
        """The values that it gives to inputs."""
        section = self.value.get("inputs")
        return {} if section is None else section.children

    @property
    def outputs(self) -> Mapping[str, Value]:
        """What it says about outputs."""
        section = self.value.get("outputs")
        return {} if section is None else section.children


@dataclass(frozen=True)
class Pipeline:
    """A pipeline job or pipeline component.

    Attributes:
        root: The file's content.
        kind: Which of the two.
        folder: The folder that relative paths start from.
        inputs: Its inputs. Those of a job have the types of their values.
        outputs: Its outputs.
        nodes: Its nodes by name.
        literals: Values that a job's inputs have, by name.
    """

    root: Value
    kind: Kind
    folder: Path
    inputs: Mapping[str, Port]
    outputs: Mapping[str, Port]
    nodes: Mapping[str, Node]
    literals: Mapping[str, Value] = field(default_factory=dict)


def read_pipeline(root: Value, kind: Kind, folder: Path, library: Library) -> Pipeline:
    """Read a pipeline, and the component files that its nodes name."""
    is_job = kind is Kind.PIPELINE_JOB
    jobs = root.get("jobs")
    nodes = {
        name: _node(name, value, folder, library)
        for name, value in (jobs.children if jobs is not None else {}).items()
        if value.is_mapping
    }
    return Pipeline(
        root=root,
        kind=kind,
        folder=folder,
        inputs=given_ports(root, "inputs") if is_job else read_ports(root, "inputs"),
        outputs=given_ports(root, "outputs") if is_job else read_ports(root, "outputs"),
        nodes=nodes,
        literals=_literals(root) if is_job else {},
    )


def whole_job_as_node(pipeline: Pipeline, library: Library) -> Node:
    """A job without nodes, which runs one pipeline component, as if it were a node of that type."""
    return _node("pipeline", pipeline.root, pipeline.folder, library)


def given_ports(owner: Value, section: str) -> dict[str, Port]:
    """The ports of a job or inline node, which declares them by giving them values."""
    declared = owner.get(section)
    ports = {}
    for name, value in (declared.children if declared is not None else {}).items():
        ports[name] = Port(name, value.key_position, _given_type(value, is_output=section == "outputs"))
    return ports


def literal_of(value: Value) -> Value | None:
    """The plain value that an input is given, `{value: 3}` included; None for data and bindings."""
    inner = value.get("value") if value.is_mapping else value
    if inner is None or not inner.is_scalar or "${{" in str(inner.plain):
        return None
    return inner


def _given_type(value: Value, *, is_output: bool) -> str | None:
    type_value = value.get("type")
    if type_value is not None:
        return type_value.text
    if is_output:
        return "uri_folder" if value.is_mapping else None
    literal = literal_of(value)
    if literal is None:
        return "uri_folder" if value.get("path") is not None else None
    return _PYTHON_TYPES.get(type(literal.plain))


def _literals(root: Value) -> dict[str, Value]:
    inputs = root.get("inputs")
    values = {name: literal_of(value) for name, value in (inputs.children if inputs is not None else {}).items()}
    return {name: value for name, value in values.items() if value is not None}


def _node(name: str, value: Value, folder: Path, library: Library) -> Node:
    type_value = value.get("type")
    type_name = "command" if type_value is None else str(type_value.plain).lower()
    component = value.get("trial" if type_name == "sweep" else "component")
    component_file, interface = None, None
    if component is None:
        interface = _inline_interface(value, type_name)
    elif component.is_mapping:
        interface = read_interface(component)
    else:
        component_file = _local_file(component.text, folder)
        if component_file is not None:
            interface = library.interface(component_file)
    return Node(name, value, type_name, interface, component_file)


def _local_file(text: str | None, folder: Path) -> Path | None:
    if text is None:
        return None
    path = text.removeprefix("file:")
    return folder / path if is_local(path) else None


def _inline_interface(value: Value, type_name: str) -> Interface:
    outputs = given_ports(value, "outputs")
    if type_name == "automl":
        outputs.setdefault("best_model", Port("best_model", value.key_position, None))
    return Interface(type_name, given_ports(value, "inputs"), outputs)
