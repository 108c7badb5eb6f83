"""Edits of nodes: add, remove, rename, move, comment, and the settings of their runs."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from pytorch_designer.designer.editing.draft import (
    CONTROL_KINDS,
    POSITION,
    WITHOUT_PROPERTIES,
    Draft,
    position_text,
)
from pytorch_designer.designer.editing.edit_fields import EditFields, refused
from pytorch_designer.designer.editing.input_edits import connect_ports
from pytorch_designer.designer.editing.link_rules import LinkSource
from pytorch_designer.errors import describe_value
from pytorch_designer.harness.node_kinds.disabled_nodes import DISABLED
from pytorch_designer.harness.schema.bindings import NodePort, bindings_in
from pytorch_designer.harness.schema.vocabulary import AWKWARD_INPUT_NAMES

if TYPE_CHECKING:
    from collections.abc import Callable

_COUNTS = {"resources.instance_count", "distribution.process_count_per_instance"}
_VARIABLE = "environment_variables."
TEXT_KEYS = ("description", "comment", "display_name", "component", "trial")
"""Keys of a node below which nothing refers to the pipeline around it."""


def add_node(draft: Draft, edit: EditFields) -> None:
    """Add a node for a component, at a place, connected with what it was dragged from."""
    added = draft.find_component(edit.text("reference"))
    if edit.optional_text("name") is None:
        name = draft.new_name(_as_name(added.name))
    else:
        name = edit.node_name("name")
        _check_free(draft, name)
    node: dict[str, Any] = {"type": added.kind, "component": added.written}
    position = edit.position("position")
    if position is not None:
        node["properties"] = {POSITION: position_text(position)}
    draft.editor.put(("jobs", name), node)
    if edit.plain.get("connect") is not None:
        connection = edit.fields("connect")
        source = connection.fields("from")
        connect_ports(draft, LinkSource(source.text("node"), source.text("port")), name, connection.text("port"))


def remove_nodes(draft: Draft, edit: EditFields) -> None:
    """Remove nodes, and what other nodes take from them."""
    names = edit.texts("names")
    for name in names:
        draft.node(name)
    paths: list[tuple[str, ...]] = [("jobs", name) for name in names]
    paths += [draft.shared_place("jobs", name) for name in names]
    for name, node in draft.jobs.items():
        inputs = node.get("inputs") if isinstance(node, dict) and name not in names else None
        for port, value in inputs.items() if isinstance(inputs, dict) else ():
            if _sources(value) & set(names):
                paths.append(("jobs", name, "inputs", port))
    draft.editor.remove_all(paths)


def rename_node(draft: Draft, edit: EditFields) -> None:
    """Rename a node, with everything that refers to it."""
    name, to = edit.text("name"), edit.node_name("to")
    draft.node(name)
    if name == to:
        return
    _check_free(draft, to)
    draft.rename_place("jobs", name, to)
    draft.editor.rename(("jobs", name), to)
    draft.editor.replace_texts([("jobs", node) for node in draft.jobs], node_renaming({name: to}), skipping=TEXT_KEYS)


def move_nodes(draft: Draft, edit: EditFields) -> None:
    """Keep where the cards of nodes and pipeline inputs stand; one without a place is laid out anew."""
    values: list[tuple[tuple[str, ...], object]] = []
    removed = []
    for card, position in edit.positions("positions").items():
        path = draft.place(card)
        if position is None:
            removed.append(path)
        else:
            values.append((path, position_text(position)))
    draft.editor.put_all(values)
    draft.editor.remove_all(removed)


def set_disabled(draft: Draft, edit: EditFields) -> None:
    """Disable nodes, which runs on this machine leave out then, or enable them again."""
    names = edit.texts("names")
    for name in names:
        if not draft.is_job:
            advice = "Disable the node of a pipeline that uses this component."
            raise refused(f"{name} is a node of a component.", name, "not_editable", advice)
        if str(draft.node(name).get("type", "")).lower() in WITHOUT_PROPERTIES:
            raise refused(f"{name} runs nothing itself.", name, "not_editable", "Disable the nodes that it leads to.")
    paths = [("jobs", name, "properties", DISABLED) for name in names]
    if edit.plain.get("disabled") is True:
        draft.editor.put_all((path, "true") for path in paths)
    else:
        draft.editor.remove_all(paths)


def set_comment(draft: Draft, edit: EditFields) -> None:
    """Set or remove the comment of a node; a node without a component has a description instead."""
    name, text = edit.text("node"), edit.text("text")
    key = comment_key(draft.node(name))
    if key is None:
        raise refused(f"Azure ML has no comment for {name}.", name, "not_editable", "Write a YAML comment in the text.")
    if text.strip():
        draft.editor.put(("jobs", name, key), text)
    else:
        draft.editor.remove(("jobs", name, key))


def comment_key(node: dict[str, Any]) -> str | None:
    """The key of a node's comment; None for a kind of node that has none."""
    if str(node.get("type", "")).lower() in CONTROL_KINDS:
        return None
    return "comment" if {"component", "trial"} & node.keys() else "description"


