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
            upright = ImageOps.exif_transpose(image)
            upright.thumbnail((side, side), Image.Resampling.BICUBIC)
            stream = io.BytesIO()
            _opaque(upright).save(stream, "JPEG", quality=_QUALITY)
    return stream.getvalue()


def _opaque(image: Image.Image) -> Image.Image:
    if image.mode in {"RGB", "L"}:
        return image
    if image.mode.startswith("I") or image.mode == "F":  # 16 bit: the brightest is white
        low, high = image.getextrema()
        scale = 255.0 / max(float(high) - float(low), 1e-9)  # type: ignore[arg-type]
        return image.convert("F").point(lambda value: (value - float(low)) * scale).convert("L")  # type: ignore[arg-type]
    rgba = image.convert("RGBA")
    white = Image.new("RGBA", rgba.size, "white")
    white.alpha_composite(rgba)
    return white.convert("RGB")
