"""Files on disk: which of them are Azure ML components and pipeline jobs."""

from __future__ import annotations

from contextlib import suppress
from enum import Enum
from typing import TYPE_CHECKING

from pytorch_designer.errors import InvalidSpecError
from pytorch_designer.harness.schema.assets import is_reference
from pytorch_designer.harness.schema.interface import read_interface
from pytorch_designer.harness.schema.pipeline_file import is_pipeline
from pytorch_designer.harness.schema.yaml_tree import YamlDocument, read_yaml

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from pytorch_designer.harness.schema.specification import Interface
    from pytorch_designer.harness.schema.yaml_tree import Value

_LOOKED_AT_CHARACTERS = 1 << 20
SUFFIXES = frozenset({".yml", ".yaml"})
_SKIPPED_FOLDERS = frozenset({".git", ".venv", "venv", "node_modules", "__pycache__", ".ipynb_checkpoints"})
_JOB_ONLY_KEYS = frozenset({"compute", "experiment_name", "settings", "identity", "services", "limits"})
_COMPONENT_ONLY_KEYS = frozenset({"version", "is_deterministic"})
_OTHER_COMPONENTS = frozenset({"parallel", "spark", "import", "data_transfer", "automl"})


class Kind(Enum):
    """Kind of a document that can be checked."""

    COMMAND_COMPONENT = "command component"
    PIPELINE_COMPONENT = "pipeline component"
    PIPELINE_JOB = "pipeline job"


class Library:
    """Cache of YAML files, each of which is read once."""

    def __init__(self) -> None:
        self._documents: dict[Path, YamlDocument] = {}

    def open(self, path: Path) -> YamlDocument:
        """The document in a file.

        Raises:
            InvalidSpecError: It cannot be read, or is not one YAML document in UTF-8.
        """
        key = path.resolve()
        if key not in self._documents:
            self._documents[key] = read_yaml(path)
        return self._documents[key]

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


def component_file(component: Value) -> Path | None:
    """The local file that a `component` names, whether or not it exists; None where it names something else."""
    if component.text is None:
        return None
    name = component.text.removeprefix("file:")
    return None if is_reference(name) or "${{" in name else component.folder / name


def kind_of(root: Value) -> Kind | None:
    """The kind of a document by its `$schema`, `type` and keys; None if it cannot be checked."""
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


def looks_like_azure_ml(path: Path) -> bool:
    """Whether a file that cannot be parsed was probably meant for Azure ML."""
    if not path.is_file():
        return False
    with path.open(encoding="utf-8", errors="replace") as stream:
        text = stream.read(_LOOKED_AT_CHARACTERS)
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
