"""Outline of a page, read with Python's own HTML parser."""

from __future__ import annotations

from html.parser import HTMLParser

_VOID = {"meta", "img"}
_WITHOUT_TEXT = {"style", "svg"}


class Outline(HTMLParser):
    """Tags, attributes, texts and table rows of a page whose elements nest.

    Attributes:
        tags: All tags.
        attributes: All attributes with their values.
        texts: The texts outside of figures and style sheets.
        rows: The cells of all table rows by section title.
    """

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.attributes: list[tuple[str, str | None]] = []
        self.texts: list[str] = []
        self.rows: dict[str, list[list[str]]] = {}
        self._open: list[str] = []
        self._section = ""
        self.feed(page)
        self.close()
        assert self._open == []

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.texts).split())

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_startendtag(tag, attrs)
        if tag not in _VOID:
            self._open.append(tag)
        if tag == "tbody":
            self.rows.setdefault(self._section, [])
        elif tag == "tr" and "tbody" in self._open:
            self.rows[self._section].append([])
        elif tag == "td":
            self.rows[self._section][-1].append("")

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.attributes.extend(attrs)

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        if not data.strip() or _WITHOUT_TEXT & set(self._open):
            return
        self.texts.append(data.strip())
        if self._open[-1] == "h2":
            self._section = data.strip()
        if "td" in self._open:
            self.rows[self._section][-1][-1] += data.strip()
