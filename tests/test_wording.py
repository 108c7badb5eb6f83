"""Wording of messages: counts, bounds, nearest names; and that messages use them."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pytest

import pytorch_designer
from pytorch_designer.wording import bounds_in_words, count, nearest_name, within_bounds

SOURCE = Path(pytorch_designer.__file__).parent


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


_NOUNS = "images|files|classes|rows|epochs|steps|faults|parts|columns|folders|results|categories|labels|threads|entries"
_BARE_PLURAL = re.compile(rf"%[ds] (?:[a-z]+ )?(?:{_NOUNS})\b")
_AFTER_A_NUMBER = re.compile(rf" (?:[a-z]+ )?(?:{_NOUNS})\b")
_IS_COUNT = re.compile(r"^(len\(|(\w+\.)*num_)")
# One of these is never alone: there are several where the message is written, or the number is a limit.
_NEVER_ONE = (
    "epochs in a row",
    "classes that both",
    "were trained",
    "parts of the pipeline",
    "The pipeline has",
    "holds more than",
    "files in %s have",
    "confusion matrix",
    "images are {what}",
    "for a batch of",
    "have none of %d",
    "folders with",
    "({_listed(empty)})",
    "with scores of",
    "class folders have no images",
    "The first {len(rows)} of",
)


def _texts(tree: ast.AST) -> Iterator[str]:
    """Texts with a number before a fixed plural."""
    for node in ast.walk(tree):
        if isinstance(node, ast.JoinedStr):
            for part, following in pairwise(node.values):
                if isinstance(part, ast.FormattedValue) and isinstance(following, ast.Constant):
                    text = str(following.value)
                    if _IS_COUNT.search(ast.unparse(part.value)) and _AFTER_A_NUMBER.match(text):
                        yield ast.unparse(node)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and _BARE_PLURAL.search(node.value):
            yield node.value


@pytest.mark.slow
def test_no_message_has_a_fixed_plural_after_a_number() -> None:
    found = [
        f"{path.name}: {text}"
        for path in SOURCE.rglob("*.py")
        for text in _texts(ast.parse(path.read_text(encoding="utf-8")))
        if not any(phrase in text for phrase in _NEVER_ONE)
    ]
    assert found == []
