"""Thumbnails: small JPEG copies of a few images, as the network sees them, for pages.

The images are read and decoded by the loader that training and scoring use. One that has vanished or broken meanwhile
is left out.
"""

from __future__ import annotations

import io
import logging
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from pytorch_designer.directories.preprocessing import Preprocessing
from pytorch_designer.directories.scores.thumbnail_file import MAX_THUMBNAIL_BYTES
from pytorch_designer.errors import shorten
from pytorch_designer.images.budgets import default_read_threads
from pytorch_designer.images.loader import ImageLoader

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from pytorch_designer.directories.image_directory import ImageDirectory

_log = logging.getLogger(__name__)

_SIDES = (128, 64)
_QUALITIES = (85, 70, 55, 40, 25, 10)
_AT_ONCE = 8
_ANY_SHARE = 1.0


def read_thumbnails(
    dataset: ImageDirectory, rows: Sequence[int], preprocessing: Preprocessing | None, *, port: str
) -> dict[int, bytes]:
    """JPEG files of the images of `rows`, by row; whatever cannot be read or goes wrong leaves images out.

    Args:
        dataset: The images.
        rows: Which of them, each once.
        preprocessing: What the network sees of an image; None: the middle square of it.
        port: Name of the dataset in messages.
    """
    thumbnails: dict[int, bytes] = {}
    if not rows:
        return thumbnails
    side = _SIDES[0]
    sizes = preprocessing or Preprocessing(resize_size=side, crop_height=side, crop_width=side)
    wanted = np.array(rows, dtype=np.int64)
    parts = [np.arange(start, min(start + _AT_ONCE, len(rows))) for start in range(0, len(rows), _AT_ONCE)]
    try:
        with ImageLoader(
            dataset.take(wanted), sizes, num_threads=default_read_threads(), tolerance=_ANY_SHARE, port=port
        ) as loader:
            for batch in loader.batches(parts):
                for index, image in zip(batch.indices.tolist(), batch.images, strict=True):
                    thumbnails[rows[index]] = as_thumbnail(image.permute(1, 2, 0).numpy())
    except Exception as error:  # noqa: BLE001 - pictures are never worth a run: not on a broken mount, nor without memory
        _log.warning("Not all pictures could be made: %s", shorten(f"{type(error).__name__}: {error}"))
    return thumbnails


def as_thumbnail(pixels_hwc: NDArray[np.uint8]) -> bytes:
    """A JPEG file of pixels, uint8 [height, width, 3], of at most `MAX_THUMBNAIL_BYTES` and 128 pixels per side."""
    image = Image.fromarray(np.ascontiguousarray(pixels_hwc))
    content = b""
    for side in _SIDES:
        image.thumbnail((side, side), Image.Resampling.BICUBIC)
        for quality in _QUALITIES:
            stream = io.BytesIO()
            image.save(stream, "JPEG", quality=quality, subsampling="4:4:4" if quality > 70 else "4:2:0")
            content = stream.getvalue()
            if len(content) <= MAX_THUMBNAIL_BYTES:
                return content
    return content
