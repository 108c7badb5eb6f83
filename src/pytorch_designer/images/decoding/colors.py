"""Colors of an image that Pillow has loaded: RGB over a white background, or as the old designer saw it."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

import numpy as np

from pytorch_designer.images.bad_files import UndecodableImageError
from pytorch_designer.images.decoding.deep_samples import high_bytes_as_rgb, remark_on_levels

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray
    from PIL import Image

Remark: TypeAlias = "Callable[[str], None]"

BACKGROUND = 255
"""Value of the red, green and blue channels behind transparent pixels: white."""

_PIXELS_AT_ONCE = 2**15  # few, so that they stay in the processor's cache
_TRANSPARENT_MODES = frozenset(["RGBA", "RGBa", "LA", "La", "PA"])


def colors_of(image: Image.Image, is_reduced: bool, remark: Remark | None = None) -> NDArray[np.uint8]:
    """The pixels of a loaded image, uint8 [height, width, 3].

    Args:
        image: The image.
        is_reduced: Whether its samples had 16 bits before it was loaded.
        remark: Called where few of the levels of 16 bits are used.
    """
    rgb = colors_over_background(image)
    if remark is not None and (is_reduced or image.mode.startswith("I")):
        odd = remark_on_levels(rgb)
        if odd is not None:
            remark(odd)
    return rgb


def colors_over_background(image: Image.Image) -> NDArray[np.uint8]:
    """As `colors_of`, without remarks.

    Raises:
        UndecodableImageError: Its values have no fixed range.
    """
    if image.mode.startswith("I"):
        # Mode I is 32 bit; PNG and PGM files with 16 bit values come in it with their values unchanged.
        if image.mode == "I" and image.format not in {"PNG", "PPM"}:
            raise UndecodableImageError("its pixels are integers of 32 bits or with a sign, which have no fixed range")
        return high_bytes_as_rgb(image)
    if image.mode == "F":
        raise UndecodableImageError("its pixels are floating point numbers, which have no fixed range")
    if image.mode in _TRANSPARENT_MODES or image.has_transparency_data:
        return _over_background(image)
    return to_rgb_as_stored(image)


def to_rgb_as_stored(image: Image.Image, _: bool = False) -> NDArray[np.uint8]:
    """The pixels of a loaded image without regard to transparency, uint8 [height, width, 3]."""
    if image.mode == "L":  # numpy is faster
        gray = np.asarray(image)[:, :, None]
        return np.concatenate((gray, gray, gray), axis=2)
    return np.array(image if image.mode == "RGB" else image.convert("RGB"))


def _over_background(image: Image.Image) -> NDArray[np.uint8]:
    """Blend an image over the background, rounded to the nearest value: uint8 [height, width, 3]."""
    key = image.info.get("transparency")
    if image.mode == "RGB" and isinstance(key, tuple) and max(key) > 255:  # of 16 bit samples, reduced like these
        image.info["transparency"] = tuple(value >> 8 for value in key)
    rgba = np.asarray(image if image.mode == "RGBA" else image.convert("RGBA"))
    pixels = rgba.reshape(-1, 4)
    rgb = np.empty((len(pixels), 3), dtype=np.uint8)
    for start in range(0, len(pixels), _PIXELS_AT_ONCE):
        part = pixels[start : start + _PIXELS_AT_ONCE].astype(np.uint16)
        color, alpha = part[:, :3], part[:, 3:]
        rgb[start : start + _PIXELS_AT_ONCE] = (color * alpha + BACKGROUND * (255 - alpha) + 127) // 255
    return rgb.reshape(*rgba.shape[:2], 3)
