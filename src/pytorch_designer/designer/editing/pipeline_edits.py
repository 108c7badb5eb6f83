"""Edits of the pipeline itself: its inputs, outputs and settings."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from pytorch_designer.designer.editing.draft import Draft, unknown
from pytorch_designer.designer.editing.edit_fields import EditFields, Scalar, refused
from pytorch_designer.designer.editing.input_edits import as_typed, connect_ports, put_data
from pytorch_designer.designer.editing.link_rules import LinkSource
from pytorch_designer.designer.editing.node_edits import TEXT_KEYS
from pytorch_designer.errors import describe_value
from pytorch_designer.harness.schema.bindings import ParentInput, ParentOutput, bindings_in
from pytorch_designer.harness.schema.specification import InputSpec
from pytorch_designer.harness.schema.vocabulary import DATA_TYPES, PARAMETER_TYPES

if TYPE_CHECKING:
    from collections.abc import Callable

_TEXT_SETTINGS = {"display_name", "description", "experiment_name", "settings.default_compute"}
_FLAG_SETTINGS = {"settings.force_rerun", "settings.continue_on_step_failure"}
_EMPTY: dict[str, Scalar] = {"integer": 0, "number": 0.0, "boolean": False, "string": ""}


def add_input(draft: Draft, edit: EditFields) -> None:
    """Add an input of the pipeline, with what it is given, and connect it."""
    name, kind = edit.port_name("name"), edit.text("type")
    if name in _section(draft, "inputs"):
        raise refused(f"The pipeline has an input {name} already.", name, "name_taken", "Choose another name.")
    if kind not in DATA_TYPES | PARAMETER_TYPES:
        raise edit.malformed("type", f"one of {', '.join(sorted(DATA_TYPES | PARAMETER_TYPES))}")
    connection = edit.fields("connect") if edit.plain.get("connect") is not None else None
    spec = None if connection is None else draft.input_port(connection.text("node"), connection.text("port"))
    _put_input(draft, name, kind, edit, spec)
    if connection is not None:
        connect_ports(draft, LinkSource(None, name), connection.text("node"), connection.text("port"))


def set_input(draft: Draft, edit: EditFields) -> None:
    """Set what an input of the pipeline is given: a value, or a path. A component's input has a description, too."""
    name = edit.text("name")
    entry = _entry(draft, "inputs", name)
    spec = draft.pipeline.interface.inputs.get(name)
    if edit.plain.get("description") is not None:
        if draft.is_job:
            advice = "Write a YAML comment in the text. Inputs of pipeline components have descriptions."
            raise refused("Inputs of a pipeline job have no description on Azure ML.", name, "not_editable", advice)
        draft.editor.put(("inputs", name, "description"), edit.text("description"))
    if edit.plain.get("path") is not None:
        kind = edit.optional_text("type") or (spec.type if spec is not None and spec.is_data else "") or "uri_folder"
        put_data(draft, ("inputs", name), EditFields({**edit.plain, "type": kind}))
    elif edit.plain.get("value") is not None:
        given = edit.scalar("value")
        assert given is not None
        value = as_typed(spec, given)
        key = ("value",) if draft.is_job else ("default",)
        is_nested = not draft.is_job or (isinstance(entry, dict) and "value" in entry)
        draft.editor.put(("inputs", name, *key) if is_nested else ("inputs", name), value)
    elif "value" in edit.plain and not draft.is_job:
        draft.editor.remove(("inputs", name, "default"))


def rename_input(draft: Draft, edit: EditFields) -> None:
    """Rename an input of the pipeline, with everything that refers to it."""
    _rename_port(draft, edit, "inputs")


def remove_input(draft: Draft, edit: EditFields) -> None:
    """Remove an input of the pipeline; nodes that took it get their defaults."""
    name = edit.text("name")
    _entry(draft, "inputs", name)
    bound = _bound_ports(draft, "inputs", ParentInput, name)
    draft.editor.remove_all([("inputs", name), draft.shared_place("inputs", name), *bound])


def add_output(draft: Draft, edit: EditFields) -> None:
    """Make an output of a node one of the pipeline."""
    name = edit.port_name("name")
    source = edit.fields("source")
    node, port = source.text("node"), source.text("port")
    draft.node(node)
    if name in _section(draft, "outputs"):
        raise refused(f"The pipeline has an output {name} already.", name, "name_taken", "Choose another name.")
    interface = draft.pipeline.nodes[node].interface
    if interface is not None and port not in interface.outputs:
        raise unknown("no_port", f"The node {node} has no output {port}.", port, interface.outputs)
    bound = next((value for owner, key, value in _ports(draft, "outputs") if (owner, key) == (node, port)), None)
    if any(bindings_in(text) for text in _texts(bound)):
        message = f"{port} of {node} is an output of the pipeline already."
        raise refused(message, f"{node}.{port}", "taken", "Remove that output first.")
    kind = (interface.outputs[port].type if interface is not None else "") or "uri_folder"
    draft.editor.put(("outputs", name), {"type": kind})
    draft.editor.put(("jobs", node, "outputs", port), f"${{{{parent.outputs.{name}}}}}")


