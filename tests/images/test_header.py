"""Headers of image files."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytorch_designer.images.bad_files import UndecodableImageError
from pytorch_designer.images.header import parse_jpeg_header, sniff_format
from tests.images.image_corpus import encode, exif, smooth_pixels


@pytest.mark.parametrize("image_format", ["JPEG", "PNG", "GIF", "BMP", "TIFF", "WEBP", "PPM"])
def test_format_is_told_by_content(image_format: str) -> None:
    assert sniff_format(encode(smooth_pixels(4, 6), image_format)) == image_format


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "the file is empty"),
        (b"  <!DOCTYPE html><html>", "not an image: the file is a web page or XML"),
        (b"<?xml version='1.0'?><Error/>", "not an image: the file is a web page or XML"),
        (b"version https://git-lfs.github.com/spec/v1\n", "not an image: the file is text"),
        (bytes(100), "not an image: the file holds nothing but zeros"),
        (b"RIFF\x00\x00\x00\x00WAVE", "not an image in a format that is read"),
    ],
)
def test_other_content_is_refused_with_what_it_is(content: bytes, reason: str) -> None:
    with pytest.raises(UndecodableImageError) as caught:
        sniff_format(content)
    assert caught.value.reason.startswith(reason)


@pytest.mark.parametrize("options", [{}, {"progressive": True}, {"subsampling": 0}, {"comment": b"\xff\xd8\xff\xd9"}])
def test_jpeg_frame_header(options: dict[str, object]) -> None:
    header = parse_jpeg_header(encode(smooth_pixels(40, 60), "JPEG", **options))
    assert (header.height, header.width, header.num_components, header.bits) == (40, 60, 3, 8)
    assert header.orientation == 1


def test_fill_bytes_before_a_marker_are_skipped() -> None:
    content = encode(smooth_pixels(4, 6), "JPEG").replace(b"\xff\xc0", b"\xff\xff\xff\xc0", 1)
    assert parse_jpeg_header(content).width == 6


def test_a_thumbnail_inside_exif_is_not_taken_for_the_image() -> None:
    thumbnail = encode(smooth_pixels(8, 8), "JPEG")
    header = parse_jpeg_header(encode(smooth_pixels(40, 60), "JPEG", exif=exif(6) + thumbnail))
    assert (header.height, header.width, header.orientation) == (40, 60, 6)


@pytest.mark.parametrize("length", [3, 4, 20, 160])
def test_jpeg_without_frame_header_is_refused(length: int) -> None:
    with pytest.raises(UndecodableImageError, match="frame header"):
        parse_jpeg_header(encode(smooth_pixels(4, 6), "JPEG")[:length])


@given(st.binary(max_size=200))
def test_any_bytes_after_the_signature_parse_or_are_refused(content: bytes) -> None:
    try:
        header = parse_jpeg_header(b"\xff\xd8\xff" + content)
    except UndecodableImageError:
        return
    assert header.height > 0
    assert header.width > 0
    assert 1 <= header.orientation <= 8
