"""Damaged image files: real files of every format, changed at random in ways that confuse parsers."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable
from functools import lru_cache

import numpy as np
from PIL import Image

from tests.images.image_corpus import encode, exif, noise_pixels, smooth_pixels, tiff

FORMATS = ("JPEG", "PNG", "BMP", "TIFF", "WEBP", "PPM", "GIF")
_EXTREMES = (
    b"\x00",
    b"\xff",
    b"\x00\x00",
    b"\xff\xff",
    b"\x7f\xff\xff\xff",
    b"\xff\xff\xff\x7f",
    b"\xff" * 4,
    b"\x00" * 8,
)


def mutated_image(number: int) -> tuple[str, bytes]:
    """A format and the damaged file of this number; the same number gives the same bytes."""
    dice = np.random.default_rng([number, 20261120])
    image_format = FORMATS[number % len(FORMATS)]
    files = image_files()[image_format]
    content = mutate(bytearray(files[dice.integers(len(files))]), dice)
    if image_format == "PNG" and dice.random() < 0.5:  # a wrong checksum would end most files at their first chunk
        content = _with_right_checksums(content)
    return image_format, bytes(content)


def mutate(content: bytearray, dice: np.random.Generator) -> bytearray:
    """The content of a file, changed at random one to three times."""
    for _ in range(dice.integers(1, 4)):
        change = _CHANGES[dice.integers(len(_CHANGES))]
        content = change(content, dice)
    return content


@lru_cache(maxsize=1)
def image_files() -> dict[str, list[bytes]]:
    """Small undamaged files by format: several modes, depths and compressions of each."""
    noise, smooth = noise_pixels(20, 24), smooth_pixels(33, 47)
    gray = Image.fromarray(smooth).convert("L")
    deep = Image.fromarray((smooth[..., 0].astype(np.uint16) << 8) + 7)
    alpha = Image.fromarray(smooth).convert("RGBA")
    palette = Image.fromarray(smooth).convert("P")
    frames = [Image.fromarray(np.roll(noise, shift, axis=0)) for shift in range(3)]
    several = {"save_all": True, "append_images": frames[1:]}
    return {
        "JPEG": [
            encode(smooth, "JPEG", exif=exif(6)),
            encode(noise, "JPEG", quality=95, subsampling=0),
            encode(smooth, "JPEG", progressive=True),
            encode(gray, "JPEG"),
            encode(Image.fromarray(smooth).convert("CMYK"), "JPEG"),
            encode(smooth, "JPEG", restart_marker_blocks=2),
        ],
        "PNG": [
            encode(noise, "PNG"),
            encode(alpha, "PNG"),
            encode(palette, "PNG", transparency=0),
            encode(deep, "PNG"),
            encode(gray.convert("1"), "PNG"),
            encode(frames[0], "PNG", **several),
        ],
        "BMP": [encode(noise, "BMP"), encode(palette, "BMP"), encode(gray.convert("1"), "BMP"), encode(alpha, "BMP")],
        "TIFF": [
            encode(noise, "TIFF"),
            *(
                encode(smooth, "TIFF", compression=name)
                for name in ("tiff_lzw", "tiff_adobe_deflate", "packbits", "jpeg")
            ),
            encode(gray.convert("1"), "TIFF", compression="group4"),
            encode(deep, "TIFF"),
            tiff((smooth[..., :1].astype(np.uint16) << 4).astype(np.uint16), 12),
            tiff((smooth.astype(np.uint16) << 2).astype(np.uint16), 10, order=">", photometric=2),
            encode(frames[0], "TIFF", **several),
        ],
        "WEBP": [
            encode(smooth, "WEBP"),
            encode(noise, "WEBP", lossless=True),
            encode(alpha, "WEBP"),
            encode(frames[0], "WEBP", **several),
        ],
        "PPM": [
            encode(noise, "PPM"),
            encode(gray, "PPM"),
            encode(gray.convert("1"), "PPM"),
            encode(deep, "PPM"),
            b"P3 2 1 255 1 2 3 4 5 6",
        ],
        "GIF": [encode(palette, "GIF"), encode(frames[0], "GIF", **several), encode(palette, "GIF", transparency=3)],
    }


def _flip(content: bytearray, dice: np.random.Generator) -> bytearray:
    for position in _positions(content, dice, int(dice.integers(1, 6))):
        content[position] = dice.integers(256)
    return content


def _write_extreme(content: bytearray, dice: np.random.Generator) -> bytearray:
    extreme = _EXTREMES[dice.integers(len(_EXTREMES))]
    for position in _positions(content, dice, 1):
        content[position : position + len(extreme)] = extreme
    return content


def _cut_off(content: bytearray, dice: np.random.Generator) -> bytearray:
    return content[: int(dice.integers(len(content) + 1))]


def _cut_out(content: bytearray, dice: np.random.Generator) -> bytearray:
    start, end = sorted(dice.integers(0, len(content) + 1, 2))
    return content[:start] + content[min(end, start + 64) :]


def _repeat(content: bytearray, dice: np.random.Generator) -> bytearray:
    start, end = sorted(dice.integers(0, len(content) + 1, 2))
    return content[:end] + content[start:end] * int(dice.integers(1, 4)) + content[end:]


def _insert(content: bytearray, dice: np.random.Generator) -> bytearray:
    start = int(dice.integers(len(content) + 1))
    return content[:start] + bytearray(dice.bytes(int(dice.integers(1, 65)))) + content[start:]


def _splice(content: bytearray, dice: np.random.Generator) -> bytearray:
    others = image_files()[FORMATS[dice.integers(len(FORMATS))]]
    other = others[dice.integers(len(others))]
    cut = dice.random()
    return content[: int(cut * len(content))] + other[int(cut * len(other)) :]


def _positions(content: bytearray, dice: np.random.Generator, count: int) -> list[int]:
    """Places in the file; every second time in its first bytes, where the header is."""
    reach = len(content) if dice.random() < 0.5 else min(len(content), 64)
    return [int(position) for position in dice.integers(0, reach, count)] if reach else []


def _with_right_checksums(content: bytearray) -> bytearray:
    start = 8
    while start + 12 <= len(content):
        end = start + 8 + struct.unpack_from(">I", content, start)[0]
        if end + 4 > len(content):
            break
        struct.pack_into(">I", content, end, zlib.crc32(content[start + 4 : end]))
        start = end + 4
    return content


_CHANGES: tuple[Callable[[bytearray, np.random.Generator], bytearray], ...] = (
    _flip,
    _flip,
    _write_extreme,
    _write_extreme,
    _cut_off,
    _cut_out,
    _repeat,
    _insert,
    _splice,
)
