"""Facts about an image file, from its first and last bytes where these are enough.

The start of a file tells its format, mode and size, and the end of a JPEG, PNG or GIF file whether it is whole. A file
that is of another format, or in any way unusual, is decoded as training does it, which decides whether it is readable.
So damage in the middle of a file that looks whole is not seen here. torch, which decodes, is imported only where a file
needs it.
"""

from __future__ import annotations

import hashlib
import io
from typing import TYPE_CHECKING, NamedTuple

from PIL import Image

from pytorch_designer.images.header import parse_jpeg_header, sniff_format
from pytorch_designer.images.reading import read_ends
from pytorch_designer.storage.retrying import open_retrying

if TYPE_CHECKING:
    from pathlib import Path

    from pytorch_designer.images.header import ImageFormat
    from pytorch_designer.images.reading import FileEnds

_START_BYTES = 1 << 14  # all of a small image; of a JPEG mostly the header, metadata included
_END_BYTES = 64
_KEY_BYTES = 8
_CHUNK_BYTES = 1 << 20
_JPEG_MODES = {1: "L", 3: "RGB", 4: "CMYK"}
_PNG_END = b"IEND\xaeB`\x82"


class ImageFacts(NamedTuple):
    """Facts about an image file.

    Attributes:
        kind: Format and Pillow's mode: "PNG RGBA".
        width: Columns as stored, before an orientation is applied.
        height: Rows as stored.
        num_bytes: Size of the file.
        key: Hash of its size and its start, 0 to 2**64 - 1: files of the same content have the same.
    """

    kind: str
    width: int
    height: int
    num_bytes: int
    key: int


def read_facts(path: Path, *, max_pixels: int) -> ImageFacts:
    """Read the facts about the image at `path`; one of more than `max_pixels` pixels is unreadable.

    Raises:
        BadImageError: The file cannot be read or is not an image that training reads.
    """
    ends = read_ends(path, num_start=_START_BYTES, num_end=_END_BYTES)
    name = sniff_format(ends.start)
    header = _header(name, ends.start)
    if header is None or header[1] * header[2] > max_pixels or not _is_whole(name, ends):
        decoded = _decoded_size(path, max_pixels)
        header = header or (name, *decoded)
    return ImageFacts(*header, ends.num_bytes, _key(ends))


def content_hash(path: Path) -> bytes:
    """A hash of all bytes of the file at `path`.

    Raises:
        OSError: It cannot be read.
    """
    digest = hashlib.sha256()
    with open_retrying(path) as stream:
        while chunk := stream.read(_CHUNK_BYTES):
            digest.update(chunk)
    return digest.digest()


def _header(name: ImageFormat, start: bytes) -> tuple[str, int, int] | None:
    """Kind, width and height of an image from its first bytes; None where they do not tell."""
    try:
        if name == "JPEG":
            header = parse_jpeg_header(start)
            return f"{name} {_JPEG_MODES[header.num_components]}", header.width, header.height
        Image.init()
        reader, _ = Image.OPEN[name]  # not `Image.open`, which has its own limit on pixels
        with reader(io.BytesIO(start), "") as image:
            return f"{name} {image.mode}", image.width, image.height
    except Exception:  # noqa: BLE001 - Pillow raises anything; decoding the whole file tells what is wrong
        return None


def _is_whole(name: ImageFormat, ends: FileEnds) -> bool:
    """True if the end of a file is that of its format."""
    if name == "JPEG":
        return ends.end.rstrip(b"\0").endswith(b"\xff\xd9")
    if name == "PNG":
        return ends.end.endswith(_PNG_END)
    return name == "GIF" and ends.end.endswith(b";")


def _decoded_size(path: Path, max_pixels: int) -> tuple[int, int]:
    from pytorch_designer.images.decode import decode_image, image_file

    with image_file(path, max_pixels=max_pixels) as content:
        _, height, width = decode_image(content, max_pixels=max_pixels).shape
    return width, height


def _key(ends: FileEnds) -> int:
    start = hashlib.blake2b(ends.start, digest_size=_KEY_BYTES, salt=ends.num_bytes.to_bytes(8, "little"))
    return int.from_bytes(start.digest(), "little")
