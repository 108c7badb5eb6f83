"""Warnings of doubtful data, before training."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

import numpy as np

from pytorch_designer.directories.image_directory import open_image_source
from pytorch_designer.training.datasets import check_datasets

if TYPE_CHECKING:
    import pytest

    from tests.directories.hand_built import MakeTree


def test_classes_that_no_validation_image_has_are_named(make_tree: MakeTree, caplog: pytest.LogCaptureFixture) -> None:
    root = make_tree("cat/1.png", "cat/2.png", "dog/1.png", "fox/1.png")
    with open_image_source(root) as dataset, caplog.at_level(logging.WARNING):
        assert dataset.labels is not None
        check_datasets(dataset, dataset.take(np.flatnonzero(dataset.labels == dataset.classes.index("cat"))))
    assert "none of 2 of the 3 classes, of which the metrics say nothing: dog, fox." in caplog.text


def test_a_lone_class_is_said(make_tree: MakeTree, caplog: pytest.LogCaptureFixture) -> None:
    with open_image_source(make_tree("cat/1.png", "cat/2.png")) as dataset, caplog.at_level(logging.WARNING):
        check_datasets(dataset, dataset)
    assert "only one class (cat)" in caplog.text
