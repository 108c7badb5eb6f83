"""Document of the designer page: a pipeline's text as nodes, bindings, ports, settings and faults.

Also a text with faults has one: what can be read is shown, and what is wrong stands at its node and port.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache, partial
from typing import TYPE_CHECKING, Any

from pytorch_designer.designer.document.component_facts import ports_facts
from pytorch_designer.designer.document.document_faults import find_faults, plain_fault
from pytorch_designer.designer.editing.draft import CONTROL_KINDS, read_position, read_shared_position
from pytorch_designer.designer.editing.node_edits import comment_key
from pytorch_designer.errors import InvalidSpecError
from pytorch_designer.harness.lint.pipeline_model import children_at, read_pipeline
from pytorch_designer.harness.node_kinds.disabled_nodes import find_left_out
from pytorch_designer.harness.schema.bindings import NodePort, ParentInput, ParentOutput, bindings_in, lone_binding
from pytorch_designer.harness.schema.component_file import Kind, kind_of
from pytorch_designer.system.special_files import resolved

if TYPE_CHECKING:
    import pathlib
    from collections.abc import Callable, Mapping

    from pytorch_designer.designer.document.component_library import ComponentLibrary
    from pytorch_designer.harness.lint.pipeline_model import Node, Pipeline
    from pytorch_designer.harness.schema.yaml_tree import Value, YamlDocument

    ComponentAt = Callable[[pathlib.Path], dict[str, Any] | None]

_KINDS = {"command", "pipeline", "sweep", "parallel", "if_else", "do_while"}
_AUTOML_DATA = ("training_data", "validation_data", "test_data")
_SETTINGS = ("display_name", "description", "experiment_name")
_JOB_SETTINGS = ("default_compute", "force_rerun", "continue_on_step_failure")


@dataclass(frozen=True)
class DocumentContent:
    """Content of a document, without its history.

    Attributes:
        name: Name for people.
        description: The pipeline's description.
        nodes: The contract's `Node` for each.
        inputs: The contract's `PipelineInput` for each.
        outputs: The contract's `PipelineOutput` for each.
        settings: Values by key.
        faults: The contract's `Fault` for each.
        read_only: Why the text cannot be edited on the canvas, or None.
    """

    name: str
    description: str
    nodes: list[dict[str, Any]]
    inputs: list[dict[str, Any]]
    outputs: list[dict[str, Any]]
    settings: dict[str, Any]
    faults: list[dict[str, Any]]
    read_only: str | None


def read_document(
    text: str,
    path: pathlib.Path,
    library: ComponentLibrary,
    component_at: ComponentAt,
) -> DocumentContent:
    """The content of a document.

    Args:
        text: Its text.
        path: Its file, absolute.
        library: Component files.
        component_at: The contract's `Component` in a file.
    """
    try:
        document = library.parse(text, path)
        document.mapping()
    except InvalidSpecError as error:
        faults = [plain_fault(fault, kind="yaml-syntax") for fault in error.faults]
        return _read_only(path, f"{error.what} Correct it in the text.", faults)
    kind = kind_of(document.root)
    if kind is None or not kind.is_pipeline:
        what = "neither a component nor a job of Azure ML" if kind is None else f"a {kind.value}, not a pipeline"
        return _read_only(path, f"This file is {what}.", [])
    if "jobs" not in document.root.children and "component" in document.root.children:
        return _read_only(path, "This job only runs one pipeline component; open that component's file.", [])
    return _content(document, library, component_at)


def _read_only(path: pathlib.Path, reason: str, faults: list[dict[str, Any]]) -> DocumentContent:
    return DocumentContent(path.stem, "", [], [], [], {}, faults, reason)


def _content(document: YamlDocument, library: ComponentLibrary, find_component: ComponentAt) -> DocumentContent:
    root = document.root
    is_job = kind_of(root) is not Kind.PIPELINE_COMPONENT
    pipeline = read_pipeline(root, library, is_job=is_job)
    settings = {key: value for key in _SETTINGS if (value := _scalar(root.get(key))) is not None}
    for key in _JOB_SETTINGS:
        value = _scalar(root.get("settings", key))
        settings |= {} if value is None else {f"settings.{key}": value}
    settings["type"] = "pipeline" if is_job else "component"
    component_at = lru_cache(lambda file: find_component(resolved(file)))
    places = {key: value.plain for key in ("properties", "tags") if (value := root.get(key)) is not None}
    place_of = partial(read_shared_position, places, is_job=is_job)
    left_out = find_left_out(root).nodes
    name = settings.get("display_name") or _scalar(root.get("name")) or document.path.stem
    return DocumentContent(
        name=str(name),
        description=str(settings.get("description", "")),
        nodes=[
            _node(node, component_at, place_of("jobs", name)) | {"left_out": left_out.get(name, "")}
            for name, node in pipeline.nodes.items()
        ],
        inputs=[
            _pipeline_input(name, value, pipeline) | {"position": _point(place_of("inputs", name))}
            for name, value in children_at(root, "inputs").items()
        ],
        outputs=[_pipeline_output(name, value, pipeline) for name, value in children_at(root, "outputs").items()],
        settings=settings,
        faults=find_faults(document, library),
        read_only=None,
    )


def _node(node: Node, component_at: ComponentAt, shared_place: tuple[int, int] | None) -> dict[str, Any]:
    plain = node.value.plain
    plain = plain if isinstance(plain, dict) else {}
    key = comment_key(plain)
    written = node.value.get(node.component_key)
    file = node.component_file
    component = None if file is None else component_at(file)
    if component is None and node.interface is not None and file is None and node.type_name not in CONTROL_KINDS:
        component = _inline_component(node)
    kind = node.type_name
    if node.value.get("type") is None and node.interface is not None:
        kind = node.interface.type
    inputs, outputs = _control_bindings(node) if node.type_name in CONTROL_KINDS else _bindings(node)
    return {
        "name": node.name,
        "kind": kind if kind in _KINDS else "other",
        "reference": component["reference"] if component else (written.text or "") if written is not None else "",
        "component": component,
        "inputs": inputs,
        "outputs": outputs,
        "position": _point(read_position(plain) or shared_place),
        "comment": "" if key is None else str(plain.get(key) or ""),
        "settings": _node_settings(node),
        "line": node.value.key_place.line,
    }


def _inline_component(node: Node) -> dict[str, Any]:
    """The component of a node that says itself what it runs: its ports are those that it is given."""
    assert node.interface is not None
    inner = node.value.get(node.component_key) or node.value
    name = _scalar(inner.get("display_name")) or _scalar(inner.get("name")) or node.name
    return {
        "reference": "",
        "name": node.name,
        "display_name": str(name),
        "version": "",
        "description": str(_scalar(inner.get("description")) or ""),
        "category": "",
        "kind": node.type_name,
        "is_builtin": False,
        **ports_facts(node.interface),
        "fault": None,
        "file": None,
    }


def _bindings(node: Node) -> tuple[dict[str, Any], dict[str, Any]]:
    types = {} if node.interface is None else node.interface.inputs
    inputs = {}
    data = {key: node.value.children[key] for key in _AUTOML_DATA if key in node.value.children}
    for name, value in {**node.inputs, **(data if node.type_name == "automl" else {})}.items():
        port = types.get(name)
        data_type = port.type if port is not None and port.is_data and port.type else None
        binding = _binding(value, data_type)
        if binding is not None:
            inputs[name] = binding
    outputs = {name: found for name, value in node.outputs.items() if (found := _binding(value, None)) is not None}
    return inputs, outputs


def _control_bindings(node: Node) -> tuple[dict[str, Any], dict[str, Any]]:
    condition = node.value.get("condition")
    found = None if condition is None else _binding(condition, None)
    outputs: dict[str, Any] = {}
    for key in ("true_block", "false_block", "body"):
        value = node.value.get(key)
        blocks = [] if value is None else value.entries or [value]
        for index, block in enumerate(blocks):
            binding = lone_binding(block.text or "")
            if binding is not None and len(binding.parts) == 3 and binding.parts[1] == "jobs":
                name = key if len(blocks) == 1 else f"{key}.{index}"
                outputs[name] = {"kind": "node", "node": binding.parts[2], "port": ""}
    return {} if found is None else {"condition": found}, outputs


def _binding(value: Value, data_type: str | None) -> dict[str, Any] | None:
    """Value or binding of a port, as the contract's `Binding`; `data_type` is that of a data port."""
    if value.is_mapping:
        return _mapping_binding(value, data_type)
    plain = _scalar(value)
    if plain is None:
        return None
    if isinstance(plain, str) and bindings_in(plain):
        return _reference(plain)
    if data_type is not None:
        return {"kind": "data", "path": str(plain), "type": data_type, "mode": None}
    return {"kind": "value", "value": plain}


