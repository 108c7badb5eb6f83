"""Small pictures of images, as JPEG."""

from __future__ import annotations

import io
import warnings
from typing import TYPE_CHECKING

from PIL import Image, ImageOps

if TYPE_CHECKING:
    from pathlib import Path

_FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF", "PPM")
_MAX_PIXELS = 100_000_000
_SIDES = range(16, 1025)
_QUALITY = 82


def small_picture(path: Path, side: int) -> bytes:
    """A JPEG file of an image, upright, at most `side` pixels (16 to 1024) wide and high.

    Raises:
        OSError: The file is no image of a usual format, or broken.
        PIL.Image.DecompressionBombError: It has more pixels than is reasonable.
    """
    Image.MAX_IMAGE_PIXELS = _MAX_PIXELS
    side = min(max(side, _SIDES.start), _SIDES.stop - 1)
    with warnings.catch_warnings():
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        with Image.open(path, formats=_FORMATS) as image:
            image.draft("RGB", (side, side))
            upright = _with_bytes(ImageOps.exif_transpose(image))
            upright.thumbnail((side, side), Image.Resampling.BICUBIC)
            stream = io.BytesIO()
            _opaque(upright).save(stream, "JPEG", quality=_QUALITY)
    return stream.getvalue()


def _with_bytes(image: Image.Image) -> Image.Image:
    """An image of 16 bits or of numbers as one of 8 bits, from the darkest pixel to the brightest."""
    if not image.mode.startswith("I") and image.mode != "F":
        return image
    numbers = image.convert("F")
    low, high = (float(value) for value in numbers.getextrema())  # type: ignore[arg-type]  # of one channel
    scale = 255.0 / max(high - low, 1e-9)
    return numbers.point(lambda value: value * scale - low * scale).convert("L")


def _opaque(image: Image.Image) -> Image.Image:
    if image.mode in {"RGB", "L"}:
        return image
    rgba = image.convert("RGBA")
    white = Image.new("RGBA", rgba.size, "white")
    white.alpha_composite(rgba)
    return white.convert("RGB")
