"""Samples of 9 to 16 bits keep their eight highest bits, whatever the arrangement; what cannot be read is named."""

from __future__ import annotations

import struct
import zlib
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from pytorch_designer.images import decode
from pytorch_designer.images.bad_files import UndecodableImageError
from pytorch_designer.images.decode import decode_image, decode_image_as_stored, upright_size
from pytorch_designer.images.decoding import memory_budget
from tests.images.image_corpus import encode, png, png_chunk, tiff

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

MAX_PIXELS = 1_000_000
GRAY, RGB, INVERTED = 1, 2, 0  # photometric interpretations


def pixels(content: bytes) -> NDArray[np.uint8]:
    decoded: NDArray[np.uint8] = decode_image(content, max_pixels=MAX_PIXELS).permute(1, 2, 0).numpy()
    return decoded


def samples_of(bits: int, num_samples: int) -> NDArray[np.uint16]:
    return np.random.default_rng(bits).integers(0, 2**bits, (70, 13, num_samples)).astype(np.uint16)


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("photometric", [GRAY, RGB, INVERTED])
@pytest.mark.parametrize("bits", range(9, 16))
def test_tiff_samples_are_scaled_by_their_bits(bits: int, photometric: int, order: str) -> None:
    samples = samples_of(bits, 3 if photometric == RGB else 1)
    expected = (samples >> (bits - 8)).astype(np.uint8)
    if photometric == INVERTED:
        expected = 255 - expected
    content = tiff(samples, bits, order=order, photometric=photometric)
    np.testing.assert_array_equal(pixels(content), np.broadcast_to(expected, (70, 13, 3)))


@pytest.mark.parametrize("bits", [10, 12, 14])
def test_white_is_white_and_the_image_is_upright(bits: int, tmp_path: Path) -> None:
    samples = np.full((4, 6, 1), 2**bits - 1, dtype=np.uint16)
    samples[0] = 0
    content = tiff(samples, bits, tags={274: 6})
    (tmp_path / "x").write_bytes(content)
    assert upright_size(tmp_path / "x") == (6, 4)
    np.testing.assert_array_equal(pixels(content)[..., 0], [[255, 255, 255, 0]] * 6)


def differences(samples: NDArray[np.uint16], bits: int) -> NDArray[np.uint16]:
    """The samples as horizontal differencing stores them."""
    before = np.concatenate([np.zeros_like(samples[:, :1]), samples[:, :-1]], axis=1)
    stored: NDArray[np.uint16] = np.bitwise_and(samples - before, np.uint16(2**bits - 1))
    return stored


