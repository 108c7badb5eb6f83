"""Example pages with pictures of real photos: of training, of an evaluation and of a comparison."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from sklearn.datasets import load_sample_images

from pytorch_designer.evaluation.comparison import compare
from pytorch_designer.evaluation.evaluation_images import different_images, evaluation_images
from pytorch_designer.evaluation.evaluation_metrics import evaluate
from pytorch_designer.evaluation.evaluation_page import EvaluatedDataset
from pytorch_designer.evaluation.evaluation_report import write_evaluation
from pytorch_designer.images.thumbnails import as_thumbnail
from pytorch_designer.reporting.outcomes import Outcomes, select
from pytorch_designer.reporting.pictures import OFF, ClassPictures, PictureSource, mistakes_table
from pytorch_designer.training.history import BadFileRecord, DatasetRecord, EpochRecord, Metrics, RunSummary
from pytorch_designer.training.report.report_images import DuplicateFindings, DuplicatePair, ReportImages
from pytorch_designer.training.report.training_report import write_report
from tests.evaluation.scored_rows import scored

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from pytorch_designer.directories.scores.scored_dataset import ScoredDataset

ODD_NAMES = (
    "<script>alert('x')</script>",
    '"><img src="https://example.org/x.png" onerror="alert(1)">',
    "\U0001f600 \u6f22\u5b57 \u202eright to left",
    "caf\udce9",
    "a very long name without a single space " + "x" * 300,
    "=HYPERLINK(1)",
)


@cache
def thumbnails(num_images: int) -> dict[int, bytes]:
    """Crops of two photos."""
    photos, rng = load_sample_images().images, np.random.default_rng(0)
    crops = {}
    for row in range(num_images):
        photo = photos[row % 2]
        height, width = (int(rng.integers(150, 400)) for _ in range(2))
        top, left = int(rng.integers(0, photo.shape[0] - height)), int(rng.integers(0, photo.shape[1] - width))
        crops[row] = as_thumbnail(photo[top : top + height, left : left + width])
    return crops


def names_of(num_classes: int) -> tuple[str, ...]:
    """Names of classes."""
    return tuple(f"class {number}" for number in range(num_classes))


def scores_of(num_classes: int, *, seed: int = 0, per_class: int = 6) -> tuple[NDArray[np.float64], list[int]]:
    """Probabilities of images, most of which are recognized, and their labels."""
    rng = np.random.default_rng(seed)
    labels = np.repeat(np.arange(num_classes), per_class)
    logits = rng.normal(size=(len(labels), num_classes)) * 2
    logits[np.arange(len(labels)), labels] += 2.5
    scores = np.exp(logits)
    return scores / scores.sum(axis=1, keepdims=True), labels.tolist()


def training_page(
    folder: Path, classes: Sequence[str], *, with_pictures: bool = True, file_names: Sequence[str] = ("IMG_{}.jpg",)
) -> Path:
    """The page of a training run on these classes."""
    scores, labels = scores_of(len(classes))
    outcomes = Outcomes.blank(np.array(labels))
    outcomes.record(np.arange(len(labels)), scores)
    confusion = np.zeros((len(classes), len(classes)), dtype=np.int64)
    np.add.at(confusion, (np.array(labels), outcomes.predicted), 1)
    top1 = float(np.diagonal(confusion).sum() / len(labels))
    summary = RunSummary(
        history=tuple(
            EpochRecord(
                epoch, Metrics(1 / epoch, 0.5, 0.9, 200), Metrics(1.1 / epoch, top1, 0.95, len(labels)), 0.001, 210.5,
                12.25, is_best=True,
            )
            for epoch in range(1, 6)
        ),
        best_epoch=5,
        stop_reason="All 5 epochs were trained.",
        classes=tuple(classes),
        confusion=confusion,
        parameters={"epochs": 5, "batch_size": 16, "learning_rate": 0.001, "random_seed": 42, "patience": 3},
        environment={"Device": "cpu, 2 threads, fp32", "Versions": "torch 2.14.1, torchvision 0.29.1"},
        data={"Model": "resnet18, pretrained weights, 11.2 million parameters", "Image size": "224 x 224 pixels"},
        fingerprint="0123456789abcdef" * 4,
        bad_files=(BadFileRecord("training_dataset", "cat/IMG_7.jpg", "truncated JPEG: 100 bytes are missing"),),
        datasets=(
            DatasetRecord("Training", 200, tuple(range(20, 20 + len(classes))), "320 to 640 pixels wide, 240 high"),
            DatasetRecord("Validation", len(labels), (6,) * len(classes), "500 x 375 pixels"),
        ),
    )  # fmt: skip
    write_report(folder, summary, _report_images(outcomes, classes, file_names, with_pictures=with_pictures))
    return folder / "index.html"


def _report_images(
    outcomes: Outcomes, classes: Sequence[str], file_names: Sequence[str], *, with_pictures: bool
) -> ReportImages:
    selection = select(outcomes)
    jpegs = thumbnails(min(400, len(outcomes.labels))) if with_pictures else {}
    source = PictureSource(
        outcomes, classes, lambda row: file_names[row % len(file_names)].replace("{}", str(row)), jpegs
    )
    pair = DuplicatePair(source.name_of(0), classes[0], "twins/IMG_9.jpg", classes[-1], 0.9987)
    return ReportImages(
        mistakes=source.pictures(selection.mistakes),
        num_mistakes=int(outcomes.is_wrong.sum()),
        classes=tuple(
            ClassPictures(classes[part.label], part.num_images, part.num_mistakes, (), source.pictures(part.examples))
            for part in selection.classes
        ),
        num_classes=selection.num_classes,
        note="" if with_pictures else OFF,
        mistakes_csv=mistakes_table(source.pictures(np.flatnonzero(outcomes.is_wrong).tolist())),
        duplicates=DuplicateFindings((pair,), 1, 200, len(outcomes.labels), is_complete=True),
    )


def evaluation_page(
    folder: Path,
    classes: Sequence[str],
    *,
    with_pictures: bool = True,
    is_compared: bool = False,
    file_names: Sequence[str] = ("IMG_{}.jpg",),
) -> Path:
    """The page of an evaluation, or of a comparison of two."""
    folder.mkdir(parents=True)
    first = _scored(classes, 0, file_names)
    copies = thumbnails(min(400, len(first))) if with_pictures else {}
    side = EvaluatedDataset(
        evaluate(first, Path("scored")), evaluation_images(first, copies), "resnet18 (weights 3f9a2c1b0d7e)"
    )
    if not is_compared:
        write_evaluation(folder, side)
        return folder / "index.html"
    second = _scored(classes, 1, file_names)
    other = EvaluatedDataset(
        evaluate(second, Path("scored")), evaluation_images(second, copies), "densenet121 (weights 77ab03c1d2e4)"
    )
    different = different_images(first, copies, second, copies)
    write_evaluation(folder, side, other, compare(first, second), different)
    return folder / "index.html"


def _scored(classes: Sequence[str], seed: int, file_names: Sequence[str]) -> ScoredDataset:
    scores, labels = scores_of(len(classes), seed=seed)
    files = [f"{row}/" + file_names[row % len(file_names)].replace("{}", str(row)) for row in range(len(labels))]
    files = [name.encode("utf-8", "replace").decode() for name in files]
    return scored(scores, [classes[label] for label in labels], classes, files=files)
