"""PNG files with chunks, headers and rows changed at random, and the comparison of two ways of reading them."""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Callable
from functools import lru_cache

import numpy as np
from PIL import Image, PngImagePlugin

from pytorch_designer.images.plain_png import parse_plain_png
from tests.images.image_corpus import encode, exif, noise_pixels, png_chunk, smooth_pixels

SIGNATURE = b"\x89PNG\r\n\x1a\n"
_MAX_PIXELS = 1_000_000

Chunk = tuple[bytes, bytes]

# Chunks that must not be overlooked, wrong ones, and harmless ones.
EXTRA_CHUNKS: tuple[Chunk, ...] = (
    (b"tRNS", b"\0"),
    (b"tRNS", b"\0" * 6),
    (b"tRNS", b"\xff\0\x80"),
    (b"eXIf", exif(6).removeprefix(b"Exif\0\0")),
    (b"tEXt", b"interlace\0001"),
    (b"tEXt", b"transparency\0001"),
    (b"tEXt", b"exif\0" + exif(6)),
    (b"tEXt", b"bbox\0abcd"),
    (b"tEXt", b"Software\0x"),
    (b"tEXt", b"Comment"),
    (b"PLTE", bytes(range(9))),
    (b"PLTE", b""),
    (b"PLTE", bytes(10)),
    (b"PLTE", bytes(range(256)) * 3),
    (b"PLTE", bytes(771)),
    (b"gAMA", bytes(4)),
    (b"gAMA", b"\0"),
    (b"pHYs", bytes(9)),
    (b"sRGB", b""),
    (b"cHRM", bytes(32)),
    (b"tIME", b""),
    (b"bKGD", bytes(6)),
    (b"acTL", struct.pack(">II", 2, 0)),
    (b"fcTL", bytes(26)),
    (b"fdAT", bytes(8)),
    (b"IDAT", b""),
    (b"IDAT", b"abc"),
    (b"IEND", b""),
    (b"abcd", b"1"),
    (b"zTXt", b"Title\0\0" + zlib.compress(b"x")),
    (b"iCCP", b"x\0\0" + zlib.compress(b"y")),
)


def plain_png_fault(content: bytes) -> str | None:
    """How the shorter way to a PNG's pixels differs from Pillow's reader; None where it does not, or is not taken."""
    image = _read_as_plain(content)
    if image is None:
        return None
    try:
        expected = PngImagePlugin.PngImageFile(io.BytesIO(content))
        expected.load()
    except Exception as error:  # noqa: BLE001 (whatever Pillow raises, it refuses the file)
        return f"Pillow's reader refuses it: {error!r}"
    if (image.mode, image.size) != (expected.mode, expected.size):
        return f"{image.mode} {image.size} in place of {expected.mode} {expected.size}"
    if expected.has_transparency_data != image.has_transparency_data or "exif" in expected.info:
        return "transparency or Exif is overlooked"
    is_same = all(
        one.tobytes() == other.tobytes()
        for one, other in ((image, expected), (image.convert("RGB"), expected.convert("RGB")))  # through the palette
    )
    return None if is_same else "other pixels"


def is_read_as_plain(content: bytes) -> bool:
    return _read_as_plain(content) is not None


def _read_as_plain(content: bytes) -> Image.Image | None:
    png = parse_plain_png(bytearray(content)) if content.startswith(SIGNATURE) else None
    return None if png is None or png.width * png.height > _MAX_PIXELS else png.load()


def split_png(content: bytes) -> list[Chunk]:
    """Kinds and contents of the chunks of an undamaged file."""
    chunks, start = [], len(SIGNATURE)
    while start < len(content):
        length, kind = struct.unpack_from(">I4s", content, start)
        chunks.append((kind, content[start + 8 : start + 8 + length]))
        start += 12 + length
    return chunks


def joined_png(chunks: list[Chunk]) -> bytes:
    """The file of these chunks, with right checksums."""
    return SIGNATURE + b"".join(png_chunk(kind, content) for kind, content in chunks)


@lru_cache(maxsize=1)
def png_files() -> tuple[bytes, ...]:
    """Undamaged files of all kinds of pixels."""
    noise, smooth = noise_pixels(20, 24), smooth_pixels(33, 47)
    colour = Image.fromarray(smooth)
    gray = colour.convert("L")
    deep = Image.fromarray((smooth[..., 0].astype(np.uint16) << 8) + 7)
    palettes = [colour.convert("P"), colour.quantize(40), gray.quantize(14), gray.quantize(3), gray.quantize(2)]
    others = [gray, gray.convert("1"), gray.convert("LA"), colour.convert("RGBA"), deep]
    arrays = [encode(pixels, "PNG") for pixels in (noise, smooth, noise_pixels(200, 190))]
    return (*arrays, *(encode(image, "PNG") for image in [*palettes, *others]))


