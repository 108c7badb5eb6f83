from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytorch_designer.storage.string_column import StringColumn

# Every string that Python can make of a file name's bytes.
file_names = st.binary(max_size=20).map(lambda data: data.decode("utf-8", "surrogateescape"))


@given(st.lists(file_names))
def test_strings_come_back_as_they_were(strings: list[str]) -> None:
    column = StringColumn.from_strings(iter(strings))
    assert list(column) == strings
    assert [column[index] for index in range(len(column))] == strings
    assert len(column) == len(strings)


@given(st.lists(file_names, min_size=1), st.data())
def test_take_is_indexing(strings: list[str], data: st.DataObject) -> None:
    indices = data.draw(st.lists(st.integers(0, len(strings) - 1)))
    taken = StringColumn.from_strings(strings).take(np.array(indices, dtype=np.int64))
    assert list(taken) == [strings[index] for index in indices]


@given(st.lists(st.lists(file_names)))
def test_concatenation_keeps_the_order(parts: list[list[str]]) -> None:
    joined = StringColumn.concatenate([StringColumn.from_strings(part) for part in parts])
    assert joined == StringColumn.from_strings(string for part in parts for string in part)


def test_rows_beyond_one_internal_block_are_right() -> None:
    strings = [f"class/{number}.jpg" for number in range(70_000)]
    column = StringColumn.from_strings(strings)
    assert list(column) == strings
    assert list(column.take(np.arange(len(strings))[::-1])) == strings[::-1]


def test_memory_is_the_bytes_and_eight_a_string() -> None:
    column = StringColumn.from_strings("x" * 20 for _ in range(1000))
    assert column.nbytes == 1000 * 20 + 1001 * 8


@pytest.mark.parametrize("index", [2, -3])
def test_an_index_out_of_range_is_refused(index: int) -> None:
    column = StringColumn.from_strings(["a", "b"])
    with pytest.raises(IndexError):
        column[index]
    with pytest.raises(IndexError):
        column.take([index])


def test_negative_and_numpy_indices_count_as_in_a_list() -> None:
    column = StringColumn.from_strings(["a", "b"])
    assert column[-1] == "b"
    assert column[np.int64(0)] == "a"


def test_columns_are_equal_by_value() -> None:
    assert StringColumn.from_strings(["ab", "c"]) == StringColumn.from_strings(["ab", "c"])
    assert StringColumn.from_strings(["ab", "c"]) != StringColumn.from_strings(["a", "bc"])


def test_offsets_cannot_be_changed() -> None:
    with pytest.raises(ValueError, match="read-only"):
        StringColumn.from_strings(["a"]).offsets[0] = 1


@given(st.lists(file_names.filter(lambda name: "\0" not in name)), file_names.filter(lambda name: "\0" not in name))
def test_names_get_their_prefix(names: list[str], prefix: str) -> None:
    assert StringColumn.from_names(names, prefix) == StringColumn.from_strings(prefix + name for name in names)


def test_a_name_with_a_nul_is_refused() -> None:
    with pytest.raises(ValueError, match="NUL"):
        StringColumn.from_names(["a", "b\0c"])


@given(st.lists(st.text("ab/\u00e9", max_size=12)))
def test_the_last_place_of_a_character_is_found(strings: list[str]) -> None:
    positions = StringColumn.from_strings(strings).last_positions("/")
    assert positions.tolist() == [string.encode().rfind(b"/") for string in strings]


@given(st.lists(st.text("ab\0\u00e9", max_size=40)))
def test_strings_have_one_hash_exactly_where_they_are_equal(strings: list[str]) -> None:
    hashes = StringColumn.from_strings(strings).hashes().tolist()
    assert len(set(zip(strings, hashes, strict=True))) == len(set(strings)) == len(set(hashes))


@given(st.lists(file_names, min_size=1), file_names)
def test_a_hash_does_not_hang_on_the_neighbours(strings: list[str], suffix: str) -> None:
    lengths = [len(string.encode("utf-8", "surrogateescape")) for string in strings]
    longer = StringColumn.from_strings(string + suffix for string in strings)
    alone = [StringColumn.from_strings([string]).hashes()[0] for string in strings]
    assert longer.hashes(np.array(lengths, dtype=np.int64)).tolist() == alone


def test_many_similar_names_have_as_many_hashes() -> None:
    names = [f"image/{label}_{number:04}.png" for label in range(20) for number in range(10_000)]
    assert len(np.unique(StringColumn.from_names(names).hashes())) == len(names)
