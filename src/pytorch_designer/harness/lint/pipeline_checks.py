"""Checks of pipeline jobs, pipeline components and their nodes."""

from __future__ import annotations

import re
from contextlib import suppress
from typing import TYPE_CHECKING

from pytorch_designer.errors import InvalidSpecError
from pytorch_designer.harness.lint.command_checks import check_command
from pytorch_designer.harness.lint.component_checks import (
    check_command_component,
    check_component,
    check_literal,
    check_type,
)
from pytorch_designer.harness.lint.connections import check_connections
from pytorch_designer.harness.lint.job_settings_checks import check_job_settings, check_local_path, is_placeholder
from pytorch_designer.harness.lint.keys import check_keys, check_required_keys, check_tags, check_texts, mapping_at
from pytorch_designer.harness.lint.node_kind_checks import check_controls, check_node_kind, check_sweep
from pytorch_designer.harness.lint.pipeline_model import (
    children_at,
    given_interface,
    literal_of,
    read_node,
    read_pipeline,
)
from pytorch_designer.harness.schema.bindings import ParentInput, lone_binding
from pytorch_designer.harness.schema.component_file import Kind
from pytorch_designer.harness.schema.interface import kind_mismatch, read_interface, unknown_input
from pytorch_designer.harness.schema.pipeline_size import check_size
from pytorch_designer.harness.schema.spec_faults import TOO_LARGE, did_you_mean
from pytorch_designer.harness.schema.specification import InputSpec
from pytorch_designer.harness.schema.vocabulary import (
    DATA_TYPES,
    INLINE_COMMAND_KEYS,
    JOB_INPUT_KEYS,
    JOB_OUTPUT_KEYS,
    NODE_KEYS,
    NODE_TYPES,
    PIPELINE_COMPONENT_KEYS,
    PIPELINE_JOB_KEYS,
    SETTINGS_KEYS,
    SWEEP_JOB_KEYS,
)
from pytorch_designer.system.special_files import resolved, special_kind

if TYPE_CHECKING:
    from pytorch_designer.harness.lint.documents import Library
    from pytorch_designer.harness.lint.findings import Report
    from pytorch_designer.harness.lint.pipeline_model import Node, Pipeline
    from pytorch_designer.harness.schema.specification import Interface
    from pytorch_designer.harness.schema.yaml_tree import Value

_NODE_NAME = re.compile(r"[a-z_][a-z\d_]*")


def check_pipeline(report: Report, root: Value, kind: Kind, library: Library) -> None:
    """Check a pipeline job or a pipeline component."""
    if kind is Kind.PIPELINE_JOB:
        check_keys(report, root, PIPELINE_JOB_KEYS, owner="a pipeline job", are_refused=True)
        check_texts(report, root, ("display_name", "description", "experiment_name"))
        check_tags(report, root)
        _check_job_ports(report, root)
        settings = mapping_at(report, root, "settings")
        if settings is not None:
            check_keys(report, settings, SETTINGS_KEYS, owner="the settings of a pipeline job")
    else:
        known = PIPELINE_COMPONENT_KEYS | {"settings"}  # of the job that it may be run as
        check_keys(report, root, known, owner="a pipeline component")
        check_component(report, root)
    if "component" not in root.children or kind is Kind.PIPELINE_COMPONENT:
        check_required_keys(report, root, ("jobs",), owner=f"a {kind.value}")
    mapping_at(report, root, "jobs")
    if _is_too_large(report, root, library):
        return
    pipeline = read_pipeline(root, library, is_job=kind is Kind.PIPELINE_JOB)
    for node in pipeline.nodes.values():
        _check_node(report, pipeline, node)
        check_node_kind(report, node, _component_of(node, library))
    check_controls(report, children_at(root, "jobs"))
    if "jobs" in root.children:
        check_connections(report, pipeline)
    elif "component" in root.children:  # a job that only runs a pipeline component
        _check_node(report, pipeline, read_node("pipeline", root, library))