def rearranged_png(number: int) -> bytes:
    """The file of this number; the same number gives the same bytes."""
    dice = np.random.default_rng([number, 20261127])
    files = png_files()
    chunks = split_png(files[dice.integers(len(files))])
    for _ in range(dice.integers(1, 4)):
        _CHANGES[dice.integers(len(_CHANGES))](chunks, dice)
    content = bytearray(joined_png(chunks))
    damage = dice.random()
    if damage < 0.1:
        del content[dice.integers(len(SIGNATURE), len(content) + 1) :]
    elif damage < 0.2 and len(content) > len(SIGNATURE):
        content[dice.integers(len(SIGNATURE), len(content))] = dice.integers(256)
    elif damage < 0.25:
        content += dice.bytes(20)
    return bytes(content)


def _insert(chunks: list[Chunk], dice: np.random.Generator) -> None:
    chunks.insert(int(dice.integers(len(chunks) + 1)), EXTRA_CHUNKS[dice.integers(len(EXTRA_CHUNKS))])


def _move(chunks: list[Chunk], dice: np.random.Generator) -> None:
    if chunks:
        chunk = chunks.pop(int(dice.integers(len(chunks))))
        chunks.insert(int(dice.integers(len(chunks) + 1)), chunk)


def _repeat(chunks: list[Chunk], dice: np.random.Generator) -> None:
    if chunks:
        chunks.insert(int(dice.integers(len(chunks) + 1)), chunks[dice.integers(len(chunks))])


def _drop(chunks: list[Chunk], dice: np.random.Generator) -> None:
    if chunks:
        del chunks[dice.integers(len(chunks))]


def _change_header(chunks: list[Chunk], dice: np.random.Generator) -> None:
    if chunks and chunks[0][0] == b"IHDR":
        header = bytearray(chunks[0][1])
        position = int(dice.choice([3, 7, 8, 9, 10, 11, 12]))
        header[position] = int(dice.choice([0, 1, 2, 3, 4, 6, 8, 16, int(dice.integers(256))]))
        chunks[0] = (b"IHDR", bytes(header))


def _split_pixels(chunks: list[Chunk], dice: np.random.Generator) -> None:
    place = next((place for place, chunk in enumerate(chunks) if chunk[0] == b"IDAT"), None)
    if place is not None:
        content = chunks[place][1]
        cut = int(dice.integers(len(content) + 1))
        chunks[place : place + 1] = [(b"IDAT", content[:cut]), (b"IDAT", content[cut:])]


def _change_rows(chunks: list[Chunk], dice: np.random.Generator) -> None:
    """Other filters and values, too few or too many of them, in a stream that is deflated without a fault."""
    places = [place for place, chunk in enumerate(chunks) if chunk[0] == b"IDAT"]
    try:
        rows = bytearray(zlib.decompress(b"".join(chunks[place][1] for place in places)))
    except zlib.error:
        return
    kind = dice.integers(4)
    if kind == 0:
        del rows[dice.integers(len(rows) + 1) :]
    elif kind == 1:
        rows += dice.bytes(int(dice.integers(1, 300)))
    elif rows:
        for position in dice.integers(0, len(rows), dice.integers(1, 30)):
            rows[position] = dice.integers(256 if kind == 2 else 6)
    for place in reversed(places):
        del chunks[place]
    chunks.insert(places[0], (b"IDAT", zlib.compress(rows, int(dice.integers(10)))))


def _change_content(chunks: list[Chunk], dice: np.random.Generator) -> None:
    place = int(dice.integers(len(chunks))) if chunks else 0
    if chunks and chunks[place][1]:
        kind, content = chunks[place][0], bytearray(chunks[place][1])
        content[dice.integers(len(content))] = dice.integers(256)
        chunks[place] = (kind, bytes(content))


_CHANGES: tuple[Callable[[list[Chunk], np.random.Generator], None], ...] = (
    _insert,
    _move,
    _repeat,
    _drop,
    _change_header,
    _split_pixels,
    _change_rows,
    _change_content,
)
