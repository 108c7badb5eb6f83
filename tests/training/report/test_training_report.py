from __future__ import annotations

import csv
import json
import math
import re
import shutil
import subprocess
import sys
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest

from pytorch_designer.directories.image_directory import open_image_directory
from pytorch_designer.directories.preprocessing import Preprocessing
from pytorch_designer.directories.scores.thumbnail_file import MAX_THUMBNAIL_BYTES
from pytorch_designer.reporting.outcomes import Outcomes, select
from pytorch_designer.reporting.pictures import OFF, ClassPictures, PictureSource, mistakes_table
from pytorch_designer.settings import settings
from pytorch_designer.training.datasets import LabeledDatasets, check_datasets
from pytorch_designer.training.history import BadFileRecord, DatasetRecord, EpochRecord, Metrics, RunSummary
from pytorch_designer.training.report.report_images import ReportImages, gather_images
from pytorch_designer.training.report.training_report import read_summary, write_report
from tests.images.digits import write_digits
from tests.reporting.outline import Outline

pytestmark = pytest.mark.slow

if TYPE_CHECKING:
    from pathlib import Path

_SUMMARY = RunSummary(
    history=(
        EpochRecord(
            1,
            Metrics(1.25, 0.5, 1.0, 200),
            Metrics(1.0, 0.6, 1.0, 10),
            0.0005,
            210.5,
            12.25,
            is_best=True,
            balanced_accuracy=0.55,
        ),
        EpochRecord(2, Metrics(0.75, 0.7, 1.0, 200), Metrics(0.5, 0.8, 1.0, 10), 0.0, 220.0, 11.0, is_best=True),
        EpochRecord(3, Metrics(0.25, 0.9, 1.0, 200), Metrics(0.625, 0.7, 1.0, 10), 0.0, 220.0, 11.0, is_best=False),
    ),
    best_epoch=2,
    stop_reason="All 3 epochs were run.",
    classes=("cat", "dog", "fox"),
    confusion=np.array([[4, 0, 0], [2, 4, 0], [0, 0, 0]]),
    parameters={"epochs": 3, "batch_size": 16, "learning_rate": 0.001, "random_seed": 10**30, "patience": 3},
    environment={"Device": "CPU", "PyTorch": "2.15.0"},
    data={"Training images": "200"},
    fingerprint="abc123",
    bad_files=(BadFileRecord("training_dataset", "image/0_7.jpg", "truncated JPEG"),),
)

_AWKWARD = (
    "<script>alert('x')</script>",
    "line\nbreak\r\0",
    "\U0001f600 \u6f22\u5b57 \u202eright to left",
    "caf\udce9",
    "$5 to $10 \\frac{",
    "x" * 5000,
    "",
    "</style></svg>--><!--",
)


def _page(folder: Path, summary: RunSummary) -> Outline:
    write_report(folder, summary)
    return Outline((folder / "index.html").read_text(encoding="utf-8"))


def test_history_has_one_row_per_epoch(tmp_path: Path) -> None:
    write_report(tmp_path / "new" / "report", _SUMMARY)

    with (tmp_path / "new" / "report" / "history.csv").open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert len(rows) == 3
    assert rows[0] == {
        "epoch": "1",
        "train_loss": "1.25",
        "train_top1": "0.5",
        "train_top5": "1.0",
        "validation_loss": "1.0",
        "validation_top1": "0.6",
        "validation_top5": "1.0",
        "validation_balanced_accuracy": "0.55",
        "learning_rate": "0.0005",
        "images_per_second": "210.5",
        "seconds": "12.25",
        "is_best": "True",
    }


def test_metrics_are_those_of_the_saved_epoch_and_of_each_class(tmp_path: Path) -> None:
    write_report(tmp_path, _SUMMARY)

    metrics = json.loads((tmp_path / "metrics.json").read_text())
    assert (metrics["best_epoch"], metrics["num_epochs"], metrics["num_bad_files"]) == (2, 3, 1)
    assert metrics["validation"] == {
        "loss": 0.5,
        "top1": 0.8,
        "top5": 1.0,
        "num_images": 10,
        "balanced_accuracy": pytest.approx((1 + 4 / 6) / 2),
    }
    assert metrics["stop_reason"] == "All 3 epochs were run."
    cat, dog, fox = metrics["classes"]
    assert (cat["recall"], cat["precision"], dog["recall"]) == (1.0, 4 / 6, 4 / 6)
    assert fox == {"name": "fox", "num_images": 0, "num_predicted": 0, "recall": None, "precision": None, "f1": None}


