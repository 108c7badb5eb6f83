"""Files on disk: which of them are Azure ML components and pipeline jobs, and their content."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING

import yaml

from pytorch_designer.harness.lint.interfaces import Interface, read_interface
from pytorch_designer.harness.lint.yaml_tree import Value, read_tree

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

SUFFIXES = frozenset({".yml", ".yaml"})
_SKIPPED_FOLDERS = frozenset({".git", ".venv", "venv", "node_modules", "__pycache__", ".ipynb_checkpoints"})
_JOB_ONLY_KEYS = frozenset({"compute", "experiment_name", "settings", "identity", "services", "limits"})
_COMPONENT_ONLY_KEYS = frozenset({"version", "is_deterministic"})
_OTHER_COMPONENTS = frozenset({"parallel", "spark", "import", "data_transfer", "automl"})


class Kind(Enum):
    """What a file that can be checked is."""

    COMMAND_COMPONENT = "command component"
    PIPELINE_COMPONENT = "pipeline component"
    PIPELINE_JOB = "pipeline job"


@dataclass(frozen=True)
class Document:
    """A YAML file.

    Attributes:
        path: Where it is.
        root: Its content.
        repeated: Values whose key occurs earlier in the same mapping.
    """

    path: Path
    root: Value
    repeated: tuple[Value, ...]

    @property
    def folder(self) -> Path:
        """The folder that its relative paths start from."""
        return self.path.parent

    @property
    def kind(self) -> Kind | None:
        """What it is, or None if it is nothing that can be checked."""
        return kind_of(self.root)


class Library:
    """Reads each file once."""

    def __init__(self) -> None:
        self._documents: dict[Path, Document | None] = {}

    def open(self, path: Path) -> Document | None:
        """The document, or None if the file is empty.

        Raises:
            yaml.YAMLError: It is not one YAML document in UTF-8.
            OSError: It cannot be read.
        """
        key = path.resolve()
        if key not in self._documents:
            self._documents[key] = _read(path)
        return self._documents[key]

    def interface(self, path: Path) -> Interface | None:
        """The interface of the component in a file, or None if the file holds no component that we understand."""
        try:
            document = self.open(path)
        except (yaml.YAMLError, OSError):
            return None
        if document is None or not _is_component(document.root):
            return None
        return read_interface(document.root)


def kind_of(root: Value) -> Kind | None:
    """What a YAML document is, by its `$schema`, its `type` and its keys."""
    schema, type_name = _word(root, "$schema"), _word(root, "type")
    if "/sdk-2-0/" in schema:
        return None
    if type_name == "pipeline" or (not type_name and "pipeline" in schema):
        return _pipeline_kind(root, schema)
    if type_name not in {"", "command"}:
        return None
    if "commandcomponent" in schema:
        return Kind.COMMAND_COMPONENT
    looks_like_component = {"command", "name", "environment"} <= root.children.keys()
    if not schema and looks_like_component and not _JOB_ONLY_KEYS & root.children.keys():
        return Kind.COMMAND_COMPONENT
    return None


def yaml_files(folder: Path) -> Iterator[Path]:
    """All YAML files below a folder, sorted; environments, caches and links to folders are left out."""
    for path in sorted(folder.iterdir()):
        if path.is_dir():
            if path.name not in _SKIPPED_FOLDERS and not path.is_symlink():
                yield from yaml_files(path)
        elif path.suffix.lower() in SUFFIXES:
            yield path


def looks_like_azure_ml(text: str) -> bool:
    """Whether a file that cannot be parsed was probably meant for Azure ML."""
    return any(f"{name}.schema.json" in text for name in ("commandComponent", "pipelineComponent", "pipelineJob"))


def _pipeline_kind(root: Value, schema: str) -> Kind | None:
    keys = root.children.keys()
    if "batchdeployment" in schema:
        return None
    if _COMPONENT_ONLY_KEYS & keys:  # also where $schema says otherwise: the SDK does not look at it
        return Kind.PIPELINE_COMPONENT
    if "pipelinejob" in schema or ("jobs" in keys and _JOB_ONLY_KEYS & keys):
        return Kind.PIPELINE_JOB
    if "pipelinecomponent" in schema:
        return Kind.PIPELINE_COMPONENT
    return Kind.PIPELINE_JOB if {"jobs", "component"} & keys else None


def _is_component(root: Value) -> bool:
    if "/sdk-2-0/" in _word(root, "$schema"):
        return False
    type_name = _word(root, "type")
    return type_name in {"command", "pipeline", *_OTHER_COMPONENTS} or (not type_name and "command" in root.children)


def _word(root: Value, key: str) -> str:
    value = root.get(key)
    return "" if value is None else (value.text or "").strip().lower()


def _read(path: Path) -> Document | None:
    try:
        source = path.read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise yaml.YAMLError(f"It is not UTF-8: {error.reason} at byte {error.start}.") from error
    root, repeated = read_tree(source.replace("\r\n", "\n"))
    return None if root is None else Document(path, root, tuple(repeated))
