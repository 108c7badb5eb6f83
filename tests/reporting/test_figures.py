from __future__ import annotations

import math
import os
import re
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree as ET

import matplotlib as mpl
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pytorch_designer.reporting.figures import (
    Chart,
    Line,
    ReliabilityBar,
    heat_map,
    line_chart,
    reliability_chart,
    roc_chart,
)

_ANY_TEXT = st.text(st.characters(exclude_categories=()), max_size=40)


def _texts(svg: str) -> list[str]:
    return [element.text or "" for element in ET.fromstring(svg).iter("{http://www.w3.org/2000/svg}text")]


def _curve(values: list[float]) -> Chart:
    return line_chart("loss", Line("Training", values), Line("Validation", values), x_label="Epoch", marked=1)


@pytest.mark.slow
def test_a_chart_names_its_lines_and_axis() -> None:
    texts = _texts(_curve([3.0, 2.0, 1.0]).svg)

    assert {"Training", "Validation", "Epoch", "1", "2", "3"} <= set(texts)


def test_values_that_are_not_finite_are_left_out() -> None:
    for values in ([math.nan], [math.inf, 1.0], [1.0, math.nan, -math.inf, 2.0]):
        svg = _curve(values).svg
        assert "nan" not in svg.lower()
        assert "Validation" in _texts(svg)


def test_shares_are_labeled_in_percent_up_to_100() -> None:
    line = Line("Training", [0.5, 1.0])
    labels = [text for text in _texts(line_chart("a", line, line, x_label="Epoch", is_share=True).svg) if "%" in text]

    assert labels
    assert all(0 <= float(label.rstrip("%")) <= 100 for label in labels)


def test_a_heat_map_shows_each_number_and_label() -> None:
    texts = _texts(heat_map("confusion", np.array([[12, 3], [0, 45]]), ["cat", "dog"]).svg)

    assert sorted(texts) == sorted(["12", "3", "0", "45", "cat", "dog", "cat", "dog", "Predicted", "True"])


def test_labels_are_not_read_as_formulas() -> None:
    texts = _texts(heat_map("confusion", np.eye(2, dtype=np.int64), ["$x^2$", r"$\frac{"]).svg)

    assert {"$x^2$", r"$\frac{"} <= set(texts)


@pytest.mark.slow
@given(names=st.lists(_ANY_TEXT, min_size=1, max_size=3))
@settings(max_examples=20)
def test_any_label_gives_a_figure_that_can_be_read(names: list[str]) -> None:
    chart = heat_map("confusion", np.ones((len(names), len(names)), dtype=np.int64), names)

    ET.fromstring(chart.svg.encode("utf-8"))
    ET.fromstring(chart.inline_svg)


def test_figures_repeat_and_leave_no_settings_behind() -> None:
    before = dict(mpl.rcParams)

    assert _curve([2.0, 1.0]) == _curve([2.0, 1.0])
    assert dict(mpl.rcParams) == before
    assert "<dc:date>" not in _curve([1.0]).svg


def test_a_users_matplotlib_settings_have_no_effect() -> None:
    plain = _curve([2.0, 1.0])
    with mpl.rc_context({"text.usetex": True, "lines.linewidth": 17, "svg.fonttype": "path"}):
        assert _curve([2.0, 1.0]) == plain


@pytest.mark.slow
def test_settings_of_other_programs_and_of_the_place_have_no_effect(tmp_path: Path) -> None:
    (tmp_path / "matplotlibrc").write_bytes(b"text.usetex: True\nbackend: nonsense\nfoo: \xff\n")
    (tmp_path / "elsewhere").write_text("axes.formatter.use_locale: True\nfont.size: 99\n", encoding="utf-8")
    program = (
        "from pytorch_designer.reporting.figures import Line, line_chart\n"
        "print(line_chart('loss', Line('a', [2.0, 1.0]), Line('b', [2.0, 1.0]), x_label='Epoch').svg)"
    )
    drawn = [
        subprocess.run(
            [sys.executable, "-c", program],
            cwd=folder, env={**os.environ, **variables}, capture_output=True, text=True, check=True, timeout=60,
        )
        for folder, variables in (
            (tmp_path / "..", {}),
            (
                tmp_path,
                {
                    "MPLBACKEND": "module://matplotlib_inline.backend_inline_of_nobody",
                    "MATPLOTLIBRC": str(tmp_path / "elsewhere"),
                    "MPLCONFIGDIR": "/proc/nothing",
                },
            ),
            (tmp_path, {"MPLBACKEND": "nonsense"}),
        )
    ]  # fmt: skip
    assert len({done.stdout for done in drawn}) == 1
    assert "could not be drawn" not in drawn[0].stdout
    assert not "".join(done.stderr for done in drawn)


def test_a_chart_that_cannot_be_drawn_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(settings: object) -> None:
        raise OSError("no room for <fonts>")

    monkeypatch.setattr("pytorch_designer.reporting.figures.drawing_settings", broken)
    texts = _texts(_curve([2.0, 1.0]).svg)

    assert texts == ["This chart could not be drawn.", "OSError: no room for <fonts>"]


def test_within_a_page_a_chart_takes_its_colors_and_has_no_ids_that_could_clash() -> None:
    svg = _curve([2.0, 1.0]).inline_svg

    assert svg.startswith("<svg")
    assert not re.search(r"#[0-9a-f]{6}\b", svg)
    assert "var(--accent)" in svg
    assert '<g id="' not in svg


def test_roc_curves_name_their_averages_and_not_each_class() -> None:
    classes = [Line("cat", [0.0, 0.75, 1.0]), Line("dog", [0.25, 0.5, 1.0])]
    texts = _texts(roc_chart("roc", [Line("Mean (AUC 0.9)", [0.0, 0.5, 1.0])], classes).svg)

    assert {"Mean (AUC 0.9)", "Each class", "False positive rate", "True positive rate"} <= set(texts)
    assert "cat" not in texts


def test_two_roc_curves_are_told_apart() -> None:
    svg = roc_chart("roc", [Line("First", [0.5, 1.0]), Line("Second", [0.0, 1.0])]).inline_svg

    assert "var(--accent)" in svg
    assert "var(--second)" in svg


def test_a_reliability_diagram_leaves_out_bins_without_predictions() -> None:
    bars = [ReliabilityBar(0.0, 0.5, math.nan, math.nan, 0.0), ReliabilityBar(0.5, 1.0, 0.8, 0.6, 1.0)]
    svg = reliability_chart("calibration", bars).svg

    assert "nan" not in svg.lower()
    assert {"Accuracy", "Confidence", "Images", "Perfectly calibrated"} <= set(_texts(svg))
