"""azure-ai-ml objects as the YAML that the SDK would write, for the linter."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from pytorch_designer.harness.schema.azure_objects import base_path, plain_document

if TYPE_CHECKING:
    from pytorch_designer.harness.schema.yaml_tree import YamlDocument


def object_document(job_or_component: Any) -> YamlDocument:
    """The YAML that the SDK would write for a component or job. Its places have keys but no lines."""
    plain = json.loads(json.dumps(job_or_component._to_dict(), default=str))
    _restore_booleans(plain, job_or_component)
    path = base_path(job_or_component) / str(job_or_component.name or job_or_component.display_name or "object")
    return plain_document(plain, path)


def _restore_booleans(plain: dict[str, Any], owner: Any) -> None:
    """Put back the booleans that are given to inputs, which `_to_dict()` turns into 0 and 1."""
    given = plain.get("inputs") or {}
    for name, value in owner._to_rest_inputs().items() if hasattr(owner, "_to_rest_inputs") else ():
        if name in given and value.get("value") in {"True", "False"}:
            given[name] = value["value"]
    for name, node in (getattr(owner, "jobs", None) or {}).items():
        inner = plain["jobs"].get(name, {})
        _restore_booleans(inner, node)
        if isinstance(inner.get("component"), dict):
            _restore_booleans(inner["component"], node.component)
