"""Features of some of the training images."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from pytorch_designer.images.loader import Batch
from pytorch_designer.inference.predictor import Predictor
from pytorch_designer.training.start.features import head_features, rows_in_turn
from tests.training.small_run import COMPUTE, PREPROCESSING


def test_rows_are_taken_class_by_class_in_turn() -> None:
    labels = np.array([0, 0, 0, 0, 2, 2, 0, 1])
    order = np.array([7, 6, 5, 4, 3, 2, 1, 0])
    assert rows_in_turn(labels, order, 3).tolist() == [5, 6, 7]  # one of each class
    assert rows_in_turn(labels, order, 5).tolist() == [3, 4, 5, 6, 7]
    assert rows_in_turn(labels, order, 100).tolist() == list(range(8))


def test_each_class_has_a_row_where_there_is_room() -> None:
    labels = np.repeat(np.arange(10), [1, 1000, 1, 1, 1, 1, 1, 1, 1, 1])
    rows = rows_in_turn(labels, np.random.default_rng(0).permutation(len(labels)), 10)
    assert labels[rows].tolist() == list(range(10))


def some_batch(num_images: int = 4) -> Batch:
    images = torch.randint(256, (num_images, 3, 8, 8), generator=torch.Generator().manual_seed(0), dtype=torch.uint8)
    return Batch(images, torch.zeros(num_images, dtype=torch.int64), np.arange(num_images))


def test_features_are_what_the_layer_is_given_in_evaluation_mode() -> None:
    network = nn.Sequential(nn.Flatten(), nn.Dropout(0.5), nn.Linear(192, 2))
    predictor, batch = Predictor(network, PREPROCESSING, COMPUTE), some_batch()
    head = network[2]
    assert isinstance(head, nn.Linear)
    (found,) = head_features(predictor, head, [batch])
    _, features_nd, logits_nk = found
    assert torch.equal(features_nd, predictor.prepare(batch.images).flatten(1))
    assert torch.equal(logits_nk, predictor.logits(batch.images))
    assert not head._forward_pre_hooks


def test_features_of_places_are_averaged() -> None:
    network = nn.Sequential(nn.Conv2d(3, 2, 1), nn.AdaptiveAvgPool2d(1), nn.Flatten())
    predictor, batch = Predictor(network, PREPROCESSING, COMPUTE), some_batch()
    head = network[0]
    assert isinstance(head, nn.Conv2d)
    ((_, features_nd, _),) = head_features(predictor, head, [batch])
    torch.testing.assert_close(features_nd, predictor.prepare(batch.images).mean((2, 3)))


@pytest.mark.parametrize("times", [0, 2])
def test_a_layer_that_is_not_used_once_is_an_error(times: int) -> None:
    layer = nn.Linear(192, 192)
    network = nn.Sequential(nn.Flatten(), *[layer] * times)
    with pytest.raises(LookupError, match=f"{times} times"):
        next(head_features(Predictor(network, PREPROCESSING, COMPUTE), layer, [some_batch()]))
