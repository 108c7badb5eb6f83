"""JPEG decoder: torchvision's where its build has one, else torchcodec's, else Pillow's; and truncated files.

All three are libjpeg-turbo and give the same pixels. The first two need no lock of Python's and no copy of the pixels;
torchvision's is deprecated since 0.29, and torchcodec's takes its place. Torchcodec turns images by their Exif
orientation: it gets files whose Exif segment has another name, so that orientation is handled in one place.

libjpeg fills what is missing from a file with grey, prints a warning and reports success. Where the file ends early it
is refused by every decoder. Where an end marker follows, as after a repair, the warning tells (`DecoderMessages`).
Where no warnings can be heard, because Pillow drops them or because of the platform, the end of the image tells: grey
pixels there, or several scans, are suspicious. What is suspicious is decoded again with other bytes in the place of
those that may be missing: the pixels of a complete image stay the same.

See docs/decisions/0026-decoders.md.
"""

from __future__ import annotations

import importlib
import logging
import re
from dataclasses import dataclass
from functools import lru_cache
from importlib.metadata import version
from typing import TYPE_CHECKING

import numpy as np
import torch

from pytorch_designer.images.bad_files import UndecodableImageError
from pytorch_designer.images.decoding.decoder_messages import DecoderMessages, can_listen
from pytorch_designer.system.out_of_memory import is_out_of_memory

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_log = logging.getLogger(__name__)

_RGB_MODE = 3  # torchvision.io.ImageReadMode.RGB
_NO_MEMORY = "Insufficient memory"  # as libjpeg says it
# Of libjpeg's messages about odd files, these say that pixels were made up.
_DAMAGE = ("premature end", "Premature end", "bad Huffman code", "bad arithmetic code", "instead of RST")
_UNSUPPORTED = ("nsupported", "not supported", "Sorry")
_GREY = (127, 128, 63, 64)  # a block without coefficients, inverted or not; in CMYK, ink times black
_START_OF_SCAN = b"\xff\xda"
_END_OF_IMAGE, _SCAN, _APP1, _APP5 = 0xD9, 0xDA, 0xE1, 0xE5
_STANDALONE = frozenset([0x01, *range(0xD0, 0xD9)])
_MARKER = re.compile(rb"\xff+([^\x00\xff])")
_FILLER = np.random.default_rng(0).integers(0, 255, 1024, dtype=np.uint8).tobytes()  # without 255: no markers


@dataclass(frozen=True)
class JpegDecoder:
    """Decoder of JPEGs of one or three components with 8 bits per value.

    Attributes:
        name: Its name and version, for the log.
        decode: From the file, uint8 [n], to RGB, uint8 [3, height, width], as stored; None: Pillow is to decode.
    """

    name: str
    decode: Callable[[torch.Tensor], torch.Tensor] | None


@lru_cache(maxsize=1)
def jpeg_decoder() -> JpegDecoder:
    """The decoder of this process: the first that is there of torchvision's, torchcodec's and Pillow's.

    The log says so where it is Pillow's.
    """
    found = _of_torchvision() or _of_torchcodec()
    if found is not None:
        return found
    _log.warning(
        "JPEGs are decoded by Pillow, at half the speed: torchvision %s has no decoder here, and torchcodec 0.16 or "
        "later is not installed.",
        version("torchvision"),
    )
    return JpegDecoder(f"Pillow {version('pillow')}", None)


def decode_jpeg(content: bytearray) -> torch.Tensor | None:
    """RGB of a JPEG file, uint8 [3, height, width] with the channels innermost, as stored; None: Pillow is to decode.

    Raises:
        UndecodableImageError: It is damaged or truncated.
        MemoryError: There is too little memory for it.
    """
    decode = jpeg_decoder().decode
    if decode is None:
        return None

    def decode_quietly(data: bytearray) -> torch.Tensor:
        with DecoderMessages():
            return decode(torch.frombuffer(data, dtype=torch.uint8))

    try:
        with DecoderMessages() as messages:
            image = decode(torch.frombuffer(content, dtype=torch.uint8))
        if messages.lines or not can_listen():
            refuse_incomplete(content, _as_pixels(image), lambda data: _as_pixels(decode_quietly(data)), messages.lines)
    except RuntimeError as error:
        if is_out_of_memory(error) or _NO_MEMORY in str(error):
            raise MemoryError(str(error)) from error
        raise UndecodableImageError(_describe(error, messages.lines)) from error
    return image


