"""Extraction of untrusted archives.

Members are written by this module, and never by `zipfile` or `tarfile`: a member is a regular file or a folder with a
relative path inside the archive, or the whole archive is refused. Files are created (`x`) and never overwritten, so
that a member can neither write through another one nor replace it. What image directories skip is not written, and
archives inside the archive are not extracted.

Refused, naming the archive and the member (`reason`): absolute paths and `..` ("member_outside"), links, devices and
sparse files ("member_kind"), members of one name ("duplicate_member"), encryption ("encrypted"), archives of several
parts ("multi_disk"), damage and truncation ("damaged"), and more content than the `ExtractionLimits` allow
("too_large"). Every byte that is decompressed counts, whether it is written or not.
"""

from __future__ import annotations

import bz2
import errno
import gzip
import lzma
import os
import stat
import struct
import tarfile
import zipfile
import zlib
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import IO, TYPE_CHECKING, cast

from pytorch_designer.errors import (
    DesignerError,
    FailedToWriteOutputsError,
    InvalidDatasetError,
    ModuleOutOfMemoryError,
)
from pytorch_designer.storage.folder_listing import is_skipped
from pytorch_designer.storage.paths import path_fault, reading_errors
from pytorch_designer.storage.retrying import is_file, open_retrying, retrying
from pytorch_designer.storage.stopped_folder import temporary_folder
from pytorch_designer.storage.tar_members import MemberContent, TarReader
from pytorch_designer.storage.zstandard_files import open_zstandard
from pytorch_designer.system.places import check_temporary_folder

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

TAR_EXTENSIONS = (".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tar.xz", ".tar.zst", ".tzst")
ZIP_EXTENSION = ".zip"
_CHUNK_BYTES = 1 << 20
_ENCRYPTED_FLAG = 0x1
_UTF8_FLAG = 0x800
_DAMAGE = (
    zipfile.BadZipFile,
    tarfile.TarError,
    zlib.error,
    lzma.LZMAError,
    EOFError,
    NotImplementedError,  # zipfile: a compression method it does not know
    ValueError,
    struct.error,
)


@dataclass(frozen=True)
class ExtractionLimits:
    """Limits that an archive of images never exceeds, but a decompression bomb does, in decompressed bytes."""

    max_entries: int = 4_000_000
    max_depth: int = 64
    free_folders: int = 10_000  # making and removing a folder takes up to a millisecond
    max_folders_per_file: int = 4  # beyond those: a dataset may have an image per folder, and folders around them
    max_total_bytes: int = 1 << 40
    max_ratio: float = 200.0  # images are compressed already; blank bitmaps reach about 100
    ratio_free_bytes: int = 64 << 20  # the ratio does not matter below this total


DEFAULT_LIMITS = ExtractionLimits()


def is_archive(path: Path) -> bool:
    """True if `path` is a file with an archive's extension, in any case.

    Raises:
        InvalidDatasetError: It has one, and whether it is a file cannot be told.
    """
    if not path.name.lower().endswith((ZIP_EXTENSION, *TAR_EXTENSIONS)):
        return False
    with reading_errors(path, InvalidDatasetError):
        return is_file(path)


@contextmanager
def extracted_archive(archive: Path, *, removed_by_signals: bool = True) -> Iterator[Path]:
    """A temporary folder with the content of `archive`, removed when the context ends; see `temporary_folder`.

    Named errors that are raised in the context and name the folder, or what is in it, name the archive instead and the
    member.

    Args:
        archive: The archive.
        removed_by_signals: Whether SIGTERM removes the folder; it has a handler of this program's meanwhile.

    Raises:
        InvalidDatasetError: The archive is unsafe or damaged; see the module's docstring.
        FailedToWriteOutputsError: The temporary folder cannot hold the content.
        MissingExtraError: The archive is compressed with Zstandard, and there is no module for it.
        ModuleOutOfMemoryError: The archive asks for more memory than there is.
        UnsupportedEnvironmentError: There is no folder for temporary files.
    """
    check_temporary_folder()
    with temporary_folder(removed_by_signals=removed_by_signals) as folder:
        try:
            extract_archive(archive, folder)
            yield folder
        except DesignerError as error:
            error.rename_folder(str(folder), str(archive))
            raise


