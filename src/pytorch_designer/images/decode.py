"""Bytes of one image file to RGB pixels: the rules about pixel formats, and the limits on size.

- 8 bit JPEGs, grayscale or colour, go to the decoder in torchvision, which needs no lock and no copy.
- Everything else goes to Pillow. PNG too, on purpose: torchvision's PNG decoder ends the whole process with a
  segmentation fault on some damaged files (seen with 0.29.2 on one flipped byte), and is no faster.
- Sizes are checked in the header, before memory for pixels is asked for.

| in the file | RGB |
|---|---|
| grayscale, 1 bit, palette | its colours |
| 16 bit a channel | the high byte: 256 levels survive |
| CMYK, YCCK | (1 - C)(1 - K), (1 - M)(1 - K), (1 - Y)(1 - K) |
| transparency of any kind | blended over white |
| several frames | the first |
| Exif orientation 1 to 8 | turned upright |
"""

from __future__ import annotations

import io
import re
import struct
import threading
import warnings
import zlib
from contextlib import nullcontext
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np
import torch
from PIL import (
    BmpImagePlugin,
    GifImagePlugin,
    Image,
    ImageFile,
    JpegImagePlugin,
    PngImagePlugin,
    PpmImagePlugin,
    TiffImagePlugin,
    WebPImagePlugin,
)

from pytorch_designer.images.bad_files import UndecodableImageError
from pytorch_designer.images.header import exif_orientation, parse_jpeg_header, sniff_format
from pytorch_designer.images.reading import read_file, read_start
from pytorch_designer.settings import settings

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractContextManager
    from pathlib import Path

    from numpy.typing import NDArray

    from pytorch_designer.images.header import ImageFormat

BACKGROUND = 255
"""Value of the red, green and blue channels behind transparent pixels: white."""

_MAX_BYTES_PER_PIXEL = 8  # RGBA with 16 bit a channel, uncompressed
_MAX_METADATA_BYTES = 2**26
_LARGE_IMAGE_PIXELS = 2**25
_LARGE_IMAGE_LOCK = threading.Lock()
_HEADER_BYTES = 2**16
_FLIPPED_AXES = {2: (1,), 3: (0, 1), 4: (0,), 5: (), 6: (1,), 7: (0, 1), 8: (0,)}  # 0: rows, 1: columns
_RGB_MODE = 3  # torchvision.io.ImageReadMode.RGB

# The classes are called directly, not through `Image.open`: nothing but these formats is ever tried, and the limit
# on pixels is ours (Pillow's is a global variable and a warning).
_PILLOW_READERS: dict[ImageFormat, type[ImageFile.ImageFile]] = {
    "JPEG": JpegImagePlugin.JpegImageFile,
    "PNG": PngImagePlugin.PngImageFile,
    "GIF": GifImagePlugin.GifImageFile,
    "BMP": BmpImagePlugin.BmpImageFile,
    "TIFF": TiffImagePlugin.TiffImageFile,
    "WEBP": WebPImagePlugin.WebPImageFile,
    "PPM": PpmImagePlugin.PpmImageFile,
}
_PILLOW_MODULES = r"PIL\."
_PILLOW_FILTER = ("ignore", None, Warning, re.compile(_PILLOW_MODULES), 0)  # as the warnings module stores it
# What Pillow raises on damaged files, by experience; it documents no common class.
_PILLOW_ERRORS = (
    OSError,
    SyntaxError,
    ValueError,
    ArithmeticError,
    LookupError,
    TypeError,
    EOFError,
    struct.error,
    zlib.error,
    Image.DecompressionBombError,
)


def decode_image(data: bytes | bytearray | memoryview, *, max_pixels: int | None = None) -> torch.Tensor:
    """Decode an image file to upright 8 bit RGB.

    Args:
        data: The whole file. A `bytearray` is not copied.
        max_pixels: Images with more pixels (width times height) are refused; None: the setting `max_image_pixels`.

    Returns:
        uint8 [3, height, width]; in memory the channels are innermost where the decoder leaves them so.

    Raises:
        UndecodableImageError: `data` is no image, a damaged one, or one that is too large.
    """
    image, orientation = _decode(data, max_pixels, _to_rgb)
    return turn_upright(image, orientation)


