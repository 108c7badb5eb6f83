"""`pytorch_designer.score` and `pytorch_designer.evaluate`."""

from __future__ import annotations

from pathlib import Path

import pytest

import pytorch_designer
from pytorch_designer.errors import FailedToWriteOutputsError, InvalidDatasetError, NotLabeledDatasetError
from tests.api.conftest import Trained
from tests.images.digits import write_digits


@pytest.mark.slow
def test_scores_are_evaluated_and_compared(trained: Trained, tmp_path: Path) -> None:
    scores = pytorch_designer.score(trained.run.model, trained.test_images)
    assert len(scores) == len(scores.frame) == 24
    evaluation = pytorch_designer.evaluate(scores, output=tmp_path / "evaluation")
    assert trained.run.test is not None
    assert evaluation.metrics == trained.run.test.metrics
    assert evaluation.accuracy == (scores.frame["category"] == scores.frame["Scored Labels"]).mean()
    assert evaluation.comparison is None
    assert evaluation.page.is_file()
    compared = pytorch_designer.evaluate(scores.path, compare=scores)
    assert compared.comparison is not None
    assert compared.comparison["accuracy_difference"] == 0
    assert compared.compared_metrics == compared.metrics
    for result in (scores, evaluation, compared):
        page = result._repr_html_()
        assert "<script" not in page
        assert f"{24:,}" in page
    assert "McNemar" in compared._repr_html_()


@pytest.mark.slow
def test_temporary_results_are_removed_with_their_objects(trained: Trained) -> None:
    scores = pytorch_designer.score(trained.run.path, trained.test_images, device="cpu", num_threads=1)
    folder = scores.path
    assert (folder / "_data.parquet").is_file()
    del scores
    assert not folder.exists()


@pytest.mark.slow
def test_mistakes_are_named(trained: Trained, tmp_path: Path) -> None:
    write_digits(tmp_path / "made", classes=1, per_class=3)
    unlabeled = pytorch_designer.score(trained.run.model, tmp_path / "made" / "0")
    with pytest.raises(NotLabeledDatasetError):
        pytorch_designer.evaluate(unlabeled)
    with pytest.raises(InvalidDatasetError):
        pytorch_designer.evaluate(tmp_path / "made")
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "mine.txt").write_text("mine")
    with pytest.raises(FailedToWriteOutputsError, match="not empty"):
        pytorch_designer.score(trained.run.model, trained.test_images, output=tmp_path / "out")
    with pytest.raises(InvalidDatasetError, match="splits of a dataset") as caught:
        pytorch_designer.score(trained.run.model, trained.images)
    assert all(example.startswith("pytorch_designer.") for example in caught.value.examples)
    assert 'layout="class-folders"' in caught.value.advice