def extract_archive(archive: Path, target: Path, limits: ExtractionLimits = DEFAULT_LIMITS) -> None:
    """Extract `archive` into the folder `target`, which is there and empty.

    On an error `target` may hold a part of the content; nothing is ever written outside it.

    Raises:
        InvalidDatasetError: The archive is unsafe or damaged; see the module's docstring.
        FailedToWriteOutputsError: `target` cannot hold the content.
    """
    extraction = _Extraction(archive, target, limits)
    with reading_errors(archive, InvalidDatasetError), _damage_errors(archive):
        if archive.name.lower().endswith(ZIP_EXTENSION):
            _extract_zip(extraction)
        else:
            _extract_tar(extraction)
        extraction.make_folders()


@dataclass
class _Extraction:
    """Checks and writes that zip and tar share, and what has been extracted so far."""

    archive: Path
    target: Path
    limits: ExtractionLimits
    num_entries: int = 0
    num_files: int = 0
    total_bytes: int = 0
    folders: set[Path] = field(default_factory=set)
    empty_folders: dict[Path, str] = field(default_factory=dict)  # with the member's name; not made yet
    archive_bytes: int = field(init=False)
    max_bytes: float = field(init=False)

    def __post_init__(self) -> None:
        with reading_errors(self.archive, InvalidDatasetError):
            self.archive_bytes = max(1, retrying(self.archive.stat).st_size)
        ratio_bytes = max(self.limits.ratio_free_bytes, self.limits.max_ratio * self.archive_bytes)
        self.max_bytes = min(self.limits.max_total_bytes, ratio_bytes)

    def admit(self, member: str, num_bytes: int) -> Path | None:
        """Target of `member`, whose header claims `num_bytes`, or None if it is skipped."""
        self.num_entries += 1
        if self.num_entries > self.limits.max_entries:
            raise self._too_large(f"{self.limits.max_entries:,} entries", member)
        if self.total_bytes + num_bytes > self.max_bytes:
            raise self._too_large(f"{self.max_bytes:,.0f} bytes", member)
        if member in {".", "./"}:
            return None
        fault = path_fault(member)
        if fault is not None:
            raise self.refusal(f"the member's path {fault}", member, "member_outside")
        parts = [part for part in member.split("/") if part not in {"", "."}]
        if not parts or any(is_skipped(part) for part in parts):
            return None
        if len(parts) > self.limits.max_depth:
            raise self._too_large(f"{self.limits.max_depth} levels of folders", member)
        return self.target.joinpath(*parts)

    def count(self, num_bytes: int, member: str) -> None:
        """Count bytes that were decompressed."""
        self.total_bytes += num_bytes
        if self.total_bytes > self.max_bytes:
            raise self._too_large(f"{self.max_bytes:,.0f} bytes", member)

    def add_folder(self, path: Path, member: str) -> None:
        """Make the folder, at the end, unless a file is in it."""
        self.empty_folders[path] = member

    def make_folders(self) -> None:
        for path, member in self.empty_folders.items():
            self._make_folder(path, member)

    def _make_folder(self, path: Path, member: str) -> None:
        missing = []
        while path != self.target and path not in self.folders:
            missing.append(path)
            path = path.parent
        most = self.limits.free_folders + self.limits.max_folders_per_file * self.num_files
        if len(self.folders) + len(missing) > most:
            raise self._too_large(f"{most:,} folders with {self.num_files:,} files", member)
        for folder in reversed(missing):
            with self._writing(member):
                folder.mkdir()
            self.folders.add(folder)

    def write(self, source: IO[bytes] | MemberContent, path: Path, member: str) -> None:
        self.num_files += 1
        self._make_folder(path.parent, member)
        with self._writing(member):
            stream = path.open("xb")
        with stream:
            while chunk := source.read(_CHUNK_BYTES):
                self.count(len(chunk), member)
                with self._writing(member):
                    stream.write(chunk)

    def refusal(self, what: str, member: str, reason: str) -> InvalidDatasetError:
        return InvalidDatasetError(
            f"The archive cannot be extracted: {what}.",
            where=self.archive,
            examples=[ascii(member)],
            advice="Create the archive again, of regular files in folders and without a password.",
            reason=reason,
        )

    def _too_large(self, bound: str, member: str) -> InvalidDatasetError:
        what = f"it holds more than {bound}, which is too much for an archive of {self.archive_bytes:,} bytes"
        return self.refusal(what, member, "too_large")

    @contextmanager
    def _writing(self, member: str) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            if error.errno in {errno.EEXIST, errno.ENOTDIR, errno.EISDIR}:
                raise self.refusal("two members have the same path", member, "duplicate_member") from error
            if error.errno in {errno.ENAMETOOLONG, errno.EINVAL, errno.EILSEQ}:
                raise self.refusal("this system has no such file names", member, "member_outside") from error
            raise FailedToWriteOutputsError(
                f"The archive could not be extracted into {self.target.parent}: {error.strerror or error}.",
                where=self.archive,
                examples=[ascii(member)],
                advice="Free space there, or let TMPDIR name another folder.",
            ) from error


