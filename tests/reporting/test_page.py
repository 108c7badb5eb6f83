from __future__ import annotations

import math
from html.parser import HTMLParser

from hypothesis import given
from hypothesis import strategies as st

from pytorch_designer.reporting.page import Bar, Card, Section, cards, facts, hints, page, table, text

_VOID = {"meta"}


class _Outline(HTMLParser):
    """Checks that elements nest, and collects text and tags."""

    def __init__(self, markup: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[str] = []
        self.texts: list[str] = []
        self.feed(markup)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        if tag not in _VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if data.strip():
            self.texts.append(data)


@given(st.text(st.characters(exclude_categories=())))
def test_any_text_is_safe_in_elements_and_attributes(value: str) -> None:
    shown = text(value)

    assert not set(shown) & set("<>\"'\n\r\0")
    shown.encode("utf-8")


def test_long_text_is_cut_before_it_is_escaped() -> None:
    assert text("<" * 50, 10) == "&lt;" * 7 + "..."


def test_a_page_holds_its_parts_in_order() -> None:
    body = table(["Name", "Share"], [["cat", Bar(0.25, "25%")], ["dog", Bar(math.nan, "-")]], highlighted=1)
    markup = page(
        "Kind", "Title", "Subtitle", [Section("One", body, "Intro"), Section("Two", facts({"a": "b"}))], "Foot"
    )

    outline = _Outline(markup)

    expected = ["Title - Kind", "Kind", "Title", "Subtitle", "One", "Intro", "Name", "Share", "cat", "25%", "dog", "-"]
    assert [item for item in outline.texts if "{" not in item] == [*expected, "Two", "a", "b", "Foot"]
    assert "width:25.0%" in markup
    assert "nan" not in markup


def test_markup_in_names_stays_text() -> None:
    evil = "<script>alert(1)</script>"
    body = table([evil], [[evil]], num_names=1) + cards([Card(evil, evil, evil)]) + hints({evil: evil})

    outline = _Outline(page(evil, evil, evil, [Section(evil, body, evil)], evil))  # type: ignore[arg-type]

    assert "script" not in outline.tags


def test_a_long_name_is_shortened_and_whole_in_its_tooltip() -> None:
    markup = table(["Name"], [["x" * 100]])

    assert f'title="{"x" * 100}"' in markup
    assert f">{'x' * 57}...<" in markup


def test_a_page_asks_nothing_of_the_network() -> None:
    markup = page("k", "t", "s", [])

    assert "default-src 'none'" in markup
    assert "http://" not in markup
    assert "https://" not in markup
    assert "url(" not in markup
