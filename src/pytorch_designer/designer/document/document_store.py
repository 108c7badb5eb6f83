"""Documents of a project: read, edited, undone and kept, for the server of the designer page.

The file is the truth. An edit is applied to its text and written at once, after the journal; a change by hand is
noticed when the file is read next, and becomes a step that can be undone like any other.
"""

from __future__ import annotations

import hashlib
import os
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from platformdirs import user_state_path

from pytorch_designer.designer.document.component_library import ComponentLibrary
from pytorch_designer.designer.document.component_palette import BUILT_IN, ComponentPalette
from pytorch_designer.designer.document.document_files import (
    DocumentText,
    document_file,
    read_document_text,
    refuse_existing,
    write_document,
)
from pytorch_designer.designer.document.document_journal import DocumentJournal, version_of
from pytorch_designer.designer.document.document_model import DocumentContent, read_document
from pytorch_designer.designer.document.edit_merging import conflict, merged_edit
from pytorch_designer.designer.document.node_forecasts import node_forecasts
from pytorch_designer.designer.document.project_documents import documents_that_use, list_documents
from pytorch_designer.designer.document.sdk_code import pipeline_code
from pytorch_designer.designer.document.value_check import value_message
from pytorch_designer.designer.editing.copied_nodes import nodes_text
from pytorch_designer.designer.editing.draft import Draft
from pytorch_designer.designer.editing.edits import apply_edits
from pytorch_designer.designer.editing.link_rules import LinkRefusal, LinkSource, link_refusal
from pytorch_designer.errors import DesignerError, InvalidSpecError
from pytorch_designer.system.special_files import resolved

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from pytorch_designer.designer.document.component_palette import BuiltIn
    from pytorch_designer.designer.editing.draft import AddedComponent

_MAX_LABEL = 200


