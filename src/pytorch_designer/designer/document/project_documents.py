"""List of the pipelines in a project."""

from __future__ import annotations

import os
import re
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from pytorch_designer.designer.document.component_library import ComponentLibrary, file_stamp
from pytorch_designer.designer.document.component_palette import yaml_files
from pytorch_designer.designer.document.document_files import MAX_BYTES
from pytorch_designer.errors import InvalidSpecError
from pytorch_designer.harness.lint.pipeline_model import children_at
from pytorch_designer.harness.schema.component_file import kind_of
from pytorch_designer.system.special_files import resolved

if TYPE_CHECKING:
    from pathlib import Path

    from pytorch_designer.designer.document.component_library import Stamp

# Words of a file that cannot be parsed, and was meant to be a pipeline.
_PIPELINE = re.compile(rb"^type:\s*pipeline\b|pipelineJob", re.MULTILINE)


def list_documents(
    project: Path, library: ComponentLibrary, known: dict[Path, tuple[Stamp, dict[str, Any] | None]]
) -> list[dict[str, Any]]:
    """The pipelines of a project: path, name, number of nodes and time of change, by path.

    Args:
        project: The project's folder.
        library: YAML files.
        known: What earlier calls have found; it is brought up to date.
    """
    found = []
    for file in yaml_files(project):
        stamp = file_stamp(file)
        if stamp is None:
            continue
        if file not in known or known[file][0] != stamp:
            known[file] = (stamp, _facts(file, project, library))
        facts = known[file][1]
        if facts is not None:
            found.append({**facts, "modified": stamp[0] / 1e9})
    return sorted(found, key=lambda facts: str(facts["path"]))


def documents_that_use(project: Path, file: Path) -> list[str]:
    """The YAML files of a project with a node that runs `file` as its component, relative to the project."""
    name = re.escape(file.name.encode())
    reference = re.compile(
        rb"\b(?:component|trial)\s*:\s*[\"']?(?:file:)?([^\"'\r\n#,{}]*?" + name + rb")(?=[\"'\s,}]|$)"
    )
    found = []
    for other in yaml_files(project):
        with suppress(OSError):
            content = other.read_bytes()[:MAX_BYTES] if other != file and other.is_file() else b""
            places = {other.parent / os.fsdecode(text) for text in reference.findall(content)}
            if any(resolved(place) == resolved(file) for place in places):
                found.append(other.relative_to(project).as_posix())
    return found


def _facts(file: Path, project: Path, library: ComponentLibrary) -> dict[str, Any] | None:
    path = file.relative_to(project).as_posix()
    try:
        root = library.open(file).root
    except InvalidSpecError:
        return {"path": path, "name": file.stem, "num_nodes": 0} if _names_a_pipeline(file) else None
    kind = kind_of(root)
    if kind is None or not kind.is_pipeline:
        return None
    name = root.get("display_name") or root.get("name")
    num_nodes = len(children_at(root, "jobs"))
    return {"path": path, "name": name.shown_text if name is not None else file.stem, "num_nodes": num_nodes}


def _names_a_pipeline(file: Path) -> bool:
    """True if a file that cannot be parsed says that it is a pipeline; no more is read than a document may have."""
    with suppress(OSError):
        if file.is_file():
            with file.open("rb") as stream:
                return _PIPELINE.search(stream.read(MAX_BYTES)) is not None
    return False
