from __future__ import annotations

import json
import logging
from pathlib import Path

import pytest

from pytorch_designer.directories.scores.thumbnail_file import THUMBNAIL_FILE, load_thumbnails, write_thumbnails

_JPEG = b"\xff\xd8\xff\xe0 and so on"


def test_thumbnails_are_read_back(tmp_path: Path) -> None:
    write_thumbnails(tmp_path, {17: _JPEG, 3: _JPEG})
    assert load_thumbnails(tmp_path) == {3: _JPEG, 17: _JPEG}


def test_no_thumbnails_are_no_file(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    write_thumbnails(tmp_path, {})
    assert not (tmp_path / THUMBNAIL_FILE).exists()
    assert load_thumbnails(tmp_path) == {}
    assert caplog.text == ""


@pytest.mark.parametrize(
    "content",
    [
        "not JSON",
        "[]",
        '{"1": 5}',
        '{"x": "/9j/"}',
        '{"1": "/9j/<script>"}',
        json.dumps({"1": "aGVsbG8="}),
        json.dumps({"1": "/9j/" + "A" * 6000}),
        " " * (5 << 20),
    ],
    ids=["text", "a list", "a number", "no row", "no base64", "no JPEG", "a large picture", "a large file"],
)
def test_what_is_no_thumbnail_is_passed_over(tmp_path: Path, content: str, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / THUMBNAIL_FILE).write_text(content)
    with caplog.at_level(logging.WARNING):
        assert load_thumbnails(tmp_path) == {}
    assert "cannot be used, and are left out" in caplog.text


def test_a_link_out_of_the_dataset_is_not_followed(tmp_path: Path) -> None:
    write_thumbnails(tmp_path, {1: _JPEG})
    dataset = tmp_path / "scored"
    dataset.mkdir()
    (dataset / THUMBNAIL_FILE).symlink_to(tmp_path / THUMBNAIL_FILE)
    assert load_thumbnails(dataset) == {}
