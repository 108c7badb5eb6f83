"""Chart of docs/benchmarks.md, drawn from the tables of that page: docs/images/benchmarks.svg.

python benchmarks/chart.py
"""

from __future__ import annotations

import re
import sys
from html import escape
from pathlib import Path

PAGE = Path("docs/benchmarks.md")
CHART = Path("docs/images/benchmarks.svg")
PANELS = {
    "## Training speed": "Training speed: images per second, 224 pixels, bf16 CPU",
    "## Accuracy": "Accuracy: top-1 from scratch after five epochs, 32 pixels",
}
WIDTH, ROW, LABEL, BAR = 760, 26, 120, 560
STYLE = """
text { font: 14px system-ui, sans-serif; fill: #1f2328; }
.title { font-weight: 600; }
.ours { fill: #0969da; }
.other { fill: #afb8c1; }
@media (prefers-color-scheme: dark) { text { fill: #e6edf3; } .ours { fill: #4493f8; } .other { fill: #484f58; } }
"""


def bars_of(page: str, heading: str) -> list[tuple[str, str]]:
    """Name and value of each row of the first table below a heading."""
    _, _, section = page.partition(f"{heading}\n")
    rows = re.findall(r"^\| (.+?) \| ([\d.]+) \|$", section.partition("\n## ")[0], re.MULTILINE)
    if not rows:
        raise SystemExit(f"{PAGE} has no table of two columns below {heading!r}")
    return rows


def svg(page: str) -> str:
    """The chart: a panel per table, a bar per row; the first row is this project."""
    shapes: list[str] = []
    top = 0
    for heading, title in PANELS.items():
        bars = bars_of(page, heading)
        shapes.append(f'<text class="title" x="0" y="{top + 18}">{escape(title)}</text>')
        most = max(float(value) for _, value in bars)
        for row, (name, value) in enumerate(bars):
            y = top + ROW * (row + 1) + 4
            width = round(BAR * float(value) / most)
            kind = "other" if row else "ours"
            shapes += [
                f'<text x="{LABEL - 8}" y="{y + 15}" text-anchor="end">{escape(name)}</text>',
                f'<rect class="{kind}" x="{LABEL}" y="{y}" width="{width}" height="{ROW - 6}" rx="2"/>',
                f'<text x="{LABEL + width + 8}" y="{y + 15}">{value}</text>',
            ]
        top += ROW * (len(bars) + 1) + 24
    head = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {top}" role="img">'
    label = "<title>Speed and accuracy compared with other libraries</title>"
    return "\n".join([head, label, f"<style>{STYLE}</style>", *shapes, "</svg>", ""])


def main() -> int:
    """Draw the chart; with --check: compare it with the file instead, exit code 1 where they differ."""
    text = svg(PAGE.read_text(encoding="utf-8"))
    if "--check" in sys.argv[1:]:
        return int(CHART.read_text(encoding="utf-8") != text)
    CHART.parent.mkdir(parents=True, exist_ok=True)
    CHART.write_text(text, encoding="utf-8", newline="\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
