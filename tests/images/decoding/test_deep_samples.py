"""Samples of 9 to 16 bits keep their eight highest bits, whatever the arrangement; what cannot be read is named."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from pytorch_designer.images.bad_files import UndecodableImageError
from pytorch_designer.images.decode import decode_image, decode_image_as_stored, upright_size
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


@pytest.mark.parametrize(
    ("tags", "num_samples"), [({284: 2}, 3), ({322: 16, 323: 16}, 1), ({339: 2}, 1), ({259: 7}, 1)]
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
