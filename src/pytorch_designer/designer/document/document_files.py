"""Files of documents: inside the project, read whole, replaced whole."""

from __future__ import annotations

import errno
import os
import stat
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from pytorch_designer.errors import FailedToWriteOutputsError, InvalidSpecError, UnknownNameError
from pytorch_designer.harness.lint.documents import SUFFIXES
from pytorch_designer.storage.output import sync_folder
from pytorch_designer.system.special_files import resolved, special_kind

if TYPE_CHECKING:
    from collections.abc import Callable

MAX_BYTES = 16 << 20
_BOM = "\ufeff"
_NO_LINKS = {errno.EPERM, errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP, errno.EMLINK}  # FAT and some network mounts


@dataclass(frozen=True)
class DocumentText:
    """Text of a document.

    Attributes:
        content: Its bytes.
        text: The text without a byte order mark; None if it is not UTF-8.
    """

    content: bytes
    text: str | None

    @classmethod
    def of(cls, content: bytes) -> DocumentText:
        """The text of a document's bytes."""
        try:
            return cls(content, content.decode("utf-8-sig"))
        except UnicodeDecodeError:
            return cls(content, None)

    @property
    def has_mark(self) -> bool:
        """True if it begins with a byte order mark."""
        return self.content.startswith(_BOM.encode())

    def replaced(self, text: str) -> bytes:
        """The bytes with another text, and the same mark."""
        return ((_BOM if self.has_mark else "") + text).encode()


def document_file(project: Path, name: str) -> Path:
    """The file of a document, which need not exist.

    Args:
        project: The project's folder.
        name: The document's path in it, with slashes.

    Raises:
        InvalidSpecError: It is not the name of a YAML file, or leads out of the project.
    """
    parts = PurePosixPath(name).parts
    is_plain = bool(parts) and not name.startswith("/") and ".." not in parts and not set("\\\0:") & set(name)
    file = project.joinpath(*parts) if is_plain else project
    if not is_plain or not resolved(file).is_relative_to(resolved(project)):
        raise InvalidSpecError(
            "A document is a file in the project.",
            where=name[:200],
            advice="Name a path in the project's folder, without `..`; links must not lead out of it.",
            reason="path_outside",
        )
    if file.suffix.lower() not in SUFFIXES or any(part.startswith(".") for part in parts):
        raise InvalidSpecError(
            "A document is a YAML file.", where=name[:200], advice="Let its name end with .yaml.", reason="name"
        )
    return file


def read_document_text(file: Path, name: str) -> DocumentText:
    """Read a document.

    Raises:
        UnknownNameError: There is none.
        InvalidSpecError: It cannot be read, or is too large.
    """
    try:
        special = special_kind(file)
        if special is not None or file.is_dir():
            raise InvalidSpecError(f"This is {special or 'a folder'}, not a YAML file.", where=name)
        with file.open("rb") as stream:
            content = stream.read(MAX_BYTES + 1)
    except FileNotFoundError:
        raise UnknownNameError(
            f"There is no document {name}.", where=name, advice="It was renamed or removed.", reason="no_document"
        ) from None
    except OSError as error:
        raise InvalidSpecError(f"The document cannot be read: {error.strerror or error}.", where=name) from error
    if len(content) > MAX_BYTES:
        raise InvalidSpecError(f"The document has more than {MAX_BYTES:,} bytes.", where=name, reason="too_large")
    return DocumentText.of(content)


def write_document(file: Path, content: bytes, *, before_rename: Callable[[], None], is_new: bool = False) -> None:
    """Replace a document: whoever reads it, or a kill, sees the old content or the new.

    Args:
        file: The document. A link stays one: what it leads to is replaced.
        content: The new content.
        before_rename: Called when everything is on disk but the rename.
        is_new: Whether there must be no such file yet.

    Raises:
        FailedToWriteOutputsError: It cannot be written; it is as it was.
    """
    target = resolved(file)
    temporary = target.with_name(f".{target.name}.partial")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        temporary.unlink(missing_ok=True)
        with temporary.open("xb") as stream:
            if not is_new:
                temporary.chmod(stat.S_IMODE(target.stat().st_mode))
            stream.write(content)
            stream.flush()
            os.fsync(stream.fileno())
        before_rename()
        if is_new:
            move_to_new(temporary, target)
        else:
            temporary.replace(target)
        sync_folder(target.parent)
    except FileExistsError as error:
        raise file_exists(file) from error
    except OSError as error:
        raise FailedToWriteOutputsError(
            f"The document could not be written: {error.strerror or error}.", where=file
        ) from error
    finally:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)


def refuse_existing(file: Path) -> None:
    """Refuse a new document where there is a file.

    Raises:
        InvalidSpecError: There is one.
    """
    if os.path.lexists(file):
        raise file_exists(file)


def move_to_new(source: Path, target: Path, *, before_unlink: Callable[[], None] = lambda: None) -> None:
    """Move a file to a place where there is none; a kill in between leaves it at both.

    Args:
        source: The file.
        target: Where it goes, in the same folder.
        before_unlink: Called when it is at both places. If it raises, the file is where it was.

    Raises:
        FileExistsError: There is a file at the target.
        OSError: It cannot be moved, or was replaced meanwhile; it is where it was.
    """
    try:
        os.link(source, target)
    except OSError as error:
        if error.errno not in _NO_LINKS:
            raise
        if os.path.lexists(target):
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(target)) from error
        before_unlink()
        source.rename(target)
        return
    try:
        before_unlink()
        if not source.samefile(target):
            raise OSError(errno.EBUSY, "another program has just written it")
        source.unlink()
    except BaseException:
        target.unlink()
        raise


def file_exists(file: Path) -> InvalidSpecError:
    """Error about a file that is there already."""
    return InvalidSpecError(
        f"There is a file {file.name} already.", where=file, advice="Choose another name.", reason="exists"
    )
