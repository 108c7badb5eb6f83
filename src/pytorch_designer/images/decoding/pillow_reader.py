"""Reading with Pillow: the class of each format, called directly, and what its exceptions mean.

Not through `Image.open`: nothing but the formats that are read is ever tried, and the limit on pixels is ours (Pillow's
is a global variable and a warning).
"""

from __future__ import annotations

import importlib
import io
import re
import struct
import warnings
import zlib
from importlib.metadata import version
from typing import TYPE_CHECKING, Any, TypeVar

from PIL import (
    BmpImagePlugin,
    GifImagePlugin,
    Image,
    JpegImagePlugin,
    PngImagePlugin,
    PpmImagePlugin,
    TiffImagePlugin,
    WebPImagePlugin,
)

from pytorch_designer.images.bad_files import UndecodableImageError
from pytorch_designer.images.decoding.decoder_messages import DecoderMessages

if TYPE_CHECKING:
    from collections.abc import Callable

    from PIL.ImageFile import ImageFile
    from PIL.TiffImagePlugin import ImageFileDirectory_v2

    from pytorch_designer.images.header import ImageFormat

T = TypeVar("T")

_READERS: dict[ImageFormat, type[ImageFile]] = {
    "JPEG": JpegImagePlugin.JpegImageFile,
    "PNG": PngImagePlugin.PngImageFile,
    "GIF": GifImagePlugin.GifImageFile,
    "BMP": BmpImagePlugin.BmpImageFile,
    "TIFF": TiffImagePlugin.TiffImageFile,
    "WEBP": WebPImagePlugin.WebPImageFile,
    "PPM": PpmImagePlugin.PpmImageFile,
}
_PILLOW_MODULES = r"PIL\."
PILLOW_FILTER = ("ignore", None, Warning, re.compile(_PILLOW_MODULES), 0)  # as the warnings module stores it
# What Pillow raises on damaged files, by experience; it documents no common class.
_PILLOW_ERRORS = (
    OSError,
    SyntaxError,
    ValueError,
    ArithmeticError,
    LookupError,
    TypeError,
    EOFError,
    RuntimeError,
    struct.error,
    zlib.error,
    Image.DecompressionBombError,
)
# It has no class either for what it does not read. "encoding error": a compression of TIFF that libtiff lacks.
_UNSUPPORTED = re.compile(
    r"unsupported|not supported|unknown pixel mode|unknown data organi|cannot handle", re.IGNORECASE
)

_BIG_TIFF = 43
_TILE_WIDTH, _TILE_HEIGHT = 322, 323
_PIXELS_PER_BYTE = 8
_DEFLATE_RATIO = 1032
_SAMPLE_FORMATS = {1: "integers", 2: "integers with a sign", 3: "floating point numbers", 5: "complex", 6: "complex"}


def read_with_pillow(name: ImageFormat, content: bytearray, use: Callable[[ImageFile], T]) -> T:
    """The result of `use` for the image of a file, which is not loaded yet; errors of Pillow are named.

    Raises:
        UndecodableImageError: The file is damaged, or of a kind that is not read.
    """
    reader = _reader(name)

    def read() -> T:
        with reader(io.BytesIO(content)) as image:
            return use(image)

    return with_named_errors(name, content, read)


def with_named_errors(name: ImageFormat, content: bytearray, read: Callable[[], T]) -> T:
    """The result of `read`; errors of Pillow are named, by what the libraries below it print where they do.

    Raises:
        UndecodableImageError: The file is damaged, or of a kind that is not read.
    """
    # Functions and not contexts: most of the time of a small PNG is overhead.
    _silence_pillow()
    messages = DecoderMessages()
    try:
        if name != "TIFF":  # no other library prints
            return read()
        with messages:
            return read()
    except UndecodableImageError:
        raise
    except _PILLOW_ERRORS as error:
        raise UndecodableImageError(_reason(name, content, error, messages.lines)) from error


