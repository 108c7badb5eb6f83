from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest

from pytorch_designer.errors import FailedToWriteOutputsError
from pytorch_designer.training.rate_search.rate_curve import suggest_rate
from pytorch_designer.training.rate_search.rate_report import replaceable_rate_search, write_rate_report

from .curves import valley

METADATA = {"Model": "resnet18 & co"}


def test_numbers_chart_and_page_are_written_and_say_the_same(tmp_path: Path) -> None:
    curve = valley(0.03, noise=0.1)
    suggestion = suggest_rate(curve)
    write_rate_report(tmp_path, curve, suggestion, metadata=METADATA, seconds=3.0)

    rows = list(csv.DictReader((tmp_path / "curve.csv").read_text(encoding="utf-8").splitlines()))
    assert [float(row["loss"]) for row in rows] == list(curve.losses)
    document = json.loads((tmp_path / "suggestion.json").read_text(encoding="utf-8"))
    assert document["learning_rate"] == suggestion.rate
    page = (tmp_path / "index.html").read_text(encoding="utf-8")
    assert f"Learning rate {suggestion.rate:g}" in page
    assert "resnet18 &amp; co" in page
    assert "<svg" in page
    assert "could not be" not in page
    assert set(replaceable_rate_search(tmp_path)) == {path.name for path in tmp_path.iterdir()}


def test_a_curve_without_a_suggestion_has_a_page_too(tmp_path: Path) -> None:
    curve = valley(0.03, depth=0.0)
    write_rate_report(tmp_path, curve, suggest_rate(curve), metadata=METADATA, seconds=3.0)

    assert "No learning rate stands out" in (tmp_path / "index.html").read_text(encoding="utf-8")


def test_only_the_result_of_a_range_test_is_replaced(tmp_path: Path) -> None:
    assert replaceable_rate_search(tmp_path / "new") == frozenset()
    curve = valley(0.03)
    write_rate_report(tmp_path, curve, suggest_rate(curve), metadata=METADATA, seconds=3.0)
    (tmp_path / "notes.txt").write_text("mine")

    with pytest.raises(FailedToWriteOutputsError) as raised:
        replaceable_rate_search(tmp_path)

    assert raised.value.reason == "not_ours"
    assert "notes.txt" in str(raised.value)