class DocumentStore:
    """Documents of one project. All methods may be called from several threads, and from several processes at once.

    Args:
        project: The project's folder.
        built_in: The built-in components, or None.
        state_folder: Where journals are kept; None: in the user's folder for the state of programs.
    """

    def __init__(self, project: Path, built_in: BuiltIn | None = None, state_folder: Path | None = None) -> None:
        self.project = resolved(project)
        self._state_folder = state_folder or user_state_path("pytorch-designer", appauthor=False)
        self._library = ComponentLibrary()
        self._palette = ComponentPalette(self.project, self._library, built_in)
        self._journals: dict[Path, DocumentJournal] = {}
        self._listed: dict[Path, Any] = {}
        self._lock = threading.RLock()

    def palette(self) -> dict[str, Any]:
        """The contract's `Palette`."""
        with self._lock:
            return self._palette.to_dict()

    def list_documents(self) -> list[dict[str, Any]]:
        """The pipelines of the project: path, name, number of nodes and time of change."""
        with self._lock:
            return list_documents(self.project, self._library, self._listed)

    def users(self, path: str) -> list[str]:
        """The documents whose nodes run this one, as a component."""
        return documents_that_use(self.project, self._file(path))

    def changed(self, path: str) -> str | None:
        """The version of a document's file as it is now; None where there is none, or a component of one job."""
        with self._lock:
            try:
                file = self._file(path)
                component = self._palette.at(file)
                is_document = component is None or component["kind"] == "pipeline"
                return version_of(read_document_text(file, path).content) if is_document else None
            except DesignerError:
                return None

    @contextmanager
    def opened(self, path: str) -> Iterator[tuple[Path, DocumentJournal]]:
        """The file of a document, which need not exist, and its journal, while nobody else changes it.

        Raises:
            InvalidSpecError: It is not the name of a YAML file, or leads out of the project.
            UnsupportedEnvironmentError: The journal cannot be written, or another program changes the document.
        """
        with self._lock:
            file = self._file(path)
            journal = self._journal(file)
            with journal.locked():
                yield file, journal

    def create(self, path: str, text: str) -> dict[str, Any]:
        """Make a new document; `component: builtin:NAME` in its nodes becomes the path of the component's file.

        Raises:
            InvalidSpecError: There is a file already (reason "exists"), or its name will not do.
            DesignerError: It cannot be written.
        """
        with self._lock:
            file = self._file(path)
            refuse_existing(file)
            content = self._with_built_in_files(text, file).encode()
            with self.opened(path) as (file, journal):
                write_document(file, content, before_rename=lambda: None, is_new=True)
                journal.begin(content)
            return self.read(path)

    def read(self, path: str) -> dict[str, Any]:
        """The contract's `Document`.

        Raises:
            DesignerError: There is no such document (reason "no_document"), or it cannot be read.
        """
        with self._lock:
            file = self._file(path)
            document = read_document_text(file, path)
            journal = self._journal(file)
            try:
                with journal.locked():
                    journal.record_seen(document.content)
                history = (journal.undo_label, journal.redo_label)
            except DesignerError:  # it can be looked at all the same; an edit says what is wrong
                history = (None, None)
            return self._facts(path, file, document, history)

    def view(self, file: Path, text: str, reason: str) -> dict[str, Any]:
        """The contract's `Document` for a text that is none of the project's, to be looked at.

        Args:
            file: Where the text was: its relative paths start there.
            text: A pipeline.
            reason: Why it cannot be edited.
        """
        with self._lock:
            content = text.encode()
            facts = self._facts(file.name, file, DocumentText(content, text), (None, None))
            return {**facts, "faults": [], "read_only": facts["read_only"] or reason}

    def edit(self, path: str, version: str, label: str, edits: Sequence[object]) -> dict[str, Any]:
        """Make the edits of one gesture, all or none; returns the `Document` after them.

        Args:
            path: The document.
            version: The version that they were made on. If the file has changed since, they are merged.
            label: What undo calls them.
            edits: The contract's `Edit`s.

        Raises:
            InvalidSpecError: They are refused, or go against a change by hand (reason "conflict").
            DesignerError: The document cannot be read or written.
        """
        with self._lock:
            file = self._file(path)

            def apply(text: str) -> str:
                return apply_edits(
                    text, edits, path=file, library=self._library, find_component=lambda name: self._added(name, file)
                )

            journal = self._journal(file)
            with journal.locked():
                document = self._current(journal, file, path)
                text = self._editable(document, path, file)
                if version == version_of(document.content):
                    edited = apply(text)
                else:
                    base = journal.text_of(version)
                    if base is None:
                        raise conflict([], "The page shows a version that is not kept any more.")
                    edited = merged_edit(self._editable(DocumentText.of(base), path, file), text, apply)
                self._write(journal, file, document.replaced(edited), label)
            return self.read(path)

    def undo(self, path: str, version: str) -> dict[str, Any]:
        """Go one step back; raises as `edit` does, and where there is none (reason "no_undo")."""
        return self._step(path, version, is_back=True)

    def redo(self, path: str, version: str) -> dict[str, Any]:
        """Go one step forth; raises as `edit` does, and where there is none (reason "no_redo")."""
        return self._step(path, version, is_back=False)

    def versions(self, path: str) -> list[dict[str, Any]]:
        """The versions that are kept, the latest first: id, label, time and name."""
        with self.opened(path) as (file, journal):
            self._current(journal, file, path)
            return [version.to_dict() for version in journal.versions()]

    def name_version(self, path: str, name: str) -> list[dict[str, Any]]:
        """Give the version that the file has a name; returns `versions`."""
        with self.opened(path) as (file, journal):
            self._current(journal, file, path)
            journal.name_current(name.strip()[:_MAX_LABEL] or "Saved")
            return [version.to_dict() for version in journal.versions()]

    def restore(self, path: str, version: str, number: str) -> dict[str, Any]:
        """Give the document the text of a version that is kept, as an edit.

        Raises:
            UnknownNameError: It is not kept.
            DesignerError: As `edit` raises it.
        """
        with self._lock:
            with self.opened(path) as (file, journal):
                self._unchanged(journal, file, path, version)
                found = journal.version(number)
                content = journal.text_of(found.version)
                assert content is not None
                self._write(journal, file, content, f"Restore “{found.name or found.label}”")
            return self.read(path)

    def text(self, path: str) -> str:
        """The text of a document, for the text panel."""
        document = read_document_text(self._file(path), path)
        if document.text is None:
            raise InvalidSpecError("The document is not UTF-8 text.", where=path, reason="not_text")
        return document.text

    def write_text(self, path: str, version: str, text: str) -> dict[str, Any]:
        """Replace the text of a document, valid or not; line ends and a byte order mark stay as they were.

        Raises:
            InvalidSpecError: The file has changed since `version` (reason "conflict").
            DesignerError: It cannot be written.
        """
        with self._lock:
            with self.opened(path) as (file, journal):
                document = self._unchanged(journal, file, path, version)
                old = document.text or ""
                if "\r" not in text and old.count("\r\n") == old.count("\n"):
                    text = text.replace("\n", "\r\n") if "\r\n" in old else text
                self._write(journal, file, document.replaced(text), "Edit as text")
            return self.read(path)

    def check_value(self, path: str, node: str, port: str, value: object) -> str | None:
        """Message about a wrong value for an input of a node; None if it is right.

        Args:
            path: The document.
            node: The node; empty for an input of the pipeline.
            port: The input.
            value: Text as it is typed, or a JSON value.

        Raises:
            UnknownNameError: There is no such node or input.
        """
        with self._lock:
            draft = self._draft(path)
            spec = draft.input_port(node, port) if node else draft.pipeline.interface.inputs.get(port)
            return None if spec is None else value_message(spec, value)

    def link_refusal(self, path: str, source: LinkSource, node: str, port: str) -> LinkRefusal | None:
        """Reason why a source cannot be connected to an input of a node; None if it can."""
        with self._lock:
            return link_refusal(self._draft(path).pipeline, source, node, port)

    def nodes_text(self, path: str, names: Sequence[str]) -> str:
        """Nodes as a YAML text of their own, for the clipboard; `paste_nodes` takes it."""
        with self._lock:
            return nodes_text(self._draft(path), list(names))

    def sdk_code(self, path: str) -> str:
        """A Python program that builds the same pipeline with the SDK.

        Raises:
            DesignerError: The pipeline has a fault, or a kind of node that the SDK has no function for.
        """
        with self._lock:
            return pipeline_code(self._library.parse(self.text(path), self._file(path)), self._library)

    def forecast(
        self,
        path: str,
        only: Sequence[str] = (),
        start_from: Sequence[str] = (),
        up_to: Sequence[str] = (),
        is_forced: bool = False,
    ) -> dict[str, Any]:
        """Forecast for each node: `{NODE: {state, reason, reused_from}}`.

        Raises:
            DesignerError: The pipeline cannot be run as it is.
        """
        file = self._file(path)
        return node_forecasts(file, self.project, only=only, start_from=start_from, up_to=up_to, is_forced=is_forced)

    def _file(self, path: str) -> Path:
        return document_file(self.project, path)

    def _journal(self, file: Path) -> DocumentJournal:
        real = resolved(file)
        if real not in self._journals:
            key = hashlib.sha256(os.fsencode(real)).hexdigest()[:24]
            self._journals[real] = DocumentJournal(self._state_folder / "documents" / key, real)
        return self._journals[real]

    def _current(self, journal: DocumentJournal, file: Path, path: str) -> DocumentText:
        document = read_document_text(file, path)
        journal.record_seen(document.content)
        return document

    def _unchanged(self, journal: DocumentJournal, file: Path, path: str, version: str) -> DocumentText:
        document = self._current(journal, file, path)
        if version_of(document.content) != version:
            raise conflict([], "The file was changed since the page has read it; nothing was changed now.")
        return document

    def _step(self, path: str, version: str, *, is_back: bool) -> dict[str, Any]:
        with self._lock:
            with self.opened(path) as (file, journal):
                self._unchanged(journal, file, path, version)
                content = journal.step_content(is_back=is_back)
                write_document(file, content, before_rename=lambda: journal.record_step(is_back=is_back))
            return self.read(path)

    def _write(self, journal: DocumentJournal, file: Path, content: bytes, label: str) -> None:
        current = journal.current
        if current is not None and current.version == version_of(content):
            return
        label = " ".join(label.split())[:_MAX_LABEL] or "Edit"
        write_document(file, content, before_rename=lambda: journal.record_edit(content, label))

    def _facts(
        self, path: str, file: Path, document: DocumentText, history: tuple[str | None, str | None]
    ) -> dict[str, Any]:
        if document.text is None:
            content = DocumentContent(file.stem, "", [], [], [], {}, [], "The document is not UTF-8 text.")
        else:
            content = read_document(document.text, file, self._library, self._palette.at)
        return {
            "path": path,
            "version": version_of(document.content),
            "name": content.name,
            "description": content.description,
            "nodes": content.nodes,
            "inputs": content.inputs,
            "outputs": content.outputs,
            "settings": content.settings,
            "faults": content.faults,
            "undo": history[0],
            "redo": history[1],
            "read_only": content.read_only,
        }

    def _draft(self, path: str) -> Draft:
        file = self._file(path)
        text = self._editable(read_document_text(file, path), path, file)
        return Draft(text, file, self._library, lambda name: self._added(name, file))

    def _added(self, reference: str, file: Path) -> AddedComponent:
        return self._palette.added(reference, file)

    def _editable(self, document: DocumentText, path: str, file: Path) -> str:
        """The text of a document that can be edited on the canvas."""
        if document.text is None:
            raise InvalidSpecError("The document is not UTF-8 text.", where=path, reason="not_text")
        root = self._library.parse(document.text, file).mapping()
        if "jobs" not in root.children:
            raise InvalidSpecError(
                "The document has no nodes that could be edited.",
                where=path,
                advice="A pipeline lists them at `jobs`.",
                reason="not_editable",
            )
        return document.text

    def _with_built_in_files(self, text: str, file: Path) -> str:
        if BUILT_IN not in text:
            return text
        draft = Draft(text, file, self._library, lambda name: self._added(name, file))
        for name, node in draft.jobs.items():
            written = node.get("component") if isinstance(node, dict) else None
            if isinstance(written, str) and written.startswith(BUILT_IN):
                draft.editor.put(("jobs", name, "component"), self._added(written, file).written)
        return draft.editor.checked()
