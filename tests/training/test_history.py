"""Exact metric sums, against values worked out by hand."""

from __future__ import annotations

import math

import pytest
import torch

from pytorch_designer.training.history import MetricSums, count_correct


def test_loss_and_accuracies_of_two_images() -> None:
    sums = MetricSums()
    sums.add(torch.tensor([[0.0, 0.0, 0.0], [0.0, math.log(2.0), 0.0]]), torch.tensor([0, 0]))
    result = sums.metrics()
    assert result.loss == pytest.approx((math.log(3.0) + math.log(4.0)) / 2, rel=1e-7)
    assert (result.top1, result.top5, result.num_images) == (0.5, 1.0, 2)


def test_sums_do_not_depend_on_the_batches() -> None:
    generator = torch.Generator().manual_seed(3)
    logits_nk = torch.randn(101, 7, generator=generator)
    labels_n = torch.randint(0, 7, (101,), generator=generator)
    whole, parts = MetricSums(), MetricSums()
    whole.add(logits_nk, labels_n)
    for start in range(0, 101, 13):
        parts.add(logits_nk[start : start + 13], labels_n[start : start + 13])
    assert whole == parts


def test_top5_counts_the_fifth_and_not_the_sixth() -> None:
    scores = torch.tensor([[9.0, 8.0, 7.0, 6.0, 5.0, 4.0]] * 2)
    assert count_correct(scores, torch.tensor([4, 5])).tolist() == [0, 1]


def test_top5_of_fewer_than_five_classes_is_everything() -> None:
    assert count_correct(torch.zeros(2, 3), torch.tensor([2, 0])).tolist() == [1, 2]


def test_ties_are_broken_as_argmax_breaks_them() -> None:
    scores = torch.tensor([[1.0, 3.0, 3.0]] * 3)
    labels = torch.tensor([0, 1, 2])
    assert count_correct(scores, labels)[0] == int((scores.argmax(1) == labels).sum()) == 1


def test_nan_scores_are_never_correct() -> None:
    assert count_correct(torch.full((1, 6), math.nan), torch.tensor([0])).tolist() == [0, 0]


def test_no_image_gives_nan_and_not_a_division_by_zero() -> None:
    assert math.isnan(MetricSums().metrics().loss)


def test_known_batch_is_weighted_with_its_images() -> None:
    sums = MetricSums()
    sums.add_batch(loss=1.0, top1=1, top5=2, num_images=2)
    sums.add_batch(loss=4.0, top1=0, top5=1, num_images=1)
    assert sums.metrics().loss == 2.0
    assert sums.metrics().top1 == pytest.approx(1 / 3)
