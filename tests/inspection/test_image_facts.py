"""Facts from the first and last bytes of a file, and the same verdict as training where these are unusual."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pytorch_designer.images.bad_files import BadImageError
from pytorch_designer.images.decode import decode_image
from pytorch_designer.inspection.image_facts import read_facts
from tests.images.image_corpus import encode, noise_pixels

MAX_PIXELS = 10**6


def written(tmp_path: Path, content: bytes) -> Path:
    path = tmp_path / "image.img"
    path.write_bytes(content)
    return path


def saved(mode: str, kind: str, size: tuple[int, int] = (300, 200)) -> bytes:
    pixels = np.random.default_rng(0).integers(0, 256, (size[1], size[0], 4), dtype=np.uint8)
    stream = io.BytesIO()
    Image.fromarray(pixels).convert(mode).save(stream, kind)
    return stream.getvalue()


@pytest.mark.parametrize(
    ("mode", "kind", "name"),
    [
        ("RGB", "JPEG", "JPEG RGB"), ("L", "JPEG", "JPEG L"), ("CMYK", "JPEG", "JPEG CMYK"),
        ("RGBA", "PNG", "PNG RGBA"), ("1", "PNG", "PNG 1"), ("P", "GIF", "GIF P"), ("RGB", "WEBP", "WEBP"),
        ("RGB", "BMP", "BMP RGB"), ("L", "TIFF", "TIFF L"), ("L", "PPM", "PPM L"),
    ],
)  # fmt: skip
def test_format_mode_and_size_of_each_format(mode: str, kind: str, name: str, tmp_path: Path) -> None:
    content = saved(mode, kind)
    facts = read_facts(written(tmp_path, content), max_pixels=MAX_PIXELS)
    assert facts[:4] == (name, 300, 200, len(content))


@pytest.mark.slow
def test_a_whole_file_is_not_decoded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pytorch_designer.images.decode.decode_image", pytest.fail)
    for kind in ("JPEG", "PNG", "GIF"):
        read_facts(written(tmp_path, saved("RGB", kind)), max_pixels=MAX_PIXELS)


GOOD = {kind: saved("RGB", kind) for kind in ("JPEG", "PNG", "GIF", "WEBP", "BMP", "TIFF", "PPM")}
ODD = {
    **{f"{kind} that is cut off": content[: len(content) // 2] for kind, content in GOOD.items()},
    **{f"{kind} with bytes behind it": content + b"more" for kind, content in GOOD.items()},
    "JPEG padded with zeros": GOOD["JPEG"] + bytes(40),
    "JPEG with a long comment first": GOOD["JPEG"][:2] + b"\xff\xfe\xff\xff" + bytes(65533) + GOOD["JPEG"][2:],
    "empty": b"",
    "text": b"no image",
    "too many pixels": encode(noise_pixels(1001, 1000), "PNG"),
}


@pytest.mark.parametrize("case", ODD)
def test_an_unusual_file_is_readable_if_training_can_read_it(case: str, tmp_path: Path) -> None:
    expected = None
    try:
        decode_image(ODD[case], max_pixels=MAX_PIXELS)
    except BadImageError as error:
        expected = error.reason
    found = None
    try:
        read_facts(written(tmp_path, ODD[case]), max_pixels=MAX_PIXELS)
    except BadImageError as error:
        found = error.reason
    assert found == expected


def test_files_of_the_same_start_or_size_have_different_keys(tmp_path: Path) -> None:
    start = saved("RGB", "BMP")
    contents = [start, start + b"1", start[:-1] + b"2"]
    keys = [read_facts(written(tmp_path, content), max_pixels=MAX_PIXELS).key for content in contents]
    assert keys[0] != keys[1]
    assert keys[0] == keys[2], "what differs lies behind the start: all bytes are compared later"
    assert keys[0] == read_facts(written(tmp_path, start), max_pixels=MAX_PIXELS).key
