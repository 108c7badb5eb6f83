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