def decode_image_as_stored(data: bytes | bytearray | memoryview, *, max_pixels: int | None = None) -> torch.Tensor:
    """Decode an image file as the old designer did, whose models score as they did on these pixels only.

    The Exif orientation is passed over, transparency is dropped whatever colour is below it, and values of more than
    8 bits are cut off at 255. Otherwise as `decode_image`.
    """
    return _decode(data, max_pixels, _to_rgb_as_stored)[0]


def _decode(
    data: bytes | bytearray | memoryview, max_pixels: int | None, to_rgb: Callable[[Image.Image], NDArray[np.uint8]]
) -> tuple[torch.Tensor, int]:
    """The pixels, uint8 [3, height, width], and the Exif orientation that they still have."""
    content = data if isinstance(data, bytearray) else bytearray(data)
    limit = settings().max_image_pixels if max_pixels is None else max_pixels
    name = sniff_format(content)
    if name != "JPEG":
        return _decode_with_pillow(name, content, limit, to_rgb)
    header = parse_jpeg_header(content)
    _check_size(header.width, header.height, limit)
    decode_jpeg = _jpeg_decoder()
    if header.bits != 8 or header.num_components not in {1, 3} or decode_jpeg is None:
        return _decode_with_pillow(name, content, limit, to_rgb)
    try:
        with _turn_to_decode(header.width, header.height):
            image = decode_jpeg(torch.frombuffer(content, dtype=torch.uint8), _RGB_MODE)
    except RuntimeError as error:
        raise UndecodableImageError("damaged or truncated JPEG") from error
    return image, header.orientation


def upright_size(path: Path) -> tuple[int, int]:
    """Height and width in pixels of the image at `path` once it is upright, from its header alone.

    Raises:
        BadImageError: The file cannot be read or has no usable header.
    """
    try:
        return _upright_size(read_start(path, num_bytes=_HEADER_BYTES))
    except UndecodableImageError:  # what tells the size may lie behind the first bytes
        return _upright_size(read_file(path, max_bytes=max_file_bytes(settings().max_image_pixels)))


def turn_upright(image: torch.Tensor, orientation: int) -> torch.Tensor:
    """Undo an Exif orientation (1 to 8) of an image [3, height, width]."""
    if orientation == 1:
        return image
    # In numpy, because torch would flip a single image with all cores, from each of the reading threads.
    pixels = image.permute(1, 2, 0).numpy()
    if orientation >= 5:  # stored on its side
        pixels = pixels.transpose(1, 0, 2)
    pixels = np.flip(pixels, _FLIPPED_AXES[orientation])
    return torch.from_numpy(np.ascontiguousarray(pixels)).permute(2, 0, 1)


def max_file_bytes(max_pixels: int) -> int:
    """Size in bytes above which a file cannot be an image of at most `max_pixels` pixels."""
    return max_pixels * _MAX_BYTES_PER_PIXEL + _MAX_METADATA_BYTES


@lru_cache(maxsize=1)
def _jpeg_decoder() -> Callable[[torch.Tensor, int], torch.Tensor] | None:
    """The decoder operator that torchvision registers, or None in builds of torchvision without it.

    `torchvision.io.decode_jpeg`, its Python wrapper, is deprecated from 0.29 on and warns at each call.
    """
    import torchvision  # noqa: F401  # registers the operator

    return torch.ops.image.decode_jpeg if hasattr(torch.ops.image, "decode_jpeg") else None


def _decode_with_pillow(
    name: ImageFormat, content: bytearray, max_pixels: int, to_rgb: Callable[[Image.Image], NDArray[np.uint8]]
) -> tuple[torch.Tensor, int]:
    _silence_pillow()
    try:
        with _PILLOW_READERS[name](io.BytesIO(content)) as image:
            _check_size(image.width, image.height, max_pixels)
            with _turn_to_decode(image.width, image.height):
                image.load()
                pixels = to_rgb(image)
            orientation = _pillow_orientation(name, content, image)
    except UndecodableImageError:
        raise
    except _PILLOW_ERRORS as error:
        raise UndecodableImageError(f"damaged {name} file: {error}") from error
    return torch.from_numpy(pixels).permute(2, 0, 1), orientation


