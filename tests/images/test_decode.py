"""Golden pixels for every pixel format, and what is refused."""

from __future__ import annotations

import io
import struct
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch
from PIL import Image

from pytorch_designer.images.bad_files import BadImageError, UndecodableImageError
from pytorch_designer.images.decode import decode_image, decode_image_as_stored, upright_size
from tests.images.image_corpus import (
    STORED_FROM_UPRIGHT,
    encode,
    jpeg_with_size,
    noise_pixels,
    png,
    png_chunk,
    smooth_pixels,
)

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

MAX_PIXELS = 10_000_000
ROUNDING_TRANSFORMS = 2  # two libjpeg builds may round the inverse cosine transform and colors differently


def decoded(content: bytes) -> NDArray[Any]:
    image = decode_image(content, max_pixels=MAX_PIXELS)
    assert image.dtype == torch.uint8
    return image.permute(1, 2, 0).numpy()


def reason(content: bytes, **options: Any) -> str:
    with pytest.raises(UndecodableImageError) as caught:
        decode_image(content, **({"max_pixels": MAX_PIXELS} | options))
    return caught.value.reason


@pytest.mark.parametrize(
    ("image_format", "options"),
    [
        ("PNG", {}),
        ("BMP", {}),
        ("TIFF", {}),
        ("TIFF", {"compression": "tiff_lzw"}),
        ("PPM", {}),
        ("WEBP", {"lossless": True, "exact": True}),
    ],
)
def test_lossless_formats_give_the_pixels_that_were_written(image_format: str, options: dict[str, Any]) -> None:
    pixels = noise_pixels(13, 17)
    np.testing.assert_array_equal(decoded(encode(pixels, image_format, **options)), pixels)


@pytest.mark.parametrize(
    "options", [{}, {"progressive": True}, {"subsampling": 0}, {"quality": 30}, {"keep_rgb": True}, {"optimize": True}]
)
def test_jpeg_agrees_with_pillow(options: dict[str, Any]) -> None:
    content = encode(smooth_pixels(63, 81), "JPEG", **options)
    reference = encode(Image.open(io.BytesIO(content)), "PPM")
    difference = decoded(content).astype(int) - decoded(reference).astype(int)
    assert np.abs(difference).max() <= ROUNDING_TRANSFORMS


def test_writable_readonly_and_view_bytes_decode_alike() -> None:
    content = encode(smooth_pixels(9, 9), "JPEG")
    images = [decode_image(data) for data in (content, bytearray(content), memoryview(content))]
    assert torch.equal(images[0], images[1])
    assert torch.equal(images[0], images[2])


