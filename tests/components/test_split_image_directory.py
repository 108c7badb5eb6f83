"""Split Image Directory through its real command line, on real handwritten digits."""

from __future__ import annotations

from pathlib import Path

import pytest

from pytorch_designer.directories.image_directory import open_image_directory
from tests.commands import run, succeed
from tests.images.digits import write_digits

pytestmark = pytest.mark.slow


def split_arguments(*parameters: str) -> list[str]:
    ports = ("--input-image-directory=digits", "--output-image-directory1=one", "--output-image-directory2=two")
    return ["split-image-directory", *ports, *parameters]


@pytest.fixture
def workspace(tmp_path: Path) -> Path:
    write_digits(tmp_path / "digits", classes=3, per_class=10)
    return tmp_path


def test_digits_are_split_nine_to_one_by_default(workspace: Path) -> None:
    printed = succeed(*split_arguments(), cwd=workspace)
    assert "Split into 27 images and 3 images." in printed
    parts = [open_image_directory(workspace / name) for name in ("one", "two")]
    assert [part.classes for part in parts] == [("0", "1", "2")] * 2
    assert [sorted(part.labels.tolist()) for part in parts if part.labels is not None] == [
        [0] * 9 + [1] * 9 + [2] * 9,
        [0, 1, 2],
    ]


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        (["--fraction", "1"], "LessThanOrEqualToError (0007): Parameter fraction is 1.0, which leaves output 2"),
        (["--fraction", "1.5"], "LessThanOrEqualToError (0007)"),
        (["--fraction", "nan"], "ParameterParsingError (0002)"),
        (["--random-seed", "1.5"], "ParameterParsingError (0002)"),
    ],
)
def test_impossible_parameters_are_named(workspace: Path, parameters: list[str], message: str) -> None:
    done = run(*split_arguments(*parameters), cwd=workspace)
    assert done.returncode == 1
    assert message in done.stderr
    assert "Traceback" not in done.stderr
