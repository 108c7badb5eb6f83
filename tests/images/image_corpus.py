"""Image files, odd and broken ones among them, made from first principles or with Pillow."""

from __future__ import annotations

import io
import struct
import zlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, cast

import numpy as np
from PIL import Image

from pytorch_designer.images.bad_files import UndecodableImageError
from pytorch_designer.images.decode import decode_image

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from pytorch_designer.directories.image_directory import ImageDirectory

MAX_PIXELS = 10_000_000
# Where the pixel at (row, column) of the upright image is stored, from the table in Exif 2.32, section 4.6.4.
STORED_FROM_UPRIGHT = {
    1: lambda upright: upright,
    2: lambda upright: upright[:, ::-1],
    3: lambda upright: upright[::-1, ::-1],
    4: lambda upright: upright[::-1],
    5: lambda upright: upright.transpose(1, 0, 2),
    6: lambda upright: np.rot90(upright, 1),
    7: lambda upright: upright[::-1, ::-1].transpose(1, 0, 2),
    8: lambda upright: np.rot90(upright, -1),
}


@dataclass
class Folder:
    """The part of an ImageDirectory that the loader uses."""

    root: Path
    files: list[str]
    labels: NDArray[np.int32] | None = None
    applied_transforms: tuple[tuple[str, Any], ...] = field(default=(), kw_only=True)
    prefix: str = field(default="", kw_only=True)

    def __len__(self) -> int:
        return len(self.files)

    def path(self, row: int) -> Path:
        return self.root / self.files[row]

    @property
    def source(self) -> Path:
        return self.root

    def described(self, row: int) -> str:
        return self.files[row]


def folder_of(root: Path, contents: list[bytes], *, labels: list[int] | None = None) -> ImageDirectory:
    """Write each of `contents` to a file of its own and list them in this order."""
    files = [f"{row:04}.img" for row in range(len(contents))]
    for name, content in zip(files, contents, strict=True):
        (root / name).write_bytes(content)
    folder = Folder(root, files, None if labels is None else np.array(labels, dtype=np.int32))
    return cast("ImageDirectory", folder)


def smooth_pixels(height: int, width: int, *, seed: int = 0) -> NDArray[np.uint8]:
    """uint8 [height, width, 3] that JPEG keeps well: no two corners alike, no symmetry."""
    y, x = np.mgrid[0:height, 0:width] / max(height, width)
    waves = [np.sin(3 * x + seed), np.cos(2 * y + x + seed), np.sin(4 * x * y + 2 * seed)]
    return (127.5 + 127.5 * np.stack(waves, axis=-1)).astype(np.uint8)


def noise_pixels(height: int, width: int, *, seed: int = 0) -> NDArray[np.uint8]:
    """uint8 [height, width, 3] of random values."""
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


def encode(image: Image.Image | NDArray[Any], image_format: str, **options: Any) -> bytes:
    """The file that Pillow writes for an image or an array."""
    picture = image if isinstance(image, Image.Image) else Image.fromarray(image)
    stream = io.BytesIO()
    picture.save(stream, image_format, **options)
    return stream.getvalue()


def exif(orientation: int, *, byte_order: str = "<") -> bytes:
    """An Exif block of one tag, written by hand: header, one entry, no next directory."""
    mark = b"II" if byte_order == "<" else b"MM"
    directory = struct.pack(f"{byte_order}HHHIHHI", 1, 0x0112, 3, 1, orientation, 0, 0)
    return b"Exif\x00\x00" + mark + struct.pack(f"{byte_order}HI", 42, 8) + directory


def png(width: int, height: int, depth: int, color_type: int, rows: bytes, *, extra: bytes = b"") -> bytes:
    """A PNG file from its raw rows (each with its filter byte), written by hand."""
    header = struct.pack(">IIBBBBB", width, height, depth, color_type, 0, 0, 0)
    chunks = [png_chunk(b"IHDR", header), extra, png_chunk(b"IDAT", zlib.compress(rows)), png_chunk(b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunks)


def png_chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def jpeg_with_size(content: bytes, width: int, height: int) -> bytes:
    """A JPEG file whose frame header tells another size than its pixels have."""
    position = content.index(b"\xff\xc0")
    return content[: position + 5] + struct.pack(">HH", height, width) + content[position + 9 :]


def bmp_header(width: int, height: int, bits: int, *, compression: int = 0) -> bytes:
    """The headers of a BMP file without its palette and its pixels."""
    return b"BM" + struct.pack("<IHHIIiiHHIIiiII", 54, 0, 0, 54, 40, width, height, 1, bits, compression, 0, 0, 0, 0, 0)


def tiff(
    samples: NDArray[Any],
    bits: int,
    *,
    order: str = "<",
    photometric: int = 1,
    tags: dict[int, int] | None = None,
) -> bytes:
    """A TIFF of one uncompressed strip, written by hand: samples [height, width, n], the first bits first."""
    height, width, num_samples = samples.shape
    shifts = np.arange(bits - 1, -1, -1)
    rows = np.packbits((samples[..., None] >> shifts & 1).astype(np.uint8).reshape(height, -1), axis=1).tobytes()
    numbers = {
        256: width, 257: height, 258: bits, 259: 1, 262: photometric, 273: 0, 277: num_samples, 278: height,
        279: len(rows),
    } | (tags or {})  # fmt: skip
    end = 8 + 2 + 12 * len(numbers) + 4
    bits_place, numbers[273] = end, end + 2 * num_samples
    entries = b""
    for tag, value in sorted(numbers.items()):
        if tag == 258 and num_samples > 2:
            entries += struct.pack(f"{order}HHII", tag, 3, num_samples, bits_place)
        elif tag == 258:
            entries += struct.pack(f"{order}HHIHH", tag, 3, num_samples, value, value if num_samples == 2 else 0)
        else:
            entries += struct.pack(f"{order}HHII", tag, 4, 1, value)
    mark = b"II*\x00" if order == "<" else b"MM\x00*"
    head = mark + struct.pack(f"{order}IH", 8, len(numbers)) + entries + struct.pack(f"{order}I", 0)
    return head + struct.pack(f"{order}{num_samples}H", *[bits] * num_samples) + rows


def reason(content: bytes, *, max_pixels: int = MAX_PIXELS) -> str:
    """The reason why a file cannot be decoded; decoding it must fail."""
    try:
        decode_image(content, max_pixels=max_pixels)
    except UndecodableImageError as error:
        return error.reason
    raise AssertionError("the file was decoded")
