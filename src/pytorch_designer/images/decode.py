"""Image decoding: the bytes of a file to RGB pixels, with the rules about pixel formats and the limits on size.

- 8 bit JPEGs, grayscale or color, go to the decoder of `decoding/jpeg_decoder.py`.
- Everything else goes to Pillow. PNG too, on purpose: torchvision's PNG decoder ends the whole process with a
  segmentation fault on some damaged files (seen with 0.29.2 on one flipped byte), and is no faster.
- Sizes are checked in the header, before memory for pixels is asked for.

| in the file | RGB |
|---|---|
| grayscale, 1 bit, palette | its colors |
| 9 to 16 bits per sample | the eight highest bits: 256 levels survive |
| CMYK, YCCK | (1 - C)(1 - K), (1 - M)(1 - K), (1 - Y)(1 - K) |
| transparency of any kind | blended over white |
| several frames | the first |
| orientation 1 to 8, in Exif or XMP | turned upright |
"""

from __future__ import annotations

from contextlib import ExitStack, contextmanager, nullcontext, suppress
from functools import partial
from typing import TYPE_CHECKING, cast

import numpy as np
import torch

from pytorch_designer.images.bad_files import UndecodableImageError, UnreadableImageError
from pytorch_designer.images.decoding.colors import colors_of, colors_over_background, to_rgb_as_stored
from pytorch_designer.images.decoding.deep_samples import PackedTiff, packed_tiff
from pytorch_designer.images.decoding.jpeg_decoder import decode_jpeg, refuse_incomplete
from pytorch_designer.images.decoding.memory_budget import (
    BYTES_PER_PIXEL,
    decoding_budget,
    is_counted,
    refusal_for_memory,
)
from pytorch_designer.images.decoding.orientation import UPRIGHT, orientation_in
from pytorch_designer.images.decoding.pillow_reader import (
    has_16_bit_colors,
    read_with_pillow,
    refuse_implausible,
    tiff_tags,
    tile_size,
    with_named_errors,
)
from pytorch_designer.images.header import parse_jpeg_header, parse_webp_size, sniff_format
from pytorch_designer.images.reading import read_file, read_start
from pytorch_designer.settings import settings

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager
    from pathlib import Path

    from numpy.typing import NDArray
    from PIL import Image
    from PIL.ImageFile import ImageFile

    from pytorch_designer.images.decoding.colors import Remark
    from pytorch_designer.images.header import ImageFormat, JpegHeader

    ToRgb = Callable[[Image.Image, bool], NDArray[np.uint8]]

_MAX_BYTES_PER_PIXEL = 8  # RGBA with 16 bit a channel, uncompressed
_MAX_METADATA_BYTES = 2**26
_HEADER_BYTES = 2**16
_FLIPPED_AXES = {2: (1,), 3: (0, 1), 4: (0,), 5: (), 6: (1,), 7: (0, 1), 8: (0,)}  # 0: rows, 1: columns
_HUFFMAN_MARKERS = frozenset([0xC0, 0xC1, 0xC2])
_PROGRESSIVE = 0xC2
_PIXELS_PER_JPEG_BYTE = 512  # a block of 64 pixels takes at least one bit
_SEQUENTIAL_BYTES_PER_PIXEL = 4  # RGB; libjpeg keeps a few rows
_NOT_COUNTED = nullcontext()
_ONE_IMAGE_FORMATS = frozenset(["JPEG", "PNG", "BMP"])


def decode_image(
    data: bytes | bytearray | memoryview, *, max_pixels: int | None = None, remark: Remark | None = None
) -> torch.Tensor:
    """Decode an image file to upright 8 bit RGB.

    Args:
        data: The whole file. A `bytearray` is not copied.
        max_pixels: Images with more pixels (width times height) are refused; None: the setting `max_image_pixels`.
        remark: Called with what is odd about an image that is decoded nonetheless.

    Returns:
        uint8 [3, height, width]; in memory the channels are innermost where the decoder leaves them so.

    Raises:
        UndecodableImageError: `data` is not an image, is damaged, or makes an image that is too large.
        MemoryError: There is too little memory for an image that is not large.
    """
    image, orientation = _decode(data, max_pixels, partial(colors_of, remark=remark))
    return turn_upright(image, orientation)


def decode_image_as_stored(data: bytes | bytearray | memoryview, *, max_pixels: int | None = None) -> torch.Tensor:
    """Decode an image file as the old designer did: its models repeat their scores on these pixels only.

    The orientation is ignored, transparency is dropped whatever color is below it, and values of more than 8 bits
    are clipped at 255. Otherwise as `decode_image`.
    """
    return _decode(data, max_pixels, to_rgb_as_stored)[0]


