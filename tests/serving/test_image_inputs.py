"""Each kind of image input becomes the pixels of its file; everything else is refused with a reason."""

from __future__ import annotations

import base64
import io
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from pytorch_designer.images.bad_files import BadImageError
from pytorch_designer.images.decode import decode_image, decode_image_as_stored
from pytorch_designer.serving.image_inputs import image_pixels, images_in
from tests.images.image_corpus import encode, exif, smooth_pixels

PIXELS = smooth_pixels(20, 30)
PNG = encode(PIXELS, "PNG")
TEXT = base64.b64encode(PNG).decode()
NOT_BASE64 = "its text is not base64: "


def opened(content: bytes) -> Image.Image:
    return Image.open(io.BytesIO(content))


def as_read_only(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    pixels.setflags(write=False)
    return pixels


@pytest.mark.parametrize(
    "value",
    [
        PNG,
        bytearray(PNG),
        memoryview(PNG),
        TEXT,
        base64.encodebytes(PNG).decode(),
        f"data:image/png;base64,{TEXT}",
        f"DATA:;BASE64,{TEXT}",
        PIXELS,
        as_read_only(PIXELS.copy()),
        np.asfortranarray(PIXELS),
        PIXELS.astype(np.int64),
        PIXELS.tolist(),
        opened(PNG),
        opened(PNG).convert("RGB"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_every_kind_is_the_image_of_the_file(value: object) -> None:
    image = image_pixels(value)
    assert np.array_equal(image.permute(1, 2, 0).numpy(), PIXELS)
    assert image.stride() == decode_image(PNG).stride(), "resizing depends on it"


def test_strings_are_paths_where_a_program_says_so_and_path_objects_always(tmp_path: Path) -> None:
    file = tmp_path / "a.png"
    file.write_bytes(PNG)
    for value, strings_are_paths in [(str(file), True), (file, True), (file, False)]:
        assert np.array_equal(image_pixels(value, strings_are_paths=strings_are_paths).permute(1, 2, 0), PIXELS)
    with pytest.raises(BadImageError, match="base64"):
        image_pixels(str(file))
    with pytest.raises(BadImageError, match="no such file"):
        image_pixels("gone.png", strings_are_paths=True)
    assert np.array_equal(
        image_pixels(f"data:image/png;base64,{TEXT}", strings_are_paths=True).permute(1, 2, 0), PIXELS
    )


@pytest.mark.parametrize("as_stored", [False, True])
@pytest.mark.parametrize(
    ("image_format", "change"),
    [
        ("JPEG", lambda image: image),
        ("JPEG", lambda image: image.convert("L")),
        ("JPEG", lambda image: image.convert("CMYK")),
        ("PNG", lambda image: image.convert("RGBA")),
        ("PNG", lambda image: image.convert("P")),
        ("PNG", lambda image: Image.fromarray(np.asarray(image)[..., 0].astype(np.uint16) << 8)),
        ("TIFF", lambda image: image),
        ("WEBP", lambda image: image),
        ("GIF", lambda image: image.convert("P")),
    ],
)
def test_a_pillow_image_has_the_pixels_of_its_file(
    image_format: str, change: Callable[[Image.Image], Image.Image], as_stored: bool
) -> None:
    stream = io.BytesIO()
    options = {"exif": exif(6)} if image_format in {"JPEG", "TIFF", "WEBP"} else {}
    change(Image.fromarray(smooth_pixels(20, 30))).save(stream, image_format, **options)
    decode = decode_image_as_stored if as_stored else decode_image
    expected = decode(stream.getvalue())
    assert np.array_equal(image_pixels(opened(stream.getvalue()), as_stored=as_stored), expected)


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        ("", "an empty text"),
        ("[A, B]", NOT_BASE64),
        (f"{TEXT[:20]}[{TEXT[20:]}]", NOT_BASE64),
        (f"{TEXT},{TEXT}", NOT_BASE64),
        (TEXT[:-3], NOT_BASE64),
        ("%%%", NOT_BASE64),
        ("café", f"{NOT_BASE64}it has other characters"),
        ("\ud800", f"{NOT_BASE64}it has other characters"),
        ("data:image/png,abc", "a data URL that is not of the form"),
        ("data:image/png;base64", "a data URL that is not of the form"),
        ("data:image/png;base64,", "an empty data URL"),
        ("data:image/png;base64,%%", "its data URL is not base64"),
        ("/etc/passwd", NOT_BASE64),
        ("/etc/hostname0000", NOT_BASE64),
        ("/usr/bin", ""),  # which is base64, of something else
        (b"", "the file is empty"),
        (b"no image", ""),
        (None, "None, which is not an image"),
        (3, "3, which is not an image"),
        (float("nan"), "nan, which is not an image"),
        ({}, "a mapping, which is not an image"),
        (np.zeros((4, 4), np.uint8), "an array of the shape [4, 4]"),
        (np.zeros((4, 4, 4), np.uint8), "an array of the shape [4, 4, 4]"),
        (np.zeros((0, 4, 3), np.uint8), "an array of the shape [0, 4, 3]"),
        (np.zeros((4, 4, 3), np.float32), "an array of float32 values"),
        (np.zeros((4, 4, 3), np.bool_), "an array of bool values"),
        (np.full((4, 4, 3), 256), "an array of int64 values"),
        (np.full((4, 4, 3), -1), "an array of int64 values"),
        ([[[1, 2, 3]], [[1, 2, 3], [1, 2, 3]]], "nested lists whose lengths differ"),
        ([[[1.5, 2, 3]]], "an array of float64 values"),
        ([[[10**30, 2, 3]]], "an array of object values"),
        ([1, 2], "an array of the shape [2]"),
        (Image.new("F", (4, 4)), "its pixels are floating point numbers"),
    ],
)
def test_what_is_no_image_is_refused_with_the_reason(value: object, reason: str) -> None:
    with pytest.raises(BadImageError) as caught:
        image_pixels(value)
    assert caught.value.reason.startswith(reason)
    assert len(caught.value.reason) <= 200


@pytest.mark.parametrize(
    ("value", "images"),
    [
        ("A", ["A"]),
        (None, [None]),
        (["A", "B"], ["A", "B"]),
        ([["A"], ["B"]], ["A", "B"]),
        (np.array(["A", "B"]), ["A", "B"]),
        ([], []),
        ([[[1, 2, 3]]], [[[[1, 2, 3]]]]),
        ([[[[1, 2, 3]]], [[[4, 5, 6]]]], [[[[1, 2, 3]]], [[[4, 5, 6]]]]),
        ([1], [[1]]),
        ([None, "A"], [None, "A"]),
    ],
)
def test_lists_are_unfolded_and_one_image_is_not(value: object, images: list[object]) -> None:
    assert list(images_in(value)) == images


def test_an_array_of_images_is_unfolded_and_an_image_is_not() -> None:
    image = np.zeros((4, 5, 3))
    for value, number in ((np.zeros((2, 4, 5, 3), np.uint8), 2), ([image] * 2, 2), (image, 1)):
        assert [getattr(one, "shape", None) for one in images_in(value)] == [(4, 5, 3)] * number


def test_lists_that_are_nested_without_end_are_refused() -> None:
    nested: object = "A"
    for _ in range(100):
        nested = [nested]
    (image,) = images_in(nested)
    with pytest.raises(BadImageError):
        image_pixels(image)
