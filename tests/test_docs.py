"""Line length of the pages."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

TOP = Path(__file__).parent.parent
GENERATED = TOP / "docs" / "reference"
PAGES = [
    TOP / "README.md",
    TOP / "CONTRIBUTING.md",
    *sorted(path for path in (TOP / "docs").rglob("*.md") if GENERATED not in path.parents),
]
_CODE_BLOCK = re.compile(r"^```.*?^```", re.MULTILINE | re.DOTALL)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(TOP).as_posix())
def test_lines_have_at_most_120_characters_unless_they_are_one_word(page: Path) -> None:
    text = _CODE_BLOCK.sub("", page.read_text(encoding="utf-8"))
    assert [line for line in text.splitlines() if len(line) > 120 and " " in line.removeprefix("* ")] == []
