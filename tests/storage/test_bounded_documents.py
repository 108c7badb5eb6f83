"""Documents that unfold, nest or grow without end are refused before they cost anything."""

from __future__ import annotations

import resource
import time
from pathlib import Path

import pytest

from pytorch_designer.directories.meta import read_meta
from pytorch_designer.errors import DesignerError, InvalidDatasetError, describe_value, shorten
from pytorch_designer.storage.bounded_documents import parse_json, parse_yaml, read_json
from pytorch_designer.system import memory_check

MEBIBYTE = 1 << 20
MOST_SECONDS = 10


def aliases(form: str, levels: int = 12) -> str:
    """Lines of nine aliases each, which unfold to 9 ** levels values."""
    lines = [f"a{level}: &a{level} " + form.format(", ".join([f"*a{level - 1}"] * 9)) for level in range(1, levels)]
    return "\n".join(["a0: &a0 {x: 1}", *lines])


HOSTILE_YAML = {
    "aliases in lists": aliases("[{}]") + "\ntype: *a11\n",
    "aliases that are merged": aliases("{{<<: [{}]}}"),
    "an alias of itself": "type: &a [*a]",
    "an alias of itself below": "type: &a {b: {c: *a}}",
    "brackets": "[" * MEBIBYTE,
    "mappings": "{a: " * (MEBIBYTE // 4),
    "items in items": "- " * (MEBIBYTE // 2),
    "many keys": "".join(f"k{number}: 1\n" for number in range(50_000)),
    "a long text": "type: " + "a" * MEBIBYTE,
    "sixties": "type: " + "1:" * (MEBIBYTE // 2) + "1",
    "digits": "type: " + "9" * 5000,
    "no such date": "type: 2001-99-99",
    "a time that is none": "type: !!timestamp soon",
    "a truth that is none": "type: !!bool maybe",
    "a number without digits": "type: !!int ''",
    "a Python object": "type: !!python/object/apply:os.system [true]",
    "no text": "\0\1\2",
    "half a character": b"type: \xff",
}


@pytest.mark.slow
@pytest.mark.parametrize("text", HOSTILE_YAML.values(), ids=HOSTILE_YAML)
def test_yaml_without_bounds_is_refused_in_bounded_time_and_memory(tmp_path: Path, text: str | bytes) -> None:
    (tmp_path / "_meta.yaml").write_bytes(text if isinstance(text, bytes) else text.encode())
    started, memory = time.process_time(), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(InvalidDatasetError) as caught:
        read_meta(tmp_path, "ImageDirectory", InvalidDatasetError)
    assert caught.value.reason in {"malformed_meta", "too_large"}
    assert len(str(caught.value)) < 1000
    assert time.process_time() - started < MOST_SECONDS
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - memory < 200_000  # KiB


@pytest.mark.parametrize(
    "found", ["0x" + "f" * 60_000, "[[[[1]]]]", "{a: {b: c}}", "'" + "x" * 60_000 + "'", "2001-01-01", "1.5", "true"]
)
def test_a_type_of_any_kind_is_named_shortly(tmp_path: Path, found: str) -> None:
    (tmp_path / "_meta.yaml").write_text(f"type: {found}\n")
    with pytest.raises(InvalidDatasetError) as caught:
        read_meta(tmp_path, "ImageDirectory", InvalidDatasetError)
    assert caught.value.reason == "wrong_type"
    assert len(caught.value.what) < 200


def test_a_few_aliases_and_levels_are_read() -> None:
    assert parse_yaml(b"a: &x [1, 2]\nb: *x\nc: {<<: {d: *x}}\n") == {"a": [1, 2], "b": [1, 2], "c": {"d": [1, 2]}}


@pytest.mark.parametrize("text", ["[" * 500_000, '{"a":' * 100_000, "1" * 5000, "{", "\udcff"])
def test_json_that_cannot_be_read_is_a_value_error(text: str) -> None:
    with pytest.raises(ValueError, match=r".") as caught:
        parse_json(text.encode("utf-8", "surrogateescape"))
    assert len(str(caught.value)) <= 200


@pytest.mark.slow
@pytest.mark.parametrize(
    ("item", "num_items"),
    [("{}", 1 << 19), ("[]", 1 << 19), ("1", 1 << 20), ('{"id": 1, "file_name": "1.jpg"}', 1 << 18)],
)
def test_json_is_refused_where_memory_is_short(
    tmp_path: Path, item: str, num_items: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "x.json"
    path.write_text("[" + ", ".join([item] * num_items) + "]")
    assert read_json(path, 32 * MEBIBYTE, InvalidDatasetError)
    monkeypatch.setattr(memory_check, "available_memory_bytes", lambda: 64 * MEBIBYTE)
    with pytest.raises(InvalidDatasetError) as caught:
        read_json(path, 32 * MEBIBYTE, InvalidDatasetError)
    assert caught.value.reason == "too_large"
    assert "GiB of memory" in caught.value.what


def test_a_larger_file_is_not_read(tmp_path: Path) -> None:
    path = tmp_path / "x.json"
    with path.open("wb") as stream:
        stream.truncate(1 << 40)  # which has no blocks on the disk
    with pytest.raises(DesignerError) as caught:
        read_json(path, MEBIBYTE, InvalidDatasetError)
    assert caught.value.reason == "too_large"
    assert "1,099,511,627,776 bytes" in caught.value.what


def test_long_texts_are_cut_before_they_are_formatted() -> None:
    class Loud:
        def __str__(self) -> str:
            raise AssertionError("formatted although it is not shown")

    error = InvalidDatasetError("x", examples=["a", "b", "c", "d", "e", *[Loud()] * 3])
    assert error.num_offending == 8
    assert "and 3 more" in str(error)
    assert shorten("x" * 10**8, 10) == "xxxxxxx..."


def test_values_are_described_in_a_few_words() -> None:
    assert describe_value("cat") == "'cat'"
    assert describe_value(7) == "7"
    assert describe_value(None) == "None"
    assert describe_value(1 << 20_000) == "a number of more than 64 bits"
    assert describe_value([[[]]]) == "a list"
    assert describe_value({"a": 1}) == "a mapping"
