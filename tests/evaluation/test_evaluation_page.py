from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

from pytorch_designer.directories.scored_dataset import ScoredDataset
from pytorch_designer.evaluation.comparison import compare
from pytorch_designer.evaluation.metrics import Evaluation, evaluate
from pytorch_designer.evaluation.page_parts import draw_charts
from pytorch_designer.evaluation.report_page import render_page
from tests.evaluation.scored_rows import scored

CAT, DOG, COW = np.eye(3).tolist()
NAN_ROW = [float("nan")] * 3


def evaluated(dataset: ScoredDataset) -> Evaluation:
    return evaluate(dataset, Path("scored"))


def shown(page: str) -> str:
    """The page's text, without markup and figures."""
    return re.sub(r"<[^>]*>", " ", re.sub(r"<(svg|style).*?</\1>", "", page, flags=re.DOTALL))


def table_rows(page: str, section: str) -> list[list[str]]:
    """The cells of each row of a section's tables."""
    inner = page[page.index(f"<h2>{section}</h2>") :].split("</section>", maxsplit=1)[0]
    rows = re.findall(r"<tr>(.*?)</tr>", inner)
    return [[re.sub(r"<[^>]*>", "", cell) for cell in re.findall(r"<td.*?</td>", row)] for row in rows if "<td" in row]


def many_classes(num_classes: int) -> Evaluation:
    classes = [f"class {index}" for index in range(num_classes)]
    return evaluated(scored(np.eye(num_classes), classes, classes))


def test_classes_come_from_the_lowest_f1_to_the_highest_and_undefined_ones_last() -> None:
    dataset = scored([CAT, CAT, DOG, DOG, CAT], ["cat", "cat", "dog", "dog", "dog"], classes=("cat", "dog", "cow"))
    rows = table_rows(render_page(evaluated(dataset)), "Classes")

    assert [row[0] for row in rows] == ["cat", "dog", "cow"]
    assert rows[2][1:] == ["0", *["\N{EN DASH}"] * 4]


def test_what_was_left_out_is_said() -> None:
    dataset = scored([CAT, NAN_ROW, DOG, COW], ["cat", "cat", None, "zebra"])
    text = shown(render_page(evaluated(dataset)))

    assert "1 image without scores." in text
    assert "1 image without a label." in text
    assert "1 image of classes that the model does not know. " in text
    assert "zebra" in text
    assert "2 classes without images." in text


def test_a_dataset_without_faults_has_no_remarks() -> None:
    page = render_page(evaluated(scored([CAT, DOG, COW], ["cat", "dog", "cow"])))

    assert "To know" not in page
    assert "No image was taken for another class." in page


def test_one_class_has_neither_confusions_nor_a_roc_curve() -> None:
    evaluation = evaluated(scored([[1.0]], ["only"], classes=("only",)))

    assert "Confusions" not in render_page(evaluation)
    assert "NaN" not in shown(render_page(evaluation))
    assert [chart.name for chart in draw_charts(evaluation)] == ["calibration", "confusion"]


@pytest.mark.parametrize(("num_classes", "has_matrix"), [(20, True), (21, False)])
def test_the_matrix_is_drawn_up_to_twenty_classes(num_classes: int, has_matrix: bool) -> None:
    names = [chart.name for chart in draw_charts(many_classes(num_classes))]

    assert ("confusion" in names) is has_matrix


def test_many_classes_are_folded_and_all_there() -> None:
    page = render_page(many_classes(150))

    assert "The other 130 classes" in page
    assert len(table_rows(page, "Classes")) == 150


def test_top_five_is_shown_where_it_says_something() -> None:
    assert "Top-5" not in shown(render_page(many_classes(5)))
    assert "Top-5" in shown(render_page(many_classes(6)))


def test_two_datasets_are_compared_figure_by_figure() -> None:
    first = scored([CAT, CAT, COW], ["cat", "dog", "cow"])
    second = scored([CAT, DOG, [0.25, 0.25, 0.5]], ["cat", "dog", "cow"])
    page = render_page(evaluated(first), evaluated(second), compare(first, second))
    figures = {row[0]: row[1:] for row in table_rows(page, "All figures")}

    assert figures["Accuracy"] == ["66.7%", "100%", "+33.3 points", "Second"]
    assert figures["Top-5 accuracy"] == ["100%", "100%", "0.0 points", "\N{EN DASH}"]
    assert figures["Expected calibration error"] == ["33.3%", "16.7%", "-16.7 points", "Second"]


def test_classes_that_got_worse_come_first() -> None:
    first = scored([CAT, DOG, CAT, CAT], ["cat", "dog", "cow", "cow"])
    second = scored([CAT, CAT, COW, COW], ["cat", "dog", "cow", "cow"])
    page = render_page(evaluated(first), evaluated(second), compare(first, second))

    assert [row[0] for row in table_rows(page, "Classes")] == ["dog", "cat", "cow"]


def test_datasets_with_other_classes_are_compared_by_name() -> None:
    first = scored([CAT, DOG], ["cat", "dog"])
    second = scored([[1, 0], [1, 0]], ["cat", "dog"], classes=("cat", "zebra"))
    page = render_page(evaluated(first), evaluated(second), compare(first, second))
    rows = {row[0]: row for row in table_rows(page, "Classes")}

    assert rows.keys() == {"cat", "dog", "cow", "zebra"}
    assert rows["dog"][2:4] == ["100%", "0%"]


@pytest.mark.parametrize(
    ("num_better", "verdict"),
    [(12, "The second one is more accurate."), (2, "The difference in accuracy can be chance.")],
)
def test_the_verdict_follows_the_test(num_better: int, verdict: str) -> None:
    labels = ["cat"] * 20
    first = scored([DOG] * 20, labels)
    second = scored([CAT] * num_better + [DOG] * (20 - num_better), labels)

    assert verdict in shown(render_page(evaluated(first), evaluated(second), compare(first, second)))
