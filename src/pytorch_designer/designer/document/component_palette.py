"""Palette of the designer page: the built-in components and those in the project's folders, by category.

It knows no component by name. A component is a YAML file; a file that does not load stays, with its fault.
"""

from __future__ import annotations

import os
import pathlib
from typing import TYPE_CHECKING, Any, Protocol

from pytorch_designer.designer.document.component_facts import (
    component_facts,
    component_without_content,
    is_component,
)
from pytorch_designer.designer.document.component_library import ComponentLibrary, Stamp, file_stamp
from pytorch_designer.designer.editing.draft import AddedComponent
from pytorch_designer.errors import FailedToWriteOutputsError, InvalidSpecError, UnknownNameError
from pytorch_designer.harness.lint.documents import SUFFIXES, looks_like_azure_ml
from pytorch_designer.harness.schema.spec_faults import did_you_mean
from pytorch_designer.harness.schema.yaml_tree import YamlDocument, parse_yaml
from pytorch_designer.system.special_files import resolved

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

BUILT_IN = "builtin:"
BUILT_IN_FOLDER = "components"
SKIPPED_FOLDERS = frozenset({"node_modules", "__pycache__", "venv", "runs", "mlruns", "site-packages"})
_MAX_FILES = 5000
_MAX_BYTES = 1 << 20


class BuiltIn(Protocol):
    """Components that come with the program."""

    @property
    def texts(self) -> Callable[[], Mapping[str, str]]:
        """The YAML text of each by name, as it is written into a project."""

    @property
    def write(self) -> Callable[[pathlib.Path], object]:
        """Writes them into the folder `components` of a project; files that are there stay as they are."""


class ComponentPalette:
    """Palette of one project.

    Args:
        project: The project's folder.
        library: Component files.
        built_in: The built-in components, or None.
    """

    def __init__(self, project: pathlib.Path, library: ComponentLibrary, built_in: BuiltIn | None = None) -> None:
        self._project = project
        self._library = library
        self._built_in = built_in
        self._texts: dict[str, YamlDocument] | None = None
        self._known: dict[pathlib.Path, tuple[Stamp, dict[str, Any] | None]] = {}

    def to_dict(self) -> dict[str, Any]:
        """The palette as the contract's `Palette`: categories in the order of the built-in ones, then by name."""
        components = [self._built_in_facts(name) for name in self._built_in_documents()]
        order = list(dict.fromkeys(component["category"] for component in components))
        built_in_files = {self._built_in_file(name) for name in self._built_in_documents()}
        own = [self._own_facts(file) for file in yaml_files(self._project) if file not in built_in_files]
        components += sorted((found for found in own if found), key=lambda found: str(found["display_name"]).lower())
        names = {component["category"] for component in components}
        order += sorted(names - {*order})
        return {
            "categories": [
                {"name": name, "components": [found for found in components if found["category"] == name]}
                for name in order
            ]
        }

    def at(self, file: pathlib.Path) -> dict[str, Any] | None:
        """The component in a file, or None if there is none."""
        name = file.stem
        if name in self._built_in_documents() and file == self._built_in_file(name):
            return self._built_in_facts(name)
        return self._own_facts(file)

    def added(self, reference: str, document: pathlib.Path) -> AddedComponent:
        """Component reference for a node of a document; built-in components are written into the project first.

        Raises:
            UnknownNameError: There is no such component in the project.
            InvalidSpecError: It does not load.
        """
        if reference.startswith(BUILT_IN):
            name = reference.removeprefix(BUILT_IN)
            if self._built_in is None or name not in self._built_in_documents():
                raise _unknown(reference, [BUILT_IN + known for known in self._built_in_documents()])
            file = self._built_in_file(name)
            if not file.is_file():
                self._write_built_in(self._built_in)
        else:
            file = resolved(self._project / reference)
            if not file.is_relative_to(resolved(self._project)) or not file.is_file():
                raise _unknown(reference, ())
        facts = self.at(file)
        if facts is None:
            raise _unknown(reference, ())
        if facts["fault"] is not None:
            raise InvalidSpecError(
                f"The component does not load. {facts['fault']}", where=reference, reason="component_fault"
            )
        return AddedComponent(relative_path(file, document.parent), facts["kind"], facts["name"])

    def _write_built_in(self, built_in: BuiltIn) -> None:
        try:
            built_in.write(self._project)
        except OSError as error:
            raise FailedToWriteOutputsError(
                f"The components could not be written into the project: {error.strerror or error}.",
                where=self._project / BUILT_IN_FOLDER,
            ) from error

    def _built_in_documents(self) -> dict[str, YamlDocument]:
        if self._texts is None:
            texts = {} if self._built_in is None else self._built_in.texts()
            self._texts = {name: parse_yaml(text, self._built_in_file(name)) for name, text in texts.items()}
        return self._texts

    def _built_in_file(self, name: str) -> pathlib.Path:
        return self._project / BUILT_IN_FOLDER / f"{name}.yaml"

    def _built_in_facts(self, name: str) -> dict[str, Any]:
        """A built-in component: as it is in the project, if it is there, since that is what runs."""
        file = self._built_in_file(name)
        reference = f"{BUILT_IN}{name}"
        own = self._own_facts(file) if file.is_file() else None
        if own is not None:
            return {**own, "reference": reference, "is_builtin": True}
        document = self._built_in_documents()[name]
        return component_facts(document, reference=reference, file=None, is_built_in=True)

    def _own_facts(self, file: pathlib.Path) -> dict[str, Any] | None:
        stamp = file_stamp(file)
        if stamp is None or stamp[1] > _MAX_BYTES:
            return None
        if file not in self._known or self._known[file][0] != stamp:
            self._known[file] = (stamp, self._read(file))
        return self._known[file][1]

    def _read(self, file: pathlib.Path) -> dict[str, Any] | None:
        inside = file.is_relative_to(self._project)
        shown = file.relative_to(self._project).as_posix() if inside else str(file)
        try:
            document = self._library.open(file)
        except InvalidSpecError as error:
            if not looks_like_azure_ml(file) or not _names_a_component(file):
                return None
            return component_without_content(reference=shown, name=file.stem, file=shown, fault=error.what)
        if not is_component(document.root):
            return None
        return component_facts(document, reference=shown, file=shown)


def relative_path(file: pathlib.Path, folder: pathlib.Path) -> str:
    """The path of a component as a pipeline writes it, with slashes."""
    return pathlib.Path(os.path.relpath(file, folder)).as_posix()


def yaml_files(project: pathlib.Path) -> Iterator[pathlib.Path]:
    """YAML files of a project, sorted by folder; without hidden folders, links, results and installed packages."""
    num_files = 0
    for folder, folders, files in os.walk(project):
        folders[:] = sorted(name for name in folders if name not in SKIPPED_FOLDERS and not name.startswith("."))
        for name in sorted(files):
            file = pathlib.Path(folder, name)
            if file.suffix.lower() in SUFFIXES and not file.is_symlink():
                num_files += 1
                if num_files > _MAX_FILES:
                    return
                yield file


def _names_a_component(file: pathlib.Path) -> bool:
    text = file.read_text(encoding="utf-8", errors="replace")
    return "commandComponent.schema" in text or "pipelineComponent.schema" in text


def _unknown(reference: str, known: list[str] | tuple[str, ...]) -> UnknownNameError:
    return UnknownNameError(
        f"There is no component {reference} in the project.",
        where=reference,
        advice=did_you_mean(reference, known) or "Put its YAML file into the project's folder.",
        reason="no_component",
    )
