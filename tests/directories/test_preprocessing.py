"""Description of preprocessing in the log."""

from __future__ import annotations

import pytest

from pytorch_designer.directories.preprocessing import Preprocessing


@pytest.mark.parametrize(
    ("resize_size", "text"),
    [
        (None, "32 x 48 pixels"),
        (32, "32 x 48 pixels"),
        (40, "32 x 48 pixels, cut out of images whose shorter side is 40"),
    ],
)
def test_size_names_the_resizing_where_something_is_cut_off(resize_size: int | None, text: str) -> None:
    assert Preprocessing(resize_size=resize_size, crop_height=32, crop_width=48).describe_size() == text
