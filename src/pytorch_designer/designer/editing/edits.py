"""Edits of a pipeline, text to text: what a person does on the canvas, as the page sends it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytorch_designer.designer.editing import copied_nodes, input_edits, node_edits, pipeline_edits
from pytorch_designer.designer.editing.draft import Draft
from pytorch_designer.designer.editing.edit_fields import EditFields, refused
from pytorch_designer.errors import describe_value

if TYPE_CHECKING:
    import pathlib
    from collections.abc import Callable, Mapping, Sequence

    from pytorch_designer.designer.editing.draft import AddedComponent
    from pytorch_designer.harness.lint.documents import Library

_MAX_EDITS = 1000

OPERATIONS: Mapping[str, Callable[[Draft, EditFields], None]] = {
    "add_node": node_edits.add_node,
    "remove_nodes": node_edits.remove_nodes,
    "rename_node": node_edits.rename_node,
    "duplicate_nodes": copied_nodes.duplicate_nodes,
    "paste_nodes": copied_nodes.paste_nodes,
    "connect": input_edits.connect,
    "disconnect": input_edits.disconnect,
    "set_value": input_edits.set_value,
    "set_data": input_edits.set_data,
    "move_nodes": node_edits.move_nodes,
    "set_disabled": node_edits.set_disabled,
    "set_comment": node_edits.set_comment,
    "set_setting": node_edits.set_setting,
    "add_input": pipeline_edits.add_input,
    "set_input": pipeline_edits.set_input,
    "rename_input": pipeline_edits.rename_input,
    "remove_input": pipeline_edits.remove_input,
    "add_output": pipeline_edits.add_output,
    "set_output": pipeline_edits.set_output,
    "rename_output": pipeline_edits.rename_output,
    "remove_output": pipeline_edits.remove_output,
    "set_pipeline": pipeline_edits.set_pipeline,
}
"""Every kind of edit by its `op`."""


def apply_edits(
    text: str,
    edits: Sequence[object],
    *,
    path: pathlib.Path,
    library: Library,
    find_component: Callable[[str], AddedComponent],
) -> str:
    """The text after the edits of one gesture, which are made all or none.

    Args:
        text: A pipeline, which is valid YAML; without a byte order mark.
        edits: The edits, as JSON has them.
        path: The pipeline's file.
        library: Component files.
        find_component: The component that the page names by a reference.

    Raises:
        DesignerError: An edit is malformed, or refused; `reason` says why.
    """
    if not edits or len(edits) > _MAX_EDITS:
        raise refused(f"A gesture has 1 to {_MAX_EDITS} edits, not {len(edits)}.", "edits", "bad_edit")
    draft = Draft(text, path, library, find_component)
    for edit in edits:
        fields = EditFields(edit)
        if fields.op not in OPERATIONS:
            advice = f"There are {', '.join(OPERATIONS)}."
            raise refused(f"There is no edit {describe_value(fields.op)}.", "op", "bad_edit", advice)
        OPERATIONS[fields.op](draft, fields)
    return draft.editor.checked()
