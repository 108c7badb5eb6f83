"""Pages: line length, links, the chart, and how to install this project."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

TOP = Path(__file__).parent.parent
GENERATED = TOP / "docs" / "reference"
PAGES = [
    TOP / "README.md",
    TOP / "CONTRIBUTING.md",
    *sorted(path for path in (TOP / "docs").rglob("*.md") if GENERATED not in path.parents),
]
SOURCES = [
    path
    for folder in ("src", "examples", "benchmarks", "environment")
    for path in sorted((TOP / folder).rglob("*"))
    if path.suffix in {".py", ".html", ".yaml", ".txt", ".ipynb", ".md"} or path.name == "Dockerfile"
]
_CODE_BLOCK = re.compile(r"^```.*?^```", re.MULTILINE | re.DOTALL)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(TOP).as_posix())
def test_lines_have_at_most_120_characters_unless_they_are_one_word(page: Path) -> None:
    text = _CODE_BLOCK.sub("", page.read_text(encoding="utf-8"))
    assert [line for line in text.splitlines() if len(line) > 120 and " " in line.removeprefix("* ")] == []


@pytest.mark.parametrize("page", [*PAGES, *GENERATED.iterdir(), *SOURCES], ids=lambda path: path.name)
def test_nobody_is_told_to_install_this_project_by_its_name(page: Path) -> None:
    """It is on no index yet: whoever takes the name there would be installed."""
    text = page.read_text(encoding="utf-8")
    assert re.findall(r"install\b[^\n]*(?<![\w/])pytorch-designer(?:\[|['\"\s`]|$)", text) == []


def test_the_chart_shows_the_figures_of_its_page() -> None:
    done = subprocess.run([sys.executable, "benchmarks/chart.py", "--check"], cwd=TOP, check=False, timeout=300)
    assert done.returncode == 0, "run `python benchmarks/chart.py`"


def anchors_of(page: Path) -> set[str]:
    headings = re.findall(r"^#+ (.*)$", _CODE_BLOCK.sub("", page.read_text(encoding="utf-8")), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize(
    "page", [*PAGES, *sorted(GENERATED.iterdir())], ids=lambda page: page.relative_to(TOP).as_posix()
)
def test_links_lead_to_files_and_headings_that_are_there(page: Path) -> None:
    text = _CODE_BLOCK.sub("", page.read_text(encoding="utf-8"))
    for link in re.findall(r"\]\((?!https?:)([^)\s]+)\)", text):
        name, _, anchor = link.partition("#")
        target = page.parent / name if name else page
        assert target.exists(), link
        assert not anchor or anchor in anchors_of(target), link
