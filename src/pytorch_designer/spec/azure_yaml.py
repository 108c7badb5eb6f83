"""Azure ML YAML of a component (schema commandComponent, SDK v2)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import yaml

from pytorch_designer.spec.component import Component, Port, dashed
from pytorch_designer.spec.parameters import FROM_STANDARD_INPUT

if TYPE_CHECKING:
    from pytorch_designer.spec.parameters import ParameterSpec

SCHEMA = "https://azuremlschemas.azureedge.net/latest/commandComponent.schema.json"
_HEADER = "# Generated from src/pytorch_designer/components/{module}.py by `make generate`: edit that file.\n"

# NCCL and everything else that shares memory between processes fails on Azure ML's default of 2 GB (64 MB was seen).
_SHARED_MEMORY = "8g"


class _Folded(str):
    """Text that is dumped in YAML's folded style, so that a long command is readable."""

    __slots__ = ()


class _Literal(str):
    """Text that is dumped in YAML's literal style, which keeps its lines."""

    __slots__ = ()


class _Dumper(yaml.SafeDumper):
    """YAML dumper that indents lists."""

    def increase_indent(self, flow: bool = False, indentless: bool = False) -> None:
        super().increase_indent(flow, indentless=False)


_Dumper.add_representer(
    _Folded, lambda dumper, text: dumper.represent_scalar("tag:yaml.org,2002:str", str(text), style=">")
)
_Dumper.add_representer(
    _Literal, lambda dumper, text: dumper.represent_scalar("tag:yaml.org,2002:str", str(text), style="|")
)


def component_yaml(component: Component[Any], *, version: str, root: str) -> str:
    """The text of the component's YAML file.

    Args:
        component: The definition.
        version: Version under which it is registered.
        root: Relative path from the YAML's folder to the top of the repository, `.` or `..`.

    Returns:
        YAML 1.1 that `azure.ai.ml.load_component` reads, with a comment line that names its source.
    """
    document = component_document(component, version=version, root=root)
    text = yaml.dump(document, Dumper=_Dumper, sort_keys=False, width=116, allow_unicode=True)
    return _HEADER.format(module=component.name) + text


def component_document(component: Component[Any], *, version: str, root: str) -> dict[str, Any]:
    """The component as the plain data of its YAML file; the arguments are those of `component_yaml`."""
    prefix = "" if root == "." else f"{root}/"
    document: dict[str, Any] = {
        "$schema": SCHEMA,
        "type": "command",
        "name": component.name,
        "version": version,
        "display_name": component.display_name,
        "description": _Folded(component.description),
        "tags": _tags(component),
        "is_deterministic": component.is_deterministic,
    }
    inputs = {port.name: _input_port(port) for port in component.inputs}
    inputs |= {spec.name: _parameter(spec) for spec in component.parameter_specs}
    if inputs:
        document["inputs"] = inputs
    document["outputs"] = {port.name: _output_port(port) for port in component.outputs}
    document["code"] = f"{prefix}src"
    document["environment"] = {"build": {"path": f"{prefix}environment"}}
    command = _command(component)
    document["command"] = _Literal(command) if "\n" in command else _Folded(command)
    if component.is_distributed:
        document["distribution"] = {"type": "pytorch", "process_count_per_instance": 1}
    document["resources"] = {"instance_count": 1, "shm_size": _SHARED_MEMORY}
    return document


def _tags(component: Component[Any]) -> dict[str, str]:
    tags = {"category": component.category}
    return tags | {f"port.{port.name}": port.directory_type.value for port in (*component.inputs, *component.outputs)}


def _input_port(port: Port) -> dict[str, Any]:
    entry: dict[str, Any] = {"type": "uri_folder", "mode": "ro_mount", "description": port.description}
    if port.is_optional:
        entry["optional"] = True
    return entry


def _output_port(port: Port) -> dict[str, Any]:
    return {"type": "uri_folder", "mode": "rw_mount", "description": port.description}


def _parameter(spec: ParameterSpec) -> dict[str, Any]:
    entry: dict[str, Any] = {"type": spec.type_name, "description": spec.description}
    fields = {"default": spec.default, "min": spec.minimum, "max": spec.maximum}
    entry |= {key: value for key, value in fields.items() if value is not None}
    if spec.choices:
        entry["enum"] = list(spec.choices)
    return entry


def _command(component: Component[Any]) -> str:
    """The command, with a free text as a here-document: whatever is in it, the shell leaves it alone.

    A shell sees the command after the values are filled in, and between double quotes it obeys `$(...)` and quotes.
    """
    texts = [spec for spec in component.parameter_specs if spec.is_free_text]
    if len(texts) > 1:
        raise AssertionError("standard input holds one text")
    parts = [f"python -m pytorch_designer {component.command}"]
    for port in component.inputs:
        argument = _argument(port.name, f"inputs.{port.name}")
        parts.append(f"$[[{argument}]]" if port.is_optional else argument)
    for spec in component.parameter_specs:
        free_text = f"--{dashed(spec.name)} {FROM_STANDARD_INPUT}"
        parts.append(free_text if spec.is_free_text else _argument(spec.name, f"inputs.{spec.name}"))
    parts += [_argument(port.name, f"outputs.{port.name}") for port in component.outputs]
    for spec in texts:
        end = f"END_OF_{spec.name.upper()}"
        parts.append(f"<<'{end}'\n${{{{inputs.{spec.name}}}}}\n{end}\n")
    return " ".join(parts)


def _argument(name: str, binding: str) -> str:
    # Quoted, because a shell sees the command after the values are filled in: spaces and empty values must survive.
    return f'--{dashed(name)} "${{{{{binding}}}}}"'
