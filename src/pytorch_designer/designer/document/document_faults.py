"""Faults of a pipeline for the page: what `lint` finds and what `run` would refuse, at their nodes and ports."""

from __future__ import annotations

import os
import pathlib
from typing import TYPE_CHECKING, Any

from pytorch_designer.errors import DesignerError
from pytorch_designer.harness.lint.documents import component_file
from pytorch_designer.harness.lint.linter import lint_document
from pytorch_designer.harness.lint.rules import RULES, Severity
from pytorch_designer.harness.node_kinds.disabled_nodes import without_disabled_nodes
from pytorch_designer.harness.pipeline.pipeline_plan import plan_pipeline
from pytorch_designer.harness.schema.component_file import Kind, kind_of
from pytorch_designer.harness.schema.pipeline_file import pipeline_spec
from pytorch_designer.harness.schema.spec_faults import SpecFault, SpecPlace

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pytorch_designer.designer.document.component_library import ComponentLibrary
    from pytorch_designer.harness.schema.yaml_tree import Value, YamlDocument


def find_faults(document: YamlDocument, library: ComponentLibrary) -> list[dict[str, Any]]:
    """All faults of a pipeline as the contract's `Fault`, by line; those of a component stand at its nodes."""
    found = list(lint_document(document, library))
    known = {(fault.place.file, fault.place.line) for fault in found if _is_error(fault)}
    said = {(fault.place.line, fault.message) for fault in found}
    planned = [
        fault
        for fault in _plan_faults(document, library)
        if (fault.place.file, fault.place.line) not in known and (fault.place.line, fault.message) not in said
    ]
    refused = {(fault.place.file, fault.place.line, fault.place.port) for fault in planned if _is_error(fault)}
    found = [  # a warning of what the plan refuses is the same, said twice
        fault
        for fault in found
        if _is_error(fault) or (fault.place.file, fault.place.line, fault.place.port) not in refused
    ] + planned
    users = _nodes_by_file(document)
    plain = [one for fault in found for one in _at_nodes(fault, document.path, users)]
    return sorted(plain, key=lambda fault: (fault["line"], fault["column"], fault["message"]))


def plain_fault(fault: SpecFault, *, kind: str | None = None) -> dict[str, Any]:
    """A fault as the contract's `Fault`."""
    return {
        "severity": "error" if _is_error(fault) else "warning",
        "rule": kind or fault.kind,
        "message": fault.message,
        "advice": fault.advice,
        "line": fault.place.line,
        "column": fault.place.column,
        "node": fault.place.node,
        "port": fault.place.port,
        "keys": list(fault.place.keys),
    }


def _is_error(fault: SpecFault) -> bool:
    return fault.kind not in RULES or RULES[fault.kind].severity is Severity.ERROR


def _plan_faults(document: YamlDocument, library: ComponentLibrary) -> Iterable[SpecFault]:
    if kind_of(document.root) is Kind.PIPELINE_COMPONENT:  # its inputs have values only where it is used
        return ()
    try:
        running, _ = without_disabled_nodes(document)
        plan = plan_pipeline(pipeline_spec(running, open_file=library.open), known_code=library.known_code)
    except DesignerError as error:
        whole = SpecFault(SpecPlace(error.where or str(document.path)), error.name, error.what, error.advice)
        return error.faults or (whole,)
    return plan.warnings


def _nodes_by_file(document: YamlDocument) -> dict[pathlib.Path, list[Value]]:
    """The nodes that name each component file, by the `component` in them."""
    users: dict[pathlib.Path, list[Value]] = {}
    jobs = document.root.get("jobs")
    for node in () if jobs is None else jobs.children.values():
        for key in ("component", "trial"):
            written = node.get(key)
            file = None if written is None else component_file(written)
            if written is not None and file is not None:
                users.setdefault(_normal(file), []).append(written)
    return users


def _at_nodes(fault: SpecFault, path: pathlib.Path, users: dict[pathlib.Path, list[Value]]) -> Iterable[dict[str, Any]]:
    plain = plain_fault(fault)
    file = _normal(pathlib.Path(fault.place.file))
    if file == _normal(path):
        return [plain]
    shown = pathlib.Path(os.path.relpath(file, path.parent)).as_posix()
    plain["message"] = f"{shown}:{fault.place.line}: {fault.message}" if fault.place.line else fault.message
    written = users.get(file, [])
    if not written:
        return [{**plain, "line": 0, "column": 0, "node": None, "port": None, "keys": []}]
    return [
        {
            **plain,
            "line": value.place.line,
            "column": value.place.column,
            "node": value.place.node,
            "port": None,
            "keys": list(value.place.keys),
        }
        for value in written
    ]


def _normal(path: pathlib.Path) -> pathlib.Path:
    return pathlib.Path(os.path.normpath(path.absolute()))
