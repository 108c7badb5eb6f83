"""Processes that read for the page, and what becomes of those that fail."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image

from pytorch_designer.designer.previews.preview_process import PreviewProcess
from pytorch_designer.errors import UnsupportedEnvironmentError


@pytest.fixture
def process() -> Iterator[PreviewProcess]:
    found = PreviewProcess(timeout_seconds=20)
    yield found
    found.close()


def question(path: Path, kind: str = "preview") -> dict[str, object]:
    return {"kind": kind, "path": str(path), "offset": 0, "class_name": None, "side": 64}


def test_it_answers_with_pictures_and_previews_and_goes_on_after_a_bad_file(
    process: PreviewProcess, tmp_path: Path
) -> None:
    Image.new("RGB", (100, 100)).save(tmp_path / "good.png")
    (tmp_path / "bad.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    answer, picture = process.ask(question(tmp_path / "good.png", "picture"))
    assert answer["kind"] == "picture"
    assert picture.startswith(b"\xff\xd8")
    assert process.ask(question(tmp_path / "bad.png", "picture"))[0]["kind"] == "missing"
    assert process.ask(question(tmp_path / "good.png"))[0]["kind"] == "images"


@pytest.mark.slow
def test_an_image_with_too_many_pixels_is_not_decoded(process: PreviewProcess, tmp_path: Path) -> None:
    Image.new("1", (30_000, 10_000)).save(tmp_path / "bomb.png")
    answer, _ = process.ask(question(tmp_path / "bomb.png", "picture"))
    assert "DecompressionBomb" in answer["message"]


@pytest.mark.slow
def test_a_process_that_takes_too_long_is_replaced(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.png")
    Image.new("RGB", (10, 10)).save(tmp_path / "good.png")
    process = PreviewProcess(timeout_seconds=3)
    try:
        with pytest.raises(UnsupportedEnvironmentError, match="took too long"):
            process.ask(question(tmp_path / "pipe.png", "picture"))
        assert process.ask(question(tmp_path / "good.png", "picture"))[0]["kind"] == "picture"
    finally:
        process.close()
