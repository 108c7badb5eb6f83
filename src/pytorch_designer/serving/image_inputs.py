"""Images as callers hand them over: one thing of any accepted kind to the pixels of one image.

    bytes, bytearray, memoryview     the content of an image file
    text                             its base64 form, or a data URL; a path where the caller is a Python program
    os.PathLike                      a path; nothing that comes over a network is one
    numpy array, nested lists        whole numbers from 0 to 255, [height, width, 3], RGB
    PIL.Image.Image                  turned upright by its metadata, as a file is

Base64 is decoded strictly: what is not base64 is refused instead of skipped. A string from a network is never a path,
which would let a client probe the files of a server.
"""

from __future__ import annotations

import base64
import binascii
import os
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from PIL import Image

from pytorch_designer.errors import describe_value
from pytorch_designer.images.bad_files import BadImageError
from pytorch_designer.images.decode import (
    decode_image,
    decode_image_as_stored,
    pixels_of_pillow_image,
    read_image_file,
)
from pytorch_designer.settings import settings

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from torch import Tensor

_DATA_URL = "data:"
_BASE64_URL = ";base64"
_IMAGE_AXES = 3
_ROW_AXES = 2
_MOST_NESTED = 4  # a list of images, each of rows, pixels and channels


def image_pixels(value: object, *, strings_are_paths: bool = False, as_stored: bool = False) -> Tensor:
    """The pixels of one image, decoded within the limits of `images.decode`.

    Args:
        value: Of a kind that the module's docstring lists.
        strings_are_paths: Whether text is a path and not base64; only where a Python program calls. A data URL is one
            in either case.
        as_stored: Whether the pixels are those that the old designer saw (`decode_image_as_stored`).

    Returns:
        uint8 [3, height, width], RGB, upright.

    Raises:
        BadImageError: The value is of another kind, cannot be read, or is not an image.
    """
    if isinstance(value, Image.Image):
        return pixels_of_pillow_image(value, as_stored=as_stored)
    if isinstance(value, np.ndarray | list | tuple):
        return _pixels_of_array(value)
    content = _content(value, strings_are_paths=strings_are_paths)
    return decode_image_as_stored(content) if as_stored else decode_image(content)


def images_in_column(cells: Sequence[object]) -> list[object]:
    """The images of a table's column: one or more per cell, or one whose rows of pixels are the cells."""
    if cells and all(_axes_of_numbers(cell) == _ROW_AXES for cell in cells):
        return [list(cells)]
    return [image for cell in cells for image in images_in(cell)]


def images_in(value: object, *, levels: int = _MOST_NESTED) -> Iterator[object]:
    """The images that one value holds: those of a list or of an array [n, height, width, 3], else the value itself.

    Args:
        value: A cell of a request.
        levels: How deep lists of images may be nested; what is deeper is taken for an image, which it is not.
    """
    if isinstance(value, np.ndarray) and (value.ndim > _IMAGE_AXES or value.dtype.kind not in "biuf"):
        value = list(value)
    if not isinstance(value, list | tuple) or not levels:
        yield value
    elif (num_axes := _axes_of_numbers(value)) == _MOST_NESTED:
        yield from value
    elif num_axes is None:
        for item in value:
            yield from images_in(item, levels=levels - 1)
    else:
        yield value


def _content(value: object, *, strings_are_paths: bool) -> bytes | bytearray | memoryview:
    if isinstance(value, bytes | bytearray | memoryview):
        return value
    if isinstance(value, str) and value[: len(_DATA_URL)].lower() == _DATA_URL:
        return _from_data_url(value)
    if isinstance(value, str) and not strings_are_paths:
        return _from_base64(value, "text")
    if isinstance(value, str | os.PathLike):
        return read_image_file(Path(value))
    raise BadImageError(f"{describe_value(value)}, which is not an image in any form that is accepted")


def _from_data_url(url: str) -> bytes:
    head, comma, text = url.partition(",")
    if not comma or not head.lower().endswith(_BASE64_URL):
        raise BadImageError("a data URL that is not of the form data:image/...;base64,...")
    return _from_base64(text, "data URL")


def _from_base64(text: str, kind: str) -> bytes:
    if not text:
        raise BadImageError(f"an empty {kind}")
    try:
        # Encoders break lines; no other character is skipped.
        return base64.b64decode("".join(text.split()).encode("ascii"), validate=True)
    except (binascii.Error, ValueError) as error:
        raise BadImageError(f"its {kind} is not base64: {_reason(error)}") from error


def _reason(error: ValueError) -> str:
    return "it has other characters" if isinstance(error, UnicodeError) else str(error)


def _pixels_of_array(value: object) -> Tensor:
    try:
        array = np.asarray(value)
    except (ValueError, OverflowError) as error:
        raise BadImageError("nested lists whose lengths differ, or whose values are not numbers") from error
    if array.ndim != _IMAGE_AXES or array.shape[2] != 3 or not array.size:
        raise BadImageError(f"an array of the shape {list(array.shape)}; [height, width, 3] is needed")
    limit = settings().max_image_pixels
    if array.shape[0] * array.shape[1] > limit:
        raise BadImageError(f"too large: {array.shape[1]}x{array.shape[0]} pixels, {limit:,} are allowed")
    if array.dtype.kind not in "iu" or array.min() < 0 or array.max() > 255:
        raise BadImageError(f"an array of {array.dtype} values; whole numbers from 0 to 255 are needed")
    # A copy, in the memory format in which decoders leave an image: resizing is the same then.
    return torch.from_numpy(np.array(array, dtype=np.uint8, order="C")).permute(2, 0, 1)


def _axes_of_numbers(value: object) -> int | None:
    """Depth of nested lists of numbers, by their first items; None for lists of anything else, or none at all."""
    num_axes = 0
    while isinstance(value, list | tuple) and value and num_axes <= _MOST_NESTED:
        value, num_axes = value[0], num_axes + 1
    if isinstance(value, np.ndarray):
        return None
    return num_axes if isinstance(value, int | float | np.number) else None
