"""Image file headers: the format, and for JPEG the size, the kind and the orientation.

The extension of a file is ignored. JPEG headers are parsed here, because most images are JPEGs and opening each with
a general library takes a good part of the time of decoding it.

    JPEG   FF D8 | FF marker length payload | ... | FF C0..CF: the frame header | ... | FF DA: pixels | FF D9
    Exif   marker E1, payload "Exif" 00 00 and a TIFF structure; XMP: marker E1, payload a name, 00 and XML
    HEIF   length "ftyp" brand ...: AVIF and HEIC differ in their brands

Source: ITU-T T.81, annex B; ISO/IEC 23008-12, section 10; RFC 9649 (WebP).
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import Literal

from pytorch_designer.images.bad_files import UndecodableImageError
from pytorch_designer.images.decoding.orientation import EXIF_PREFIX, XMP_PREFIX, orientation_of

ImageFormat = Literal["JPEG", "PNG", "GIF", "BMP", "TIFF", "WEBP", "PPM", "AVIF", "HEIC"]

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
_HEIF_BRANDS: dict[bytes, ImageFormat] = {
    **dict.fromkeys((b"avif", b"avis"), "AVIF"),
    **dict.fromkeys((b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1"), "HEIC"),
}
_NETPBM_KINDS = b"123456"
_WHITE_SPACE = b" \t\r\n\v\f"

# Files that are images, or often lie among images, and are named as what they are.
_FOREIGN: tuple[tuple[int, bytes, str], ...] = (
    (0, b"\x00\x00\x00\x0cjP  \r\n\x87\n", "a JPEG 2000 image"),
    (0, b"\xff\x4f\xff\x51", "a JPEG 2000 image"),
    (0, b"\x00\x00\x00\x0cJXL \r\n\x87\n", "a JPEG XL image"),
    (0, b"\xff\x0a", "a JPEG XL image"),
    (0, b"8BPS", "a Photoshop document"),
    (0, b"\x00\x00\x01\x00", "a Windows icon"),
    (0, b"DDS ", "a DirectDraw surface"),
    (0, b"v/1\x01", "an OpenEXR image"),
    (0, b"#?RADIANCE", "a Radiance HDR image"),
    (0, b"qoif", "a QOI image"),
    (0, b"SIMPLE  =", "a FITS image"),
    (0, b"IIRO", "a camera's raw file"),
    (0, b"IIU\x00", "a camera's raw file"),
    (0, b"FUJIFILMCCD-RAW", "a camera's raw file"),
    (4, b"ftypcrx", "a camera's raw file"),
    (4, b"ftyp", "a video"),
    (0, b"\x1aE\xdf\xa3", "a video"),
    (128, b"DICM", "a DICOM image"),
    (0, b"\x93NUMPY", "a NumPy array"),
    (0, b"\x89HDF\r\n\x1a\n", "an HDF5 file"),
    (0, b"%PDF", "a PDF document"),
    (0, b"%!PS", "a PostScript document"),
    (0, b"PK\x03\x04", "a zip archive"),
    (0, b"\x1f\x8b", "a gzip archive"),
    (0, b"P7\n", "a PAM image"),
    (0, b"PF\n", "a PFM image"),
    (0, b"Pf\n", "a PFM image"),
)
_READ_FORMATS = "JPEG, PNG, GIF, BMP, TIFF, WebP, PPM, PGM, AVIF, HEIC"

_START_OF_SCAN = 0xDA
_END_OF_IMAGE = 0xD9
_APP1 = 0xE1
_STANDALONE_MARKERS = frozenset([0x00, 0x01, *range(0xD0, 0xD9)])
_FRAME_MARKERS = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_NUMBER_OF_LINES = b"\xff\xdc\x00\x04"
_LOSSLESS = frozenset([0xC3, 0xC7, 0xCB, 0xCF])
_HIERARCHICAL = frozenset([0xC5, 0xC6, 0xCD, 0xCE])


@dataclass(frozen=True, slots=True)
class JpegHeader:
    """The frame header of a JPEG file.

    Attributes:
        height: Rows as stored, before the orientation is applied.
        width: Columns as stored.
        num_components: 1 grayscale, 3 color, 4 CMYK or YCCK.
        bits: Bits per value.
        orientation: Exif orientation, 1 to 8; 1 is upright.
        marker: The marker of the frame header, 0xC0 to 0xCF, which tells the kind of JPEG.
    """

    height: int
    width: int
    num_components: int
    bits: int
    orientation: int
    marker: int

    @property
    def unsupported_kind(self) -> str | None:
        """Kind of the JPEG, where no decoder here reads that kind."""
        if self.marker in _LOSSLESS:
            return "a lossless JPEG"
        if self.marker in _HIERARCHICAL:
            return "a hierarchical JPEG"
        if self.bits != 8:
            return f"a JPEG with {self.bits} bits per value"
        if self.num_components not in {1, 3, 4}:
            return f"a JPEG with {self.num_components} components"
        return None


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
    if data[4:8] == b"ftyp" and (brand := _HEIF_BRANDS.get(bytes(data[8:12]))):
        return "AVIF" if b"avif" in data[8 : int.from_bytes(data[:4], "big")] else brand
    raise UndecodableImageError(_describe_foreign(data))


def parse_jpeg_header(data: bytes | bytearray) -> JpegHeader:
    """Read the frame header and the orientation of a JPEG file; `data` may end after the frame header.

    Raises:
        UndecodableImageError: There is no frame header in `data`, or it is malformed.
    """
    exif = xmp = b""
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
            return _parse_frame(data, position, marker, orientation_of(exif, xmp) if exif or xmp else 1)
        if marker == _APP1:
            if data.startswith(EXIF_PREFIX, position + 2):
                exif = bytes(data[position + 2 : position + length])
            elif data.startswith(XMP_PREFIX, position + 2):
                xmp = bytes(data[position + 2 : position + length])
        position += max(length, 2)
    raise UndecodableImageError("damaged JPEG: it has no frame header")


def parse_webp_size(data: bytes | bytearray) -> tuple[int, int]:
    """Width and height in the header of a WebP file: of its canvas, or of its only frame, lossy or lossless.

    Raises:
        UndecodableImageError: There is no such header.
    """
    kind, fields = bytes(data[12:16]), data[20:30]
    if len(fields) == 10:
        if kind == b"VP8X":
            return 1 + int.from_bytes(fields[4:7], "little"), 1 + int.from_bytes(fields[7:10], "little")
        if kind == b"VP8 ":
            width, height = struct.unpack_from("<HH", fields, 6)
            return width & 0x3FFF, height & 0x3FFF  # above are two bits of scaling
        if kind == b"VP8L":
            sizes = int.from_bytes(fields[1:5], "little")
            return 1 + (sizes & 0x3FFF), 1 + (sizes >> 14 & 0x3FFF)
    raise UndecodableImageError("damaged WEBP file: it has no header")


def _parse_frame(data: bytes | bytearray, position: int, marker: int, orientation: int) -> JpegHeader:
    try:
        bits, height, width, num_components = struct.unpack_from(">BHHB", data, position + 2)
    except struct.error as error:
        raise UndecodableImageError("damaged JPEG: its frame header is cut off") from error
    if height == 0 and width and _NUMBER_OF_LINES in data:
        raise UndecodableImageError("a JPEG that tells its height at its end (DNL), which is not read")
    if height == 0 or width == 0:
        raise UndecodableImageError(f"damaged JPEG: its size is {width}x{height}")
    return JpegHeader(height, width, num_components, bits, orientation, marker)


def _describe_foreign(data: bytes | bytearray) -> str:
    if not data:
        return "the file is empty"
    for position, signature, kind in _FOREIGN:
        if data.startswith(signature, position):
            return f"not an image in a format that is read, but {kind} (read are {_READ_FORMATS})"
    start = bytes(data[:512]).lstrip().lower()
    if start.startswith((b"<!doctype", b"<html", b"<?xml", b"<svg", b"<head", b"<body")):
        return "not an image: the file is a web page or XML"
    if all(byte >= 0x20 or byte in _WHITE_SPACE for byte in start):
        return "not an image: the file is text"
    if not any(start):
        return "not an image: the file holds nothing but zeros"
    return f"not an image in a format that is read ({_READ_FORMATS})"
