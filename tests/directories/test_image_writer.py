"""Converting any source to the layout of the old designer."""

from __future__ import annotations

import base64
import errno
import json
import os
import time
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pytorch_designer.directories.image_directory import ImageDirectory, open_image_directory
from pytorch_designer.directories.image_writer import (
    ImageRow,
    convert_to_image_directory,
    copy_image,
    rows_of,
    write_image_directory,
)
from pytorch_designer.directories.splitting import split_image_directory
from pytorch_designer.errors import FailedToWriteOutputsError, InvalidDatasetError
from pytorch_designer.settings import settings as runtime_settings
from pytorch_designer.storage.folder_listing import is_skipped
from pytorch_designer.storage.output import open_output
from tests.directories.hand_built import META, PNG, MakeTree, MakeTyped, row

if TYPE_CHECKING:
    from collections.abc import Iterable


def read_lines(root: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (root / "images.lst").read_text().splitlines()]


def image_info(file: str, original: str) -> dict[str, str]:
    return {"file_name": file, "original_file_name": original}


def names_of(dataset: ImageDirectory) -> list[str]:
    return [dataset.name(row) for row in range(len(dataset))]


def convert(source: Path, output: Path) -> ImageDirectory:
    convert_to_image_directory(source, output)
    return open_image_directory(output)


def test_class_folders_become_the_old_layout(make_tree: MakeTree, tmp_path: Path) -> None:
    source = make_tree("dog/b.JPG", "cat/a.png", "dog/c.png")
    (source / "dog/b.JPG").write_bytes(b"as it is")
    output = tmp_path / "output"
    convert_to_image_directory(source, output)
    assert sorted(path.name for path in output.iterdir()) == [
        "_meta.yaml", "_samples.json", "_schema.json", "image", "images.lst",
    ]  # fmt: skip
    assert yaml.safe_load((output / "_meta.yaml").read_text()) == yaml.safe_load(META)
    assert read_lines(output) == [
        {"image_info": image_info("image/0_0.png", "cat/a.png"), "category": "cat", "id": 0},
        {"image_info": image_info("image/1_1.JPG", "dog/b.JPG"), "category": "dog", "id": 1},
        {"image_info": image_info("image/1_2.png", "dog/c.png"), "category": "dog", "id": 2},
    ]
    assert (output / "image/1_1.JPG").read_bytes() == b"as it is"
    label = json.loads((output / "_schema.json").read_text())["columnAttributes"][2]
    assert label["properties"]["categories"] == [{"id": 0, "name": "cat"}, {"id": 1, "name": "dog"}]


def test_samples_are_the_first_three_images(make_tree: MakeTree, tmp_path: Path) -> None:
    convert_to_image_directory(make_tree(*(f"cat/{n}.png" for n in range(5))), tmp_path / "output")
    samples = json.loads((tmp_path / "output/_samples.json").read_text())
    image = base64.b64encode(PNG).decode()
    assert samples == [{"image": image, "id": number, "category": "cat"} for number in range(3)]


def test_large_files_are_copied_and_are_no_samples(make_tree: MakeTree, tmp_path: Path) -> None:
    root = make_tree("a/1.png", "a/2.png", "a/3.png")
    with (root / "a/1.png").open("r+b") as stream:
        stream.truncate(2**23)
    convert_to_image_directory(root, tmp_path / "output")
    samples = json.loads((tmp_path / "output/_samples.json").read_text())
    assert [sample["id"] for sample in samples] == [1, 2]
    assert (tmp_path / "output/image/0_0.png").stat().st_size == 2**23


def test_unlabeled_images_have_no_category(make_tree: MakeTree, tmp_path: Path) -> None:
    written = convert(make_tree("images/1.png", "images/2.png"), tmp_path / "output")
    assert written.labels is None
    assert list(written.files) == ["image/0.png", "image/1.png"]
    assert all("category" not in line for line in read_lines(tmp_path / "output"))
    assert len(json.loads((tmp_path / "output/_schema.json").read_text())["columnAttributes"]) == 2


def test_a_typed_directory_keeps_ids_classes_gaps_and_transforms(make_typed: MakeTyped, tmp_path: Path) -> None:
    categories = [{"id": 2, "name": "dog"}, {"id": 4, "name": "emu"}]
    meta = META.replace("extension: {}", "extension: {transforms: [[RandomErasing, {}]]}")
    source = make_typed([row(70, "dog"), row(5, None)], categories, meta)
    before = open_image_directory(source)
    written = convert(source, tmp_path / "output")
    assert before.labels is not None
    assert written.labels is not None
    assert written.labels.tolist() == before.labels.tolist() == [2, -1]
    assert list(written.ids) == [70, 5]
    assert written.classes == before.classes == ("Others", "Others", "dog", "Others", "emu")
    assert written.transforms == (("RandomErasing", {}),)


