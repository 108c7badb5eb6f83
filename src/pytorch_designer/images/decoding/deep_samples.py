"""Samples of more than 8 bits: the eight highest of the bits that the file says it has.

Pillow leaves 16 bit grayscale as it is and reduces 16 bit color to its high byte. TIFFs of 9 to 15 bits it reads not
at all, or without scaling them: their rows are decoded as bytes, by changing the header, and unpacked here.

    12 bits   AAAAAAAA aaaaBBBB BBBBbbbb    a row starts with a whole byte; A and B are the bits that are kept

Each row of a tile starts with a whole byte, too: an image of several tiles per row has several parts per row. With
horizontal differencing, samples are sums of what is stored.

Source: TIFF 6.0, sections 2, 8, 14 and 15.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from pytorch_designer.images.bad_files import UndecodableImageError
from pytorch_designer.images.decoding.orientation import UPRIGHT

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from PIL import Image
    from PIL.TiffImagePlugin import ImageFileDirectory_v2

_KEPT_BITS = 8
_PIXELS_AT_ONCE = 2**20  # or one row
_BYTES_PER_PIXEL_AT_ONCE = 100  # three samples of 15 bits, a byte for each, and their sums
_FEW_LEVELS = 2**12  # of 16 bits: what a camera of 12 bits fills

_WIDTH, _HEIGHT, _BITS, _COMPRESSION, _PHOTOMETRIC = 256, 257, 258, 259, 262
_ORIENTATION, _SAMPLES, _PLANES, _PREDICTOR, _TILE_WIDTH, _SAMPLE_FORMAT = 274, 277, 284, 317, 322, 339
_TILE_MULTIPLE = 16
_LONG = 4
_BLACK_IS_ZERO, _WHITE_IS_ZERO, _RGB = 1, 0, 2
_HORIZONTAL_DIFFERENCING = 2
_LOSSLESS_COMPRESSIONS = frozenset([1, 5, 8, 32773, 32946])  # none, LZW, deflate, packbits, old deflate
_XMP_ORIENTATION = b"tiff:Orientation"


class PackedTiff(NamedTuple):
    """A TIFF of 9 to 15 bits per sample, changed to a grayscale image of bytes.

    Attributes:
        content: The changed file, whose pixels are the bytes of the rows.
        height: Rows.
        width: Pixels per row of the original.
        part_width: Pixels per row of a tile, or of the original where it has no tiles.
        num_samples: 1 or 3.
        bits: Bits per sample.
        is_differenced: Whether a sample is stored as its difference from that of the pixel before it.
        is_inverted: Whether 0 is white.
        orientation: 1 to 8, which the changed file does not have.
    """

    content: bytearray
    height: int
    width: int
    part_width: int
    num_samples: int
    bits: int
    is_differenced: bool
    is_inverted: bool
    orientation: int

    @property
    def part_bytes(self) -> int:
        """Bytes per row of a tile, or of the image where it has no tiles."""
        return (self.part_width * self.num_samples * self.bits + 7) // 8

    @property
    def row_bytes(self) -> int:
        """Bytes per row of the changed file."""
        return -(-self.width // self.part_width) * self.part_bytes

    @property
    def peak_bytes(self) -> int:
        """Memory for decoding: the rows twice, RGB, and what is unpacked at once."""
        num_pixels = self.width * self.height
        at_once = min(self.height, self._rows_at_once) * self.part_width * _BYTES_PER_PIXEL_AT_ONCE
        return 2 * self.height * self.row_bytes + 3 * num_pixels + at_once

    @property
    def _rows_at_once(self) -> int:
        return max(1, _PIXELS_AT_ONCE // self.part_width)

    def unpack(self, rows: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """RGB, uint8 [height, width, 3], of the bytes of the rows, uint8 [height, bytes per row]."""
        rgb = np.empty((len(rows), self.width, 3), dtype=np.uint8)
        for top in range(0, len(rows), self._rows_at_once):
            below = top + self._rows_at_once
            for number, left in enumerate(range(0, self.width, self.part_width)):
                part = rows[top:below, number * self.part_bytes : (number + 1) * self.part_bytes]
                right = min(self.width, left + self.part_width)
                rgb[top:below, left:right] = self._kept(part)[:, : right - left]
        return 255 - rgb if self.is_inverted else rgb

    def _kept(self, part: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """The highest bits, uint8 [n, part width, samples], of n rows of a part, uint8 [n, part bytes]."""
        bits = np.unpackbits(part, axis=1)[:, : self.part_width * self.num_samples * self.bits]
        samples = bits.reshape(len(bits), self.part_width, self.num_samples, self.bits)
        if self.is_differenced:
            stored = np.zeros(samples.shape[:-1], dtype=np.uint16)
            for place in range(self.bits):
                stored = 2 * stored + samples[..., place]
            values = np.cumsum(stored, axis=1, dtype=np.uint16)  # its overflow is that of fewer bits, too
            return (values >> (self.bits - _KEPT_BITS)).astype(np.uint8)
        kept: NDArray[np.uint8] = np.packbits(samples[..., :_KEPT_BITS], axis=-1)[..., 0]
        return kept


def packed_tiff(content: bytearray, tags: ImageFileDirectory_v2) -> PackedTiff | None:
    """The changed file; None where its samples have other bits, and Pillow is to read it as it is.

    Args:
        content: The file.
        tags: Of its first image.

    Raises:
        UndecodableImageError: Its samples have 9 to 15 bits, in an arrangement that is not read.
    """
    bits = set(_numbers(tags, _BITS, 1))
    if not any(_KEPT_BITS < count < 16 for count in bits):
        return None
    height, width, num_samples, photometric, orientation = (
        _numbers(tags, tag, default)[0]
        for tag, default in ((_HEIGHT, 0), (_WIDTH, 0), (_SAMPLES, 1), (_PHOTOMETRIC, 0), (_ORIENTATION, UPRIGHT))
    )
    predictor = _numbers(tags, _PREDICTOR, 1)[0]
    part_width = _numbers(tags, _TILE_WIDTH, width)[0]
    is_read = (
        len(bits) == 1
        and (photometric, num_samples) in {(_BLACK_IS_ZERO, 1), (_WHITE_IS_ZERO, 1), (_RGB, 3)}
        and _numbers(tags, _COMPRESSION, 1)[0] in _LOSSLESS_COMPRESSIONS
        and all(_numbers(tags, tag, 1)[0] == 1 for tag in (_PLANES, _SAMPLE_FORMAT))
        and predictor in {1, _HORIZONTAL_DIFFERENCING}
        and part_width > 0
        and (_TILE_WIDTH not in tags or part_width % _TILE_MULTIPLE == 0)
        and bytes(content[2:4]) in {b"*\x00", b"\x00*"}
    )
    if not is_read:
        raise UndecodableImageError(
            f"a TIFF with {max(bits)} bits per sample, which is read in gray or RGB, with all samples of a pixel "
            "together, without loss"
        )
    (count,) = bits
    packed = PackedTiff(
        content,
        height,
        width,
        part_width,
        num_samples,
        count,
        predictor == _HORIZONTAL_DIFFERENCING,
        photometric == _WHITE_IS_ZERO,
        orientation if 1 <= orientation <= 8 else UPRIGHT,
    )
    changes = {_WIDTH: packed.row_bytes, _TILE_WIDTH: packed.part_bytes, _BITS: 8, _SAMPLES: 1, _PREDICTOR: 1}
    changes |= {_PHOTOMETRIC: _BLACK_IS_ZERO, _ORIENTATION: UPRIGHT}
    changed = _with_tags(content.replace(_XMP_ORIENTATION, _XMP_ORIENTATION.lower()), changes)
    return packed._replace(content=changed)


def high_bytes_as_rgb(image: Image.Image) -> NDArray[np.uint8]:
    """RGB, uint8 [height, width, 3], of 16 bit grayscale; a value that stands for transparency is white."""
    values = np.asarray(image)
    gray = (values >> 8).astype(np.uint8)  # negative values cannot occur in 16 bits of mode I
    transparent = image.info.get("transparency")
    if isinstance(transparent, int):
        gray[values == transparent] = 255
    return np.repeat(gray[:, :, None], 3, axis=2)


def remark_on_levels(rgb: NDArray[np.uint8]) -> str | None:
    """Oddity of the high bytes of 16 bit samples: that all lie among the lowest; None where they do not.

    It is asked of bytes, so that an image which is black but for its low bytes counts, too.
    """
    most = int(rgb.max(initial=0))
    if most >= _FEW_LEVELS >> _KEPT_BITS:
        return None
    return (
        f"its samples have 16 bits, but none is above {most * 256 + 255:,} of 65,535, so that it is nearly black. "
        "Samples of fewer bits must be scaled to 16 bits when the file is written"
    )


def _numbers(tags: ImageFileDirectory_v2, tag: int, default: int) -> tuple[int, ...]:
    value = tags.get(tag, default)
    return value if isinstance(value, tuple) else (value,)


def _with_tags(content: bytearray, values: dict[int, int]) -> bytearray:
    """The file with other values of tags that its first directory has."""
    order = "<" if content[:2] == b"II" else ">"
    (directory,) = struct.unpack_from(f"{order}I", content, 4)
    (num_entries,) = struct.unpack_from(f"{order}H", content, directory)
    for index in range(num_entries):
        place = directory + 2 + 12 * index
        (tag,) = struct.unpack_from(f"{order}H", content, place)
        if tag in values:
            struct.pack_into(f"{order}HHII", content, place, tag, _LONG, 1, values[tag])
    return content