def _mapping_binding(value: Value, data_type: str | None) -> dict[str, Any] | None:
    path, inner = value.get("path"), value.get("value")
    if path is None or path.plain is None:
        return None if inner is None else _binding(inner, data_type)
    if lone_binding(str(path.plain)) is not None:
        return _binding(path, data_type)
    mode = value.get("mode")
    return {
        "kind": "data",
        "path": str(path.plain),
        "type": str(_scalar(value.get("type")) or data_type or "uri_folder"),
        "mode": None if mode is None else str(mode.plain),
    }


def _reference(text: str) -> dict[str, Any]:
    binding = lone_binding(text)
    match None if binding is None else binding.reference:
        case ParentInput(name) | ParentOutput(name):
            return {"kind": "pipeline", "name": name}
        case NodePort(node, port, is_output=True):
            return {"kind": "node", "node": node, "port": port}
    return {"kind": "expression", "text": text}


def _point(place: tuple[int, int] | None) -> dict[str, int] | None:
    return None if place is None else {"x": place[0], "y": place[1]}


def _node_settings(node: Node) -> dict[str, Any]:
    variables: Mapping[str, Value] = children_at(node.value, "environment_variables")
    return {
        "compute": _scalar(node.value.get("compute")),
        "instance_count": _scalar(node.value.get("resources", "instance_count")),
        "process_count_per_instance": _scalar(node.value.get("distribution", "process_count_per_instance")),
        "environment_variables": {
            name: "" if value.plain is None else str(value.plain) for name, value in variables.items()
        },
    }


