"""Files on disk: which of them are Azure ML components and jobs."""

from __future__ import annotations

import os
from contextlib import suppress
from copy import copy
from pathlib import Path
from typing import TYPE_CHECKING

from pytorch_designer.errors import InvalidSpecError
from pytorch_designer.harness.schema.assets import is_reference
from pytorch_designer.harness.schema.component_file import Kind, is_pipeline, kind_of, type_of
from pytorch_designer.harness.schema.interface import read_interface
from pytorch_designer.harness.schema.vocabulary import OTHER_COMPONENT_KINDS
from pytorch_designer.harness.schema.yaml_tree import YamlDocument, parse_yaml, read_yaml
from pytorch_designer.system.special_files import resolved

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pytorch_designer.harness.schema.specification import Interface
    from pytorch_designer.harness.schema.yaml_tree import Value

_LOOKED_AT_CHARACTERS = 1 << 20
SUFFIXES = frozenset({".yml", ".yaml"})
_SKIPPED_FOLDERS = frozenset({".git", ".venv", "venv", "node_modules", "__pycache__", ".ipynb_checkpoints"})
_SCHEMAS = ("commandComponent", "commandJob", "pipelineComponent", "pipelineJob", "sweepJob")


class Library:
    """Cache of YAML files, each of which is read once."""

    def __init__(self, *documents: YamlDocument) -> None:
        self._documents = {resolved(document.path): document for document in documents}

    def open(self, path: Path) -> YamlDocument:
        """The document in a file.

        Raises:
            InvalidSpecError: It cannot be read, or is not one YAML document in UTF-8.
        """
        key = resolved(path)
        if key not in self._documents:
            self._documents[key] = read_yaml(path)
        return self._documents[key]

    def parse(self, text: str, path: Path) -> YamlDocument:
        """The document in a text, whose file is at a path; raises as `parse_yaml` does."""
        return parse_yaml(text, path)

    def with_document(self, document: YamlDocument) -> Library:
        """The same library with a document in place of its file."""
        library = copy(self)
        library._documents = {**self._documents, resolved(document.path): document}
        return library

    def interface(self, path: Path) -> Interface | None:
        """The interface of the component in a file, or None if it cannot be read or is not a known component."""
        try:
            root = self.open(path).root
        except InvalidSpecError:
            return None
        return read_interface(root, is_strict=False) if _is_component(root) else None

    def pipeline_at(self, component: Value) -> YamlDocument | None:
        """The pipeline in the local file that a node names as its component; None where there is none."""
        file = component_file(component)
        with suppress(InvalidSpecError):
            document = None if file is None else self.open(file)
            return document if document is not None and is_pipeline(document) else None
        return None


def named_components(root: Value, folder: Path) -> list[Path]:
    """The local files of the components that the nodes of a pipeline name, or a job that runs one component.

    Args:
        root: The pipeline.
        folder: The folder of its file, as the user has named it.
    """
    jobs = root.get("jobs")
    owners = [root, *(jobs.children.values() if jobs is not None else ())]
    named = [owner.get(key) for owner in owners for key in ("component", "trial")]
    files = [component_file(component) for component in named if component is not None]
    paths = [_as_named(file, root.folder, folder) for file in files if file is not None]
    return [path for path in paths if path.is_file()]


def component_file(component: Value) -> Path | None:
    """The local file that a `component` names, whether or not it exists; None where it names something else."""
    if component.text is None:
        return None
    name = component.text.removeprefix("file:")
    return None if is_reference(name) or "${{" in name else component.folder / name


def yaml_files(folder: Path) -> Iterator[Path]:
    """All YAML files below a folder, sorted; environments, caches and links to folders are left out."""
    for path in sorted(folder.iterdir()):
        if path.is_dir():
            if path.name not in _SKIPPED_FOLDERS and not path.is_symlink():
                yield from yaml_files(path)
        elif path.suffix.lower() in SUFFIXES:
            yield path


def looks_like_azure_ml(path: Path) -> bool:
    """True if a file that cannot be parsed was probably meant for Azure ML."""
    if not path.is_file():
        return False
    with path.open(encoding="utf-8", errors="replace") as stream:
        text = stream.read(_LOOKED_AT_CHARACTERS)
    return any(f"{name}.schema.json" in text for name in _SCHEMAS)


def _as_named(file: Path, folder: Path, named_folder: Path) -> Path:
    """The path of a file as the user has named its folder; an absolute one as it is."""
    is_below = file.is_relative_to(folder)
    return Path(os.path.normpath(named_folder / file.relative_to(folder) if is_below else file))


def _is_component(root: Value) -> bool:
    """True if a document has the ports of a component; one of a kind that cannot be checked has them too."""
    return kind_of(root) in {Kind.COMMAND_COMPONENT, Kind.PIPELINE_COMPONENT} or type_of(root) in OTHER_COMPONENT_KINDS
