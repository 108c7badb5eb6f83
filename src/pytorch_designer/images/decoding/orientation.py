"""Orientation of an image: one function for all formats, from its Exif block or its XMP packet.

    Exif   a TIFF structure, whose tag 0x0112 is the orientation, 1 to 8; 1 is upright
    XMP    XML with tiff:Orientation="6" or <tiff:Orientation>6</tiff:Orientation>; counts where Exif has no tag

JPEG keeps both in APP1 segments, PNG in chunks (eXIf, XMP as iTXt) or as ImageMagick writes them: in text chunks
"Raw profile type exif", "... APP1" and "... xmp", in hexadecimal digits after a name and a length.

Source: Exif 2.32, section 4.6.4; XMP specification, part 1 and part 3.
"""

from __future__ import annotations

import re
import struct
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

UPRIGHT = 1
EXIF_PREFIX = b"Exif\x00\x00"
XMP_PREFIX = b"http://ns.adobe.com/xap/1.0/\x00"

_ORIENTATION_TAG = 0x0112
_SHORT = 3
_IN_XMP = re.compile(rb"""tiff:Orientation\s*(?:=\s*["']|>)\s*([1-8])\b""")
_EXIF_PROFILES = ("Raw profile type exif", "Raw profile type APP1")
_XMP_KEYS = ("XML:com.adobe.xmp", "xmp", "Raw profile type xmp", "Raw profile type APP1")


def orientation_of(exif: bytes | bytearray, xmp: bytes | bytearray = b"") -> int:
    """The orientation, 1 to 8, in an Exif block with or without its prefix, or else in an XMP packet.

    1 where it is absent, does not exist or is malformed: what the camera meant cannot be known then.
    """
    tag = _exif_tag(exif)
    if tag is None and xmp:
        found = _IN_XMP.search(xmp)
        tag = int(found[1]) if found else None
    return tag if tag is not None and 1 <= tag <= 8 else UPRIGHT


def orientation_in(info: Mapping[str | tuple[int, int], object]) -> int:
    """The orientation in what Pillow tells about an image (`Image.info`), 1 to 8."""
    exif = info.get("exif")
    if not isinstance(exif, bytes):
        exif = next(filter(None, map(_raw_profile, map(info.get, _EXIF_PROFILES))), b"")
    xmp = next(filter(None, map(_as_xmp, map(info.get, _XMP_KEYS))), b"")
    return orientation_of(exif, xmp) if exif or xmp else UPRIGHT


def _exif_tag(exif: bytes | bytearray) -> int | None:
    """The value of the tag; 0 where the block is malformed, None where it has no such tag."""
    tiff = exif.removeprefix(EXIF_PREFIX)
    order = {b"II": "<", b"MM": ">"}.get(bytes(tiff[:2]))
    if order is None:
        return None
    try:
        (first_entry,) = struct.unpack_from(f"{order}I", tiff, 4)
        (num_entries,) = struct.unpack_from(f"{order}H", tiff, first_entry)
        for index in range(num_entries):
            tag, kind, _, value = struct.unpack_from(f"{order}HHIH", tiff, first_entry + 2 + 12 * index)
            if tag == _ORIENTATION_TAG:
                return int(value) if kind == _SHORT else 0
    except struct.error:  # the block ends early
        return 0
    return None


def _raw_profile(text: object) -> bytes:
    """The content of a profile in ImageMagick's form: its name, its length, and hexadecimal digits, a line each."""
    if not isinstance(text, str):
        return b""
    digits = "".join(text.split("\n")[3:]) if text.startswith("\n") else ""
    try:
        return bytes.fromhex(digits)
    except ValueError:
        return b""


def _as_xmp(value: object) -> bytes:
    if isinstance(value, str):
        return value.encode(errors="replace") if "tiff:Orientation" in value else _raw_profile(value)
    return value if isinstance(value, bytes) else b""
