"""Previews by what is in a folder."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest
from PIL import Image

from pytorch_designer.designer.previews.directory_previews import preview
from pytorch_designer.designer.previews.small_pictures import small_picture


def write_pictures(folder: Path) -> None:
    for name, number in (("cat", 70), ("dog", 2)):
        for index in range(number):
            path = folder / name / f"{index:02}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.new("RGB", (8, 6), (index, 0, 0)).save(path)


def test_pictures_come_in_pages_with_classes_and_counts(tmp_path: Path) -> None:
    write_pictures(tmp_path)
    first = preview(tmp_path)
    assert first["classes"] == [{"name": "cat", "count": 70}, {"name": "dog", "count": 2}]
    assert (first["kind"], first["total"], len(first["images"]), first["next_offset"]) == ("images", 72, 60, 60)
    assert first["images"][0] == {"thumbnail": "cat/00.png", "label": "cat", "name": "cat/00.png"}
    last = preview(tmp_path, offset=60)
    assert (len(last["images"]), last["next_offset"]) == (12, None)
    dogs = preview(tmp_path, class_name="dog")
    assert (dogs["total"], {image["label"] for image in dogs["images"]}) == (2, {"dog"})


def test_tables_come_in_pages(tmp_path: Path) -> None:
    with (tmp_path / "table.csv").open("w", newline="") as stream:
        csv.writer(stream).writerows([["id", "name"], *([number, f"row {number}"] for number in range(130))])
    first = preview(tmp_path)
    assert (first["kind"], first["columns"], first["total"], first["next_offset"]) == (
        "table",
        ["id", "name"],
        130,
        100,
    )
    last = preview(tmp_path / "table.csv", offset=100)
    assert (len(last["rows"]), last["rows"][0], last["next_offset"]) == (30, ["100", "row 100"], None)


def test_parquet_tables_have_numbers_and_gaps(tmp_path: Path) -> None:
    import pyarrow as pa
    from pyarrow import parquet

    table = pa.table({"a": [1, None, 3], "b": [0.5, float("nan"), None], "c": ["x", "y", "z" * 999]})
    parquet.write_table(table, tmp_path / "t.parquet", row_group_size=2)
    found = preview(tmp_path / "t.parquet", offset=1)
    assert found["rows"][0] == [None, "nan", "y"]
    assert found["rows"][1][:2] == [3, None]
    assert len(found["rows"][1][2]) == 300


@pytest.mark.parametrize(
    ("files", "kind"),
    [
        ({"_meta.yaml": "type: EvaluationDirectory\nvisualization: [{type: html, path: page.html}]\n", "page.html": "x",
          "metrics.json": '{"accuracy": 0.5}'}, "report"),
        ({"index.html": "x"}, "report"),
        ({"_meta.yaml": "type: TransformationDirectory\n", "_transforms.json": '[["Resize", {"size": 8}]]'},
         "transformation"),
        ({"MLmodel": "flavors: {sklearn: {}}\nrun_id: abc\n"}, "model"),
        ({"a.bin": "\0", "b/c.txt": "c"}, "files"),
        ({}, "missing"),
    ],
    ids=["evaluation", "page", "transformation", "MLflow model", "files", "empty"],
)  # fmt: skip
def test_a_folder_is_shown_by_what_is_in_it(tmp_path: Path, files: dict[str, str], kind: str) -> None:
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    found = preview(tmp_path)
    assert found["kind"] == kind
    if "metrics.json" in files:
        assert found == {"kind": "report", "url": "page.html", "facts": [("accuracy", "0.5")]}


def test_texts_are_cut(tmp_path: Path) -> None:
    (tmp_path / "a.log").write_text("x" * 100_000)
    found = preview(tmp_path / "a.log")
    assert (len(found["text"]), found["truncated"]) == (65536, True)


@pytest.mark.parametrize("mode", ["RGB", "L", "RGBA", "P", "CMYK", "I;16", "1", "LA"])
def test_pictures_of_all_kinds_become_small(tmp_path: Path, mode: str) -> None:
    path = tmp_path / "image.tiff"
    Image.new(mode, (400, 200)).save(path)
    picture = small_picture(path, 100)
    small = tmp_path / "small.jpg"
    small.write_bytes(picture)
    with Image.open(small) as image:
        assert (image.format, image.size) == ("JPEG", (100, 50))