def refuse_incomplete(
    content: bytearray,
    pixels: np.ndarray,
    decode: Callable[[bytearray], np.ndarray],
    messages: list[str] | None = None,
) -> None:
    """Refuse a JPEG file whose pixels were made up in part.

    Args:
        content: The file.
        pixels: What `decode` made of it, uint8 [height, width, channels].
        decode: The decoder, which is called again where the file is suspicious.
        messages: What the decoder printed; none where it cannot be heard.

    Raises:
        UndecodableImageError: The file is damaged or truncated.
    """
    if messages:
        damage = next((line for line in messages if any(words in line for words in _DAMAGE)), None)
        if damage is not None:
            raise UndecodableImageError(f"damaged or truncated JPEG: {damage}")
    elif not _may_be_incomplete(content, pixels):
        return
    if not np.array_equal(decode(_with_filler(content)), pixels):
        raise UndecodableImageError("truncated JPEG: its data ends before its last pixel")


def _describe(error: RuntimeError, lines: list[str]) -> str:
    text = str(error).split("\n", maxsplit=1)[0]
    if any(words in text for words in _UNSUPPORTED):
        return f"a kind of JPEG that is not read: {text}"
    return f"damaged or truncated JPEG{': ' + lines[-1] if lines else ''}"


def _may_be_incomplete(content: bytearray, pixels: np.ndarray) -> bool:
    return all(value in _GREY for value in pixels[-1, -1].tolist()) or content.count(_START_OF_SCAN) > 1


def _with_filler(content: bytearray) -> bytearray:
    """The file with bytes in front of its end marker, which nobody reads unless those before them were missing."""
    end = _end_of_image(content)
    return content[:end] + _FILLER + content[end:]


def _end_of_image(content: bytearray) -> int:
    """Position of the image's end marker; the end of the file where there is none."""
    return next((place - 1 for marker, place in _markers(content) if marker == _END_OF_IMAGE), len(content))


def _markers(content: bytearray) -> Iterator[tuple[int, int]]:
    """The markers of the image, each with the place of its second byte; not those of a thumbnail in its metadata."""
    position = 2
    while (found := _MARKER.search(content, position)) is not None:
        marker, position = found[1][0], found.end()
        yield marker, position - 1
        if marker not in _STANDALONE:
            position += int.from_bytes(content[position : position + 2], "big")


def _without_exif(content: bytearray) -> bytearray:
    """A copy in which no segment is one that could hold Exif: torchcodec takes any APP1 for that, whatever its name."""
    changed = bytearray(content)
    for marker, place in _markers(content):
        if marker == _APP1:
            changed[place] = _APP5
        elif marker == _SCAN:
            break
    return changed


def _as_pixels(image: torch.Tensor) -> np.ndarray:
    pixels: np.ndarray = image.permute(1, 2, 0).numpy()
    return pixels


def _of_torchvision() -> JpegDecoder | None:
    """The operator that torchvision registers: its Python wrapper warns at each call that it is deprecated."""
    import torchvision  # registers the operator

    if not hasattr(torch.ops.image, "decode_jpeg"):
        return None
    operator = torch.ops.image.decode_jpeg
    return JpegDecoder(f"torchvision {torchvision.__version__}", lambda data: operator(data, _RGB_MODE))


def _of_torchcodec() -> JpegDecoder | None:
    try:
        decode = importlib.import_module("torchcodec.decoders").decode_jpeg  # from torchcodec 0.16 on
    except (ImportError, AttributeError, OSError, RuntimeError) as error:  # or its libraries do not fit this torch
        _log.debug("torchcodec does not decode images here: %s", error)
        return None

    def as_stored(data: torch.Tensor) -> torch.Tensor:
        content = _without_exif(bytearray(data.numpy().data))
        image: torch.Tensor = decode(torch.frombuffer(content, dtype=torch.uint8), mode="RGB")
        return image

    return JpegDecoder(f"torchcodec {version('torchcodec')}", as_stored)