@pytest.mark.parametrize("loss", [0.5, math.inf, -math.inf, math.nan])
def test_the_run_can_be_read_back(tmp_path: Path, loss: float) -> None:
    first = replace(_SUMMARY.history[0], validation=Metrics(loss, 0.6, 1.0, 10))
    summary = replace(_SUMMARY, history=(first, *_SUMMARY.history[1:]), classes=("a\n", "caf\udce9", "\U0001f600"))
    write_report(tmp_path, summary)

    again = read_summary(tmp_path)

    assert np.array_equal(again.confusion, summary.confusion)
    assert repr(replace(again, confusion=summary.confusion)) == repr(summary)  # repr, since NaN differs from itself
    json.loads((tmp_path / "run.json").read_text(), parse_constant=pytest.fail)


@pytest.mark.parametrize("content", ["{}", "[1]", '{"history": [{"epoch": 1}]}', "not JSON"])
def test_a_file_that_does_not_record_a_run_is_refused(tmp_path: Path, content: str) -> None:
    (tmp_path / "run.json").write_text(content)

    with pytest.raises(ValueError, match=r"run\.json is not the record of a run"):
        read_summary(tmp_path)


def test_a_model_of_before_training_is_shown_as_that(tmp_path: Path) -> None:
    nothing = Metrics(math.nan, math.nan, math.nan, 0)
    start = EpochRecord(0, nothing, Metrics(0.375, 0.9, 1.0, 10), 0.0, math.nan, 1.0, is_best=True)
    summary = replace(_SUMMARY, history=(start, *_SUMMARY.history), best_epoch=0)

    texts = _page(tmp_path, summary).texts

    assert {"90.0% validation accuracy", "0 of 3", "before training", "All 3 epochs"} <= set(texts)
    assert any("Epoch 0 is the model before training" in text for text in texts)
    assert not any("NaN" in text or "nan" in text.split() for text in texts)
    metrics = json.loads((tmp_path / "metrics.json").read_text())
    assert (metrics["best_epoch"], metrics["num_epochs"]) == (0, 3)
    assert metrics["training"] == {"loss": None, "top1": None, "top5": None, "num_images": 0}
    rows = list(csv.DictReader((tmp_path / "history.csv").read_text().splitlines()))
    assert [row["epoch"] for row in rows] == ["0", "1", "2", "3"]
    assert repr(read_summary(tmp_path).history) == repr(summary.history)


def test_the_page_shows_what_counts(tmp_path: Path) -> None:
    texts = _page(tmp_path, _SUMMARY).texts

    assert "80.0% validation accuracy" in texts
    assert "2 of 3" in texts
    assert any("All 3 epochs were run." in text for text in texts)
    assert {"cat", "dog", "fox", "learning_rate", "0.001", "2.15.0", "truncated JPEG", str(10**30)} <= set(texts)


def test_the_page_needs_no_other_file_and_no_script(tmp_path: Path) -> None:
    page = _page(tmp_path, _SUMMARY)

    assert not page.tags & {"script", "link", "img", "iframe", "object", "embed"}
    references = [value or "" for name, value in page.attributes if name in {"src", "href", "xlink:href"}]
    assert all(reference.startswith("#") for reference in references)
    assert not any(name.startswith("on") for name, _ in page.attributes)


def test_figures_are_files_too(tmp_path: Path) -> None:
    write_report(tmp_path, _SUMMARY)

    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "accuracy.svg",
        "confusion.svg",
        "history.csv",
        "index.html",
        "loss.svg",
        "metrics.json",
        "run.json",
    ]


def test_no_name_breaks_the_page(tmp_path: Path) -> None:
    size = len(_AWKWARD)
    summary = replace(
        _SUMMARY,
        classes=_AWKWARD,
        confusion=np.full((size, size), 3),
        environment={name: name for name in _AWKWARD},
        bad_files=tuple(BadFileRecord(name, name, name) for name in _AWKWARD),
        stop_reason="".join(_AWKWARD),
    )

    page = _page(tmp_path, summary)

    assert "script" not in page.tags
    assert r"caf\udce9" in page.texts


def test_many_classes_show_pairs_instead_of_a_matrix(tmp_path: Path) -> None:
    confusion = np.diag(np.full(100, 5))
    confusion[7, 93] = 4
    summary = replace(_SUMMARY, classes=tuple(f"class {i}" for i in range(100)), confusion=confusion)

    page = _page(tmp_path, summary)

    assert not (tmp_path / "confusion.svg").exists()
    assert "Most confused" in page.texts
    assert page.texts.count("class 93") == 2
    assert page.texts.count("class 50") == 1
    assert "The other 80 classes" in page.texts


