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


@pytest.mark.slow
@given(st.lists(file_names, min_size=1), st.data())
def test_take_is_indexing(strings: list[str], data: st.DataObject) -> None:
    indices = data.draw(st.lists(st.integers(0, len(strings) - 1)))
    taken = StringColumn.from_strings(strings).take(np.array(indices, dtype=np.int64))
    assert list(taken) == [strings[index] for index in indices]


@pytest.mark.slow
@given(st.lists(st.lists(file_names)))
def test_concatenation_keeps_the_order(parts: list[list[str]]) -> None:
    joined = StringColumn.concatenate([StringColumn.from_strings(part) for part in parts])
    assert joined == StringColumn.from_strings(string for part in parts for string in part)


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