def _extract_zip(extraction: _Extraction) -> None:
    if _num_disks(extraction.archive) > 1:
        raise extraction.refusal("it is one part of several", extraction.archive.name, "multi_disk")
    with open_retrying(extraction.archive) as stream, zipfile.ZipFile(stream) as archive:
        for info in archive.infolist():
            name = _zip_member_name(info)
            kind = stat.S_IFMT(info.external_attr >> 16)
            if info.flag_bits & _ENCRYPTED_FLAG:
                raise extraction.refusal("it is encrypted", name, "encrypted")
            if kind not in {0, stat.S_IFREG, stat.S_IFDIR}:
                raise extraction.refusal("a member is a link or a device", name, "member_kind")
            path = extraction.admit(name, info.file_size)
            if path is None:
                continue
            if name.endswith("/"):
                extraction.add_folder(path, name)
                continue
            with archive.open(info) as source:
                extraction.write(source, path, name)


def _zip_member_name(info: zipfile.ZipInfo) -> str:
    """The member's name with `/`, which not all Windows programs write, and in UTF-8 even when not marked so."""
    name = info.orig_filename.split("\0", 1)[0]
    if not info.flag_bits & _UTF8_FLAG:
        try:
            name = name.encode("cp437").decode("utf-8")
        except UnicodeError:
            name = info.filename
    return name.replace("\\", "/")


def _num_disks(archive: Path) -> int:
    """Number of parts of the zip archive, from the record at its end."""
    with open_retrying(archive) as stream:
        stream.seek(0, os.SEEK_END)
        stream.seek(max(0, stream.tell() - (1 << 16) - 22))
        tail = stream.read()
    record = tail.rfind(b"PK\5\6")
    if record < 0 or len(tail) < record + 22:
        return 1
    disk = int(struct.unpack_from("<H", tail, record + 4)[0])
    return 1 if disk == 0xFFFF else disk + 1  # 0xFFFF: the number is in the zip64 record, which zipfile checks


def _extract_tar(extraction: _Extraction) -> None:
    with open_retrying(extraction.archive) as raw, _decompressed(raw, extraction.archive) as content:
        for member, source in TarReader(content, partial(extraction.count, member="between two members")):
            if member.type == tarfile.GNUTYPE_SPARSE:
                raise extraction.refusal("a member is a sparse file", member.name, "member_kind")
            if not (member.isreg() or member.isdir()):
                raise extraction.refusal("a member is a link or a device", member.name, "member_kind")
            path = extraction.admit(member.name, source.size)
            if path is None:
                continue
            if member.isdir():
                extraction.add_folder(path, member.name)
            else:
                extraction.write(source, path, member.name)


def _decompressed(raw: IO[bytes], path: Path) -> IO[bytes]:
    magic = raw.read(6)
    raw.seek(0)
    if magic.startswith(b"\x1f\x8b"):
        return cast("IO[bytes]", gzip.GzipFile(fileobj=raw))
    if magic.startswith(b"BZh"):
        return cast("IO[bytes]", bz2.BZ2File(raw))
    if magic.startswith(b"\xfd7zXZ\0"):
        return cast("IO[bytes]", lzma.LZMAFile(raw))
    if magic.startswith(b"\x28\xb5\x2f\xfd"):
        return open_zstandard(raw, path)
    return raw


@contextmanager
def _damage_errors(archive: Path) -> Iterator[None]:
    try:
        yield
    except MemoryError as error:  # a window of gigabytes, which a compressed file may ask for
        raise ModuleOutOfMemoryError(
            "Decompressing the archive takes more memory than is free.",
            where=archive,
            advice="Create the archive again, with the usual settings of its program.",
            reason="too_large",
        ) from error
    except (*_DAMAGE, OSError) as error:
        if isinstance(error, OSError) and error.errno is not None:  # gzip and bz2 report damage without a number
            raise
        raise InvalidDatasetError(
            f"The archive is damaged, incomplete, or not what its extension says: {error}",
            where=archive,
            advice="Download or create the archive again.",
            reason="damaged",
        ) from error