def pixels_of_pillow_image(image: Image.Image, *, as_stored: bool = False) -> torch.Tensor:
    """An image that Pillow has opened, as `decode_image` (or `decode_image_as_stored`) would make it of its file.

    What the caller has changed in it counts. The orientation is that of the metadata that it still has.

    Returns:
        uint8 [3, height, width].

    Raises:
        UndecodableImageError: Its file is damaged, its pixels have no fixed range, or it is too large.
    """
    width, height = image.size
    _check_size(width, height, settings().max_image_pixels)
    if min(width, height) < 1:
        raise UndecodableImageError("an image without pixels")

    def load() -> NDArray[np.uint8]:
        with _room_for(width, height, BYTES_PER_PIXEL):
            image.load()
            return to_rgb_as_stored(image) if as_stored else colors_over_background(image)

    name = cast("ImageFormat", image.format or "image")
    pixels = with_named_errors(name, bytearray(), load)
    orientation = UPRIGHT if as_stored else _orientation_left(image)
    return turn_upright(torch.from_numpy(pixels).permute(2, 0, 1), orientation)


def read_image_file(
    path: Path, *, max_pixels: int | None = None, make_room: Callable[[int], object] | None = None
) -> bytearray:
    """All bytes of an image file, writable so that a tensor can share them.

    Args:
        path: The file.
        max_pixels: What `decode_image` is given: a file that is too large for any image of so many pixels is refused,
            and so is one that is too large for the pixels that its header tells.
        make_room: Called before a large file is read with the bytes that it and Pillow's copy of it take; may wait.

    Raises:
        UnreadableImageError: It cannot be read, is not a regular file, or is too large.
    """

    def check_large(start: bytearray, num_bytes: int) -> None:
        _check_file_size(start, num_bytes)
        refusal = refusal_for_memory(2 * num_bytes)
        if refusal is not None:
            raise UnreadableImageError(f"the file is too large for this machine ({num_bytes:,} bytes): {refusal}")
        if make_room is not None:
            make_room(2 * num_bytes)

    limit = max_file_bytes(settings().max_image_pixels if max_pixels is None else max_pixels)
    return read_file(path, max_bytes=limit, check_large=check_large)


@contextmanager
def image_file(path: Path, *, max_pixels: int | None = None) -> Iterator[bytearray]:
    """The content of an image file, whose memory is taken from the budget of all threads while the context lasts.

    Raises:
        UnreadableImageError: As `read_image_file`.
    """
    with ExitStack() as held:
        take = decoding_budget().take
        yield read_image_file(
            path, max_pixels=max_pixels, make_room=lambda num_bytes: held.enter_context(take(num_bytes))
        )


def upright_size(path: Path) -> tuple[int, int]:
    """Height and width in pixels of the image at `path` once it is upright, from its header alone.

    Raises:
        BadImageError: The file cannot be read or has no usable header.
    """
    try:
        return _upright_size(read_start(path, num_bytes=_HEADER_BYTES))
    except UndecodableImageError:  # the size may be stored behind the first bytes
        return _upright_size(read_image_file(path))


def turn_upright(image: torch.Tensor, orientation: int) -> torch.Tensor:
    """Undo an orientation (1 to 8) of an image [3, height, width]."""
    if orientation == UPRIGHT:
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


def _decode(data: bytes | bytearray | memoryview, max_pixels: int | None, to_rgb: ToRgb) -> tuple[torch.Tensor, int]:
    """The pixels, uint8 [3, height, width], and the orientation that they still have."""
    content = data if isinstance(data, bytearray) else bytearray(data)
    limit = settings().max_image_pixels if max_pixels is None else max_pixels
    name = sniff_format(content)
    if name != "JPEG":
        return _decode_with_pillow(name, content, limit, to_rgb)
    header = parse_jpeg_header(content)
    if header.unsupported_kind is not None:
        raise UndecodableImageError(f"{header.unsupported_kind}, which is not read")
    _check_size(header.width, header.height, limit)
    if header.marker in _HUFFMAN_MARKERS and header.width * header.height > _PIXELS_PER_JPEG_BYTE * len(content):
        raise UndecodableImageError(
            f"truncated JPEG: {len(content):,} bytes are too few for {header.width}x{header.height} pixels"
        )
    image = _decode_jpeg(content, header) if header.num_components in {1, 3} else None
    if image is not None:
        return image, header.orientation

    def decode_again(changed: bytearray) -> NDArray[np.uint8]:
        return _pixels_with_pillow("JPEG", changed, limit, to_rgb)[0]

    pixels = decode_again(content)
    refuse_incomplete(content, pixels, decode_again)
    return torch.from_numpy(pixels).permute(2, 0, 1), header.orientation


def _decode_jpeg(content: bytearray, header: JpegHeader) -> torch.Tensor | None:
    per_pixel = BYTES_PER_PIXEL if header.marker == _PROGRESSIVE else _SEQUENTIAL_BYTES_PER_PIXEL
    with _room_for(header.width, header.height, per_pixel):
        return decode_jpeg(content)


def _decode_with_pillow(
    name: ImageFormat, content: bytearray, max_pixels: int, to_rgb: ToRgb
) -> tuple[torch.Tensor, int]:
    pixels, orientation = _pixels_with_pillow(name, content, max_pixels, to_rgb)
    return torch.from_numpy(pixels).permute(2, 0, 1), orientation


