"""Image file headers: the format, and for JPEG the size and the orientation.

The extension of a file is ignored. JPEG headers are parsed here, because most images are JPEGs and opening each with
a general library takes a good part of the time of decoding it.

    JPEG   FF D8 | FF marker length payload | ... | FF C0..CF: the frame header | ... | FF DA: pixels | FF D9
    Exif   marker E1, payload "Exif" 00 00 and a TIFF structure, whose tag 0x0112 is the orientation

Source: ITU-T T.81, annex B; TIFF 6.0, section 2; Exif 2.32, section 4.6.4.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import Literal

from pytorch_designer.images.bad_files import UndecodableImageError

ImageFormat = Literal["JPEG", "PNG", "GIF", "BMP", "TIFF", "WEBP", "PPM"]

_SIGNATURES: tuple[tuple[bytes, ImageFormat], ...] = (
    (b"\xff\xd8\xff", "JPEG"),
    (b"\x89PNG\r\n\x1a\n", "PNG"),
    (b"GIF87a", "GIF"),
    (b"GIF89a", "GIF"),
    (b"II*\x00", "TIFF"),
    (b"MM\x00*", "TIFF"),
    (b"II+\x00", "TIFF"),
    (b"MM\x00+", "TIFF"),
    (b"BM", "BMP"),
)
_NETPBM_KINDS = b"123456"
_WHITE_SPACE = b" \t\r\n\v\f"

_START_OF_SCAN = 0xDA
_END_OF_IMAGE = 0xD9
_APP1 = 0xE1
_STANDALONE_MARKERS = frozenset([0x00, 0x01, *range(0xD0, 0xD9)])
_FRAME_MARKERS = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}

_EXIF_PREFIX = b"Exif\x00\x00"
_ORIENTATION_TAG = 0x0112
_SHORT = 3


@dataclass(frozen=True, slots=True)
class JpegHeader:
    """The frame header of a JPEG file.

    Attributes:
        height: Rows as stored, before the orientation is applied.
        width: Columns as stored.
        num_components: 1 grayscale, 3 colour, 4 CMYK or YCCK.
        bits: Bits per value.
        orientation: Exif orientation, 1 to 8; 1 is upright.
    """

    height: int
    width: int
    num_components: int
    bits: int
    orientation: int


def sniff_format(data: bytes | bytearray) -> ImageFormat:
    """The format of an image file, by its content.

    Raises:
        UndecodableImageError: The content is none of the formats that are read.
    """
    for signature, name in _SIGNATURES:
        if data.startswith(signature):
            return name
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return "WEBP"
    if len(data) > 2 and data[0] == ord("P") and data[1] in _NETPBM_KINDS and data[2] in _WHITE_SPACE + b"#":
        return "PPM"
    raise UndecodableImageError(_describe_foreign(data))


def parse_jpeg_header(data: bytes | bytearray) -> JpegHeader:
    """Read the frame header and the orientation of a JPEG file; `data` may end after the frame header.

    Raises:
        UndecodableImageError: There is no frame header in `data`, or it is malformed.
    """
    orientation = 1
    position = 2
    while (position := data.find(0xFF, position)) >= 0 and position + 4 <= len(data):
        marker = data[position + 1]
        if marker == 0xFF:  # any number of fill bytes may precede a marker
            position += 1
            continue
        position += 2
        if marker in _STANDALONE_MARKERS:
            continue
        if marker in (_START_OF_SCAN, _END_OF_IMAGE):
            break
        (length,) = struct.unpack_from(">H", data, position)
        if marker in _FRAME_MARKERS:
            return _parse_frame(data, position, orientation)
        if marker == _APP1 and data.startswith(_EXIF_PREFIX, position + 2):
            orientation = exif_orientation(data[position + 2 : position + length])
        position += max(length, 2)
    raise UndecodableImageError("damaged JPEG: it has no frame header")


def exif_orientation(exif: bytes | bytearray) -> int:
    """The orientation, 1 to 8, in an Exif block with or without its prefix; 1 where it is absent or malformed."""
    tiff = exif.removeprefix(_EXIF_PREFIX)
    order = {b"II": "<", b"MM": ">"}.get(bytes(tiff[:2]))
    if order is None:
        return 1
    try:
        (first_entry,) = struct.unpack_from(f"{order}I", tiff, 4)
        (num_entries,) = struct.unpack_from(f"{order}H", tiff, first_entry)
        for index in range(num_entries):
            tag, kind, _, value = struct.unpack_from(f"{order}HHIH", tiff, first_entry + 2 + 12 * index)
            if tag == _ORIENTATION_TAG:
                return value if kind == _SHORT and 1 <= value <= 8 else 1
    except struct.error:  # a block that ends early: what the camera meant cannot be known
        return 1
    return 1


def _parse_frame(data: bytes | bytearray, position: int, orientation: int) -> JpegHeader:
    try:
        bits, height, width, num_components = struct.unpack_from(">BHHB", data, position + 2)
    except struct.error as error:
        raise UndecodableImageError("damaged JPEG: its frame header is cut off") from error
    if height == 0 or width == 0:
        raise UndecodableImageError(f"damaged JPEG: its size is {width}x{height}")
    return JpegHeader(height, width, num_components, bits, orientation)


def _describe_foreign(data: bytes | bytearray) -> str:
    if not data:
        return "the file is empty"
    start = bytes(data[:512]).lstrip().lower()
    if start.startswith((b"<!doctype", b"<html", b"<?xml", b"<svg", b"<head", b"<body")):
        return "not an image: the file is a web page or XML"
    if all(byte >= 0x20 or byte in _WHITE_SPACE for byte in start):
        return "not an image: the file is text"
    return "not an image in a format that is read (JPEG, PNG, GIF, BMP, TIFF, WebP, PPM, PGM)"
