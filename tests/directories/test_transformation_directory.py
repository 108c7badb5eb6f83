"""A TransformationDirectory: the old designer's and ours are read, everything else is refused by name."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from pytorch_designer.directories.transformation_directory import (
    open_transformation_directory,
    write_transformation_directory,
)
from pytorch_designer.errors import InvalidTransformationDirectoryError
from pytorch_designer.transforms.flips import RandomHorizontalFlip
from pytorch_designer.transforms.sizes import CenterCrop, Pad, Resize

if TYPE_CHECKING:
    from pathlib import Path

# As the old module writes it: keys of its own, arguments in any of their forms.
OLD_META = "type: TransformationDirectory\nextension: {}\ntransform_type: Image\nfile_path: _transforms.json\n"


def make(root: Path, transforms: Any, meta: str = OLD_META) -> Path:
    root.mkdir(exist_ok=True)
    (root / "_meta.yaml").write_text(meta)
    (root / "_transforms.json").write_text(transforms if isinstance(transforms, str) else json.dumps(transforms))
    return root


def refusal(path: Path) -> InvalidTransformationDirectoryError:
    with pytest.raises(InvalidTransformationDirectoryError) as caught:
        open_transformation_directory(path)
    return caught.value


def test_a_directory_of_the_old_module_is_read(tmp_path: Path) -> None:
    root = make(
        tmp_path / "old",
        [["Resize", 256], ["CenterCrop", [224]], ["Pad", {"padding": 3}], ["RandomHorizontalFlip", {}]],
    )
    assert open_transformation_directory(root) == (
        Resize(size=(256,)),
        CenterCrop(size=(224, 224)),
        Pad(padding=(3, 3, 3, 3)),
        RandomHorizontalFlip(),
    )


def test_what_is_written_is_read_and_keeps_the_old_keys(tmp_path: Path) -> None:
    write_transformation_directory(tmp_path, [("Resize", {"size": 9}), ("RandomHorizontalFlip", {})])
    assert open_transformation_directory(tmp_path) == (Resize(size=(9,)), RandomHorizontalFlip())
    assert json.loads((tmp_path / "_transforms.json").read_text()) == [
        ["Resize", {"size": 9}],
        ["RandomHorizontalFlip", {}],
    ]
    assert (
        tmp_path / "_meta.yaml"
    ).read_text() == "type: TransformationDirectory\nextension: {}\ntransform_type: Image\n"


def test_no_steps_are_no_fault(tmp_path: Path) -> None:
    assert open_transformation_directory(make(tmp_path, [])) == ()


@pytest.mark.parametrize(
    ("transforms", "reason", "text"),
    [
        ("[[", "malformed_transforms", "not JSON"),
        ("[" * 100_000, "malformed_transforms", "not JSON"),
        ({"Resize": 1}, "malformed_transforms", "not a list"),
        (["Resize"], "malformed_transforms", "transform 1"),
        ([["Resize", 1], ["Pad"]], "malformed_transforms", "transform 2"),
        (
            [["Resize", 1], ["os.system", "ls"]],
            "invalid_transform",
            "transform 2: os.system is not one of the known transforms",
        ),
        ([["RandomErasing", {"p": 2}]], "invalid_transform", "transform 1: RandomErasing: p"),
    ],
)
def test_unusable_lists_name_the_transform(tmp_path: Path, transforms: Any, reason: str, text: str) -> None:
    error = refusal(make(tmp_path, transforms))
    assert error.reason == reason
    assert text in str(error)
    assert "_transforms.json" in str(error)


@pytest.mark.parametrize(
    ("line", "reason"),
    [("transform_type: Pickle", "pickle"), ("", "pickle"), ("transform_type: Text", "wrong_kind")],
)
def test_other_kinds_are_refused(tmp_path: Path, line: str, reason: str) -> None:
    assert refusal(make(tmp_path, [], f"type: TransformationDirectory\n{line}\n")).reason == reason


def test_other_directories_are_told_apart(tmp_path: Path) -> None:
    assert refusal(tmp_path / "none").reason == "missing_directory"
    assert refusal(make(tmp_path / "images", [], "type: ImageDirectory\n")).reason == "wrong_type"
    without_list = make(tmp_path / "empty", [])
    (without_list / "_transforms.json").unlink()
    assert refusal(without_list).reason == "unreadable"