@pytest.mark.parametrize("image_format", ["JPEG", "PNG", "WEBP", "TIFF"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation_is_undone(orientation: int, image_format: str, tmp_path: Path) -> None:
    upright = smooth_pixels(16, 24)
    stored = np.ascontiguousarray(STORED_FROM_UPRIGHT[orientation](upright))
    tags = Image.Exif()
    tags[0x0112] = orientation
    lossless: dict[str, dict[str, Any]] = {
        "WEBP": {"lossless": True, "exact": True},
        "JPEG": {"quality": 100, "subsampling": 0},
    }
    content = encode(stored, image_format, exif=tags, **lossless.get(image_format, {}))
    tolerance = 4 if image_format == "JPEG" else 0
    np.testing.assert_allclose(decoded(content).astype(int), upright, atol=tolerance)
    (tmp_path / "x").write_bytes(content)
    assert upright_size(tmp_path / "x") == (16, 24)


def test_broken_exif_does_not_make_an_image_bad() -> None:
    content = encode(smooth_pixels(8, 8), "JPEG", exif=b"Exif\x00\x00II*\x00\xff\xff\xff\xff")
    assert decoded(content).shape == (8, 8, 3)


def cmyk_to_rgb(cmyk: NDArray[np.uint8]) -> NDArray[Any]:
    ink, black = cmyk[..., :3].astype(float), cmyk[..., 3:].astype(float)
    rgb: NDArray[Any] = (255 - ink) * (255 - black) / 255
    return rgb


def test_cmyk_tiff_multiplies_ink_and_black() -> None:
    cmyk = np.random.default_rng(3).integers(0, 256, (5, 7, 4), dtype=np.uint8)
    content = encode(Image.frombytes("CMYK", (7, 5), cmyk.tobytes()), "TIFF")
    np.testing.assert_allclose(decoded(content).astype(float), cmyk_to_rgb(cmyk), atol=1)


@pytest.mark.parametrize("transform", [0, 2])
def test_cmyk_and_ycck_jpeg(transform: int) -> None:
    cmyk = np.zeros((16, 16, 4), dtype=np.uint8) + np.array([200, 30, 90, 40], dtype=np.uint8)
    content = encode(Image.frombytes("CMYK", (16, 16), cmyk.tobytes()), "JPEG", quality=100)
    adobe = content.index(b"Adobe")
    assert content[adobe + 11] == 0  # no color transform: plain CMYK
    if transform == 2:  # the same file read as YCCK: YCbCr of the first three inks, stored inverted
        content = content[: adobe + 11] + b"\x02" + content[adobe + 12 :]
        y, cb, cr = (255.0 - value for value in (200, 30, 90))
        rgb = [y + 1.402 * (cr - 128), y - 0.344136 * (cb - 128) - 0.714136 * (cr - 128), y + 1.772 * (cb - 128)]
        # libjpeg makes CMY the inverse of that RGB, and Adobe files hold CMYK inverted
        cmyk[..., :3] = np.clip(np.round(rgb), 0, 255)
    np.testing.assert_allclose(decoded(content).astype(float), cmyk_to_rgb(cmyk), atol=3)


@pytest.mark.parametrize("image_format", ["PNG", "BMP", "TIFF", "PPM", "JPEG"])
def test_grayscale_has_three_equal_channels(image_format: str) -> None:
    gray = np.arange(256, dtype=np.uint8).reshape(16, 16).repeat(8, 0).repeat(8, 1)
    atol = 3 if image_format == "JPEG" else 0
    result = decoded(encode(gray, image_format, **({"quality": 100} if atol else {})))
    np.testing.assert_allclose(result.astype(int), gray[..., None].repeat(3, 2), atol=atol)


@pytest.mark.parametrize("image_format", ["PNG", "TIFF", "PPM", "BMP"])
def test_one_bit_is_black_and_white(image_format: str) -> None:
    bits = np.random.default_rng(1).integers(0, 2, (9, 11)).astype(bool)
    np.testing.assert_array_equal(decoded(encode(bits, image_format)), np.where(bits, 255, 0)[..., None].repeat(3, 2))


ALL_HIGH_BYTES = np.arange(256, dtype=np.uint16) * 256 + 77  # one row in which every high byte occurs once


def test_16_bit_grayscale_png_keeps_256_levels() -> None:
    content = png(256, 1, 16, 0, b"\x00" + ALL_HIGH_BYTES.astype(">u2").tobytes())
    np.testing.assert_array_equal(decoded(content)[0], np.arange(256)[:, None].repeat(3, 1))


def test_16_bit_color_png_keeps_256_levels() -> None:
    content = png(256, 1, 16, 2, b"\x00" + ALL_HIGH_BYTES.astype(">u2").repeat(3).tobytes())
    np.testing.assert_array_equal(decoded(content)[0], np.arange(256)[:, None].repeat(3, 1))


def test_16_bit_grayscale_with_alpha_png_keeps_256_levels() -> None:
    values = np.stack([ALL_HIGH_BYTES, np.full(256, 65535, np.uint16)], 1).astype(">u2")
    content = png(256, 1, 16, 4, b"\x00" + values.tobytes())
    np.testing.assert_array_equal(decoded(content)[0], np.arange(256)[:, None].repeat(3, 1))


def test_16_bit_pgm_keeps_256_levels() -> None:
    content = b"P5\n256 1\n65535\n" + ALL_HIGH_BYTES.astype(">u2").tobytes()
    np.testing.assert_array_equal(decoded(content)[0], np.arange(256)[:, None].repeat(3, 1))


@pytest.mark.parametrize("byte_order", ["<u2", ">u2"])
def test_16_bit_tiff_keeps_256_levels(byte_order: str) -> None:
    mode = "I;16" if byte_order == "<u2" else "I;16B"
    picture = Image.frombytes(mode, (256, 1), ALL_HIGH_BYTES.astype(byte_order).tobytes())
    np.testing.assert_array_equal(decoded(encode(picture, "TIFF"))[0], np.arange(256)[:, None].repeat(3, 1))


@pytest.mark.parametrize(("dtype", "word"), [(np.int32, "integers"), (np.float32, "floating point")])
def test_pixels_without_a_range_are_refused(dtype: type[Any], word: str) -> None:
    assert word in reason(encode(np.ones((4, 4), dtype=dtype), "TIFF"))


def over_white(color: NDArray[Any], alpha: NDArray[Any]) -> NDArray[Any]:
    share = alpha.astype(float)[..., None] / 255
    blended: NDArray[Any] = np.floor(color * share + 255 * (1 - share) + 0.5)
    return blended


@pytest.mark.parametrize("image_format", ["PNG", "TIFF", "WEBP"])
def test_transparency_is_blended_over_white(image_format: str) -> None:
    rgba = np.random.default_rng(5).integers(0, 256, (12, 10, 4), dtype=np.uint8)
    options = {"lossless": True, "exact": True} if image_format == "WEBP" else {}
    expected = over_white(rgba[..., :3], rgba[..., 3])
    np.testing.assert_array_equal(decoded(encode(rgba, image_format, **options)), expected)


def test_grayscale_with_alpha_is_blended_over_white() -> None:
    gray_alpha = np.random.default_rng(6).integers(0, 256, (12, 10, 2), dtype=np.uint8)
    content = encode(Image.frombytes("LA", (10, 12), gray_alpha.tobytes()), "PNG")
    expected = over_white(gray_alpha[..., :1].repeat(3, 2), gray_alpha[..., 1])
    np.testing.assert_array_equal(decoded(content), expected)


def decoded_as_stored(content: bytes) -> NDArray[Any]:
    return decode_image_as_stored(content, max_pixels=MAX_PIXELS).permute(1, 2, 0).numpy()


@pytest.mark.parametrize("image_format", ["JPEG", "PNG", "WEBP"])
def test_as_stored_an_image_is_not_turned(image_format: str) -> None:
    tags = Image.Exif()
    tags[0x0112] = 6
    assert decoded_as_stored(encode(smooth_pixels(16, 24), image_format, exif=tags)).shape == (16, 24, 3)


def test_as_stored_transparency_shows_the_color_below() -> None:
    rgba = np.random.default_rng(5).integers(0, 256, (12, 10, 4), dtype=np.uint8)
    np.testing.assert_array_equal(decoded_as_stored(encode(rgba, "PNG")), rgba[..., :3])


def test_as_stored_16_bit_values_are_cut_off() -> None:
    values = np.array([0, 7, 255, 256, 65535])
    content = png(5, 1, 16, 0, b"\x00" + values.astype(">u2").tobytes())
    np.testing.assert_array_equal(decoded_as_stored(content)[0, :, 0], [0, 7, 255, 255, 255])


PALETTE = bytes([255, 0, 0, 0, 255, 0, 0, 0, 255, 10, 20, 30])


def test_palette_gives_its_colors() -> None:
    content = png(4, 1, 8, 3, bytes([0, 0, 1, 2, 3]), extra=png_chunk(b"PLTE", PALETTE))
    np.testing.assert_array_equal(decoded(content)[0], [[255, 0, 0], [0, 255, 0], [0, 0, 255], [10, 20, 30]])


def test_palette_with_transparency_is_blended_over_white() -> None:
    extra = png_chunk(b"PLTE", PALETTE) + png_chunk(b"tRNS", bytes([255, 0, 51]))
    content = png(4, 1, 8, 3, bytes([0, 0, 1, 2, 3]), extra=extra)
    np.testing.assert_array_equal(decoded(content)[0], [[255, 0, 0], [255, 255, 255], [204, 204, 255], [10, 20, 30]])


def test_a_color_key_is_white() -> None:
    extra = png_chunk(b"tRNS", struct.pack(">HHH", 1, 2, 3))
    content = png(2, 1, 8, 2, bytes([0, 1, 2, 3, 4, 5, 6]), extra=extra)
    np.testing.assert_array_equal(decoded(content)[0], [[255, 255, 255], [4, 5, 6]])


@pytest.mark.parametrize(
    ("image_format", "options"), [("GIF", {}), ("PNG", {}), ("WEBP", {"lossless": True}), ("TIFF", {})]
)
def test_animations_give_their_first_frame(image_format: str, options: dict[str, Any]) -> None:
    red, blue = (Image.new("RGB", (6, 4), color) for color in ("#ff0000", "#0000ff"))
    content = encode(red, image_format, save_all=True, append_images=[blue], **options)
    np.testing.assert_array_equal(decoded(content), np.broadcast_to([255, 0, 0], (4, 6, 3)))


@pytest.mark.parametrize("image_format", ["PNG", "TIFF", "WEBP", "BMP", "PPM", "GIF"])
@pytest.mark.parametrize("share", [0.1, 0.5, 0.9])
def test_truncated_files_are_refused(image_format: str, share: float) -> None:
    content = encode(noise_pixels(64, 64), image_format)
    assert reason(content[: int(len(content) * share)])


@pytest.mark.parametrize("num_missing", [1, 2, 50, 500])
@pytest.mark.parametrize("mode", ["RGB", "L", "CMYK"])
def test_truncated_jpegs_are_refused_and_never_grey(mode: str, num_missing: int) -> None:
    content = encode(Image.fromarray(noise_pixels(64, 64)).convert(mode), "JPEG")
    assert reason(content[:-num_missing])


def test_bytes_after_the_end_do_no_harm() -> None:
    content = encode(smooth_pixels(16, 16), "JPEG")
    np.testing.assert_array_equal(decoded(content + b"appended by a phone"), decoded(content))


@pytest.mark.parametrize(
    "content",
    [
        jpeg_with_size(encode(smooth_pixels(8, 8), "JPEG"), 30_000, 30_000),
        png(30_000, 30_000, 8, 2, b""),
        b"P6\n30000 30000\n255\n",
        b"BM" + struct.pack("<IHHIIiiHHIIiiII", 54, 0, 0, 54, 40, 30_000, 30_000, 1, 24, 0, 0, 0, 0, 0, 0),
    ],
    ids=["JPEG", "PNG", "PPM", "BMP"],
)
def test_size_is_checked_before_memory_is_taken(content: bytes) -> None:
    assert reason(content).startswith("too large: 30000x30000 pixels")


def test_limit_on_pixels_is_inclusive_and_comes_from_the_setting() -> None:
    content = encode(noise_pixels(10, 10), "PNG")
    assert decode_image(content, max_pixels=100).shape == (3, 10, 10)
    assert decode_image(content).shape == (3, 10, 10)
    assert "PYTORCH_DESIGNER_MAX_IMAGE_PIXELS" in reason(content, max_pixels=99)


def test_more_pixels_than_pillow_warns_about_are_read_quietly(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 10)
    assert decode_image(encode(noise_pixels(10, 10), "PNG")).shape == (3, 10, 10)


@pytest.mark.slow
def test_large_images_are_decoded_in_turn() -> None:
    content = encode(Image.new("L", (6_000, 6_000), 9), "PNG")  # above 2**25 pixels
    image = decode_image(content, max_pixels=36_000_000)
    assert image.shape == (3, 6_000, 6_000)
    assert int(image[0, -1, -1]) == 9


def test_zero_sizes_are_refused() -> None:
    assert "0x8" in reason(jpeg_with_size(encode(smooth_pixels(8, 8), "JPEG"), 0, 8))
    assert reason(png(0, 8, 8, 2, b""))


def test_warnings_of_pillow_are_kept_out_of_the_log() -> None:
    broken_animation = png_chunk(b"acTL", struct.pack(">II", 0, 0))  # "Invalid APNG, will use default PNG image"
    content = png(1, 1, 8, 2, bytes([0, 7, 8, 9]), extra=broken_animation)
    np.testing.assert_array_equal(decoded(content), [[[7, 8, 9]]])


@pytest.mark.parametrize("image_format", ["JPEG", "PNG", "TIFF", "WEBP", "BMP", "PPM", "GIF"])
def test_damaged_files_decode_or_are_refused(image_format: str) -> None:
    content = encode(noise_pixels(20, 24), image_format)
    dice = np.random.default_rng(len(content))
    for _ in range(150):
        damaged = bytearray(content)
        for position in dice.integers(0, len(content), dice.integers(1, 5)):
            damaged[position] = dice.integers(256)
        try:
            image = decode_image(damaged, max_pixels=100_000)
        except BadImageError:
            continue
        assert image.shape[0] == 3


def test_size_is_read_from_a_header_that_lies_far_behind(tmp_path: Path) -> None:
    content = encode(smooth_pixels(5, 9), "JPEG")
    padding = b"\xff\xe2\xff\xff" + bytes(65533)
    (tmp_path / "x").write_bytes(content[:2] + padding * 3 + content[2:])
    assert upright_size(tmp_path / "x") == (5, 9)


@pytest.mark.parametrize("image_format", ["PNG", "GIF", "BMP", "TIFF", "WEBP", "PPM"])
def test_size_of_other_formats(image_format: str, tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(encode(noise_pixels(300, 200), image_format))
    assert upright_size(tmp_path / "x") == (300, 200)
