"""Plain PNG files to Pillow images, without the hundreds of Python calls that Pillow's reader makes for a file.

    89 "PNG" 0D 0A 1A 0A | IHDR | PLTE | IDAT | IDAT | ... | IEND      chunks of metadata in between
    chunk: length, 4 bytes | kind, 4 bytes | content | CRC-32 of kind and content, 4 bytes

Pixels come from Pillow's decoder all the same, which needs no lock and bears damaged data; only what leads to it is
done here, in fewer steps. A plain file is one in which nothing else can change the pixels: whole chunks in the usual
order, not interlaced, at most 8 bits, no transparent colour, no Exif, one frame. All other files are left to Pillow's
reader, and so is every refusal.

Source: PNG specification, third edition, sections 5 and 11.
"""

from __future__ import annotations

import struct
import zlib
from dataclasses import dataclass

from PIL import Image, ImagePalette

_MAX_BYTES = 2**20  # in larger files the pixels take the time
_SIGNATURE_BYTES = 8
_CHUNK_START = struct.Struct(">I4s")
_CHUNK_END = struct.Struct(">I")
_HEADER = struct.Struct(">II2s3s")

# By bits a value and colour type: the mode of the image, and how Pillow names the pixels in the file.
_MODES = {
    (1, 0): ("1", "1"),
    (2, 0): ("L", "L;2"),
    (4, 0): ("L", "L;4"),
    (8, 0): ("L", "L"),
    (8, 2): ("RGB", "RGB"),
    (1, 3): ("P", "P;1"),
    (2, 3): ("P", "P;2"),
    (4, 3): ("P", "P;4"),
    (8, 3): ("P", "P"),
    (8, 4): ("LA", "LA"),
    (8, 6): ("RGBA", "RGBA"),
}
_NO_EXTRAS = bytes(3)  # compression and filters as specified, not interlaced

# Metadata without a say in the pixels, and the least number of bytes with which Pillow takes it.
_METADATA = {b"gAMA": 4, b"cHRM": 32, b"sRGB": 1, b"pHYs": 9, b"sBIT": 0, b"bKGD": 0, b"hIST": 0, b"tIME": 0}
# Pillow keeps texts with its own notes on a file, so that one named "interlace" would be taken for such a note.
_TEXTS = (b"Title\0", b"Author\0", b"Description\0", b"Copyright\0", b"Software\0", b"Comment\0", b"date:")
_LONGEST_TEXT_NAME = 12


@dataclass(frozen=True, slots=True)
class PlainPng:
    """A plain PNG file whose pixels are still compressed.

    Attributes:
        width: Columns.
        height: Rows.
        mode: The mode of the image, as Pillow names it.
        raw_mode: How its pixels are stored, as Pillow names it.
        palette: Red, green and blue of each colour; None where the pixels are no numbers of colours.
        pixels: The filtered rows, deflated.
    """

    width: int
    height: int
    mode: str
    raw_mode: str
    palette: bytes | None
    pixels: memoryview | bytes

    def load(self) -> Image.Image | None:
        """The image, as Pillow's reader would load it; None where the pixels are damaged."""
        try:
            image = Image.frombytes(self.mode, (self.width, self.height), self.pixels, "zip", self.raw_mode)
            if self.palette is not None:
                image.palette = ImagePalette.raw("RGB", self.palette)
                image.load()
        except ValueError:
            return None
        return image


def parse_plain_png(content: bytearray) -> PlainPng | None:
    """Find the pixels in a file with the signature of a PNG; None where it is not plain, damaged for instance."""
    chunks = _whole_chunks(content) if len(content) <= _MAX_BYTES else []
    if not chunks or chunks[0][0] != b"IHDR" or len(chunks[0][1]) != _HEADER.size:
        return None
    width, height, colours, extras = _HEADER.unpack(chunks[0][1])
    mode, raw_mode = _MODES.get((colours[0], colours[1]), ("", ""))
    found = _find_pixels(chunks[1:-1])
    if not mode or not width or not height or extras != _NO_EXTRAS or found is None:
        return None
    palette, pixels = found
    if mode != "P":
        palette = None  # a suggestion for screens with few colours
    elif palette is None:
        return None
    return PlainPng(width, height, mode, raw_mode, palette, pixels)


def _whole_chunks(content: bytearray) -> list[tuple[bytes, memoryview]]:
    """Kinds and contents of the chunks up to IEND; empty where one is cut off or has a wrong checksum."""
    view = memoryview(content)
    chunks = []
    start = _SIGNATURE_BYTES
    while start + 12 <= len(content):
        length, kind = _CHUNK_START.unpack_from(content, start)
        end = start + 8 + length
        if end + 4 > len(content) or _CHUNK_END.unpack_from(content, end) != (zlib.crc32(view[start + 4 : end]),):
            break
        chunks.append((kind, view[start + 8 : end]))
        if kind == b"IEND":
            return chunks
        start = end + 4
    return []


def _find_pixels(chunks: list[tuple[bytes, memoryview]]) -> tuple[bytes | None, memoryview | bytes] | None:
    """The palette, if any, and the compressed pixels in chunks between IHDR and IEND; None where one is not plain."""
    palette: bytes | None = None
    pixels: list[memoryview] = []
    before = b""
    for kind, content in chunks:
        if kind == b"IDAT" and (not pixels or before == b"IDAT"):
            pixels.append(content)
        elif kind == b"PLTE" and palette is None and not pixels:
            palette = bytes(content)
        elif not _is_plain_metadata(kind, content):
            return None
        before = kind
    if not pixels:
        return None
    return palette, pixels[0] if len(pixels) == 1 else b"".join(pixels)


def _is_plain_metadata(kind: bytes, content: memoryview) -> bool:
    if kind == b"tEXt":
        return bytes(content[:_LONGEST_TEXT_NAME]).startswith(_TEXTS)
    return kind in _METADATA and len(content) >= _METADATA[kind]
