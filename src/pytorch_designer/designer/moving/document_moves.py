"""Renaming and removal of documents, with all that belongs to them.

A document's history goes with it to its new name, and its runs are found under it. The text of a document that is
removed stays in its journal, from which it comes back. Results of runs are never touched.
"""

from __future__ import annotations

import os
import stat
from contextlib import suppress
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any

from pytorch_designer.designer.document.document_files import (
    document_file,
    file_exists,
    move_to_new,
    read_document_text,
    refuse_existing,
    write_document,
)
from pytorch_designer.designer.document.document_journal import version_of
from pytorch_designer.designer.document.edit_merging import conflict
from pytorch_designer.designer.moving.document_names import check_new_name, find_twin
from pytorch_designer.errors import DesignerError, FailedToWriteOutputsError, InvalidSpecError, UnknownNameError
from pytorch_designer.storage.output import sync_folder

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from pytorch_designer.designer.document.document_store import DocumentStore
    from pytorch_designer.designer.moving.move_log import MoveLog, RemovedDocument

_DELETED = "Deleted"


class DocumentMoves:
    """Renaming and removal of the documents of one project.

    Args:
        store: The documents.
        log: What was renamed and removed.
    """

    def __init__(self, store: DocumentStore, log: MoveLog) -> None:
        self._store = store
        self._log = log

    def rename(self, path: str, target: str) -> dict[str, Any]:
        """Give a document another name in its folder; returns the `Document`.

        Raises:
            InvalidSpecError: The name will not do, is taken (reason "exists"), or another document runs this one
                (reason "in_use").
            DesignerError: There is no such document, or it cannot be moved; it is as it was.
        """
        path, target = (PurePosixPath(name).as_posix() for name in (path, target))
        if path == target:
            return self._store.read(path)
        check_new_name(self._store.project, target)
        file, new_file = (document_file(self._store.project, name) for name in (path, target))
        if file.parent != new_file.parent:
            raise InvalidSpecError(
                "A pipeline is renamed in its folder: its relative paths start there.",
                where=target,
                advice=f"Give it a name in {file.parent}.",
                reason="other_folder",
            )
        with self._store.opened(path) as (file, journal):
            content = self._movable(path, file)
            _refuse_taken(file, new_file)
            self._refuse_use(path, "renamed")
            journal.record_seen(content)
            with self._store.opened(target) as (new_file, new_journal):

                def take_along() -> None:
                    new_journal.adopt(journal)
                    self._log.add_rename(path, target)

                try:
                    self._move(file, new_file, take_along)
                except BaseException:
                    with suppress(DesignerError):
                        self._log.take_back(path, target)
                    raise
            with suppress(OSError):
                journal.leave()
        return self._store.read(target)

    def remove(self, path: str, version: str) -> RemovedDocument:
        """Remove a document; its text and its history are kept.

        Raises:
            InvalidSpecError: It was changed since `version` (reason "conflict"), or another document runs it (reason
                "in_use").
            DesignerError: There is no such document, or it cannot be removed; it is as it was.
        """
        with self._store.opened(path) as (file, journal):
            content = self._movable(path, file)
            if version_of(content) != version:
                raise conflict([], "The file was changed since the page has read it; it was not deleted.")
            self._refuse_use(path, "deleted")
            journal.record_seen(content)
            if journal.current is not None and journal.current.name is None:
                journal.name_current(_DELETED)  # versions with a name are kept for longer
            try:
                removed = self._log.add_removal(path, version, stat.S_IMODE(file.stat().st_mode))
                if read_document_text(file, path).content != content:
                    raise conflict([], "The file was changed a moment ago; it was not deleted.")
                file.unlink()
                sync_folder(file.parent)
            except OSError as error:
                raise _not_moved(file, "deleted", error) from error
        return removed

    def removed(self) -> list[RemovedDocument]:
        """The documents that can be brought back, the latest first."""
        return [removed for removed in self._log.removed() if not self._is_there(removed)]

    def bring_back(self, removal: str, path: str | None = None) -> dict[str, Any]:
        """Write a document again that was removed; returns the `Document`.

        Args:
            removal: Which one, `RemovedDocument.removal`.
            path: The name that it gets; None: the one that it had.

        Raises:
            UnknownNameError: There is none, or its text is not kept any more.
            InvalidSpecError: There is such a file (reason "exists").
            DesignerError: It cannot be written.
        """
        removed = next((each for each in self._log.removed() if each.removal == removal), None)
        if removed is None:
            raise _not_kept(removal)
        target = removed.path if path is None else path
        if path is not None:
            check_new_name(self._store.project, path)
        with self._store.opened(removed.path) as (file, journal):
            content = journal.text_of(removed.version)
        if content is None:
            raise _not_kept(removed.path)
        with self._store.opened(target) as (file, journal):
            refuse_existing(file)
            write_document(file, content, before_rename=lambda: None, is_new=True)
            with suppress(OSError):
                file.chmod(removed.mode)
            if journal.current is None or journal.current.version != removed.version:
                journal.begin(content)
        self._log.add_return(removed)
        return self._store.read(target)

    def write_again(self, path: str) -> dict[str, Any]:
        """Write a document again whose file was removed by hand, as it was seen last; returns the `Document`.

        Raises:
            UnknownNameError: Its text is not kept.
            InvalidSpecError: There is such a file (reason "exists").
            DesignerError: It cannot be written.
        """
        with self._store.opened(path) as (file, journal):
            current = journal.current
            content = None if current is None else journal.text_of(current.version)
            if content is None:
                raise _not_kept(path)
            refuse_existing(file)
            write_document(file, content, before_rename=lambda: None, is_new=True)
        return self._store.read(path)

    def _move(self, file: Path, target: Path, take_along: Callable[[], None]) -> None:
        """Move a file with what belongs to it; a kill in between leaves it at both places, with its history."""
        try:
            if target.exists() and target.samefile(file):  # one file, on a system that knows no case
                take_along()
                file.rename(target)
            else:
                move_to_new(file, target, before_unlink=take_along)
            sync_folder(file.parent)
        except FileExistsError as error:
            raise file_exists(target) from error
        except OSError as error:
            raise _not_moved(file, "renamed", error) from error

    def _is_there(self, removed: RemovedDocument) -> bool:
        """True for a document that could not be removed, or was brought back, by a program that was then killed."""
        try:
            file = document_file(self._store.project, removed.path)
            return version_of(read_document_text(file, removed.path).content) == removed.version
        except DesignerError:
            return False

    def _movable(self, path: str, file: Path) -> bytes:
        content = read_document_text(file, path).content
        if file.is_symlink():
            raise InvalidSpecError(
                "This is a link to a file; the page neither renames nor deletes it.",
                where=path,
                advice="Do it in the folder.",
                reason="link",
            )
        return content

    def _refuse_use(self, path: str, what: str) -> None:
        users = self._store.users(path)
        if users:
            raise InvalidSpecError(
                f"{path} was not {what}: {', '.join(users[:3])} runs it as a component.",
                where=path,
                advice=f"Change the nodes of {', '.join(users[:3])} first.",
                reason="in_use",
            )


def _refuse_taken(file: Path, target: Path) -> None:
    """Refuse a name that another file has, in upper or lower case; it may differ from its own in case only."""
    twin = find_twin(target)
    if twin is not None and twin != file:
        raise file_exists(twin)
    if os.path.lexists(target) and not (twin == file and target.samefile(file)):
        raise file_exists(target)


def _not_moved(file: Path, what: str, error: OSError) -> FailedToWriteOutputsError:
    return FailedToWriteOutputsError(f"The document could not be {what}: {error.strerror or error}.", where=file)


def _not_kept(what: str) -> UnknownNameError:
    return UnknownNameError(
        "This pipeline is not kept any more.",
        where=what[:200],
        advice="The start page lists what can be brought back.",
        reason="no_version",
    )