def test_text_ids_are_kept(make_typed: MakeTyped, tmp_path: Path) -> None:
    lines = [{"image_info": {"file_name": "image/1.png"}, "id": name} for name in ("x", "y")]
    assert list(convert(make_typed(lines), tmp_path / "output").ids) == ["x", "y"]


def test_the_first_name_of_an_image_survives_all_conversions(make_tree: MakeTree, tmp_path: Path) -> None:
    source = make_tree("pets/dog/b.JPG", "pets/cat/a.png", "pets/cat/c\udce9.png")
    names = ["pets/cat/a.png", "pets/cat/c\udce9.png", "pets/dog/b.JPG"]
    for number in range(3):
        output = tmp_path / f"output {number}"
        assert names_of(convert(source, output)) == names
        source = output
    split_image_directory(source, (tmp_path / "one", tmp_path / "two"), fraction=0.5, seed=1)
    one, two = (names_of(open_image_directory(tmp_path / part)) for part in ("one", "two"))
    assert sorted(one + two) == sorted(names)
    assert open_image_directory(source).described(0) == "pets/cat/a.png (image/0_0.png)"


def test_an_image_of_an_archive_is_named_by_its_member(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "pets.zip", "w") as archive:
        archive.writestr("pets/cat/a.png", PNG)
        archive.writestr("pets/dog/b.png", PNG)
    written = convert(tmp_path / "pets.zip", tmp_path / "output")
    assert names_of(written) == ["pets/cat/a.png", "pets/dog/b.png"]


def test_images_of_an_old_image_directory_are_named_by_their_files(make_typed: MakeTyped, tmp_path: Path) -> None:
    source = make_typed([row(70, "dog"), row(5, None)])
    before = list(open_image_directory(source).files)
    assert names_of(open_image_directory(source)) == names_of(convert(source, tmp_path / "output")) == before


def test_two_conversions_are_the_same_bytes(make_tree: MakeTree, tmp_path: Path) -> None:
    source = make_tree(*(f"{name}/{n}.png" for name in "abc" for n in range(40)))
    for output in ("first", "second"):
        convert_to_image_directory(source, tmp_path / output)
    for name in ("_meta.yaml", "_samples.json", "_schema.json", "images.lst"):
        assert (tmp_path / "first" / name).read_bytes() == (tmp_path / "second" / name).read_bytes()


def is_usable_name(name: str) -> bool:
    return bool(name) and not is_skipped(name)


# Any bytes that a POSIX file system takes as a name; CASES 22.
class_names = (
    st.binary(min_size=1, max_size=30)
    .filter(lambda data: not set(data) & {0, ord("/")})
    .map(lambda data: data.decode("utf-8", "surrogateescape"))
    | st.text(st.characters(exclude_characters="\0/", codec="utf-8"), min_size=1, max_size=20)
).filter(is_usable_name)


@pytest.mark.slow
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=25)
@given(st.lists(class_names, min_size=1, max_size=4, unique=True))
def test_any_class_name_survives_conversion(tmp_path_factory: pytest.TempPathFactory, names: list[str]) -> None:
    folder = tmp_path_factory.mktemp("names")
    for name in names:
        (folder / "source" / name).mkdir(parents=True)
        (folder / "source" / name / f"{name}.png").write_bytes(PNG)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTORCH_DESIGNER_LAYOUT", "class-folders")  # `Train` alone would be a split
        runtime_settings.cache_clear()
        try:
            written = convert(folder / "source", folder / "output")
        finally:
            runtime_settings.cache_clear()
    assert written.classes == tuple(sorted(names))
    assert written.labels is not None
    assert written.labels.tolist() == list(range(len(names)))


def test_the_output_may_not_lie_in_the_source(make_tree: MakeTree) -> None:
    source = make_tree("cat/1.png")
    for output in (source, source / "cat/output"):
        with pytest.raises(FailedToWriteOutputsError) as caught:
            convert_to_image_directory(source, output)
        assert caught.value.reason == "inside_source"
    assert [path.name for path in (source / "cat").iterdir()] == ["1.png"]


def test_an_unusable_source_leaves_no_output(make_tree: MakeTree, tmp_path: Path) -> None:
    with pytest.raises(InvalidDatasetError):
        convert_to_image_directory(make_tree("x.txt"), tmp_path / "output")
    assert not (tmp_path / "output").exists()


def write(output: Path, rows: Iterable[ImageRow], **options: Any) -> int:
    with open_output(output, apart_from={}) as opened, opened.stage() as folder:
        return write_image_directory(folder, rows, ("cat", "dog"), **options)