def set_output(draft: Draft, edit: EditFields) -> None:
    """Set where an output of the pipeline goes, or leave it to the run."""
    name, path = edit.text("name"), edit.optional_text("path")
    entry = _entry(draft, "outputs", name)
    if path is not None and path.strip():
        if isinstance(entry, dict):
            draft.editor.put(("outputs", name, "path"), path.strip())
        else:
            draft.editor.put(("outputs", name), {"type": "uri_folder", "path": path.strip()})
    elif isinstance(entry, dict):
        draft.editor.remove(("outputs", name, "path"))


def rename_output(draft: Draft, edit: EditFields) -> None:
    """Rename an output of the pipeline, with everything that refers to it."""
    _rename_port(draft, edit, "outputs")


def remove_output(draft: Draft, edit: EditFields) -> None:
    """Remove an output of the pipeline."""
    name = edit.text("name")
    _entry(draft, "outputs", name)
    draft.editor.remove_all([("outputs", name), *_bound_ports(draft, "outputs", ParentOutput, name)])


def set_pipeline(draft: Draft, edit: EditFields) -> None:
    """Set or remove a setting of the pipeline."""
    key, value = edit.text("key"), edit.scalar("value")
    path = tuple(key.split("."))
    if key not in _TEXT_SETTINGS | _FLAG_SETTINGS:
        advice = f"There are {', '.join(sorted(_TEXT_SETTINGS | _FLAG_SETTINGS))}."
        raise refused(f"{describe_value(key)} is not a setting of the pipeline.", "key", "bad_edit", advice)
    if value is None or value == "":
        draft.editor.remove(path)
    elif isinstance(value, bool) is not (key in _FLAG_SETTINGS):
        raise edit.malformed("value", "true or false" if key in _FLAG_SETTINGS else "text")
    else:
        draft.editor.put(path, value if isinstance(value, bool) else str(value))


def _put_input(draft: Draft, name: str, kind: str, edit: EditFields, spec: InputSpec | None) -> None:
    if kind in DATA_TYPES:
        if draft.is_job:
            put_data(draft, ("inputs", name), edit)
        else:
            draft.editor.put(("inputs", name), {"type": kind})
        return
    value = edit.scalar("value")
    if value is None and spec is not None:
        value = spec.default if spec.default is not None else next(iter(spec.choices), None)
    if draft.is_job:
        given = as_typed(InputSpec(name, kind), _EMPTY[kind] if value is None else value)
        draft.editor.put(("inputs", name), given)
    else:
        default = {} if value is None else {"default": as_typed(InputSpec(name, kind), value)}
        draft.editor.put(("inputs", name), {"type": kind, **default})


def _rename_port(draft: Draft, edit: EditFields, section: str) -> None:
    name, to = edit.text("name"), edit.port_name("to")
    _entry(draft, section, name)
    if name == to:
        return
    if to in _section(draft, section):
        what = section.removesuffix("s")
        raise refused(f"The pipeline has an {what} {to} already.", to, "name_taken", "Choose another name.")
    if section == "inputs":
        draft.rename_place(section, name, to)
    draft.editor.rename((section, name), to)
    nodes = [("jobs", node) for node in draft.jobs]
    draft.editor.replace_texts(nodes, _port_renaming(section, name, to), skipping=TEXT_KEYS)


def _port_renaming(section: str, name: str, to: str) -> Callable[[str], str]:
    pattern = re.compile(r"(\$\{\{\s*parent\." + section + r"\.)" + re.escape(name) + r"(?=[.\s}])")
    return lambda text: pattern.sub(lambda match: match.group(1) + to, text)


def _bound_ports(
    draft: Draft, section: str, kind: type[ParentInput | ParentOutput], name: str
) -> list[tuple[str, ...]]:
    """Places of the nodes' ports that are bound to a port of the pipeline."""
    return [
        ("jobs", node, section, port)
        for node, port, value in _ports(draft, section)
        if any(
            isinstance(binding.reference, kind) and binding.reference.name.split(".")[0] == name
            for text in _texts(value)
            for binding in bindings_in(text)
        )
    ]


def _section(draft: Draft, section: str) -> dict[str, Any]:
    found = draft.editor.data.get(section)
    return found if isinstance(found, dict) else {}


def _entry(draft: Draft, section: str, name: str) -> Any:
    entries = _section(draft, section)
    if name not in entries:
        what = section.removesuffix("s")
        raise unknown(f"no_{what}", f"The pipeline has no {what} {name}.", name, entries)
    return entries[name]


def _ports(draft: Draft, section: str) -> list[tuple[str, str, Any]]:
    """Entries of the nodes' inputs or outputs: node, port and value."""
    return [
        (name, port, value)
        for name, node in draft.jobs.items()
        if isinstance(node, dict) and isinstance(node.get(section), dict)
        for port, value in node[section].items()
    ]


def _texts(value: Any) -> list[str]:
    members = [value] if isinstance(value, str) else [*value.values()] if isinstance(value, dict) else []
    return [member for member in members if isinstance(member, str)]
