"""Pictures of the README: pipeline.png is drawn, report.png is a report as a browser shows it.

    python docs/images/pictures.py REPORT/index.html     # the report of `pytorch-designer demo`, for instance

Needs Chromium for the second one.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from matplotlib.figure import Figure
from matplotlib.patches import FancyArrowPatch, FancyBboxPatch
from PIL import Image

FOLDER = Path(__file__).parent
# Name, kind, column, row, and the components that it takes its inputs from.
NODES = [
    ("Folder, archive\nor COCO", "data", 0, 1, []),
    ("Convert to\nImage Directory", "images", 1, 1, [0]),
    ("Split\nImage Directory", "images", 2, 1, [1]),
    ("Apply Image\nTransformation", "images", 3, 1, [2, 9]),
    ("Train\nPyTorch Model", "model", 4, 0.5, [3, 8]),
    ("Score\nImage Model", "result", 5, 0.5, [4]),
    ("Evaluate\nModel", "result", 6, 0.5, [5]),
    ("Page: metrics,\nmistakes", "data", 7, 0.5, [6]),
    ("ResNet or any\nother network", "model", 3, 0, []),
    ("Init Image\nTransformation", "images", 2, 0, []),
]
COLORS = {"data": "#eaeef2", "images": "#ddf4ff", "model": "#dafbe1", "result": "#fff8c5"}
WIDTH, HEIGHT, GAP_X, GAP_Y = 1.36, 0.62, 1.72, 1.0
COLORS_PER_PICTURE = 64


def draw_pipeline(path: Path) -> None:
    """Draw the components of a pipeline and their connections."""
    figure = Figure(figsize=(10.4, 1.75), dpi=150)
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set_axis_off()
    places = [(column * GAP_X, row * GAP_Y) for _, _, column, row, _ in NODES]
    for (name, kind, _, _, sources), (x, y) in zip(NODES, places, strict=True):
        style = "round,pad=0,rounding_size=0.08"
        axes.add_patch(FancyBboxPatch((x, y), WIDTH, HEIGHT, style, facecolor=COLORS[kind], edgecolor="#57606a"))
        axes.text(x + WIDTH / 2, y + HEIGHT / 2, name, ha="center", va="center", fontsize=8.2, color="#1f2328")
        for source in sources:
            start = (places[source][0] + WIDTH, places[source][1] + HEIGHT / 2)
            axes.add_patch(
                FancyArrowPatch(start, (x, y + HEIGHT / 2), arrowstyle="-|>", mutation_scale=9, color="#57606a")
            )
    axes.set_xlim(-0.1, 7 * GAP_X + WIDTH + 0.1)
    axes.set_ylim(-0.1, GAP_Y + HEIGHT + 0.1)
    figure.savefig(path, facecolor="white")
    shrink(path)


def take_report(report: Path, path: Path, *, width: int = 1000, height: int = 1345) -> None:
    """Take the top of a report's page as a browser shows it."""
    browser = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if browser is None:
        raise SystemExit("Chromium is not installed.")
    with tempfile.TemporaryDirectory() as profile:
        options = ["--headless", "--no-sandbox", "--hide-scrollbars", "--disable-gpu", f"--user-data-dir={profile}"]
        size = [f"--window-size={width},{height}", f"--screenshot={path}"]
        subprocess.run([browser, *options, *size, report.resolve().as_uri()], check=True, capture_output=True)
    shrink(path)


def shrink(path: Path) -> None:
    """Keep few colors: a tenth of the bytes, and no difference that one sees."""
    with Image.open(path) as picture:
        picture.convert("RGB").quantize(COLORS_PER_PICTURE).save(path, optimize=True)


if __name__ == "__main__":
    draw_pipeline(FOLDER / "pipeline.png")
    if len(sys.argv) > 1:
        take_report(Path(sys.argv[1]), FOLDER / "report.png")
