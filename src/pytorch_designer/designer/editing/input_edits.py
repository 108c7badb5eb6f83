"""Edits of what nodes are given: links, values and data."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING

from pytorch_designer.designer.editing.draft import CONTROL_KINDS, Draft
from pytorch_designer.designer.editing.edit_fields import EditFields, Scalar, refused
from pytorch_designer.designer.editing.link_rules import LinkSource, link_refusal
from pytorch_designer.designer.editing.plain_data import value_at
from pytorch_designer.errors import ParameterError, UnknownNameError
from pytorch_designer.harness.schema.bindings import bindings_in
from pytorch_designer.harness.schema.values import parse_literal
from pytorch_designer.harness.schema.vocabulary import DATA_TYPES, MODES

if TYPE_CHECKING:
    from pytorch_designer.harness.schema.specification import InputSpec


def connect(draft: Draft, edit: EditFields) -> None:
    """Connect an input of a node with an output of another, or with an input of the pipeline."""
    origin = edit.fields("from")
    name = origin.optional_text("input")
    source = LinkSource(origin.text("node"), origin.text("port")) if name is None else LinkSource(None, name)
    connect_ports(draft, source, edit.text("node"), edit.text("port"), is_replaced=edit.plain.get("replaces") is True)


def connect_ports(draft: Draft, source: LinkSource, node: str, port: str, *, is_replaced: bool = False) -> None:
    """Connect two ports; a link that is there is replaced where `is_replaced`.

    Raises:
        UnknownNameError: There is no such node or port.
        InvalidSpecError: The link is refused; `reason` says why.
    """
    draft.node(node)
    refusal = link_refusal(draft.pipeline, source, node, port)
    if refusal is not None and not (is_replaced and refusal.reason == "taken"):
        if refusal.reason.startswith("no_"):
            advice = refusal.advice or None
            raise UnknownNameError(refusal.message, where=f"{node}.{port}", advice=advice, reason=refusal.reason)
        raise refused(refusal.message, f"{node}.{port}", refusal.reason, refusal.advice)
    draft.editor.put(_input_path(draft, node, port), source.binding)


def disconnect(draft: Draft, edit: EditFields) -> None:
    """Remove the link of an input; one that is not connected stays as it is."""
    node, port = edit.text("node"), edit.text("port")
    entry = _inputs(draft, node).get(port)
    texts = [entry] if isinstance(entry, str) else [*entry.values()] if isinstance(entry, dict) else []
    if any(bindings_in(text) for text in texts if isinstance(text, str)):
        draft.editor.remove(_input_path(draft, node, port))


def set_value(draft: Draft, edit: EditFields) -> None:
    """Set a parameter, or set it back to its default."""
    node, port, value = edit.text("node"), edit.text("port"), edit.scalar("value")
    path = _input_path(draft, node, port)
    if value is None:
        draft.editor.remove(path)
        return
    spec = draft.input_port(node, port)
    if spec is not None and spec.is_data:
        raise refused(f"{port} of {node} is data, not a value.", f"{node}.{port}", "types", "Give it a path.")
    draft.editor.put(path, as_typed(spec, value))


def set_data(draft: Draft, edit: EditFields) -> None:
    """Give an input data: a path with its type, and how it is delivered."""
    node, port = edit.text("node"), edit.text("port")
    spec = draft.input_port(node, port)
    if spec is not None and not spec.is_data:
        raise refused(f"{port} of {node} is a value, not data.", f"{node}.{port}", "types", "Give it a value.")
    path = _input_path(draft, node, port)
    put_data(draft, path, edit)


def put_data(draft: Draft, path: tuple[str, ...], edit: EditFields) -> None:
    """Put data at a path: into the entry that is there, if it is data, else in its place."""
    data = {"type": edit.text("type"), "path": edit.text("path").strip()}
    if data["type"] not in DATA_TYPES:
        raise edit.malformed("type", f"one of {', '.join(sorted(DATA_TYPES))}")
    if not data["path"]:
        raise edit.malformed("path", "a path")
    mode = edit.optional_text("mode")
    if mode is not None:
        if mode not in MODES:
            raise edit.malformed("mode", f"one of {', '.join(sorted(MODES))}")
        data["mode"] = mode
    there = value_at(draft.editor.data, path)
    if isinstance(there, dict) and "path" in there:
        for key, value in data.items():
            draft.editor.put((*path, key), value)
        if mode is None:
            draft.editor.remove((*path, "mode"))
    else:
        draft.editor.put(path, data)


def as_typed(spec: InputSpec | None, value: Scalar) -> Scalar:
    """A value as the parameter's type has it, where it is one; another is written as it is, and shown as a fault."""
    if spec is None or not spec.type or (isinstance(value, str) and bindings_in(value)):
        return value
    wider = replace(spec, type="number", choices=(), minimum=None, maximum=None)
    for port in (spec, wider) if spec.type == "integer" else (spec,):
        with suppress(ParameterError):
            return parse_literal(port, value)
    return value


def _inputs(draft: Draft, node: str) -> dict[str, object]:
    inputs = draft.node(node).get("inputs")
    return inputs if isinstance(inputs, dict) else {}


def _input_path(draft: Draft, node: str, port: str) -> tuple[str, ...]:
    """The path of an input, whose name may be that of a group's member."""
    if str(draft.node(node).get("type", "")).lower() in CONTROL_KINDS:
        advice = "Edit the condition and the blocks in the text."
        raise refused(f"{node} decides about other nodes; it has no inputs.", node, "not_editable", advice)
    return ("jobs", node, "inputs", port)
