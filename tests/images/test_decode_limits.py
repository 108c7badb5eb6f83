"""Headers, files and images that would take more memory than they are worth make bad files."""

from __future__ import annotations

import struct
import tracemalloc
import zlib
from typing import TYPE_CHECKING

import pytest
from PIL import Image

from pytorch_designer.images.bad_files import UnreadableImageError
from pytorch_designer.images.decode import decode_image, read_image_file
from pytorch_designer.images.decoding import memory_budget
from pytorch_designer.images.header import parse_webp_size
from tests.images.image_corpus import bmp_header, encode, noise_pixels, png, png_chunk, reason

if TYPE_CHECKING:
    from pathlib import Path

LONG, HIGH = (100_000_000, 1), (1, 100_000_000)


def header_bombs() -> dict[str, bytes]:
    """Tiny files whose headers promise a hundred million pixels, within the limit."""
    bombs = {}
    for (width, height), shape in ((LONG, "long"), (HIGH, "high"), ((10_000, 10_000), "square")):
        for kind in b"123456":
            maximum = b"255\n" if kind not in b"14" else b""
            bombs[f"PPM {kind - 48} {shape}"] = b"P%c\n%d %d\n" % (kind, width, height) + maximum
        for color_type, depth in ((0, 1), (0, 8), (0, 16), (2, 8), (2, 16), (3, 8), (4, 8), (6, 8), (6, 16)):
            palette = png_chunk(b"PLTE", bytes(6)) if color_type == 3 else b""
            bombs[f"PNG {color_type} {depth} {shape}"] = png(width, height, depth, color_type, b"", extra=palette)
        for bits in (1, 8, 24, 32):
            bombs[f"BMP {bits} {shape}"] = bmp_header(width, height, bits) + bytes(1024)
        pixels = struct.pack("<IIII", 0x00010001, width, 0x00010101, height)  # of a tag each
        tags = [(256, pixels[4:8]), (257, pixels[12:]), (258, b"\x08\0\0\0"), (259, b"\x01\0\0\0"),
                (262, b"\x01\0\0\0"), (273, b"\x08\0\0\0"), (277, b"\x01\0\0\0"), (279, b"\x10\0\0\0")]  # fmt: skip
        entries = b"".join(struct.pack("<HHI", tag, 4, 1) + value for tag, value in tags)
        bombs[f"TIFF {shape}"] = b"II*\0\x08\0\0\0" + struct.pack("<H", len(tags)) + entries + bytes(4)
    for mode, options in (("RGB", {}), ("RGB", {"progressive": True}), ("L", {}), ("CMYK", {})):
        content = encode(Image.new(mode, (8, 8)), "JPEG", **options)
        frame = content.index(b"\xff\xc2" if options else b"\xff\xc0")
        size = struct.pack(">HH", 10_000, 10_000)
        bombs[f"JPEG {mode} {options}"] = content[: frame + 5] + size + content[frame + 9 :]
    return bombs


@pytest.mark.parametrize("name", header_bombs())
def test_a_header_that_promises_a_hundred_million_pixels_makes_a_bad_file(name: str) -> None:
    tracemalloc.start()
    try:
        assert reason(header_bombs()[name], max_pixels=150_000_000)
        assert tracemalloc.get_traced_memory()[1] < 2**24
    finally:
        tracemalloc.stop()


@pytest.mark.slow
@pytest.mark.parametrize("mode", ["L", "RGB"])
def test_rows_that_pillow_has_no_room_for_make_a_bad_file(mode: str) -> None:
    pixels = zlib.compress(bytes(1 + 100_000_000 * len(mode)), 1)
    head = struct.pack(">IIBBBBB", *LONG, 8, 0 if mode == "L" else 2, 0, 0, 0)
    chunks = [png_chunk(b"IHDR", head), png_chunk(b"IDAT", pixels), png_chunk(b"IEND", b"")]
    content = b"\x89PNG\r\n\x1a\n" + b"".join(chunks)
    if mode == "L":
        assert decode_image(content, max_pixels=100_000_000).shape == (3, *LONG[::-1])
    else:
        assert reason(content, max_pixels=100_000_000) == "too large to be decoded: 100000000x1 pixels"


def test_an_image_that_does_not_fit_into_memory_is_a_bad_file(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory_budget, "available_memory_bytes", lambda: 2**27)
    content = encode(Image.new("L", (6_000, 6_000), 9), "PNG")
    text = reason(content, max_pixels=36_000_000)
    assert text == "too large for this machine: 6000x6000 pixels; it takes about 0.4 GB of memory, 0.1 GB are free"


@pytest.mark.parametrize("kind", ["lossy", "lossless", "with alpha"])
def test_the_canvas_of_webp_is_known_before_its_reader_takes_memory(kind: str) -> None:
    mode = "RGBA" if kind == "with alpha" else "RGB"
    content = encode(
        Image.new(mode, (300, 200), "#12345678"[: 3 + 2 * len(mode) - 2]), "WEBP", lossless=kind != "lossy"
    )
    assert parse_webp_size(content) == (300, 200)
    assert reason(content, max_pixels=300 * 200 - 1).startswith("too large: 300x200")


def test_a_large_file_of_a_small_image_is_not_read(tmp_path: Path) -> None:
    path = tmp_path / "sparse.png"
    path.write_bytes(encode(noise_pixels(10, 10), "PNG"))
    with path.open("r+b") as stream:
        stream.truncate(2**30)
    tracemalloc.start()
    with pytest.raises(UnreadableImageError, match=r"too large \(1,073,741,824 bytes\) for the 10x10 pixels"):
        read_image_file(path)
    assert tracemalloc.get_traced_memory()[1] < 2**24
    tracemalloc.stop()
