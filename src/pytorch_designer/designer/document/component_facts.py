"""Facts of a component for the page: its ports, parameters, category and what is wrong with it."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any

from pytorch_designer.errors import DesignerError, ParameterError
from pytorch_designer.harness.schema.component_file import Kind, command_spec, kind_of, parallel_at, type_of
from pytorch_designer.harness.schema.interface import read_interface
from pytorch_designer.harness.schema.values import default_value
from pytorch_designer.harness.schema.vocabulary import PARAMETER_TYPES
from pytorch_designer.harness.schema.yaml_fields import Fields

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pytorch_designer.harness.schema.specification import InputSpec, Interface, OutputSpec
    from pytorch_designer.harness.schema.yaml_tree import Value, YamlDocument

NO_CATEGORY = "Other Components"


def is_component(root: Value) -> bool:
    """True if a document is a component that a node can be made of."""
    is_parallel = type_of(root) == "parallel" and "jobs" not in root.children
    return is_parallel or kind_of(root) in {Kind.COMMAND_COMPONENT, Kind.PIPELINE_COMPONENT}


def component_facts(
    document: YamlDocument, *, reference: str, file: str | None, is_built_in: bool = False
) -> dict[str, Any]:
    """A component that can be parsed, as the contract's `Component`."""
    root = document.root
    fields = Fields(root, is_strict=False)
    category = root.get("tags", "category")
    name = fields.text("name") or document.path.stem
    return {
        "reference": reference,
        "name": name,
        "display_name": fields.text("display_name") or name,
        "version": fields.text("version") or "",
        "description": fields.text("description") or "",
        "category": (category.text if category is not None else None) or NO_CATEGORY,
        "kind": "pipeline" if kind_of(root) is Kind.PIPELINE_COMPONENT else type_of(root) or "command",
        "is_builtin": is_built_in,
        **ports_facts(read_interface(root, is_strict=False)),
        "fault": _fault(document),
        "file": file,
    }


def ports_facts(interface: Interface) -> dict[str, Any]:
    """Inputs, parameters and outputs of an interface."""
    inputs = interface.inputs.values()
    return {
        "inputs": [_port(port, is_optional=port.is_optional) for port in inputs if port.type not in PARAMETER_TYPES],
        "parameters": [_parameter(port) for port in inputs if port.type in PARAMETER_TYPES],
        "outputs": [_port(port) for port in interface.outputs.values()],
    }


def component_without_content(*, reference: str, name: str, file: str | None, fault: str) -> dict[str, Any]:
    """A component that cannot be read."""
    empty: Iterable[Any] = ()
    return {
        "reference": reference,
        "name": name,
        "display_name": name,
        "version": "",
        "description": "",
        "category": NO_CATEGORY,
        "kind": "command",
        "is_builtin": False,
        "inputs": list(empty),
        "parameters": list(empty),
        "outputs": list(empty),
        "fault": fault,
        "file": file,
    }


def _fault(document: YamlDocument) -> str | None:
    """Reason why a component does not load, in one sentence; None if it does."""
    try:
        root = document.mapping()
        if kind_of(root) is Kind.PIPELINE_COMPONENT:
            read_interface(root)
        elif type_of(root) == "parallel":
            parallel_at(root, document.path.stem)
        else:
            command_spec(document)
    except DesignerError as error:
        place = error.faults[0].place if error.faults else None
        return f"Line {place.line}: {error.what}" if place is not None and place.line else error.what
    return None


def _port(port: InputSpec | OutputSpec, *, is_optional: bool = False) -> dict[str, Any]:
    return {
        "name": port.name,
        "type": port.type,
        "directory_type": port.holds,
        "optional": is_optional,
        "description": port.description,
    }


def _parameter(port: InputSpec) -> dict[str, Any]:
    default = port.default
    with suppress(ParameterError):
        default = default_value(port)
    return {
        "name": port.name,
        "type": port.type,
        "default": default,
        "minimum": port.minimum,
        "maximum": port.maximum,
        "choices": [str(choice) for choice in port.choices] or None,
        "optional": port.is_optional,
        "description": port.description,
    }