def set_setting(draft: Draft, edit: EditFields) -> None:
    """Set or remove a setting of a node's run: compute, counts, an environment variable."""
    name, key, value = edit.text("node"), edit.text("key"), edit.scalar("value")
    node = draft.node(name)
    if str(node.get("type", "")).lower() in CONTROL_KINDS:
        raise refused(f"{name} decides about other nodes; it runs nothing itself.", name, "not_editable")
    if key.startswith(_VARIABLE) and re.fullmatch(r"[A-Za-z_]\w*", key.removeprefix(_VARIABLE), re.ASCII):
        path: tuple[str, ...] = ("jobs", name, "environment_variables", key.removeprefix(_VARIABLE))
        value = None if value is None else str(value)
    elif key == "compute" or key in _COUNTS:
        path = ("jobs", name, *key.split("."))
    else:
        advice = f"There are compute, {', '.join(sorted(_COUNTS))} and {_VARIABLE}NAME."
        raise refused(f"{describe_value(key)} is not a setting of a node.", "key", "bad_edit", advice)
    if value is None or value == "":
        _remove_setting(draft, node, path)
        return
    if key in _COUNTS:
        value = _count(key, value)
    if key.startswith("distribution") and not isinstance(node.get("distribution"), dict):
        draft.editor.put(path[:-1], {"type": _distribution_type(draft, name), path[-1]: value})
    else:
        draft.editor.put(path, value)


def node_renaming(names: dict[str, str]) -> Callable[[str], str]:
    """Function that renames nodes in the bindings of a text."""
    known = "|".join(re.escape(name) for name in names)
    pattern = re.compile(r"(\$\{\{\s*parent\.jobs\.)(" + known + r")(?=[.\s}])")
    return lambda text: pattern.sub(lambda match: match.group(1) + names[match.group(2)], text)


def _check_free(draft: Draft, name: str) -> None:
    if name in draft.jobs:
        raise refused(f"There is a node {name} already.", name, "name_taken", "Choose another name.")


def _as_name(text: str) -> str:
    name = re.sub(r"[^a-z\d_]+", "_", text.lower(), flags=re.ASCII).strip("_")
    return name if re.match("[a-z]", name) and name not in AWKWARD_INPUT_NAMES else f"node_{name}".rstrip("_")


def _sources(value: Any) -> set[str]:
    """The nodes that a value of an input refers to."""
    texts = [value] if isinstance(value, str) else [*value.values()] if isinstance(value, dict) else []
    return {
        binding.reference.node
        for text in texts
        if isinstance(text, str)
        for binding in bindings_in(text)
        if isinstance(binding.reference, NodePort)
    }


def _remove_setting(draft: Draft, node: dict[str, Any], path: tuple[str, ...]) -> None:
    section = node.get(path[2])
    if path[2] == "distribution" and isinstance(section, dict) and set(section) <= {"type", path[3]}:
        draft.editor.remove(path[:3])
    else:
        draft.editor.remove(path)


def _count(key: str, value: object) -> str | int:
    text = str(value).strip()
    if text.startswith("${{"):
        return text
    if not text.isdecimal() or int(text) < 1:
        raise refused(f"{key} must be a whole number from 1, not {describe_value(value)}.", key, "bad_edit")
    return int(text)


def _distribution_type(draft: Draft, name: str) -> str:
    node = draft.pipeline.nodes[name]
    component = node.value.get(node.component_key)
    if component is not None and not component.is_mapping and node.component_file is not None:
        component = draft.library.open(node.component_file).root if node.component_file.is_file() else None
    found = None if component is None else component.get("distribution", "type")
    return (found.text if found is not None else None) or "pytorch"
