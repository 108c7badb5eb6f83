"""The scaffold of a report: one self-contained HTML page, light or dark as the reader's system is.

A page asks nothing of the network and runs no script; its content security policy says so to the browser. All text
goes through `text`, which escapes it and makes it printable: class and file names may hold anything.
"""

from __future__ import annotations

import html
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, NewType

from pytorch_designer.errors import shorten

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from pytorch_designer.reporting.figures import Chart

Markup = NewType("Markup", str)
"""HTML that may be put into a page as it is."""

_MAX_TEXT = 200
_MAX_CELL = 60


@dataclass(frozen=True)
class Card:
    """A headline number: what it is, its value, and a remark."""

    label: str
    value: str
    remark: str = ""


@dataclass(frozen=True)
class Section:
    """A titled part of a page.

    Attributes:
        title: Heading.
        body: Content.
        introduction: A sentence or two under the heading.
    """

    title: str
    body: Markup
    introduction: str = ""


@dataclass(frozen=True)
class Bar:
    """A table cell that shows a share of 0 to 1 as a bar behind its text."""

    share: float
    label: str


Cell = str | Bar


def text(value: str, limit: int = _MAX_TEXT) -> Markup:
    """Any text, on one line of at most `limit` characters, safe within an element or a quoted attribute."""
    return Markup(html.escape(shorten(value, limit)))


def joined(*parts: Markup) -> Markup:
    """The parts one after the other."""
    return Markup("\n".join(parts))


def cards(items: Iterable[Card]) -> Markup:
    """Headline numbers side by side."""
    inner = "".join(
        f'<div class="card"><div class="label">{text(item.label)}</div><div class="value">{text(item.value)}</div>'
        f'<div class="remark">{text(item.remark)}</div></div>'
        for item in items
    )
    return Markup(f'<div class="cards">{inner}</div>')


def charts(items: Mapping[str, Chart]) -> Markup:
    """Figures by caption, side by side where there is room."""
    inner = "".join(
        f"<figure><figcaption>{text(caption)}</figcaption>"
        f'<div class="scroll" role="img" aria-label="{text(caption)}">{chart.inline_svg}</div></figure>'
        for caption, chart in items.items()
    )
    return Markup(f'<div class="charts">{inner}</div>')


def table(
    header: Sequence[str], rows: Iterable[Sequence[Cell]], *, num_names: int = 1, highlighted: int | None = None
) -> Markup:
    """A table whose first columns hold names and whose other ones hold numbers.

    Args:
        header: Column titles.
        rows: Cells, one for each column.
        num_names: Number of columns that hold names.
        highlighted: Index of the row that stands out, or None.
    """
    head = "".join(f"<th{_name_class(index < num_names)}>{text(title)}</th>" for index, title in enumerate(header))
    body = "".join(
        ('<tr class="highlighted">' if row_index == highlighted else "<tr>")
        + "".join(_cell(cell, is_name=index < num_names) for index, cell in enumerate(row))
        + "</tr>"
        for row_index, row in enumerate(rows)
    )
    return Markup(f'<div class="scroll"><table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>')


def facts(values: Mapping[str, str]) -> Markup:
    """Labels and values."""
    inner = "".join(f"<div><dt>{text(label)}</dt><dd>{text(value)}</dd></div>" for label, value in values.items())
    return Markup(f"<dl>{inner}</dl>")


def columns(parts: Mapping[str, Markup]) -> Markup:
    """Parts with a small title each, side by side where there is room."""
    inner = "".join(f"<div><h3>{text(title)}</h3>{part}</div>" for title, part in parts.items())
    return Markup(f'<div class="columns">{inner}</div>')


def beside(first: Markup, second: Markup) -> Markup:
    """Two parts side by side, where there is room; the second one takes what the first one leaves."""
    return Markup(f'<div class="beside"><div>{first}</div><div>{second}</div></div>')


def hints(items: Mapping[str, str]) -> Markup:
    """Advice: what was seen, and what to do about it."""
    inner = "".join(
        f"<li><strong>{text(seen)}</strong> {text(advice, 2 * _MAX_TEXT)}</li>" for seen, advice in items.items()
    )
    return Markup(f'<ul class="hints">{inner}</ul>')


def folded(title: str, body: Markup) -> Markup:
    """Content that is shown when its title is clicked."""
    return Markup(f"<details><summary>{text(title)}</summary>{body}</details>")


def page(kind: str, title: str, subtitle: str, sections: Iterable[Section], footer: str = "") -> str:
    """The whole page.

    Args:
        kind: What sort of report it is, small above the title.
        title: The main result.
        subtitle: A sentence about it.
        sections: In order.
        footer: A line at the end.
    """
    inner = "\n".join(
        f"<section><h2>{text(section.title)}</h2>"
        + (f'<p class="introduction">{text(section.introduction, 2 * _MAX_TEXT)}</p>' if section.introduction else "")
        + f"{section.body}</section>"
        for section in sections
    )
    return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'; img-src data:">
