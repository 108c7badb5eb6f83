"""Tables of labels take no more memory than they were checked for."""

from __future__ import annotations

import json
import tracemalloc
from typing import TYPE_CHECKING

import pytest

from pytorch_designer.directories.sources.coco import read_coco
from pytorch_designer.directories.sources.source_tree import read_source_tree
from pytorch_designer.directories.sources.table_file import read_table
from pytorch_designer.errors import InvalidDatasetError
from pytorch_designer.storage import bounded_documents
from pytorch_designer.system import memory_check

if TYPE_CHECKING:
    from pathlib import Path

MEBIBYTE = 1 << 20
SIZE = MEBIBYTE // 4


def repeated(text: str, size: int = SIZE) -> str:
    return text * (size // len(text))


TABLES = {
    "rows.csv": "image,label\n" + repeated("12345.jpg,cat\n"),
    "numbers.csv": "image,label\n" + repeated("10,11\n"),
    "short.csv": "image,label\n" + repeated("1,a\n"),
    "columns.csv": ",".join(f"c{number}" for number in range(1000)) + "\n" + repeated("10," * 999 + "10\n"),
    "long.csv": "image,label\n" + repeated("x" * 5000 + ",cat\n"),
    "accents.csv": "image,label\n" + repeated("\u00e9t\u00e9.jpg,\u00e9t\u00e9\n"),
    "cats.csv": "image,label\n" + repeated("\U0001f408.jpg," + "\U0001f408" * 20 + "\n"),
    "one_cat.csv": "image,label\n\U0001f408.jpg,cat\n" + repeated("x" * 100 + ",cat\n"),
    "returns.csv": "image,label\n" + repeated("12.jpg,cat\r"),
    "list.lst": repeated("12.jpg cat\n"),
    "lines.jsonl": repeated('{"file_name": "1.jpg", "label": "cat"}\n'),
    "short.jsonl": repeated('{"a":11,"b":12}\n'),
    "keys.jsonl": "".join(f'{{"k{number}":1}}\n' for number in range(500)),
    "lists.jsonl": repeated('{"a":[[],[[1]],{}]}\n'),
    "list.json": "[" + repeated('{"a":1},') + '{"a":1}]',
    "labels.json": json.dumps({f"{number}.jpg": "cat" for number in range(SIZE // 16)}),
}


@pytest.fixture
def claims(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The numbers of bytes that were checked to be free."""
    found: list[int] = []
    monkeypatch.setattr(bounded_documents, "check_memory", lambda num_bytes, *_, **__: found.append(num_bytes))
    return found


@pytest.mark.slow
@pytest.mark.parametrize("name", TABLES)
def test_a_table_takes_no_more_memory_than_it_was_checked_for(tmp_path: Path, name: str, claims: list[int]) -> None:
    path = tmp_path / name
    path.write_text(TABLES[name], encoding="utf-8", newline="")
    read_table(path)
    claims.clear()
    tracemalloc.start()
    try:
        table = read_table(path)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert table is not None
    assert peak <= path.stat().st_size + sum(claims) + MEBIBYTE // 8


@pytest.mark.slow
@pytest.mark.parametrize(
    "entry", ['{{"id":{0},"file_name":"{0}.jpg"}}', '{{"id":"{0}","file_name":"a/{0}.jpg","x":[]}}']
)
def test_a_coco_file_takes_no_more_memory_than_it_was_checked_for(
    tmp_path: Path, entry: str, claims: list[int]
) -> None:
    numbers = range(2000)
    images = ",".join(entry.format(number) for number in numbers)
    annotations = ",".join(f'{{"image_id":{number},"category_id":1}}' for number in numbers)
    folder = tmp_path / "a"
    folder.mkdir()
    for number in numbers:
        (folder / f"{number}.jpg").touch()
    path = tmp_path / "labels.json"
    path.write_text(
        f'{{"images":[{images}],"annotations":[{annotations}],"categories":[{{"id":1,"name":"cat"}}]}}', newline=""
    )
    tree = read_source_tree(tmp_path)
    read_coco(tree)
    claims.clear()
    tracemalloc.start()
    try:
        rows = read_coco(tree)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert rows is not None
    assert peak <= path.stat().st_size + sum(claims) + MEBIBYTE // 8


def test_objects_that_share_no_key_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "labels.jsonl"
    path.write_text("".join(f'{{"k{number}":1}}\n' for number in range(20_001)))
    with pytest.raises(InvalidDatasetError, match="more than 20,000 columns"):
        read_table(path)
    path.write_text("".join(f'{{"k{number}":1}}\n' for number in range(4000)))
    monkeypatch.setattr(memory_check, "available_memory_bytes", lambda: 100 * MEBIBYTE)
    with pytest.raises(InvalidDatasetError, match="GiB of memory") as caught:
        read_table(path)
    assert caught.value.reason == "too_large"


def test_a_table_is_not_read_where_its_bytes_do_not_fit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "labels.csv"
    with path.open("wb") as stream:
        stream.truncate(100 * MEBIBYTE)
    monkeypatch.setattr(memory_check, "available_memory_bytes", lambda: 80 * MEBIBYTE)
    tracemalloc.start()
    try:
        with pytest.raises(InvalidDatasetError, match="GiB of memory"):
            read_table(path)
        assert tracemalloc.get_traced_memory()[1] < MEBIBYTE
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("encoding", ["utf-8", "utf-32"])
def test_a_table_with_nul_characters_is_named_and_not_passed_over(tmp_path: Path, encoding: str) -> None:
    (tmp_path / "labels.csv").write_bytes("image,label\n1.png,a\0\n".encode(encoding))
    with pytest.raises(InvalidDatasetError, match="NUL characters"):
        read_table(tmp_path / "labels.csv")
    (tmp_path / "notes.txt").write_bytes(b"a,b\0")
    assert read_table(tmp_path / "notes.txt") is None