@pytest.mark.parametrize("num_epochs", [1, 100])
def test_short_and_long_runs_have_a_report(tmp_path: Path, num_epochs: int) -> None:
    history = tuple(replace(_SUMMARY.history[0], epoch=epoch + 1) for epoch in range(num_epochs))
    page = _page(tmp_path, replace(_SUMMARY, history=history, best_epoch=1))

    assert f"1 of {num_epochs}" in page.texts


def test_one_class_and_no_images_have_a_report(tmp_path: Path) -> None:
    empty = Metrics(math.nan, math.nan, math.nan, 0)
    history = (replace(_SUMMARY.history[0], training=empty, validation=empty, images_per_second=math.inf),)
    summary = replace(
        _SUMMARY, history=history, best_epoch=1, classes=("cat",), confusion=np.zeros((1, 1), dtype=np.int64)
    )

    page = _page(tmp_path, summary)

    assert "There is only one class." in page.texts
    assert not re.search(r"\bnan\b", " ".join(page.texts))


def test_the_same_summary_gives_the_same_bytes(tmp_path: Path) -> None:
    write_report(tmp_path / "a", _SUMMARY)
    script = (
        "import sys; from pathlib import Path; from pytorch_designer.training.report.training_report import *;"
        "assert 'matplotlib' not in sys.modules;"
        "write_report(Path('b'), read_summary(Path('a')));"
        "assert 'matplotlib.pyplot' not in sys.modules"
    )
    subprocess.run([sys.executable, "-W", "error", "-c", script], cwd=tmp_path, check=True, timeout=300)

    for path in (tmp_path / "a").iterdir():
        assert (tmp_path / "b" / path.name).read_bytes() == path.read_bytes(), path.name


def _broken(*arguments: object, **options: object) -> None:
    raise MemoryError("out of memory")