def _pipeline_input(name: str, value: Value, pipeline: Pipeline) -> dict[str, Any]:
    port = pipeline.interface.inputs.get(name)
    binding = _binding(value.get("default") or value, None) if "default" in value.children else _binding(value, None)
    is_data = binding is not None and binding["kind"] == "data"
    given = None if binding is None or is_data else binding.get("value", binding.get("text"))
    return {
        "name": name,
        "type": (port.type if port is not None else "") or ("uri_folder" if is_data else ""),
        "value": given,
        "path": binding["path"] if binding is not None and is_data else None,
        "optional": port is not None and port.is_optional,
        "description": port.description if port is not None else "",
    }


def _pipeline_output(name: str, value: Value, pipeline: Pipeline) -> dict[str, Any]:
    port = pipeline.interface.outputs.get(name)
    source = None
    for node in pipeline.nodes.values():
        for output, entry in node.outputs.items():
            if _binding(entry, None) == {"kind": "pipeline", "name": name}:
                source = {"node": node.name, "port": output}
    path = value.get("path")
    return {
        "name": name,
        "type": (port.type if port is not None else "") or "uri_folder",
        "path": None if path is None or path.plain is None else str(path.plain),
        "source": source,
    }


def _scalar(value: Value | None) -> Any:
    plain = None if value is None or not value.is_scalar else value.plain
    return plain if plain is None or isinstance(plain, (bool, int, float, str)) else str(plain)
