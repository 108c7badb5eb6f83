"""Every test runs with the json module and with pyarrow: one file has one meaning, and one message for each fault."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pytorch_designer.directories import image_manifest
from pytorch_designer.directories.image_manifest import Manifest, manifest_line, read_manifest
from pytorch_designer.directories.image_schema import ImageSchema
from pytorch_designer.errors import InvalidDatasetError

if TYPE_CHECKING:
    from pathlib import Path

GOOD = '{"image_info": {"file_name": "image/a.png"}, "category": "cat", "id": 1}'

with_both_readers = pytest.mark.parametrize("arrow_from_bytes", [0, 1 << 60], ids=["pyarrow", "json"])


def read(tmp_path: Path, content: str | bytes, arrow_from_bytes: int) -> Manifest:
    path = tmp_path / "images.lst"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return read_manifest(path, ImageSchema(), arrow_from_bytes=arrow_from_bytes)


def refusal(tmp_path: Path, content: str | bytes, arrow_from_bytes: int) -> InvalidDatasetError:
    with pytest.raises(InvalidDatasetError) as caught:
        read(tmp_path, content, arrow_from_bytes)
    return caught.value


@with_both_readers
def test_rows_become_columns(tmp_path: Path, arrow_from_bytes: int) -> None:
    lines = [
        '{"image_info": {"file_name": "image/1_5.png", "width": 3, "coco_url": "u"}, "category": "dog", "id": 5}',
        '{"id": -3, "category": null, "image_info": {"file_name": "image/\\u00e9.png"}, "future": {"x": [1, null]}}',
        '{"image_info": {"file_name": "image/b.png"}, "id": 9223372036854775807}',
        '{"image_info": {"file_name": "image/c.png"}, "category": "cat", "id": 7}',
        '{"image_info": {"file_name": "image/d.png"}, "category": "dog", "id": 8}',
    ]
    manifest = read(tmp_path, "\r\n".join(lines) + "\n\n", arrow_from_bytes)
    assert list(manifest.files) == ["image/1_5.png", "image/é.png", "image/b.png", "image/c.png", "image/d.png"]
    assert manifest.names == ("dog", "cat")
    assert manifest.categories.tolist() == [0, -1, -1, 1, 0]
    assert list(manifest.ids) == [5, -3, 9223372036854775807, 7, 8]
    assert manifest.has_addresses


@with_both_readers
def test_text_ids_are_kept(tmp_path: Path, arrow_from_bytes: int) -> None:
    content = GOOD.replace('"id": 1', '"id": "0017"') + "\n" + GOOD.replace('"id": 1', '"id": "b"')
    assert list(read(tmp_path, content, arrow_from_bytes).ids) == ["0017", "b"]


@with_both_readers
def test_names_that_are_not_utf8_survive(tmp_path: Path, arrow_from_bytes: int) -> None:
    line = manifest_line("image/caf\udce9.png", "caf\udce9", 1)
    manifest = read(tmp_path, line, arrow_from_bytes)
    assert list(manifest.files) == ["image/caf\udce9.png"]
    assert manifest.names == ("caf\udce9",)
    raw = GOOD.encode().replace(b"a.png", b"caf\xe9.png").replace(b"cat", b"\xe9")
    assert list(read(tmp_path, raw, arrow_from_bytes).files) == ["image/caf\udce9.png"]


@with_both_readers
def test_a_byte_order_mark_is_no_part_of_the_first_row(tmp_path: Path, arrow_from_bytes: int) -> None:
    assert len(read(tmp_path, b"\xef\xbb\xbf" + GOOD.encode(), arrow_from_bytes).files) == 1


@with_both_readers
@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("{", "not valid JSON"),
        ("", "not valid JSON"),
        (GOOD + GOOD, "not valid JSON"),
        ("[1]", "not a JSON object"),
        ("{}", "no text `image_info.file_name`"),
        ('{"image_info": "a.png", "id": 2}', "no text `image_info.file_name`"),
        ('{"image_info": {"file_name": 1}, "id": 2}', "no text `image_info.file_name`"),
        ('{"image_info": {"coco_url": "http://x/1.png"}, "id": 2}', "coco_url"),
        ('{"image_info": {"file_name": "a.png"}}', "no `id`"),
        ('{"image_info": {"file_name": "a.png"}, "id": null}', "no `id`"),
        ('{"image_info": {"file_name": "a.png"}, "id": true}', "no `id`"),
        ('{"image_info": {"file_name": "a.png"}, "id": 1.5}', "no `id`"),
        ('{"image_info": {"file_name": "a.png"}, "id": 9223372036854775808}', "no `id`"),
        ('{"image_info": {"file_name": "a.png"}, "id": 2, "category": 5}', "`category` is 5"),
        ("[" * 100_000, "not usable JSON"),
    ],
)
def test_a_bad_row_is_named_by_its_line(
    tmp_path: Path, arrow_from_bytes: int, line: str, words: str
) -> None:  # CASES 24
    error = refusal(tmp_path, f"{GOOD}\n{line}\n{GOOD}\n", arrow_from_bytes)
    assert error.reason == "malformed_row"
    assert error.what.startswith("Line 2 ")
    assert words in error.what


@with_both_readers
def test_a_row_over_two_lines_is_refused(tmp_path: Path, arrow_from_bytes: int) -> None:
    assert refusal(tmp_path, GOOD.replace(", ", ",\n"), arrow_from_bytes).what.startswith("Line 1 ")


@with_both_readers
def test_repeated_ids_are_named_with_their_lines(tmp_path: Path, arrow_from_bytes: int) -> None:  # CASES 24
    numbers = [4, 2, 4, 1, 2]
    content = "\n".join(GOOD.replace('"id": 1', f'"id": {number}') for number in numbers)
    error = refusal(tmp_path, content, arrow_from_bytes)
    assert error.reason == "duplicate_ids"
    assert set(error.examples) == {"2: lines 2 and 5", "4: lines 1 and 3"}
    texts = "\n".join(GOOD.replace('"id": 1', f'"id": "{number}"') for number in numbers)
    assert set(refusal(tmp_path, texts, arrow_from_bytes).examples) == {"'2': lines 2 and 5", "'4': lines 1 and 3"}


@with_both_readers
def test_integer_and_text_ids_do_not_mix(tmp_path: Path, arrow_from_bytes: int) -> None:
    error = refusal(tmp_path, GOOD + "\n" + GOOD.replace('"id": 1', '"id": "2"'), arrow_from_bytes)
    assert error.reason == "malformed_row"
    assert "integers" in error.what


@with_both_readers
def test_annotations_for_another_task_are_refused(tmp_path: Path, arrow_from_bytes: int) -> None:  # CASES 23
    line = '{"image_info": {"file_name": "a.png"}, "keypoint_detection_annotation": [], "id": 2}'
    error = refusal(tmp_path, f"{GOOD}\n{line}", arrow_from_bytes)
    assert error.reason == "not_classification"
    assert "Line 2" in error.what
    assert "keypoint_detection_annotation" in error.what


@with_both_readers
def test_half_a_surrogate_pair_is_refused(tmp_path: Path, arrow_from_bytes: int) -> None:
    assert refusal(tmp_path, GOOD.replace("a.png", "\\ud800"), arrow_from_bytes).reason == "malformed_row"


@with_both_readers
def test_chunks_join_to_one_file(tmp_path: Path, arrow_from_bytes: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(image_manifest, "CHUNK_BYTES", 150)  # two or three rows a chunk
    content = "".join(manifest_line(f"image/{number}.png", f"class {number % 3}", number) for number in range(50))
    manifest = read(tmp_path, content, arrow_from_bytes)
    assert list(manifest.files) == [f"image/{number}.png" for number in range(50)]
    assert manifest.categories.tolist() == [number % 3 for number in range(50)]
    assert np.array_equal(np.asarray(manifest.ids), np.arange(50))
    bad = content.replace('"id": 41', '"id": x')
    assert refusal(tmp_path, bad, arrow_from_bytes).what.startswith("Line 42 ")


texts = st.binary(max_size=8).map(lambda data: data.decode("utf-8", "surrogateescape"))


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=50)
@given(st.lists(st.tuples(texts, st.none() | texts), max_size=8))
def test_both_readers_agree_with_what_was_written(tmp_path: Path, rows: list[tuple[str, str | None]]) -> None:
    content = "".join(
        manifest_line(file, category, number, original_name=category) for number, (file, category) in enumerate(rows)
    )
    for arrow_from_bytes in (0, 1 << 60):
        manifest = read(tmp_path, content, arrow_from_bytes)
        assert list(manifest.files) == [file for file, _ in rows]
        categories = [None if code < 0 else manifest.names[code] for code in manifest.categories.tolist()]
        assert categories == [category for _, category in rows]
        names = [""] * len(rows) if manifest.original_names is None else list(manifest.original_names)
        assert names == [category or "" for _, category in rows]


@with_both_readers
def test_original_names_may_be_missing_or_no_text(tmp_path: Path, arrow_from_bytes: int) -> None:
    line = '{{"image_info": {{"file_name": "{}.png"{}}}, "id": {}}}\n'
    extras = ("", ', "original_file_name": "cat/b.png"', ', "original_file_name": null')
    lines = [line.format(number, extra, number) for number, extra in enumerate(extras)]
    names = read(tmp_path, "".join(lines), arrow_from_bytes).original_names
    assert names is not None
    assert list(names) == ["", "cat/b.png", ""]
    assert read(tmp_path, lines[0], arrow_from_bytes).original_names is None
    number = line.format(0, ', "original_file_name": 3', 0)
    assert read(tmp_path, number, arrow_from_bytes).original_names is None


def test_the_fast_reader_needs_no_help_with_a_usual_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(image_manifest._LineReader, "read")
    lines = [manifest_line(f"image/\u00e9{n}.png", "cat", n, original_name=f"cat/\u00e9{n}.png") for n in range(5)]
    for content in ("".join(lines), "".join(line.replace("original_file_name", "width") for line in lines)):
        assert len(read(tmp_path, content, 0).files) == 5


def test_a_written_line_is_the_formats_example() -> None:
    assert json.loads(manifest_line("image/0_17.jpg", "cat", 17, original_name="cat/tom.jpg")) == {
        "image_info": {"file_name": "image/0_17.jpg", "original_file_name": "cat/tom.jpg"},
        "category": "cat",
        "id": 17,
    }
    assert "category" not in manifest_line("image/17.jpg", None, 17)