@pytest.mark.parametrize(
    "broken",
    [
        "pytorch_designer.reporting.figures.drawing_settings",
        "pytorch_designer.training.report.training_report.render_page",
        "pytorch_designer.training.report.training_report.hints",
    ],
)
def test_whatever_fails_in_the_page_leaves_the_numbers(
    broken: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(broken, _broken)
    write_report(tmp_path, _SUMMARY)

    assert read_summary(tmp_path).best_epoch == 2
    assert "MemoryError: out of memory" in (tmp_path / "index.html").read_text(encoding="utf-8")


def test_a_page_is_small_whatever_the_number_of_classes_and_their_names(tmp_path: Path) -> None:
    """Worst case: noise in all pictures, names that grow when they are escaped, thousands of classes and epochs."""
    names = tuple(f'{number}"{"<" * 300}' for number in range(3000))
    rng = np.random.default_rng(0)
    outcomes = Outcomes.blank(np.arange(3000) % 1500)
    probabilities = np.zeros((3000, 1500))
    probabilities[np.arange(3000), rng.integers(0, 1500, 3000)] = 0.9
    outcomes.record(np.arange(3000), probabilities)
    selection = select(outcomes)
    jpegs = dict.fromkeys(selection.rows, b"\xff" * MAX_THUMBNAIL_BYTES)
    source = PictureSource(outcomes, names, lambda row: names[row], jpegs)
    shown = tuple(
        ClassPictures(names[part.label], 2, 1, (), source.pictures(part.examples)) for part in selection.classes
    )
    images = ReportImages(source.pictures(selection.mistakes), 2999, shown, 1500, "", "", None)
    history = tuple(replace(_SUMMARY.history[0], epoch=epoch + 1) for epoch in range(3000))
    summary = replace(
        _SUMMARY,
        history=history,
        classes=names,
        confusion=np.eye(3000, dtype=np.int64),
        datasets=tuple(DatasetRecord(name, 3000, (1,) * 3000, "") for name in ("Training", "Validation")),
        bad_files=tuple(BadFileRecord("training_dataset", name, name) for name in names),
    )
    write_report(tmp_path, summary, images)

    assert (tmp_path / "index.html").stat().st_size < 1_500_000


def _images(jpegs: dict[int, bytes], note: str = "") -> ReportImages:
    outcomes = Outcomes.blank(np.array([0, 1]))
    outcomes.record(np.arange(2), np.array([[0.02, 0.98], [0.25, 0.75]]))
    files = ["IMG_12.jpg", '"><script>alert(1)</script>']
    source = PictureSource(outcomes, ("dog", "cat"), files.__getitem__, jpegs)
    examples = (
        ClassPictures("dog", 1, 1, (), source.pictures([0])),
        ClassPictures("cat", 1, 0, (), source.pictures([1])),
    )
    return ReportImages(source.pictures([0]), 1, examples, 2, note, mistakes_table(source.pictures([0])), None)


def test_pictures_have_a_text_that_says_what_they_show(tmp_path: Path) -> None:
    write_report(tmp_path, _SUMMARY, _images({0: b"\xff\xd8\xff", 1: b"\xff\xd8\xff"}))
    page = Outline((tmp_path / "index.html").read_text(encoding="utf-8"))

    texts = [value for name, value in page.attributes if name == "alt"]
    assert texts == [
        "IMG_12.jpg: dog, taken for cat with 98%",
        "IMG_12.jpg: dog, taken for cat with 98%",
        '"><script>alert(1)</script>: cat, recognized with 75%',
    ]
    assert "script" not in page.tags
    sources = [value or "" for name, value in page.attributes if name == "src"]
    assert all(source.startswith("data:image/jpeg;base64,") for source in sources)
    assert (tmp_path / "mistakes.csv").read_text().splitlines()[1] == "IMG_12.jpg,dog,cat,0.98,0.02"


def test_a_page_without_pictures_says_why_and_names_the_files(tmp_path: Path) -> None:
    write_report(tmp_path, _SUMMARY, _images({}, OFF))
    page = Outline((tmp_path / "index.html").read_text(encoding="utf-8"))

    assert "img" not in page.tags
    assert "PYTORCH_DESIGNER_REPORT_IMAGES is off" in page.text
    assert page.rows["Surest mistakes"] == [["IMG_12.jpg", "dog", "cat", "98%"]]


def test_the_page_says_how_to_use_the_model(tmp_path: Path) -> None:
    text = _page(tmp_path, _SUMMARY).text

    assert 'model = pytorch_designer.load_model("trained") model.predict(["a.jpg"])' in text
    assert "mlflow models serve -m trained --env-manager local" in text
    assert "docs/deploying.md" in text


def test_the_page_shows_the_images_of_each_class_in_both_sets(tmp_path: Path) -> None:
    datasets = (
        DatasetRecord("Training", 200, (100, 60, 40), "500 x 375 pixels"),
        DatasetRecord("Validation", 10, (4, 6, 0), ""),
    )
    page = _page(tmp_path, replace(_SUMMARY, datasets=datasets))

    assert page.rows["Data"] == [["fox", "40", "0"], ["dog", "60", "6"], ["cat", "100", "4"]]
    assert "500 x 375 pixels" in page.texts
    assert read_summary(tmp_path).datasets == datasets


def test_images_that_are_gone_leave_a_report(
    tmp_path: Path, digits: LabeledDatasets, caplog: pytest.LogCaptureFixture
) -> None:
    outcomes = Outcomes.blank(digits.validation_labels)
    outcomes.record(np.arange(6), np.tile([0.2, 0.8], (6, 1)))
    whole = gather_images(digits, Preprocessing(crop_height=8, crop_width=8), outcomes)
    assert whole == gather_images(digits, Preprocessing(crop_height=8, crop_width=8), outcomes)
    digits.validation.path(0).unlink()
    part = gather_images(digits, Preprocessing(crop_height=8, crop_width=8), outcomes)
    shutil.rmtree(digits.validation.root)
    none = gather_images(digits, Preprocessing(crop_height=8, crop_width=8), outcomes)

    assert (whole.note, part.note) == ("", "1 image could not be read again for this page.")
    assert none.note == "6 images could not be read again for this page."
    assert [picture.alternative for picture in none.mistakes] == [picture.alternative for picture in whole.mistakes]
    write_report(tmp_path / "report", _SUMMARY, none)
    assert "<img" not in (tmp_path / "report" / "index.html").read_text(encoding="utf-8")


def test_pictures_are_left_out_on_request(
    tmp_path: Path, digits: LabeledDatasets, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTORCH_DESIGNER_REPORT_IMAGES", "off")
    settings.cache_clear()  # the images were opened before
    outcomes = Outcomes.blank(digits.validation_labels)
    outcomes.record(np.arange(6), np.tile([0.2, 0.8], (6, 1)))
    images = gather_images(digits, Preprocessing(crop_height=8, crop_width=8), outcomes)

    assert images.note == OFF
    assert all(picture.jpeg is None for picture in images.mistakes)


@pytest.fixture
def digits(tmp_path: Path) -> LabeledDatasets:
    write_digits(tmp_path / "training", classes=2, per_class=4)
    write_digits(tmp_path / "validation", classes=2, per_class=3, skip=4)
    return check_datasets(*(open_image_directory(tmp_path / part) for part in ("training", "validation")))
