"""`pytorch-designer inspect` on real images: what it prints, and when it refuses."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import pytest

from pytorch_designer.cli.commands.inspect_command import run_inspect
from pytorch_designer.directories.image_writer import convert_to_image_directory
from pytorch_designer.errors import DesignerError, InvalidDatasetError, NotLabeledDatasetError
from tests.images.digits import write_digits


@pytest.fixture
def digits(tmp_path: Path) -> Path:
    write_digits(tmp_path / "digits", classes=2, per_class=4)
    return tmp_path / "digits"


def inspect(*arguments: object) -> int:
    return run_inspect([str(argument) for argument in arguments], "pytorch-designer")


def document(capsys: pytest.CaptureFixture[str], *arguments: object) -> Any:
    capsys.readouterr()
    message = None
    try:
        inspect(*arguments, "--json")
    except DesignerError as error:
        message = str(error)
    found = json.loads(capsys.readouterr().out)
    assert (found["error"] or {}).get("message") == message
    return found


def test_a_good_folder_is_described_and_accepted(digits: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert inspect(digits) == 0
    sizes = sorted(path.stat().st_size / 1000 for path in digits.rglob("*.png"))
    median = (sizes[3] + sizes[4]) / 2
    assert capsys.readouterr().out.split("\n\n") == [
        "Class folders: 2 classes, 8 images (4 per class)",
        "class  images\n0           4\n1           4",
        "size      min  median  max\nwidth       8       8    8\nheight      8       8    8\n"
        f"file, kB  {sizes[0]:.1f}     {median:.1f}  {sizes[-1]:.1f}",
        "format  images\nPNG L        8\n",
    ]


def test_unreadable_files_and_copies_are_listed_and_too_many_refused(
    digits: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (digits / "1/bad.png").write_bytes(b"")
    shutil.copy(digits / "0/001.png", digits / "1/copy.png")
    with pytest.raises(InvalidDatasetError) as caught:
        inspect(digits)
    assert caught.value.what == "1 of the 10 images of FOLDER cannot be used; 0 are tolerated."
    printed = capsys.readouterr().out
    assert "1 of 10 files cannot be read:\n  1/bad.png: the file is empty\n" in printed
    assert "1           6           1\n" in printed
    assert (
        "Copies of other images: 1, 1 of them with different labels:\n  0/001.png = 1/copy.png (different labels)"
        in printed
    )


def test_a_folder_without_labels_is_described_and_refused(digits: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(NotLabeledDatasetError):
        inspect(digits / "0")
    assert capsys.readouterr().out.startswith("Images without labels: 4 images\n")


def test_two_folders_are_compared_by_content(digits: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_digits(tmp_path / "others", classes=2, per_class=3, skip=2)
    assert inspect(digits, "--against", tmp_path / "others") == 0
    printed = capsys.readouterr().out
    assert "\n\nOTHER:\n\nClass folders: 2 classes, 6 images (3 per class)\n" in printed
    assert "\n\n4 of the 6 images of OTHER are also in FOLDER:\n  0/000.png = 0/002.png\n" in printed
    (tmp_path / "others/1").rename(tmp_path / "others/one")
    with pytest.raises(InvalidDatasetError) as caught:
        inspect(digits, "--against", tmp_path / "others")
    assert caught.value.reason == "classes_differ"


def test_images_without_labels_may_be_compared_with(
    digits: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree(digits / "0", tmp_path / "unlabeled")
    assert inspect(digits, "--against", tmp_path / "unlabeled") == 0
    assert "4 of the 4 images of OTHER are also in FOLDER:" in capsys.readouterr().out


def test_json_has_everything(digits: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for number in range(7):
        (digits / f"1/bad{number}.png").write_bytes(b"no image")
        shutil.copy(digits / "0/001.png", digits / f"0/copy{number}.png")
    (digits / "notes.txt").write_text("")
    found = document(capsys, digits, "--against", digits)
    assert found["num_images"] == 22
    assert found["classes"][1] == {"name": "1", "num_images": 11, "num_unreadable": 7}
    assert found["formats"] == {"PNG L": 15}
    assert found["sizes"]["width"] == {"min": 8, "median": 8, "max": 8}
    assert len(found["unreadable"]) == 7
    assert [len(group) for group in found["duplicates"]] == [8]
    assert len(found["shared"]) == 8
    assert found["against"]["summary"] == found["summary"]
    assert found["error"]["reason"] == "bad_images"


def test_archives_and_image_directories_are_inspected_under_the_users_names(
    digits: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (digits / "1/000.png").write_bytes(b"")
    with zipfile.ZipFile(tmp_path / "digits.zip", "w") as archive:
        for path in sorted(digits.rglob("*.png")):
            archive.write(path, path.relative_to(digits))
    convert_to_image_directory(digits, tmp_path / "typed")
    for source in ("digits.zip", "typed"):
        found = document(capsys, tmp_path / source)
        assert found["source"] == str(tmp_path / source)
        assert found["unreadable"] == [{"file": "1/000.png", "reason": "the file is empty"}]
        assert found["error"]["where"] == str(tmp_path / source)


def test_many_classes_are_cut_short(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_digits(tmp_path / "digits", classes=1, per_class=1)
    for number in range(60):
        shutil.copytree(tmp_path / "digits/0", tmp_path / f"many/{number:02}")
    shutil.copy(tmp_path / "digits/0/000.png", tmp_path / "many/59/more.png")
    inspect(tmp_path / "many")
    table = capsys.readouterr().out.split("\n\n")[1].splitlines()
    assert len(table) == 52
    assert table[1].split() == ["59", "2"]
    assert table[26] == "... 10 more (all in --json)"


@pytest.mark.slow
def test_nothing_heavy_is_imported_for_files_that_are_whole(digits: Path, tmp_path: Path) -> None:
    program = (
        "import sys\nfrom pytorch_designer.cli.main import main\n"
        f"code = main(['inspect', {str(digits)!r}])\n"
        "print(code, sorted({'torch', 'pyarrow', 'sklearn', 'mlflow', 'matplotlib'} & set(sys.modules)))"
    )
    environment = {**os.environ, "PYTORCH_DESIGNER_ERROR_INFO": str(tmp_path / "error_info.json")}
    done = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        text=True,
        check=True,
        cwd=tmp_path,
        env=environment,
        timeout=300,
    )
    assert done.stdout.splitlines()[-1] == "0 []"
