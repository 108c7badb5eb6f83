"""Orientation in Exif blocks, XMP packets and PNG's raw profiles."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytorch_designer.images.decoding.orientation import orientation_in, orientation_of
from tests.images.image_corpus import exif


@pytest.mark.parametrize("byte_order", ["<", ">"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation_in_both_byte_orders(orientation: int, byte_order: str) -> None:
    assert orientation_of(exif(orientation, byte_order=byte_order)) == orientation


@pytest.mark.parametrize("orientation", [0, 9, 65535])
def test_an_orientation_that_does_not_exist_is_upright(orientation: int) -> None:
    assert orientation_of(exif(orientation)) == 1


@given(st.integers(0, 40))
def test_exif_that_ends_early_is_upright_or_read(length: int) -> None:
    assert orientation_of(exif(6)[:length]) in {1, 6}


XMP = b'<x:xmpmeta><rdf:Description tiff:Orientation="%d"/></x:xmpmeta>'


@pytest.mark.parametrize(
    "packet", [XMP, b"<tiff:Orientation>%d</tiff:Orientation>", b"tiff:Orientation = '%d'", XMP.replace(b'"', b"'")]
)
@pytest.mark.parametrize("orientation", range(1, 9))
def test_xmp_counts_where_exif_has_no_tag(packet: bytes, orientation: int) -> None:
    assert orientation_of(b"", packet % orientation) == orientation
    assert orientation_of(exif(3), packet % orientation) == 3


@pytest.mark.parametrize("packet", [XMP % 0, XMP % 9, b"tiff:Orientation=", b"\xff\xfe"])
def test_xmp_without_an_orientation_that_exists_is_upright(packet: bytes) -> None:
    assert orientation_of(b"", packet) == 1


def raw_profile(name: str, content: bytes) -> str:
    """As ImageMagick writes it: name, length, and digits in lines of 72."""
    digits = content.hex()
    lines = [digits[start : start + 72] for start in range(0, len(digits), 72)]
    return "\n".join(["", name, f"{len(content):8}", *lines, ""])


@pytest.mark.parametrize("kind", ["exif", "APP1"])
def test_raw_profiles_hold_exif(kind: str) -> None:
    assert orientation_in({f"Raw profile type {kind}": raw_profile(kind, exif(6))}) == 6


@pytest.mark.parametrize("kind", ["xmp", "APP1"])
def test_raw_profiles_hold_xmp(kind: str) -> None:
    assert orientation_in({f"Raw profile type {kind}": raw_profile(kind, XMP % 8)}) == 8


@pytest.mark.parametrize("text", ["", "\nexif\n 3\nxyz", "no profile", "\nexif"])
def test_a_malformed_raw_profile_is_upright(text: str) -> None:
    assert orientation_in({"Raw profile type exif": text}) == 1