def _to_rgb(image: Image.Image) -> NDArray[np.uint8]:
    """The pixels of a loaded image, uint8 [height, width, 3]."""
    if image.mode.startswith("I"):
        return _high_byte_as_rgb(image)
    if image.mode == "F":
        raise UndecodableImageError("its pixels are floating point numbers, which have no fixed range")
    if image.mode in {"RGBA", "RGBa", "LA", "La", "PA"} or image.has_transparency_data:
        return _over_background(np.array(image.convert("RGBA")))
    return _to_rgb_as_stored(image)


def _to_rgb_as_stored(image: Image.Image) -> NDArray[np.uint8]:
    if image.mode == "L":  # which takes less time in numpy
        gray = np.asarray(image)[:, :, None]
        return np.concatenate((gray, gray, gray), axis=2)
    return np.array(image if image.mode == "RGB" else image.convert("RGB"))


def _high_byte_as_rgb(image: Image.Image) -> NDArray[np.uint8]:
    # Mode I is 32 bit; PNG and PGM files with 16 bit values come in it with their values unchanged.
    if image.mode == "I" and image.format not in {"PNG", "PPM"}:
        raise UndecodableImageError("its pixels are 32 bit integers, which have no fixed range")
    gray = (np.array(image).astype(np.uint32) >> 8).astype(np.uint8)
    return np.repeat(gray[:, :, None], 3, axis=2)


def _over_background(rgba: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Blend uint8 [height, width, 4] over the background, rounded to the nearest value."""
    colour, alpha = rgba[..., :3].astype(np.uint16), rgba[..., 3:].astype(np.uint16)
    return ((colour * alpha + BACKGROUND * (255 - alpha) + 127) // 255).astype(np.uint8)


def _pillow_orientation(name: ImageFormat, content: bytearray, image: Image.Image) -> int:
    if name == "JPEG":
        return parse_jpeg_header(content).orientation
    if name == "TIFF":  # Pillow has turned it already
        return 1
    exif = image.info.get("exif")
    return exif_orientation(exif) if isinstance(exif, bytes) else 1


def _upright_size(content: bytearray) -> tuple[int, int]:
    name = sniff_format(content)
    if name == "JPEG":
        header = parse_jpeg_header(content)
        return _turned(header.height, header.width, header.orientation)
    _silence_pillow()
    try:
        with _PILLOW_READERS[name](io.BytesIO(content)) as image:
            return _turned(image.height, image.width, _pillow_orientation(name, content, image))
    except _PILLOW_ERRORS as error:
        raise UndecodableImageError(f"damaged {name} file: {error}") from error


def _turned(height: int, width: int, orientation: int) -> tuple[int, int]:
    return (width, height) if orientation >= 5 else (height, width)


def _check_size(width: int, height: int, max_pixels: int) -> None:
    if width * height > max_pixels:
        raise UndecodableImageError(
            f"too large: {width}x{height} pixels, {max_pixels:,} are allowed (PYTORCH_DESIGNER_MAX_IMAGE_PIXELS)"
        )


def _turn_to_decode(width: int, height: int) -> AbstractContextManager[object]:
    """Large images are decoded one at a time, so that the memory they take is not multiplied by the threads."""
    return _LARGE_IMAGE_LOCK if width * height > _LARGE_IMAGE_PIXELS else nullcontext()


def _silence_pillow() -> None:
    """Keep warnings about odd but usable files out of the log.

    The filter stays: `warnings.catch_warnings` swaps the filters of the whole process, which threads must not do.
    """
    if _PILLOW_FILTER not in warnings.filters:
        warnings.filterwarnings("ignore", module=_PILLOW_MODULES)
