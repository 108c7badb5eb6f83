"""Members of a tar archive, read once and forwards.

`tarfile` parses a header; its own reader of archives is not used, as files can send it back and forth, make it call
itself, or let it collect headers without bounds. Here the time and the memory depend on the bytes that are read alone:

    header      512 bytes: name, type, size, checksum
    content     `size` bytes, filled up to blocks of 512
    ...
    end         a block of zeros

Headers of types x and g (pax) and L and K (GNU) have a content that speaks of the member that follows: its long name,
or its size. Sparse files, which are stored with holes, are given the type `tarfile.GNUTYPE_SPARSE`, whichever of the
four ways they are stored in.
"""

from __future__ import annotations

import tarfile
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import IO

_BLOCK_BYTES = 512
_CHUNK_BYTES = 1 << 20
_MAX_EXTENDED_BYTES = 1 << 17  # a path has some thousand, and an attribute of a file at most half of this
_MAX_EXTENDED = 16  # programs write at most four
_ENCODING, _ERRORS = "utf-8", "surrogateescape"
_PAX_TYPES = (tarfile.XHDTYPE, tarfile.XGLTYPE, tarfile.SOLARIS_XHDTYPE)
_SPARSE_KEYS = "GNU.sparse."


class TarReader:
    """Reader of the members of an uncompressed tar archive.

    Raises `tarfile.TarError` where the archive is damaged or cut off.
    """

    def __init__(self, content: IO[bytes], count: Callable[[int], None]) -> None:
        """Read from `content`.

        Args:
            content: The archive, at its start; `seek` is not called.
            count: Told the number of bytes that were read of anything but a member's content. It may raise.
        """
        self._content = content
        self._count = count

    def __iter__(self) -> Iterator[tuple[tarfile.TarInfo, MemberContent]]:
        """Each member with its content, which is there until the next member is asked for."""
        for_all: dict[str, str] = {}
        for_next: dict[str, str] = {}
        num_extended = 0
        while (header := self._read_header()) is not None:
            if header.type in (*_PAX_TYPES, tarfile.GNUTYPE_LONGNAME, tarfile.GNUTYPE_LONGLINK):
                num_extended += 1
                if num_extended > _MAX_EXTENDED:
                    raise tarfile.ReadError(f"more than {_MAX_EXTENDED} headers speak of one member")
                facts = self._read_extended(header)
                (for_all if header.type == tarfile.XGLTYPE else for_next).update(facts)
                continue
            self._apply(header, for_all | for_next)
            for_next.clear()
            num_extended = 0
            content = MemberContent(self._content, header.size if _has_content(header) else 0)
            yield header, content
            self._skip(content.num_left + -content.size % _BLOCK_BYTES)
        # The rest is padding, behind which lies the checksum of the compressed file.
        while self._read(_CHUNK_BYTES):
            pass

    def _read_header(self) -> tarfile.TarInfo | None:
        """The next header, None at the end of the archive."""
        block = self._read(_BLOCK_BYTES)
        if not block:
            raise tarfile.ReadError("the end of the archive is missing")
        try:
            header = tarfile.TarInfo.frombuf(block, _ENCODING, _ERRORS)
        except tarfile.HeaderError:
            if block == bytes(_BLOCK_BYTES):
                return None
            raise
        return self._checked(header)

    def _read_extended(self, header: tarfile.TarInfo) -> dict[str, str]:
        """Content of an extended header, as far as it matters here."""
        if header.size > _MAX_EXTENDED_BYTES:
            raise tarfile.ReadError(f"a header claims {header.size} bytes")
        data = self._read(header.size)
        if len(data) < header.size:
            raise tarfile.ReadError("a header is cut off")
        self._skip(-header.size % _BLOCK_BYTES)
        if header.type in _PAX_TYPES:
            return _parse_pax(data)
        name = data.split(b"\0", 1)[0].decode(_ENCODING, _ERRORS)
        return {"path": name} if header.type == tarfile.GNUTYPE_LONGNAME else {}

    def _apply(self, header: tarfile.TarInfo, facts: dict[str, str]) -> None:
        header.name = facts.get("path", header.name)
        if "size" in facts:
            header.size = int(facts["size"])
        if _SPARSE_KEYS in facts:
            header.type = tarfile.GNUTYPE_SPARSE
        self._checked(header)

    def _checked(self, header: tarfile.TarInfo) -> tarfile.TarInfo:
        if header.size < 0:
            raise tarfile.ReadError(f"a header claims {header.size} bytes")
        return header

    def _read(self, num_bytes: int) -> bytes:
        data = self._content.read(num_bytes)
        self._count(len(data))
        return data

    def _skip(self, num_bytes: int) -> None:
        while num_bytes > 0:
            data = self._read(min(num_bytes, _CHUNK_BYTES))
            if not data:
                raise tarfile.ReadError("a member is cut off")
            num_bytes -= len(data)


@dataclass
class MemberContent:
    """Content of one member, as a stream.

    Attributes:
        archive: The archive, at what is left of the content.
        size: The number of its bytes.
        num_left: How many of them were not read yet.
    """

    archive: IO[bytes]
    size: int
    num_left: int = field(init=False)

    def __post_init__(self) -> None:
        self.num_left = self.size

    def read(self, num_bytes: int) -> bytes:
        """At most `num_bytes` bytes, none at the end.

        Raises:
            tarfile.ReadError: The archive ends before the content does.
        """
        wanted = min(num_bytes, self.num_left)
        data = self.archive.read(wanted)
        if wanted and not data:
            raise tarfile.ReadError("a member is cut off")
        self.num_left -= len(data)
        return data


def _has_content(header: tarfile.TarInfo) -> bool:
    """Links, folders and devices have none, whatever the size in their header."""
    return header.type in tarfile.REGULAR_TYPES or header.type not in tarfile.SUPPORTED_TYPES


def _parse_pax(data: bytes) -> dict[str, str]:
    """The `path` and the `size` of records such as `30 path=cat/1.png`, and whether they make a file sparse."""
    facts: dict[str, str] = {}
    position = 0
    while position < len(data) and data[position]:
        start = data.find(b" ", position, position + 20) + 1
        length = int(data[position : start - 1]) if start else 0  # a ValueError counts as damage too
        end = position + length
        if not start or end > len(data) or end <= start:
            raise tarfile.ReadError("a record of a header has a wrong length")
        key, _, value = data[start : end - 1].partition(b"=")
        if key in {b"path", b"size"}:
            facts[key.decode()] = value.decode(_ENCODING, _ERRORS)
        elif key.startswith(_SPARSE_KEYS.encode()):
            facts[_SPARSE_KEYS] = ""
        position = end
    return facts