def _pixels_with_pillow(
    name: ImageFormat, content: bytearray, max_pixels: int, to_rgb: ToRgb
) -> tuple[NDArray[np.uint8], int]:
    if name == "WEBP":  # whose reader takes memory for the pixels before it tells the size
        width, height = parse_webp_size(content)
        _check_size(width, height, max_pixels)
        with _room_for(width, height, BYTES_PER_PIXEL):
            return _load_with_pillow(name, content, max_pixels, to_rgb)
    packed = _packed_tiff(content) if name == "TIFF" and to_rgb is not to_rgb_as_stored else None
    if packed is None:
        return _load_with_pillow(name, content, max_pixels, to_rgb)
    _check_size(packed.width, packed.height, max_pixels)
    with _room_of(packed.width, packed.height, packed.peak_bytes):
        rows, _ = _load_with_pillow(name, packed.content, 6 * max_pixels, _as_bytes)  # of up to six per pixel
        return packed.unpack(rows), packed.orientation


def _load_with_pillow(
    name: ImageFormat, content: bytearray, max_pixels: int, to_rgb: ToRgb
) -> tuple[NDArray[np.uint8], int]:
    def load(image: ImageFile) -> tuple[NDArray[np.uint8], int]:
        width, height = image.size
        _check_size(width, height, max_pixels)
        refuse_implausible(name, content, image)
        is_reduced = has_16_bit_colors(image)
        tile_width, tile_height = tile_size(image)
        _check_size(tile_width, tile_height, max_pixels)
        with _room_of(width, height, BYTES_PER_PIXEL * max(width * height, tile_width * tile_height)):
            image.load()
            pixels = to_rgb(image, is_reduced)
        return pixels, _pillow_orientation(name, content, image)

    return read_with_pillow(name, content, load)


def _packed_tiff(content: bytearray) -> PackedTiff | None:
    return with_named_errors("TIFF", content, lambda: packed_tiff(content, tiff_tags(content)))


def _as_bytes(image: Image.Image, _: bool) -> NDArray[np.uint8]:
    return np.asarray(image)


def _pillow_orientation(name: ImageFormat, content: bytearray, image: Image.Image) -> int:
    return parse_jpeg_header(content).orientation if name == "JPEG" else _orientation_left(image)


def _orientation_left(image: Image.Image) -> int:
    # Pillow has turned TIFF by now, and pillow-heif HEIC. Of AVIF, XMP does not count: its own properties do.
    if image.format in {"TIFF", "HEIF"}:
        return UPRIGHT
    return orientation_in({"exif": image.info.get("exif")} if image.format == "AVIF" else image.info)


def _upright_size(content: bytearray) -> tuple[int, int]:
    name = sniff_format(content)
    if name == "JPEG":
        header = parse_jpeg_header(content)
        return _turned(header.height, header.width, header.orientation)
    if name == "TIFF" and (packed := _packed_tiff(content)) is not None:
        return _turned(packed.height, packed.width, packed.orientation)

    def size(image: ImageFile) -> tuple[int, int]:
        return _turned(image.height, image.width, _pillow_orientation(name, content, image))

    return read_with_pillow(name, content, size)


def _turned(height: int, width: int, orientation: int) -> tuple[int, int]:
    return (width, height) if orientation >= 5 else (height, width)


def _check_size(width: int, height: int, max_pixels: int) -> None:
    if width * height > max_pixels:
        raise UndecodableImageError(
            f"too large: {width}x{height} pixels, {max_pixels:,} are allowed (PYTORCH_DESIGNER_MAX_IMAGE_PIXELS)"
        )


def _room_for(width: int, height: int, bytes_per_pixel: int) -> AbstractContextManager[object]:
    """Context that holds the memory for decoding an image, from the budget that all threads share.

    Raises:
        UndecodableImageError: The image is large, and there is too little.
    """
    return _room_of(width, height, width * height * bytes_per_pixel)


def _room_of(width: int, height: int, num_bytes: int) -> AbstractContextManager[object]:
    return _counted_room(width, height, num_bytes) if is_counted(num_bytes) else _NOT_COUNTED


@contextmanager
def _counted_room(width: int, height: int, num_bytes: int) -> Iterator[None]:
    refusal = refusal_for_memory(num_bytes)
    if refusal is not None:
        raise UndecodableImageError(f"too large for this machine: {width}x{height} pixels; {refusal}")
    try:
        with decoding_budget().take(num_bytes):
            yield
    except MemoryError as error:  # or Pillow has no room for rows so long, however much there is
        raise UndecodableImageError(f"too large to be decoded: {width}x{height} pixels") from error


def _check_file_size(start: bytearray, num_bytes: int) -> None:
    """Refuse a large file of which the header, in `start`, tells that few of its bytes can be pixels."""
    with suppress(UndecodableImageError):  # then all of it is needed to say what is wrong
        name = sniff_format(start)
        if name not in _ONE_IMAGE_FORMATS:
            return
        height, width = _upright_size(start)
        if num_bytes > max_file_bytes(height * width):
            raise UnreadableImageError(
                f"the file is too large ({num_bytes:,} bytes) for the {width}x{height} pixels that its header tells"
            )
