"""Images of an evaluation: the most wrong ones by name, likely label errors, and what two models differ in."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest

from pytorch_designer.directories.scores.scored_dataset import ScoredDataset
from pytorch_designer.directories.scores.thumbnail_file import MAX_THUMBNAIL_BYTES
from pytorch_designer.evaluation.comparison import compare
from pytorch_designer.evaluation.evaluation_images import different_images, evaluation_images
from pytorch_designer.evaluation.evaluation_metrics import evaluate
from pytorch_designer.evaluation.evaluation_page import EvaluatedDataset
from pytorch_designer.evaluation.evaluation_report import write_evaluation
from tests.evaluation.scored_rows import scored
from tests.reporting.outline import Outline

pytestmark = pytest.mark.slow

NAN_ROW = [float("nan")] * 3
JPEG = b"\xff\xd8\xff"


def _dataset() -> ScoredDataset:
    return scored(
        [[0.9, 0.05, 0.05], [0.1, 0.8, 0.1], [0.01, 0.98, 0.01], [0.3, 0.1, 0.6], NAN_ROW, [0.2, 0.7, 0.1]],
        ["cat", "cat", "cat", "cow", "cow", "dog"],
        files=["a.jpg", "b.jpg", "IMG_12.jpg", "d.jpg", "e.jpg", "f.jpg"],
    )


def _page(folder: Path, dataset: ScoredDataset, thumbnails: dict[int, bytes], model: str = "") -> Outline:
    images = evaluation_images(dataset, thumbnails)
    write_evaluation(folder, EvaluatedDataset(evaluate(dataset, folder), images, model))
    return Outline((folder / "index.html").read_text(encoding="utf-8"))


def test_the_most_wrong_images_are_named(tmp_path: Path) -> None:
    page = _page(tmp_path, _dataset(), {})

    assert page.rows["Most wrong images"] == [["IMG_12.jpg", "cat", "dog", "98%"], ["b.jpg", "cat", "dog", "80%"]]
    assert "There are no pictures, as the scored dataset holds none." in page.text
    with (tmp_path / "mistakes.csv").open(newline="") as stream:
        assert [row[0] for row in csv.reader(stream)] == ["file", "IMG_12.jpg", "b.jpg"]


def test_pictures_have_texts(tmp_path: Path) -> None:
    page = _page(tmp_path, _dataset(), {1: JPEG, 2: JPEG})

    texts = [value for name, value in page.attributes if name == "alt"]
    assert texts[:2] == ["IMG_12.jpg: cat, taken for dog with 98%", "b.jpg: cat, taken for dog with 80%"]
    assert set(texts) == set(texts[:2])


def test_likely_label_errors_are_ranked_and_their_method_is_named(tmp_path: Path) -> None:
    page = _page(tmp_path, _dataset(), {})

    assert [row[1:] for row in page.rows["Likely label errors"]] == [
        ["IMG_12.jpg", "cat", "dog", "1.0%"],
        ["b.jpg", "cat", "dog", "10.0%"],
    ]
    assert "confident learning (Northcutt, Jiang and Chuang, 2021)" in page.text


def test_each_class_can_be_opened_without_a_script(tmp_path: Path) -> None:
    page = _page(tmp_path, _dataset(), {})

    assert "cat: 2 of 3 images wrong" in page.texts
    assert "cow: 0 of 1 image wrong" in page.texts
    assert {"details", "summary"} <= page.tags
    assert "script" not in page.tags


def test_labels_that_the_model_does_not_know_are_shown(tmp_path: Path) -> None:
    page = _page(tmp_path, scored([[0.9, 0.05, 0.05], [0.1, 0.8, 0.1]], ["cat", "zebra"], files=["a", "b"]), {})
    assert page.rows["Most wrong images"] == [["b", "zebra", "dog", "80%"]]


def test_a_perfect_dataset_says_so(tmp_path: Path) -> None:
    page = _page(tmp_path, scored(np.eye(3), ["cat", "dog", "cow"]), {})
    assert "No image was taken for another class." in page.texts
    assert "Likely label errors" not in page.texts


def test_pictures_are_left_out_on_request(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTORCH_DESIGNER_REPORT_IMAGES", "off")
    page = _page(tmp_path, _dataset(), {})
    assert "Pictures are left out: PYTORCH_DESIGNER_REPORT_IMAGES is off." in page.text


def test_the_two_models_are_named_and_the_images_that_one_alone_gets_right(tmp_path: Path) -> None:
    files = ["a.jpg", "b.jpg", "c.jpg"]
    first = scored([[0.9, 0.1, 0], [0.9, 0.1, 0], [0, 0.2, 0.8]], ["cat", "dog", "cow"], files=files)
    second = scored([[0.9, 0.1, 0], [0.3, 0.7, 0], [0.6, 0.2, 0.2]][::-1], ["cow", "dog", "cat"], files=files[::-1])
    different = different_images(first, {}, second, {2: JPEG})
    models = ("resnet18 (weights 3f9a2c1b0d7e)", "densenet121 (weights 77ab03c1d2e4)")
    one, other = (
        EvaluatedDataset(evaluate(dataset, tmp_path), evaluation_images(dataset, {}), model)
        for dataset, model in zip((first, second), models, strict=True)
    )
    write_evaluation(tmp_path, one, other, compare(first, second), different)
    page = Outline((tmp_path / "index.html").read_text(encoding="utf-8"))

    assert [(picture.file, picture.predicted) for picture in different.only_first] == [("c.jpg", "cat")]
    assert [(picture.file, picture.predicted) for picture in different.only_second] == [("b.jpg", "cat")]
    assert set(models) <= set(page.texts)


def test_a_dataset_that_does_not_record_its_model_is_compared_all_the_same(tmp_path: Path) -> None:
    side = EvaluatedDataset(evaluate(_dataset(), tmp_path))
    write_evaluation(tmp_path, side, side, compare(_dataset(), _dataset()))
    page = Outline((tmp_path / "index.html").read_text(encoding="utf-8"))
    assert page.texts.count("not recorded in the scored dataset") == 2


@pytest.mark.parametrize("is_compared", [False, True])
def test_a_page_is_small_whatever_the_number_of_classes_and_their_names(tmp_path: Path, is_compared: bool) -> None:
    for num_classes in (20, 600):
        names = tuple(f'{number}"{"<" * 300}' for number in range(num_classes))
        rng = np.random.default_rng(0)
        scores = rng.dirichlet(np.ones(num_classes), size=10 * num_classes)
        labels = [names[row % num_classes] for row in range(len(scores))]
        dataset = scored(scores, labels, names, files=[f'{row}"{"<" * 300}' for row in range(len(scores))])
        copies = dict.fromkeys(range(len(scores)), b"\xff" * MAX_THUMBNAIL_BYTES)
        side = EvaluatedDataset(evaluate(dataset, tmp_path), evaluation_images(dataset, copies), "x" * 100)
        folder = tmp_path / str(num_classes)
        folder.mkdir()
        if is_compared:
            different = different_images(dataset, copies, dataset, copies)
            write_evaluation(folder, side, side, compare(dataset, dataset), different)
        else:
            write_evaluation(folder, side)

        assert (folder / "index.html").stat().st_size < 1_500_000
