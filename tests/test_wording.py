from __future__ import annotations

import pytest

from pytorch_designer.wording import bounds_in_words, count, nearest_name, within_bounds


def test_counts_have_separators_and_the_right_noun() -> None:
    assert count(1281167) == "1,281,167"
    assert count(1, "class", "classes") == "1 class"
    assert count(0, "image") == "0 images"


@pytest.mark.parametrize(
    ("minimum", "maximum", "words", "phrase"),
    [
        (None, None, "", "a number"),
        (1, None, "at least 1", "a number of at least 1"),
        (None, 3, "at most 3", "a number of at most 3"),
        (0.0, 1.0, "from 0.0 to 1.0", "a number from 0.0 to 1.0"),
        (5e-324, None, "greater than zero", "a number greater than zero"),
        (5e-324, 1.0, "greater than zero and at most 1.0", "a number greater than zero and at most 1.0"),
    ],
)
def test_bounds_are_words(minimum: float | None, maximum: float | None, words: str, phrase: str) -> None:
    assert bounds_in_words(minimum, maximum) == words
    assert within_bounds("a number", minimum, maximum) == phrase


@pytest.mark.parametrize(
    ("given", "meant"),
    [
        ("--batch_size", "--batch-size"),
        ("--Epoch", "--epochs"),
        ("-epochs", "--epochs"),
        ("--batchsize", "--batch-size"),
        ("--zoom", None),
    ],
)
def test_the_nearest_name_is_found_whatever_its_dashes(given: str, meant: str | None) -> None:
    assert nearest_name(given, ["--batch-size", "--epochs", "--help"]) == meant


def test_nothing_is_near_where_there_is_nothing() -> None:
    assert nearest_name("train", []) is None