def tiled(samples: NDArray[np.uint16], bits: int, *, side: int, is_differenced: bool) -> bytes:
    """A TIFF of deflated tiles, written by hand: samples [height, width, n]."""
    height, width, num_samples = samples.shape
    rows, columns = -(-height // side), -(-width // side)
    padded = np.zeros((rows * side, columns * side, num_samples), dtype=np.uint16)
    padded[:height, :width] = samples
    tiles = []
    for row, column in np.ndindex(rows, columns):
        tile = padded[row * side : (row + 1) * side, column * side : (column + 1) * side]
        stored = differences(tile, bits) if is_differenced else tile
        places = (stored[..., None] >> np.arange(bits - 1, -1, -1) & 1).astype(np.uint8)
        tiles.append(zlib.compress(np.packbits(places.reshape(side, -1), axis=1).tobytes()))
    offsets = np.cumsum([8, *map(len, tiles)]).tolist()
    numbers: dict[int, list[int]] = {
        256: [width], 257: [height], 258: [bits] * num_samples, 259: [8], 262: [RGB if num_samples == 3 else GRAY],
        277: [num_samples], 317: [2 if is_differenced else 1], 322: [side], 323: [side], 324: offsets[:-1],
        325: list(map(len, tiles)),
    }  # fmt: skip
    place, entries, values = offsets[-1] + 2 + 12 * len(numbers) + 4, b"", b""
    for tag, value in numbers.items():
        packed = struct.pack(f"<{len(value)}I", *value)
        entries += struct.pack("<HHI", tag, 4, len(value))
        entries += packed if len(value) == 1 else struct.pack("<I", place + len(values))
        values += packed if len(value) > 1 else b""
    head = b"II*\x00" + struct.pack("<I", offsets[-1])
    return head + b"".join(tiles) + struct.pack("<H", len(numbers)) + entries + bytes(4) + values


@pytest.mark.parametrize("is_differenced", [False, True])
@pytest.mark.parametrize("num_samples", [1, 3])
@pytest.mark.parametrize("bits", range(9, 16))
def test_samples_in_tiles_are_scaled_by_their_bits(bits: int, num_samples: int, is_differenced: bool) -> None:
    samples = samples_of(bits, num_samples)
    content = tiled(samples, bits, side=16 if bits % 2 else 32, is_differenced=is_differenced)
    expected = (samples >> (bits - 8)).astype(np.uint8)
    np.testing.assert_array_equal(pixels(content), np.broadcast_to(expected, (70, 13, 3)))


@pytest.mark.parametrize("num_samples", [1, 3])
def test_samples_that_are_stored_as_differences_are_summed(num_samples: int) -> None:
    samples = samples_of(12, num_samples)
    photometric = RGB if num_samples == 3 else GRAY
    content = tiff(differences(samples, 12), 12, photometric=photometric, tags={317: 2})
    np.testing.assert_array_equal(pixels(content), np.broadcast_to((samples >> 4).astype(np.uint8), (70, 13, 3)))


def test_a_small_image_in_a_huge_tile_is_counted_and_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    content = bytearray(tiled(samples_of(8, 1), 8, side=256, is_differenced=False))
    with pytest.raises(UndecodableImageError, match="too large: 256x256"):
        decode_image(content, max_pixels=256 * 256 - 1)
    taken: list[int] = []

    def is_counted(num_bytes: int) -> bool:
        taken.append(num_bytes)
        return True

    monkeypatch.setattr(memory_budget, "available_memory_bytes", lambda: 2**20)
    monkeypatch.setattr(decode, "is_counted", is_counted)
    decode_image(content, max_pixels=MAX_PIXELS)
    assert taken == [256 * 256 * memory_budget.BYTES_PER_PIXEL]


@pytest.mark.parametrize(
    ("tags", "num_samples"),
    [({284: 2}, 3), ({322: 8, 323: 16}, 1), ({322: 0, 323: 16}, 1), ({317: 3}, 1), ({339: 2}, 1), ({259: 7}, 1)],
)
def test_other_arrangements_are_named(tags: dict[int, int], num_samples: int) -> None:
    content = tiff(samples_of(12, num_samples), 12, photometric=RGB if num_samples == 3 else GRAY, tags=tags)
    with pytest.raises(UndecodableImageError, match="a TIFF with 12 bits per sample"):
        decode_image(content, max_pixels=MAX_PIXELS)


def test_models_of_the_old_designer_see_what_they_saw() -> None:
    samples = np.array([[0, 15, 255, 256, 4095]], dtype=np.uint16)[..., None]
    stored = decode_image_as_stored(tiff(samples, 12), max_pixels=MAX_PIXELS)
    assert stored[0, 0].tolist() == [0, 15, 255, 255, 255]


def test_a_gray_value_that_stands_for_transparency_is_white() -> None:
    values = np.array([0, 4660, 4661, 65535], dtype=">u2")  # two that differ in the low byte
    content = png(4, 1, 16, 0, b"\x00" + values.tobytes(), extra=png_chunk(b"tRNS", struct.pack(">H", 4660)))
    assert pixels(content)[0, :, 0].tolist() == [0, 255, 18, 255]


def test_a_color_of_16_bits_that_stands_for_transparency_is_white() -> None:
    colors = np.array([[0x1234, 0x5678, 0x9ABC], [0x2234, 0x5678, 0x9ABC]], dtype=">u2")
    extra = png_chunk(b"tRNS", colors[0].tobytes())
    content = png(2, 1, 16, 2, b"\x00" + colors.tobytes(), extra=extra)
    assert pixels(content)[0].tolist() == [[255, 255, 255], [0x22, 0x56, 0x9A]]


@pytest.mark.parametrize(
    ("most", "is_odd"), [(1023, True), (4095, True), (4096, False), (16383, False), (65535, False), (0, True)]
)
def test_16_bits_of_which_few_are_used_are_remarked_upon(most: int, is_odd: bool) -> None:
    remarks: list[str] = []
    values: NDArray[Any] = np.linspace(0, most, 64).astype(np.uint16).reshape(8, 8)
    for image_format in ("PNG", "TIFF", "PPM"):
        decode_image(encode(values, image_format), remark=remarks.append)
    colors = np.repeat(values.astype(">u2").reshape(8, 8, 1), 3, axis=2)
    rows = b"".join(b"\x00" + row.tobytes() for row in colors)
    decode_image(png(8, 8, 16, 2, rows), remark=remarks.append)
    assert len(remarks) == (4 if is_odd else 0)
    assert all("16 bits" in remark and "nearly black" in remark for remark in remarks)
