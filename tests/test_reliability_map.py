"""docs/reliability.md names tests: each of them exists, each case has one, and the campaigns can be started."""

from __future__ import annotations

import ast
import re
from functools import cache
from pathlib import Path

import pytest

TOP = Path(__file__).parent.parent
PAGE = TOP / "docs" / "reliability.md"
_TEST = re.compile(r"`([\w/]+\.py)::(\w+)`")
_CASE = re.compile(r"^\*\*(\d+)\.\*\* (.*?)(?=^\*\*\d+\.\*\* |^#|\Z)", re.MULTILINE | re.DOTALL)


@cache
def names_in(path: Path) -> frozenset[str]:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    return frozenset(node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef))


def named_tests() -> list[tuple[str, str]]:
    return sorted(set(_TEST.findall(PAGE.read_text(encoding="utf-8"))))


@pytest.mark.slow
def test_every_named_test_exists() -> None:
    tests = named_tests()
    assert len(tests) > 100
    missing = [
        f"{file}::{name}"
        for file, name in tests
        if not (TOP / "tests" / file).is_file() or name not in names_in(TOP / "tests" / file)
    ]
    assert missing == []


def test_the_cases_are_in_order_and_each_names_a_test_or_says_that_it_is_not_promised() -> None:
    cases = {int(number): text for number, text in _CASE.findall(PAGE.read_text(encoding="utf-8"))}
    assert list(cases) == list(range(1, 41))
    assert [number for number, text in cases.items() if not _TEST.search(text) and "not promised" not in text] == []


@pytest.mark.parametrize("campaign", ["torture", "fuzz", "faulty-disk", "families", "million"])
def test_every_campaign_of_the_page_can_be_made(campaign: str) -> None:
    makefile = (TOP / "Makefile").read_text(encoding="utf-8")
    assert f"`make {campaign}`" in PAGE.read_text(encoding="utf-8")
    command = re.search(rf"^{campaign}: .*\n\t.*-m (tests\.campaigns\.\w+)", makefile, re.MULTILINE)
    assert command is not None
    assert (TOP / f"{command[1].replace('.', '/')}.py").is_file()
