from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest

from pytorch_designer.directories.scores.scored_dataset import ScoredDataset
from pytorch_designer.evaluation.comparison import compare
from pytorch_designer.evaluation.evaluation_metrics import Evaluation, evaluate
from pytorch_designer.evaluation.evaluation_page import EvaluatedDataset, comparison_page, draw_charts, evaluation_page
from pytorch_designer.evaluation.evaluation_report import write_evaluation
from tests.evaluation.scored_rows import scored
from tests.reporting.outline import Outline

pytestmark = pytest.mark.slow

CAT, DOG, COW = np.eye(3).tolist()
NAN_ROW = [float("nan")] * 3


def evaluated(dataset: ScoredDataset) -> Evaluation:
    return evaluate(dataset, Path("scored"))


def rendered(evaluation: Evaluation) -> Outline:
    return Outline(evaluation_page(EvaluatedDataset(evaluation, charts=draw_charts(evaluation))))


def compared(first: ScoredDataset, second: ScoredDataset) -> Outline:
    evaluations = [evaluated(first), evaluated(second)]
    one, other = (EvaluatedDataset(each, charts=draw_charts(each)) for each in evaluations)
    return Outline(comparison_page(one, other, compare(first, second), None))


def many_classes(num_classes: int) -> Evaluation:
    classes = [f"class {index}" for index in range(num_classes)]
    return evaluated(scored(np.eye(num_classes), classes, classes))


def test_classes_come_from_the_lowest_f1_to_the_highest_and_undefined_ones_last() -> None:
    dataset = scored([CAT, CAT, DOG, DOG, CAT], ["cat", "cat", "dog", "dog", "dog"], classes=("cat", "dog", "cow"))
    rows = rendered(evaluated(dataset)).rows["Classes"]

    assert [row[0] for row in rows] == ["cat", "dog", "cow"]
    assert rows[2][1:] == ["0", *["\N{EN DASH}"] * 4]


def test_what_was_left_out_is_said() -> None:
    dataset = scored([CAT, NAN_ROW, DOG, COW], ["cat", "cat", None, "zebra"])
    text = rendered(evaluated(dataset)).text

    assert "1 image without scores." in text
    assert "1 image without a label." in text
    assert "1 image of classes that the model does not know. " in text
    assert "zebra" in text
    assert "2 classes without images." in text


def test_a_dataset_without_faults_has_no_remarks() -> None:
    text = rendered(evaluated(scored([CAT, DOG, COW], ["cat", "dog", "cow"]))).text

    assert "Remarks" not in text
    assert "No image was taken for another class." in text


def test_one_class_has_neither_confusions_nor_a_roc_curve() -> None:
    evaluation = evaluated(scored([[1.0]], ["only"], classes=("only",)))

    assert "Confusions" not in rendered(evaluation).text
    assert "NaN" not in rendered(evaluation).text
    assert draw_charts(evaluation).keys() == {"calibration", "confusion"}


@pytest.mark.parametrize(("num_classes", "has_matrix"), [(20, True), (21, False)])
def test_the_matrix_is_drawn_up_to_twenty_classes(num_classes: int, has_matrix: bool) -> None:
    assert ("confusion" in draw_charts(many_classes(num_classes))) is has_matrix


def test_many_classes_are_folded_and_all_there() -> None:
    page = rendered(many_classes(150))

    assert "The other 130 classes" in page.text
    assert len(page.rows["Classes"]) == 150


def test_top_five_is_shown_where_it_says_something() -> None:
    assert "Top-5" not in rendered(many_classes(5)).text
    assert "Top-5" in rendered(many_classes(6)).text


def test_two_datasets_are_compared_metric_by_metric() -> None:
    first = scored([CAT, CAT, COW], ["cat", "dog", "cow"])
    second = scored([CAT, DOG, [0.25, 0.25, 0.5]], ["cat", "dog", "cow"])
    page = compared(first, second)
    metrics = {row[0]: row[1:] for row in page.rows["All metrics"]}

    assert metrics["Accuracy"] == ["66.7%", "100%", "+33.3 points", "Second"]
    assert metrics["Top-5 accuracy"] == ["100%", "100%", "0.0 points", "\N{EN DASH}"]
    assert metrics["Expected calibration error"] == ["33.3%", "16.7%", "-16.7 points", "Second"]


