"""Copies of nodes: within a pipeline, to the clipboard and from it, with their comments and their way of writing."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pytorch_designer.designer.editing.draft import POSITION, Draft, position_text, read_position
from pytorch_designer.designer.editing.edit_fields import EditFields, refused
from pytorch_designer.designer.editing.node_edits import TEXT_KEYS, node_renaming
from pytorch_designer.designer.editing.plain_data import read_plain
from pytorch_designer.designer.editing.shared_parts import shifted, without_anchors
from pytorch_designer.designer.editing.yaml_spans import parse_spans
from pytorch_designer.designer.editing.yaml_writing import entry_lines
from pytorch_designer.harness.schema.bindings import NodePort, ParentInput, ParentOutput, bindings_in
from pytorch_designer.harness.schema.yaml_tree import parse_yaml

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pytorch_designer.designer.editing.yaml_spans import SpanNode, SpanText

_BUILT_IN = "builtin:"
_STEP = 2


@dataclass(frozen=True)
class _NodesText:
    """Text that nodes are copied from, and the path of the mapping that they are in."""

    spans: SpanText
    path: tuple[str, ...]


def duplicate_nodes(draft: Draft, edit: EditFields) -> None:
    """Copy nodes: links among them are copied, those from outside kept, outputs of the pipeline left to the first."""
    names = edit.texts("names")
    for name in names:
        draft.node(name)
    offset = edit.position("offset") or (0, 0)
    nodes = {name: draft.jobs[name] for name in draft.jobs if name in names}
    places = {
        name: (place[0] + offset[0], place[1] + offset[1])
        for name, node in nodes.items()
        if (place := read_position(node)) is not None
    }
    _insert(draft, _NodesText(draft.editor.spans, ("jobs",)), nodes, places)


def paste_nodes(draft: Draft, edit: EditFields) -> None:
    """Insert nodes out of a YAML text, as `nodes_text` makes it; links to what is not there are left out."""
    text = edit.text("yaml").removeprefix("\ufeff")
    data = parse_yaml(text, draft.path).mapping().plain  # which refuses what is malformed, or too large
    is_pipeline = isinstance(data.get("jobs"), dict)
    path: tuple[str, ...] = ("jobs",) if is_pipeline else ()
    plain = read_plain(text)
    nodes = plain["jobs"] if is_pipeline else plain
    if not nodes or not all(isinstance(name, str) and isinstance(node, dict) for name, node in nodes.items()):
        advice = "Copy nodes on the canvas, or paste `name: {component: ...}`."
        raise refused("The clipboard holds no nodes.", "yaml", "bad_edit", advice)
    places = {name: place for name, node in nodes.items() if (place := read_position(node)) is not None}
    corner = edit.position("position")
    if corner is not None:
        left, top = min((x for x, _ in places.values()), default=0), min((y for _, y in places.values()), default=0)
        places = {name: (x - left + corner[0], y - top + corner[1]) for name, (x, y) in places.items()}
        places = places or {next(iter(nodes)): corner}
    names = _insert(draft, _NodesText(parse_spans(text), path), nodes, places)
    _leave_out_unknown(draft, list(names.values()))
    for name in names.values():
        written = draft.jobs[name].get("component")
        if isinstance(written, str) and written.startswith(_BUILT_IN):
            draft.editor.put(("jobs", name, "component"), draft.find_component(written).written)


def nodes_text(draft: Draft, names: list[str]) -> str:
    """Nodes as a YAML text of their own, as they are written."""
    for name in names:
        draft.node(name)
    lines: list[str] = []
    for name in draft.jobs:
        if name in names:
            lines += _lines(_NodesText(draft.editor.spans, ("jobs",)), name, name, draft.jobs[name], 0)
    return "\n".join(lines) + "\n"


def _insert(
    draft: Draft, source: _NodesText, nodes: Mapping[str, Any], places: Mapping[str, tuple[int, int]]
) -> dict[str, str]:
    """Insert copies of nodes; returns the name of each copy."""
    names: dict[str, str] = {}
    for name in nodes:
        names[name] = _free_name(draft, name, {*names.values()})
    editor = draft.editor
    if editor.is_block(("jobs",)):
        column = _jobs_column(editor.spans)
        entries = [(names[name], _lines(source, name, names[name], node, column), node) for name, node in nodes.items()]
        editor.insert_lines(("jobs",), entries)
    else:
        for name, node in nodes.items():
            editor.put(("jobs", names[name]), node)
    copies = [("jobs", name) for name in names.values()]
    editor.replace_texts(copies, node_renaming(names), skipping=TEXT_KEYS)
    bound = [
        ("jobs", name, "outputs", port)
        for name in names.values()
        for port, value in (draft.jobs[name].get("outputs") or {}).items()
        if any(isinstance(binding.reference, ParentOutput) for binding in bindings_in(str(value)))
    ]
    editor.remove_all(bound)
    editor.remove_all(("jobs", names[name], "properties", POSITION) for name in nodes if name not in places)
    editor.put_all(
        (("jobs", names[name], "properties", POSITION), position_text(place)) for name, place in places.items()
    )
    return names


def _free_name(draft: Draft, wanted: str, taken: set[str]) -> str:
    stem = wanted.rstrip("0123456789").removesuffix("_") if wanted in draft.jobs else wanted
    number = 1
    name = wanted
    while name in draft.jobs or name in taken:
        number += 1
        name = f"{stem or wanted}_{number}"
    return name


def _jobs_column(spans: SpanText) -> int:
    assert spans.root is not None
    entry = spans.root.entry("jobs")
    assert entry is not None
    return spans.resolved(entry[1]).column


def _lines(source: _NodesText, name: str, new_name: str, node: Any, column: int) -> list[str]:
    """The lines of a node under another name, indented to a column."""
    spans = source.spans
    owner = spans.root
    for key in source.path:
        entry = None if owner is None else owner.entry(key)
        owner = None if entry is None else spans.resolved(entry[1])
    entry = None if owner is None else owner.entry(name)
    if owner is None or owner.is_flow or entry is None or _uses_others(entry[1]):
        first, *others = entry_lines(new_name, node, column, _STEP)
        return [" " * column + first, *others]
    key_node, value = entry
    end = spans.line_end(max(key_node.end, value.end))
    written = new_name + without_anchors(spans.text, key_node.end, end, value)
    moved = shifted(written.replace("\r\n", "\n").replace("\r", "\n"), column - owner.column)
    return (" " * column + moved).split("\n")


def _uses_others(value: SpanNode) -> bool:
    return any(node.kind == "alias" for node in value.walk())


def _leave_out_unknown(draft: Draft, names: list[str]) -> None:
    inputs = draft.editor.data.get("inputs")
    known = set(inputs) if isinstance(inputs, dict) else set()
    paths = []
    for name in names:
        for port, value in (draft.jobs[name].get("inputs") or {}).items():
            for binding in bindings_in(str(value)):
                reference = binding.reference
                is_lost = isinstance(reference, NodePort) and reference.node not in draft.jobs
                is_lost |= isinstance(reference, ParentInput) and reference.name.split(".")[0] not in known
                paths += [("jobs", name, "inputs", port)] if is_lost else []
    draft.editor.remove_all(dict.fromkeys(paths))