def refuse_implausible(name: ImageFormat, content: bytearray, image: ImageFile) -> None:
    """Refuse a file that is too short for the pixels that its header promises, before memory for them is taken.

    Raises:
        UndecodableImageError: It is.
    """
    is_raw = name == "PPM" or (
        name in {"BMP", "TIFF"} and bool(image.tile) and all(tile[0] == "raw" for tile in image.tile)
    )
    most = _PIXELS_PER_BYTE if is_raw else _PIXELS_PER_BYTE * _DEFLATE_RATIO if name == "PNG" else None
    if most is not None and image.width * image.height > most * len(content):
        raise UndecodableImageError(
            f"truncated {name} file: {len(content):,} bytes are too few for {image.width}x{image.height} pixels"
        )


def has_16_bit_colors(image: ImageFile) -> bool:
    """True if loading will reduce the samples of this image, which is not loaded yet, from 16 bits to 8."""
    return image.mode in {"RGB", "RGBA"} and bool(image.tile) and ";16" in str(image.tile[0][3])


def tile_size(image: ImageFile) -> tuple[int, int]:
    """Width and height of the tiles of a TIFF, which are decoded as a whole even where the image is smaller; or 0, 0.

    Raises:
        TypeError: It has several widths, in a damaged file.
    """
    tags = getattr(image, "tag_v2", {}) if image.format == "TIFF" else {}
    return int(tags.get(_TILE_WIDTH, 0)), int(tags.get(_TILE_HEIGHT, 0))


def tiff_tags(content: bytearray) -> ImageFileDirectory_v2:
    """The tags of the first image of a TIFF file; its errors are Pillow's."""
    header = bytes(content[: 16 if _BIG_TIFF in content[2:4] else 8])
    directory = TiffImagePlugin.ImageFileDirectory_v2(header)
    stream = io.BytesIO(content)
    stream.seek(directory.next)
    directory.load(stream)
    return directory


def _reader(name: ImageFormat) -> Callable[[io.BytesIO], ImageFile]:
    if name in _READERS:
        return _READERS[name]
    module, attribute, advice = {
        "AVIF": ("PIL.AvifImagePlugin", "AvifImageFile", f"Pillow 11.3 or later (here is {version('pillow')})"),
        "HEIC": ("pillow_heif", "HeifImageFile", "pip install pillow-heif"),
    }[name]
    try:
        imported: Any = importlib.import_module(module)
        is_there = getattr(imported, "SUPPORTED", True)
        reader: Callable[[io.BytesIO], ImageFile] | None = getattr(imported, attribute, None) if is_there else None
    except ImportError:
        reader = None
    if reader is None:
        raise UndecodableImageError(f"a {name} image; what reads it is not installed: {advice}")
    return reader


def _reason(name: ImageFormat, content: bytearray, error: Exception, lines: list[str]) -> str:
    text = lines[-1].removeprefix("tempfile.tif: ") if lines else str(error)  # warnings come before the error
    if not _UNSUPPORTED.search(str(error)):
        return f"damaged {name} file: {text}"
    if name == "TIFF":
        text = _describe_tiff(content) or text
    return f"a kind of {name} file that is not read: {text}"


def _describe_tiff(content: bytearray) -> str | None:
    try:
        tags = tiff_tags(content)
    except _PILLOW_ERRORS:
        return None
    bits = ", ".join(map(str, dict.fromkeys(tags.get(258, (1,)))))
    formats = {_SAMPLE_FORMATS.get(kind, f"format {kind}") for kind in tags.get(339, (1,))}
    return (
        f"{tags.get(277, 1)} samples of {bits} bits ({', '.join(sorted(formats))}), "
        f"photometric interpretation {tags.get(262)}"
    )


def _silence_pillow() -> None:
    """Keep warnings about odd but usable files out of the log.

    The filter stays: `warnings.catch_warnings` swaps the filters of the whole process, which threads must not do.
    """
    if PILLOW_FILTER not in warnings.filters:
        warnings.filterwarnings("ignore", module=_PILLOW_MODULES)
