"""Files of documents: inside the project, read whole, replaced whole."""

from __future__ import annotations

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


@dataclass(frozen=True)
class DocumentText:
    """Text of a document.

    Attributes:
        content: Its bytes.
        text: The text without a byte order mark; None if it is not UTF-8.
    """

    content: bytes
    text: str | None

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
    text = None
    with suppress(UnicodeDecodeError):
        text = content.decode("utf-8-sig")
    return DocumentText(content, text)


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
            os.link(temporary, target)  # which another process may have made since
            temporary.unlink()
        else:
            temporary.replace(target)
        sync_folder(target.parent)
    except FileExistsError as error:
        raise _exists(file) from error
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
        raise _exists(file)


def _exists(file: Path) -> InvalidSpecError:
    return InvalidSpecError(
        f"There is a file {file.name} already.", where=file, advice="Choose another name.", reason="exists"
    )