def check_command_job(report: Report, root: Value, library: Library) -> None:
    """Check a command job: a job of its own, which gives its inputs values."""
    check_keys(report, root, INLINE_COMMAND_KEYS, owner="a command job", are_refused=True)
    check_required_keys(report, root, ("command", "environment"), owner="a command job")
    check_texts(report, root, ("display_name", "description", "experiment_name", "command"))
    check_tags(report, root)
    _check_job_ports(report, root)
    check_job_settings(report, root, owner="a command job")
    interface = read_node("job", root, library).interface
    if interface is not None:
        check_command(report, root, interface)


def check_sweep_job(report: Report, root: Value) -> None:
    """Check a sweep that is a job of its own."""
    check_keys(report, root, SWEEP_JOB_KEYS, owner="a sweep job", are_refused=True)
    check_required_keys(report, root, ("trial",), owner="a sweep job")
    check_texts(report, root, ("display_name", "description", "experiment_name"))
    check_tags(report, root)
    _check_job_ports(report, root)
    trial = mapping_at(report, root, "trial")
    if trial is None:
        return
    declares_ports = "inputs" in trial.children  # as the SDK writes it
    interface = read_interface(trial, is_strict=False) if declares_ports else given_interface(root, "sweep")
    check_job_settings(report, trial, owner="a trial")
    check_command(report, trial, interface, roots={"search_space"}, unused_matters=False)
    check_sweep(report, root, trial, None if not declares_ports else interface)


def _component_of(node: Node, library: Library) -> Value | None:
    """The mapping of a node's component, if it can be read here."""
    component = node.value.get(node.component_key)
    if component is None or component.is_mapping:
        return component
    with suppress(InvalidSpecError):
        return None if node.component_file is None else library.open(node.component_file).root
    return None


def _is_too_large(report: Report, root: Value, library: Library) -> bool:
    """Report a pipeline that is too large, or contains itself; True if checking each node would take long."""
    try:
        check_size(root, library.pipeline_at)
    except InvalidSpecError as error:
        for fault in error.faults:
            report.add("nested-pipelines", fault.place, fault.message, fault.advice)
        return error.reason == TOO_LARGE
    return False


def _check_job_ports(report: Report, root: Value) -> None:
    for section, known in (("inputs", JOB_INPUT_KEYS), ("outputs", JOB_OUTPUT_KEYS)):
        ports = mapping_at(report, root, section)
        for name, value in (ports.children if ports is not None else {}).items():
            if value.is_mapping:
                check_keys(report, value, known, owner=f"an entry of {section}", are_refused=True)
                if value.get("type") is not None:
                    check_type(report, value, DATA_TYPES)
                if section == "inputs":
                    _check_given(report, name, value)
            elif value.plain is None and section == "inputs":
                report.add("wrong-value", value.key_place, f"The input {name} has no value.", "Give it one.")


def _check_given(report: Report, name: str, value: Value) -> None:
    kind = value.get("type")
    port = InputSpec(name, "" if kind is None else kind.text or "")
    _check_data(report, port, value)
    if value.get("path") is None and value.get("value") is None and port.type != "group":
        report.add("missing-input-value", value.key_place, f"The input {name} has no value.", "Give it a path.")


def _check_node(report: Report, pipeline: Pipeline, node: Node) -> None:
    if not _NODE_NAME.fullmatch(node.name):
        report.add(
            "node-name",
            node.value.key_place,
            f"{node.name} is not a name for a node.",
            "Use a-z, 0-9 and _, and start with a letter or _.",
        )
    type_value = node.value.get("type")
    if type_value is not None and node.type_name not in NODE_TYPES:
        report.add(
            "wrong-value",
            type_value.place,
            f"{type_value.shown_text} is not a type of node.",
            did_you_mean(str(type_value.plain), NODE_TYPES),
        )
        return
    for section in ("inputs", "outputs"):
        mapping_at(report, node.value, section)
    if node.is_inline:
        _check_inline_node(report, node)
    else:
        _check_component_of(report, node)
        _check_node_keys(report, pipeline, node)
        if node.interface is not None:
            _check_given_ports(report, pipeline, node, node.interface)


