"""The templates' shared parts, through the page of a training run; the pages' own tests are beside what they show."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jinja2 import UndefinedError

from pytorch_designer.reporting import page
from pytorch_designer.reporting.page import copy_page_for_studio, render_page
from tests.reporting.outline import Outline

_TEMPLATES = Path(page.__file__).parent / "templates"


def rendered(source: str, **values: Any) -> str:
    """A template's text with the settings of the pages."""
    return page.page_environment().from_string(source).render(values)


@given(st.text(st.characters(exclude_categories=())))
def test_any_text_is_safe_in_elements_and_attributes(value: str) -> None:
    for source in ("{{ value }}", "{{ value | text(400) }}"):
        shown = rendered(source, value=value)
        assert not set(shown) & set("<>\"'\n\r\0")
        shown.encode("utf-8")


def test_long_text_is_cut_before_it_is_escaped() -> None:
    assert rendered("{{ value | text(10) }}", value="<" * 50) == "&lt;" * 7 + "..."
    assert rendered("{{ value }}", value="&" * 5000).count("&amp;") < 250


def test_numbers_and_texts_joined_within_a_template_are_escaped_too() -> None:
    assert rendered("{{ 1 ~ value }}", value="<b>") == "1&lt;b&gt;"


def test_a_value_that_is_missing_is_an_error_and_no_gap() -> None:
    with pytest.raises(UndefinedError):
        render_page("training.html")


def test_a_long_name_is_shortened_and_whole_in_its_tooltip() -> None:
    cell = rendered('{% from "macros.html" import name %}{{ name(value) }}', value="x" * 100)

    assert f'title="{"x" * 100}"' in cell
    assert f">{'x' * 57}...<" in cell


@pytest.mark.parametrize(("share", "width"), [(0.25, "25.0%"), (float("nan"), "0.0%")])
def test_a_bar_is_as_wide_as_its_share(share: float, width: str) -> None:
    cell = rendered('{% from "macros.html" import bar %}{{ bar(share) }}', share=share)

    assert f"width:{width}" in cell
    assert "nan" not in cell


@pytest.mark.parametrize("num_classes", [20, 21])
def test_classes_after_the_twentieth_are_folded(num_classes: int) -> None:
    source = (
        '{% from "macros.html" import class_table, name %}'
        '{% call(class) class_table(["Class"], classes) %}<tr>{{ name(class) }}</tr>{% endcall %}'
    )
    outline = Outline(rendered(source, classes=[f"class {index}" for index in range(num_classes)]))

    assert len(outline.rows[""]) == num_classes
    assert ("details" in outline.tags) is (num_classes == 21)


def test_a_page_asks_nothing_of_the_network() -> None:
    for path in _TEMPLATES.iterdir():
        source = path.read_text(encoding="utf-8")
        assert "http://" not in source
        assert "https://" not in source
        assert "url(" not in source
    assert "default-src 'none'" in (_TEMPLATES / "base.html").read_text(encoding="utf-8")


def test_in_a_job_the_page_is_copied_to_where_the_studio_shows_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "index.html").write_text("page")
    copy_page_for_studio(tmp_path / "index.html", "report.html")
    assert not (tmp_path / "outputs").exists(), "a laptop"

    monkeypatch.setenv("AZUREML_RUN_ID", "run")
    copy_page_for_studio(tmp_path / "index.html", "report.html")
    assert (tmp_path / "outputs" / "report.html").read_text() == "page"


def test_a_page_that_cannot_be_copied_is_a_line_in_the_log(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("AZUREML_RUN_ID", "run")
    (tmp_path / "outputs").write_text("a file")
    copy_page_for_studio(tmp_path / "index.html", "report.html")
    assert "could not be copied to ./outputs" in caplog.text