def test_classes_that_got_worse_come_first() -> None:
    first = scored([CAT, DOG, CAT, CAT], ["cat", "dog", "cow", "cow"])
    second = scored([CAT, CAT, COW, COW], ["cat", "dog", "cow", "cow"])
    page = compared(first, second)

    assert [row[0] for row in page.rows["Classes"]] == ["dog", "cat", "cow"]


def test_datasets_with_other_classes_are_compared_by_name() -> None:
    first = scored([CAT, DOG], ["cat", "dog"])
    second = scored([[1, 0], [1, 0]], ["cat", "dog"], classes=("cat", "zebra"))
    page = compared(first, second)
    rows = {row[0]: row for row in page.rows["Classes"]}

    assert rows.keys() == {"cat", "dog", "cow", "zebra"}
    assert rows["dog"][2:4] == ["100%", "0%"]


@pytest.mark.parametrize(
    ("num_better", "verdict"),
    [(12, "The second model is more accurate."), (2, "The difference in accuracy can be chance.")],
)
def test_the_verdict_follows_the_test(num_better: int, verdict: str) -> None:
    labels = ["cat"] * 20
    first = scored([DOG] * 20, labels)
    second = scored([CAT] * num_better + [DOG] * (20 - num_better), labels)

    assert verdict in compared(first, second).text


def test_no_class_name_breaks_a_page() -> None:
    classes = ("<script>alert('x')</script>", '"><b onclick="x', "\U0001f600 \u6f22\u5b57", "line\nbreak\0")
    dataset = scored(np.eye(4), classes[::-1], classes)

    for page in (rendered(evaluated(dataset)), compared(dataset, dataset)):
        assert not page.tags & {"script", "b"}
        assert not any(name.startswith("on") for name, _ in page.attributes)
        assert {"<script>alert('x')</script>", "\U0001f600 \u6f22\u5b57"} <= set(page.texts)


def test_datasets_of_other_images_are_not_compared_one_by_one() -> None:
    page = compared(scored([CAT, DOG], ["cat", "dog"]), scored([CAT], ["cat"]))

    assert "Not compared image by image." in page.text
    assert "do not hold the same images" in page.text


def test_a_metric_that_is_undefined_for_one_dataset_is_a_dash() -> None:
    page = compared(scored([CAT, DOG], ["cat", "dog"]), scored([CAT], ["cat"]))
    metrics = {row[0]: row[1:] for row in page.rows["All metrics"]}

    assert metrics["ROC AUC"] == ["1.000", *["\N{EN DASH}"] * 3]


def _broken(*arguments: object, **options: object) -> None:
    raise RuntimeError("no fonts")


@pytest.mark.parametrize(
    "broken",
    [
        "pytorch_designer.reporting.figures.drawing_settings",
        "pytorch_designer.evaluation.evaluation_page.render_page",
        "pytorch_designer.evaluation.evaluation_page.most_confused",
    ],
)
def test_whatever_fails_in_the_page_leaves_the_metrics(
    broken: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(broken, _broken)
    dataset = scored([CAT, DOG, COW], ["cat", "dog", "cow"])
    side = EvaluatedDataset(evaluated(dataset))
    write_evaluation(tmp_path, side, side, compare(dataset, dataset))

    metrics = json.loads((tmp_path / "metrics.json").read_text(encoding="utf-8"))
    assert metrics["scored_dataset"]["accuracy"] == 1.0
    assert (tmp_path / "_meta.yaml").exists()
    assert "RuntimeError: no fonts" in (tmp_path / "index.html").read_text(encoding="utf-8")


def test_names_in_tables_for_people_are_no_formulas(tmp_path: Path) -> None:
    names = ("=HYPERLINK(1)", "-2", "cow")
    write_evaluation(tmp_path, EvaluatedDataset(evaluated(scored(np.eye(3), names, names))))

    with (tmp_path / "per_class.csv").open(encoding="utf-8", newline="") as stream:
        assert [row[0] for row in csv.reader(stream)] == ["class", "'=HYPERLINK(1)", "'-2", "cow"]
    with (tmp_path / "confusion_matrix.csv").open(encoding="utf-8", newline="") as stream:
        assert next(csv.reader(stream)) == ["true class", "'=HYPERLINK(1)", "'-2", "cow"]
    classes = json.loads((tmp_path / "metrics.json").read_text(encoding="utf-8"))["scored_dataset"]["classes"]
    assert [score["name"] for score in classes] == list(names)
