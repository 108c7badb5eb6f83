"""Kinds of files: those that are read by their content, turned by their metadata, or named as what they are."""

from __future__ import annotations

import importlib
import importlib.util
import io
import struct
import sys
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from PIL import Image, PngImagePlugin, features

from pytorch_designer.images.decode import decode_image, upright_size
from pytorch_designer.images.header import sniff_format
from tests.images.image_corpus import (
    MAX_PIXELS,
    STORED_FROM_UPRIGHT,
    bmp_header,
    encode,
    exif,
    png_chunk,
    reason,
    smooth_pixels,
)

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray


def decoded(content: bytes) -> NDArray[np.uint8]:
    pixels: NDArray[np.uint8] = decode_image(content, max_pixels=MAX_PIXELS).permute(1, 2, 0).numpy()
    return pixels


def jpeg_with_frame(marker: int, bits: int, num_components: int) -> bytes:
    content = bytearray(encode(smooth_pixels(16, 16), "JPEG"))
    frame = content.index(b"\xff\xc0")
    content[frame + 1], content[frame + 4], content[frame + 9] = marker, bits, num_components
    return bytes(content)


@pytest.mark.parametrize(
    ("content", "named"),
    [
        (jpeg_with_frame(0xC1, 12, 3), "a JPEG with 12 bits per value, which is not read"),
        (jpeg_with_frame(0xC3, 8, 3), "a lossless JPEG, which is not read"),
        (jpeg_with_frame(0xC3, 16, 1), "a lossless JPEG, which is not read"),
        (jpeg_with_frame(0xC5, 8, 3), "a hierarchical JPEG, which is not read"),
        (jpeg_with_frame(0xC0, 8, 2), "a JPEG with 2 components, which is not read"),
        (b"\x00\x00\x00\x0cjP  \r\n\x87\n" + bytes(50), "a JPEG 2000 image"),
        (b"\xff\x4f\xff\x51" + bytes(50), "a JPEG 2000 image"),
        (b"\xff\x0a" + bytes(50), "a JPEG XL image"),
        (bytes(128) + b"DICM" + bytes(50), "a DICOM image"),
        (b"8BPS" + bytes(50), "a Photoshop document"),
        (
            bmp_header(4, 4, 16, compression=3) + struct.pack("<III", 0xF000, 0x0F00, 0x00F0) + bytes(64),
            "a kind of BMP",
        ),
        (encode(np.ones((4, 4), dtype=np.float32), "TIFF").replace(b"\x20\x00", b"\x40\x00", 1), "a kind of TIFF"),
    ],
)
def test_valid_files_that_are_not_read_are_named_as_what_they_are(content: bytes, named: str) -> None:
    text = reason(content)
    assert named in text
    assert "damaged" not in text


@pytest.mark.parametrize("image_format", ["PNG", "JPEG", "WEBP"])
@pytest.mark.parametrize("orientation", [1, 3, 6])
def test_orientation_in_xmp_is_undone(orientation: int, image_format: str, tmp_path: Path) -> None:
    upright = smooth_pixels(16, 24)
    stored = np.ascontiguousarray(STORED_FROM_UPRIGHT[orientation](upright))
    packet = b'<x:xmpmeta><rdf:Description tiff:Orientation="%d"/></x:xmpmeta>' % orientation
    options: dict[str, Any] = {"xmp": packet}
    if image_format == "PNG":
        info = PngImagePlugin.PngInfo()
        info.add_itxt("XML:com.adobe.xmp", packet.decode())
        options = {"pnginfo": info}
    elif image_format == "WEBP":
        options |= {"lossless": True, "exact": True}
    else:
        options |= {"quality": 100, "subsampling": 0}
    content = encode(stored, image_format, **options)
    np.testing.assert_allclose(decoded(content).astype(int), upright, atol=4 if image_format == "JPEG" else 0)
    (tmp_path / "x").write_bytes(content)
    assert upright_size(tmp_path / "x") == (16, 24)


@pytest.mark.parametrize("is_compressed", [True, False])
def test_exif_in_pngs_as_imagemagick_writes_it_is_undone(is_compressed: bool) -> None:
    upright = smooth_pixels(16, 24)
    digits = exif(6).hex()
    text = "\n".join(
        ["", "exif", f"{len(digits) // 2:8}", *(digits[i : i + 72] for i in range(0, len(digits), 72)), ""]
    )
    info = PngImagePlugin.PngInfo()
    info.add_text("Raw profile type exif", text, zip=is_compressed)
    content = encode(np.ascontiguousarray(np.rot90(upright, 1)), "PNG", pnginfo=info)
    np.testing.assert_array_equal(decoded(content), upright)


def test_exif_behind_the_pixels_of_a_png_is_undone() -> None:
    upright = smooth_pixels(16, 24)
    content = encode(np.ascontiguousarray(np.rot90(upright, 1)), "PNG")
    end = content.index(b"IEND") - 4
    content = content[:end] + png_chunk(b"eXIf", exif(6).removeprefix(b"Exif\x00\x00")) + content[end:]
    np.testing.assert_array_equal(decoded(content), upright)


@pytest.mark.skipif(not features.check("avif"), reason="this Pillow reads no AVIF")
@pytest.mark.parametrize("orientation", [1, 6])
def test_avif_is_read_by_its_content(orientation: int) -> None:
    upright = smooth_pixels(32, 48)
    tags = Image.Exif()
    tags[0x0112] = orientation
    stored = np.ascontiguousarray(STORED_FROM_UPRIGHT[orientation](upright))
    content = encode(stored, "AVIF", quality=100, subsampling="4:4:4", exif=tags)
    assert sniff_format(content) == "AVIF"
    np.testing.assert_allclose(decoded(content).astype(int), upright, atol=12)


HEIC_START = b"\x00\x00\x00\x18ftypheic\x00\x00\x00\x00mif1heic"


@pytest.mark.skipif(importlib.util.find_spec("pillow_heif") is None, reason="pillow-heif is not installed")
def test_heic_is_read_by_its_content() -> None:
    upright = smooth_pixels(64, 96)
    stream = io.BytesIO()
    importlib.import_module("pillow_heif").from_pillow(Image.fromarray(upright)).save(stream, quality=95)
    assert sniff_format(stream.getvalue()) == "HEIC"
    np.testing.assert_allclose(decoded(stream.getvalue()).astype(int), upright, atol=24)


def test_heic_without_its_extra_is_named_with_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pillow_heif", None)
    assert "pip install pillow-heif" in reason(HEIC_START + bytes(100))


def test_a_message_of_libtiff_is_the_reason_and_is_not_printed(capfd: pytest.CaptureFixture[str]) -> None:
    content = bytearray(encode(smooth_pixels(33, 47), "TIFF", compression="tiff_adobe_deflate"))
    content[8:40] = bytes(32)
    assert reason(bytes(content)).startswith("damaged TIFF file: ")
    assert capfd.readouterr().err == ""
