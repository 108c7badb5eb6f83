"""The shorter way to the pixels of a plain PNG, which must be Pillow's, and the files for which it is not taken."""

from __future__ import annotations

import struct
import zlib

import numpy as np
import pytest
from PIL import Image

from pytorch_designer.images.bad_files import UndecodableImageError
from pytorch_designer.images.decode import decode_image
from pytorch_designer.images.plain_png import parse_plain_png
from tests.images.image_corpus import encode, noise_pixels, png, png_chunk, smooth_pixels
from tests.images.png_mutations import (
    EXTRA_CHUNKS,
    SIGNATURE,
    is_read_as_plain,
    joined_png,
    plain_png_fault,
    png_files,
    rearranged_png,
    split_png,
)

NUM_FILES = 600
PLAIN_METADATA = {b"gAMA": 4, b"pHYs": 9, b"cHRM": 32, b"sRGB": 1, b"tIME": 7, b"bKGD": 2, b"sBIT": 1, b"hIST": 2}


def test_all_kinds_of_pixels_are_those_of_pillows_reader() -> None:
    assert [plain_png_fault(content) for content in png_files()] == [None] * len(png_files())
    assert sum(is_read_as_plain(content) for content in png_files()) == len(png_files()) - 1, "all but 16 bits"


def test_pixels_in_many_chunks_are_one_stream() -> None:
    chunks = split_png(encode(noise_pixels(200, 190), "PNG"))
    before, (kind, content), end = chunks[:-2], chunks[-2], chunks[-1]
    pieces = [(kind, content[start : start + 1000]) for start in range(0, len(content), 1000)]
    file = joined_png([*before, *pieces, (kind, b""), end])
    assert is_read_as_plain(file)
    np.testing.assert_array_equal(decode_image(file).permute(1, 2, 0).numpy(), noise_pixels(200, 190))


def test_metadata_leaves_the_short_way_open() -> None:
    header, *rest = split_png(encode(smooth_pixels(9, 8), "PNG"))
    metadata = [(kind, bytes(length)) for kind, length in PLAIN_METADATA.items()]
    texts = [(b"tEXt", b"Software\0something"), (b"tEXt", b"date:create\x002026-11-27")]
    file = joined_png([header, *metadata, *texts, *rest])
    assert is_read_as_plain(file)
    assert plain_png_fault(file) is None


@pytest.mark.parametrize("place", [1, -1])
@pytest.mark.parametrize("chunk", [chunk for chunk in EXTRA_CHUNKS if chunk[0] not in {b"PLTE", b"IDAT", b"IEND"}])
def test_chunks_are_passed_over_only_where_they_change_nothing(chunk: tuple[bytes, bytes], place: int) -> None:
    chunks = split_png(encode(smooth_pixels(9, 8), "PNG"))
    chunks.insert(place, chunk)
    is_harmless = len(chunk[1]) >= PLAIN_METADATA.get(chunk[0], 2**20) or chunk in {
        (b"tEXt", b"Software\0x"),
        (b"tIME", b""),
        (b"bKGD", bytes(6)),
    }
    assert is_read_as_plain(joined_png(chunks)) is is_harmless
    assert plain_png_fault(joined_png(chunks)) is None


@pytest.mark.parametrize(
    "content",
    [
        SIGNATURE,
        png(8, 8, 8, 2, b"")[:40],
        png(2, 2, 8, 3, bytes(6)),  # no palette
        png(2, 2, 16, 0, bytes(10)),
        png(0, 2, 8, 0, bytes(2)),
        png(2, 2, 8, 0, bytes(6))[:-12],  # no end
        png(2, 2, 8, 0, bytes(5)),  # a pixel is missing
        png(2, 2, 8, 0, b"\x05\0\0\0\0\0"),  # no such filter
        SIGNATURE + png_chunk(b"IHDR", struct.pack(">IIBBBBB", 2, 2, 8, 0, 0, 0, 1)),
        SIGNATURE
        + png_chunk(b"IHDR", struct.pack(">IIBBBBB", 2, 2, 8, 0, 0, 0, 1))  # interlaced
        + png_chunk(b"IDAT", zlib.compress(bytes(7)))
        + png_chunk(b"IEND", b""),
    ],
)
def test_what_is_not_plain_or_damaged_is_left_to_pillow(content: bytes) -> None:
    assert not is_read_as_plain(content)


def test_a_wrong_checksum_is_left_to_pillow() -> None:
    content = bytearray(encode(smooth_pixels(9, 8), "PNG"))
    content[content.index(b"IDAT") + 20] ^= 1
    assert parse_plain_png(content) is None


def test_large_files_are_left_to_pillow() -> None:
    assert parse_plain_png(bytearray(encode(noise_pixels(600, 600), "PNG"))) is None


def test_the_size_is_checked_before_there_is_memory_for_it() -> None:
    content = png(100_000, 100_000, 8, 0, b"")
    with pytest.raises(UndecodableImageError, match="100000x100000"):
        decode_image(content, max_pixels=1_000_000)


def test_rearranged_files_are_read_as_pillows_reader_does() -> None:
    files = [rearranged_png(number) for number in range(NUM_FILES)]
    faults = [(number, fault) for number, content in enumerate(files) if (fault := plain_png_fault(content))]
    assert faults == []
    num_plain = sum(is_read_as_plain(content) for content in files)
    assert NUM_FILES // 10 < num_plain < NUM_FILES // 2, "the damage is neither all nor nothing"


def test_palettes_are_those_of_the_file() -> None:
    image = Image.fromarray(smooth_pixels(20, 30)).quantize(7)
    expected = np.asarray(image.convert("RGB"))
    np.testing.assert_array_equal(decode_image(encode(image, "PNG")).permute(1, 2, 0).numpy(), expected)
