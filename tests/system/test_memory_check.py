"""Memory checks: what does not fit is refused before it is taken."""

from __future__ import annotations

import tracemalloc
from pathlib import Path

import numpy as np
import pytest

from pytorch_designer.directories.image_directory import open_image_directory
from pytorch_designer.directories.scores.data_frame_directory import ScoredImagesWriter
from pytorch_designer.directories.scores.scored_dataset import open_scored_dataset
from pytorch_designer.errors import InvalidDatasetError, ModuleOutOfMemoryError
from pytorch_designer.evaluation.evaluation_metrics import evaluate
from pytorch_designer.reporting.classification import most_confused
from pytorch_designer.system import memory_check
from pytorch_designer.system.memory_check import check_memory
from pytorch_designer.training.datasets import check_datasets
from tests.directories.typed_directories import write_image_directory

GIBIBYTE = 1 << 30


@pytest.fixture
def _small_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory_check, "available_memory_bytes", lambda: GIBIBYTE)


@pytest.mark.usefixtures("_small_machine")
def test_more_than_is_free_is_refused_with_both_numbers() -> None:
    check_memory(GIBIBYTE, "It takes", where="a file", advice="Less.")
    with pytest.raises(ModuleOutOfMemoryError) as caught:
        check_memory(5 * GIBIBYTE, "It takes", where="a file", advice="Less.")
    assert caught.value.what == "It takes about 5.0 GiB of memory, and 1.0 GiB are free."
    assert caught.value.reason == "too_large"


@pytest.mark.usefixtures("_small_machine")
def test_one_id_far_away_is_refused_before_training(tmp_path: Path) -> None:
    root = write_image_directory(tmp_path / "images")
    (root / "_schema.json").write_text((root / "_schema.json").read_text().replace('"id": 2', '"id": 99999'))
    dataset = open_image_directory(root)
    with pytest.raises(ModuleOutOfMemoryError, match=r"100,000 classes, .* 298\.0 GiB") as caught:
        check_datasets(dataset, dataset)
    assert "number them from 0" in caught.value.advice
    assert caught.value.where == str(root)


@pytest.mark.slow
@pytest.mark.usefixtures("_small_machine")
def test_scores_of_many_classes_are_refused_before_evaluation(tmp_path: Path) -> None:
    names = [f"class {index}" for index in range(6000)]
    with ScoredImagesWriter(tmp_path, class_names=names, has_labels=True, has_text_ids=False) as writer:
        writer.write(ids=[0], files=["0.png"], labels=names[:1], probabilities=np.full((1, 6000), 1 / 6000))
    dataset = open_scored_dataset(tmp_path)
    with pytest.raises(ModuleOutOfMemoryError, match="6,000 classes"):
        evaluate(dataset, tmp_path)


@pytest.mark.slow
def test_rows_that_a_small_file_unfolds_to_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with ScoredImagesWriter(tmp_path, class_names=["cat"], has_labels=True, has_text_ids=False) as writer:
        for _ in range(10):
            writer.write(
                ids=np.zeros(100_000, np.int64),
                files=["0.png"] * 100_000,
                labels=["cat"] * 100_000,
                probabilities=np.ones((100_000, 1)),
            )
    assert (tmp_path / "_data.parquet").stat().st_size < 1_000_000
    monkeypatch.setattr(memory_check, "available_memory_bytes", lambda: GIBIBYTE // 16)
    with pytest.raises(InvalidDatasetError, match="1,000,000 images") as caught:
        open_scored_dataset(tmp_path)
    assert caught.value.reason == "too_large"


@pytest.mark.slow
def test_an_evaluation_of_many_classes_takes_no_more_than_it_was_checked_for(tmp_path: Path) -> None:
    num_classes = 400
    names = [f"class {index}" for index in range(num_classes)]
    with ScoredImagesWriter(tmp_path, class_names=names, has_labels=True, has_text_ids=False) as writer:
        writer.write(
            ids=range(num_classes), files=["0.png"] * num_classes, labels=names, probabilities=np.eye(num_classes)
        )
    dataset = open_scored_dataset(tmp_path)
    evaluate(dataset, tmp_path)
    tracemalloc.start()
    try:
        evaluation = evaluate(dataset, tmp_path)
        most_confused(evaluation.confusion, evaluation.classes, 10)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 32 * num_classes**2 + 3_000_000  # as check_num_classes; ROC curves