def _check_inline_node(report: Report, node: Node) -> None:
    if node.type_name == "sweep":
        check_required_keys(report, node.value, ("trial",), owner="a sweep node")
    if node.type_name == "pipeline":
        check_required_keys(report, node.value, ("component",), owner="a pipeline node")
    if node.type_name != "command":
        return
    if "command" not in node.value.children:
        report.add("missing-key", node.value.key_place, f"The node {node.name} has no component and no command.")
        return
    check_keys(report, node.value, INLINE_COMMAND_KEYS, owner="a command node", are_refused=True)
    check_job_settings(report, node.value, owner="a node")
    if node.interface is not None:
        check_command(report, node.value, node.interface)


def _check_component_of(report: Report, node: Node) -> None:
    component = node.value.children[node.component_key]
    is_left_open = is_placeholder(component.text or "")
    if node.component_file is not None and not node.component_file.is_file() and not is_left_open:
        what = "component" if component.text else "trial"
        found = "a folder" if node.component_file.is_dir() else special_kind(node.component_file)
        report.add(
            "missing-path",
            component.place,
            f"The {what} file {component.text} " + ("does not exist." if found is None else f"is {found}."),
            "Paths start from the folder of this file; registered components are azureml:name:version.",
        )
    if component.is_mapping and node.type_name in {"command", "sweep"}:
        _check_inline_component(report, node, component)
    wanted = "command" if node.type_name == "sweep" else node.type_name
    found = node.interface.type if node.interface is not None else wanted
    if node.value.get("type") is not None and found != wanted and node.type_name in {"command", "pipeline"}:
        report.add(
            "node-type-mismatch",
            node.value.children["type"].place,
            f"The node is of type {node.type_name}, its component of type {found}.",
            f"Write type: {found}.",
        )


def _check_inline_component(report: Report, node: Node, component: Value) -> None:
    if node.type_name == "command":
        check_command_component(report, component, is_inline=True)
        return
    check_job_settings(report, component, owner="a component")
    if node.interface is not None:
        check_command(report, component, node.interface, roots={"search_space"}, unused_matters=False)


def _check_node_keys(report: Report, pipeline: Pipeline, node: Node) -> None:
    known = NODE_KEYS.get(node.type_name)
    if known is None or node.value is pipeline.root:
        return
    check_keys(report, node.value, known, owner=f"a {node.type_name} node")
    if node.type_name == "command":
        check_job_settings(report, node.value, owner="a node")


def _check_given_ports(report: Report, pipeline: Pipeline, node: Node, interface: Interface) -> None:
    searched = children_at(node.value, "search_space")
    for name, value in {**node.inputs, **searched}.items():
        port = interface.inputs.get(name)
        if port is None:
            report.add("unknown-node-input", value.key_place, *unknown_input(node.name, name, interface.inputs))
    for name, value in node.inputs.items():
        port = interface.inputs.get(name)
        if port is not None and not port.is_data:
            literal = _literal_given(pipeline, value)
            if literal is not None:
                check_literal(report, port, literal)
        elif port is not None:
            if value.is_mapping:
                check_keys(report, value, JOB_INPUT_KEYS, owner="an input", are_refused=True)
            _check_data(report, port, value)
    for name, port in interface.inputs.items():
        if port.is_required and name not in node.inputs and name not in searched:
            message = f"The node {node.name} leaves out {name}, which its component requires."
            report.add(
                "missing-node-input", node.value.key_place.below("inputs", name), message, f"Add {name} to its inputs."
            )
    for name, value in node.outputs.items():
        if name not in interface.outputs:
            message = f"The component of {node.name} has no output {name}."
            report.add("unknown-node-output", value.key_place, message, did_you_mean(name, interface.outputs))


def _literal_given(pipeline: Pipeline, value: Value) -> Value | None:
    """The value that an input gets, followed through `${{parent.inputs.x}}` to the input of a job."""
    binding = lone_binding((value.get("path") or value).text or "")
    if binding is None:
        return literal_of(value)
    return pipeline.literals.get(binding.reference.name) if isinstance(binding.reference, ParentInput) else None


def _check_data(report: Report, port: InputSpec, value: Value) -> None:
    given = value.get("path") if value.is_mapping else value
    path = check_local_path(report, given, what="data path", rule_id="missing-data")
    mismatch = None if path is None else kind_mismatch(port, resolved(path))
    if mismatch is not None and given is not None:
        report.add("type-mismatch", given.place, *mismatch)