<title>{text(title)} - {text(kind)}</title>
<style>{_STYLE}</style>
</head>
<body>
<main>
<header>
<p class="kind">{text(kind)}</p>
<h1>{text(title)}</h1>
<p class="subtitle">{text(subtitle, 2 * _MAX_TEXT)}</p>
</header>
{inner}
<footer>{text(footer)}</footer>
</main>
</body>
</html>
"""


def _name_class(is_name: bool) -> str:
    return ' class="name"' if is_name else ""


def _cell(cell: Cell, *, is_name: bool) -> str:
    if isinstance(cell, str):
        whole = f' title="{text(cell)}"' if len(cell) > _MAX_CELL else ""
        return f"<td{_name_class(is_name)}{whole}>{text(cell, _MAX_CELL)}</td>"
    width = cell.share * 100 if math.isfinite(cell.share) else 0
    return (
        f'<td class="bar"><span class="track"><span class="fill" style="width:{width:.1f}%"></span></span>'
        f'<span class="number">{text(cell.label)}</span></td>'
    )


_STYLE = """
:root {
  color-scheme: light dark;
  --page: #f4f6f9; --surface: #ffffff; --ink: #1b2330; --quiet: #5d6878; --line: #e3e7ee;
  --accent: #2563eb; --on-accent: #ffffff; --second: #8a94a6; --tint: #eaf1fe;
}
@media (prefers-color-scheme: dark) {
  :root {
    --page: #0e131b; --surface: #171e29; --ink: #e8ecf3; --quiet: #9ba7b9; --line: #2a3443;
    --accent: #6ea3ff; --on-accent: #0b1220; --second: #7d8aa0; --tint: #1c2a44;
  }
}
* { box-sizing: border-box; }
body {
  margin: 0; background: var(--page); color: var(--ink); overflow-wrap: anywhere;
  font: 15px/1.55 system-ui, -apple-system, "Segoe UI", Roboto, "Noto Sans", "Liberation Sans", Arial, sans-serif;
}
main { max-width: 1080px; margin: 0 auto; padding: 40px 20px 32px; }
header { margin-bottom: 24px; }
h1 { font-size: 34px; line-height: 1.2; letter-spacing: -0.02em; margin: 2px 0 8px; }
h2 { font-size: 18px; letter-spacing: -0.01em; margin: 0 0 14px; }
h3 { font-size: 13px; font-weight: 600; color: var(--quiet); margin: 0 0 4px; }
p { margin: 0; }
.kind { color: var(--accent); font-size: 13px; font-weight: 600; }
.subtitle, .introduction { color: var(--quiet); max-width: 95ch; }
.introduction { margin: -8px 0 14px; }
section {
  background: var(--surface); border: 1px solid var(--line); border-radius: 12px; padding: 22px 24px; margin-top: 16px;
}
.cards { display: grid; grid-template-columns: repeat(auto-fit, minmax(140px, 1fr)); gap: 16px; }
.label, .remark { color: var(--quiet); font-size: 13px; }
.value { white-space: nowrap; font-size: 24px; font-weight: 650; line-height: 1.3; letter-spacing: -0.02em; }
.charts { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(420px, 100%), 1fr)); gap: 28px; }
figure { margin: 0; min-width: 0; }
figcaption { font-size: 13px; font-weight: 600; color: var(--quiet); margin-bottom: 2px; }
svg { display: block; max-width: 100%; height: auto; }
svg * { stroke-linejoin: round; stroke-linecap: butt; }
.beside { display: flex; flex-wrap: wrap; gap: 24px 40px; }
.beside > :first-child { flex: 0 1 auto; min-width: 0; }
.beside > :last-child { flex: 1 1 400px; min-width: 0; }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; width: 100%; font-size: 14px; font-variant-numeric: tabular-nums; }
th, td { text-align: right; padding: 7px 10px; border-bottom: 1px solid var(--line); vertical-align: baseline; }
th { color: var(--quiet); font-size: 13px; font-weight: 600; white-space: nowrap; }
th.name, td.name { text-align: left; }
td { white-space: nowrap; }
td.name { min-width: 90px; white-space: normal; }
th:first-child, td:first-child { padding-left: 0; }
th:last-child, td:last-child { padding-right: 0; }
tbody tr:last-child td { border-bottom: 0; }
tr.highlighted td { background: var(--tint); font-weight: 600; }
.track {
  display: inline-block; width: 84px; height: 6px; margin-right: 10px; border-radius: 3px; vertical-align: middle;
  background: var(--line);
}
.number { display: inline-block; min-width: 52px; }
.fill { display: block; height: 6px; border-radius: 3px; background: var(--accent); }
.columns { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(290px, 100%), 1fr)); gap: 28px; }
dl { margin: 0; font-size: 14px; }
dl div {
  display: flex; justify-content: space-between; gap: 16px; padding: 6px 0; border-bottom: 1px solid var(--line);
}
dl div:last-child { border-bottom: 0; }
dt { color: var(--quiet); flex: none; max-width: 50%; }
dd { margin: 0; text-align: right; font-variant-numeric: tabular-nums; }
.hints { margin: 0; padding: 0; list-style: none; }
.hints li { padding: 2px 0 2px 16px; border-left: 3px solid var(--accent); margin-bottom: 12px; }
.hints li:last-child { margin-bottom: 0; }
.cards + .hints { margin-top: 18px; }
details { margin-top: 14px; }
summary { cursor: pointer; color: var(--accent); font-weight: 600; font-size: 14px; margin-bottom: 8px; }
footer { color: var(--quiet); font-size: 13px; margin-top: 20px; }
@media (max-width: 640px) {
  main { padding: 24px 12px; }
  section { padding: 18px 16px; }
  .track { display: none; }
}
@media print {
  body { background: none; font-size: 12px; }
  section { break-inside: avoid; }
}
"""