def test_a_source_that_vanishes_is_named_and_leaves_no_output(make_tree: MakeTree, tmp_path: Path) -> None:  # CASES 17
    source = make_tree("1.png")
    rows = [ImageRow(source / "1.png", 0, 0), ImageRow(source / "gone.png", 0, 1, "cat/tom.png")]
    with pytest.raises(InvalidDatasetError, match=r"gone\.png") as caught:
        write(tmp_path / "output", rows)
    assert caught.value.examples == ("cat/tom.png",)
    assert not (tmp_path / "output").exists()


def test_a_failed_write_names_the_file_and_leaves_no_output(make_tree: MakeTree, tmp_path: Path) -> None:  # CASES 11
    source = make_tree("1.png") / "1.png"

    def fill_the_disk(number: int, source: Path, target: Path) -> Path:
        raise OSError(28, "No space left on device", str(target))

    with pytest.raises(FailedToWriteOutputsError, match="No space left") as caught:
        write(tmp_path / "output", [ImageRow(source, 0, 0)], write_image=fill_the_disk)
    assert "0_0.png" in str(caught.value.where)
    assert not (tmp_path / "output").exists()


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a device that is always full")
def test_a_full_disk_while_copying_names_the_target(make_tree: MakeTree, tmp_path: Path) -> None:  # CASES 11
    with pytest.raises(OSError, match="No space left") as caught:
        copy_image(make_tree("1.png") / "1.png", Path("/dev/full"))
    assert caught.value.filename == "/dev/full"


@pytest.fixture
def failures(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The numbers of the errors with which the next calls of `os.open` fail, as on a mount that drops out."""
    numbers: list[int] = []
    really_open = os.open

    def failing(path: Any, *arguments: Any, **options: Any) -> int:
        if numbers:
            raise OSError(numbers.pop(), "Transport endpoint is not connected", str(path))
        return really_open(path, *arguments, **options)

    monkeypatch.setattr(os, "open", failing)
    monkeypatch.setattr(time, "sleep", lambda seconds: None)
    return numbers


def test_a_mount_that_drops_out_for_a_moment_is_read_again(  # CASES 14
    make_tree: MakeTree, tmp_path: Path, failures: list[int]
) -> None:
    source = make_tree("1.png") / "1.png"
    failures.append(errno.ENOTCONN)
    copy_image(source, tmp_path / "copy.png")
    assert (tmp_path / "copy.png").read_bytes() == PNG


def test_a_mount_that_stays_away_is_a_named_error(  # CASES 14
    make_tree: MakeTree, tmp_path: Path, failures: list[int]
) -> None:
    source = make_tree("1.png") / "1.png"
    failures += [errno.EIO] * 9
    with pytest.raises(InvalidDatasetError, match="Transport endpoint") as caught:
        copy_image(source, tmp_path / "copy.png")
    assert "1.png" in str(caught.value.where)


def test_images_can_be_rewritten_on_the_way(make_tree: MakeTree, tmp_path: Path) -> None:
    source = make_tree("1.jpg") / "1.jpg"

    def rewrite(number: int, path: Path, target: Path) -> Path | None:
        if number == 7:
            return None
        written = target.with_suffix(".png") if number % 2 else target
        written.write_bytes(path.read_bytes() + b"!" * number)
        return written

    rows = (ImageRow(source, number % 2, number) for number in range(300))  # more than are in flight at a time
    assert write(tmp_path / "output", rows, write_image=rewrite) == 299
    written = open_image_directory(tmp_path / "output")
    assert list(written.files)[-2:] == ["image/0_298.jpg", "image/1_299.png"]
    assert list(written.ids) == [number for number in range(300) if number != 7]
    assert written.path(298).read_bytes() == PNG + b"!" * 299


def test_applied_transforms_are_kept_and_are_none_of_the_recorded(make_typed: MakeTyped, tmp_path: Path) -> None:
    meta = META.replace("extension: {}", "extension: {applied_transforms: [[Resize, 9]], transforms: [[Pad, {}]]}")
    written = convert(make_typed([row(1, None)], meta=meta), tmp_path / "output")
    assert written.applied_transforms == (("Resize", 9),)
    assert written.transforms == (("Pad", {}),)


def test_rows_of_a_part_keep_their_order_and_ids(make_tree: MakeTree) -> None:
    dataset = open_image_directory(make_tree("a/1.png", "a/2.png", "b/3.png"))
    assert list(rows_of(dataset, [2, 0])) == [
        ImageRow(dataset.path(2), 1, 2, "b/3.png"),
        ImageRow(dataset.path(0), 0, 0, "a/1.png"),
    ]
