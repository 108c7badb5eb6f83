"""Start of a new classifier on given weights: a closed-form head instead of random weights.

Why, and what it is worth: docs/decisions/0041-closed-form-head.md.
"""

from __future__ import annotations

import logging
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING

import torch
from torch import nn
from torch.nn.functional import linear

from pytorch_designer.images.order import batch_slices, epoch_order
from pytorch_designer.inference.predictor import inference_batch_size
from pytorch_designer.training.start.closed_form_head import solve_head
from pytorch_designer.training.start.features import head_features, rows_in_turn, without_random
from pytorch_designer.wording import count

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from torch import Tensor

    from pytorch_designer.images.loader import Batch
    from pytorch_designer.models.heads import Head
    from pytorch_designer.training.start.closed_form_head import ClosedFormHead
    from pytorch_designer.training.state import TrainingRun

_log = logging.getLogger(__name__)

SHARE = 0.2
"""Share of its computed weights that the classifier learns from."""

MOST_IMAGES = 2048
"""Images whose features the head is computed from; of larger datasets, the first of each class in turn."""

_FEWEST_IMAGES = 2
_NUM_COMPARED = 8  # images by whose logits the installed head is checked
_TOLERANCE, _LEAST_DIFFERENCE = 0.25, 1e-3  # bf16 rounds; an activation after the layer changes everything


def start_head(run: TrainingRun, between: Callable[[], None]) -> bool:
    """Give the new classifier of a network with given weights the weights of a ridge regression.

    The images and their order follow from the seed alone, and what is computed does not depend on the random weights:
    whoever repeats it gets the same bits. Where it cannot be done, the classifier keeps its random weights, and the log
    says why. Without a new classifier nothing is done.

    Args:
        run: Its network's new classifier is changed.
        between: Called after each batch; may raise to end the run.

    Returns:
        Whether the classifier has these weights now.

    Raises:
        ModuleOutOfMemoryError: The device has too little memory.
        InvalidDatasetError: Too many images cannot be read.
    """
    if run.new_head is None or run.num_classes < 2:
        return False
    head = run.new_head
    try:
        compared, features_nd, labels_n = _gather(run, head, between)
        solved = solve_head(features_nd, labels_n, run.num_classes, has_bias=head.bias is not None)
        _install(run, head, solved, compared)
    except _UnusableError as error:
        _log.info("The classifier starts from random weights: %s.", error)
        return False
    _log.info(
        "The new classifier is a ridge regression on the features of %s. Left out in turn, %.1f %% of them are "
        "classified correctly.",
        count(len(labels_n), "training image"),
        100 * solved.left_out_top1,
    )
    return True


def shrink_head(run: TrainingRun) -> None:
    """Give a classifier that `start_head` has computed smaller weights, from which the epochs start.

    Whole ones separate the training images as the features are now, and leave the other layers little to learn from:
    docs/decisions/0055.
    """
    assert run.new_head is not None
    with torch.no_grad():
        for parameter in run.new_head.parameters():
            parameter.mul_(SHARE)


class _UnusableError(Exception):
    """Unusable training data for a closed-form head; the message is a clause."""


def _gather(run: TrainingRun, head: Head, between: Callable[[], None]) -> tuple[Batch, Tensor, Tensor]:
    """A few images, as the network takes them, and the features [n, d] and labels [n] of all."""
    order = epoch_order(len(run.training), seed=run.hyperparameters.random_seed, epoch=0)
    rows = rows_in_turn(run.training.labels, order, MOST_IMAGES)
    slices = batch_slices(len(rows), inference_batch_size(run.predictor.preprocessing), least_last=1)
    batches = (
        without_random(run, batch)
        for batch in run.training.batches((rows[part] for part in slices), epoch=None)
        if len(batch.labels)
    )
    compared: Batch | None = None
    features, labels = [], []
    for batch, features_nd, _ in _usable(head_features(run.predictor, head, batches)):
        if compared is None:
            compared = replace(batch, images=batch.images[:_NUM_COMPARED].clone(), labels=batch.labels[:_NUM_COMPARED])
        features.append(features_nd)
        labels.append(batch.labels)
        run.display.features_computed(num_images=sum(map(len, labels)), num_all=len(rows))
        between()
    if compared is None or sum(map(len, labels)) < _FEWEST_IMAGES:
        raise _UnusableError("there are too few training images")
    features_nd = torch.cat(features)
    if not features_nd.isfinite().all():
        raise _UnusableError("the features by the given weights are not finite")
    return compared, features_nd, torch.cat(labels)


def _usable(features: Iterator[tuple[Batch, Tensor, Tensor]]) -> Iterator[tuple[Batch, Tensor, Tensor]]:
    try:
        yield from features
    except LookupError as error:
        raise _UnusableError(str(error)) from error


def _install(run: TrainingRun, head: Head, solved: ClosedFormHead, compared: Batch) -> None:
    """Give the layer its weights, if the network's logits are then those of the solution."""
    weight_kd, bias_k = solved.weight_kd.float(), solved.bias_k.float()
    if not (weight_kd.isfinite().all() and bias_k.isfinite().all()):
        raise _UnusableError("the features by the given weights are too small")
    with _restored_unless_done(head):
        with torch.no_grad():
            head.weight.copy_(weight_kd.reshape(head.weight.shape))
            if head.bias is not None:
                head.bias.copy_(bias_k)
        if isinstance(head, nn.Conv2d) and head.bias is not None:
            _keep_positive(run, head, compared)
        _, features_nd, logits_nk = next(head_features(run.predictor, head, iter([compared])))
        expected_nk = linear(features_nd, weight_kd, bias_k)
        difference = (_centered(logits_nk) - _centered(expected_nk)).abs().max()
        if not difference <= _TOLERANCE * _centered(expected_nk).abs().max() + _LEAST_DIFFERENCE:
            raise _UnusableError("its logits are not those of one linear layer")


def _keep_positive(run: TrainingRun, head: nn.Conv2d, compared: Batch) -> None:
    """Raise the bias so far that a ReLU after the layer, as in SqueezeNet, changes nothing.

    What is added to all logits changes no probability.
    """
    lowest: list[Tensor] = []
    hook = head.register_forward_hook(lambda layer, inputs, output: lowest.append(output.float().min()))
    try:
        run.predictor.logits(compared.images)
    finally:
        hook.remove()
    assert head.bias is not None
    with torch.no_grad():
        head.bias.add_(2 * torch.stack(lowest).min().clamp(max=0).abs())


@contextmanager
def _restored_unless_done(head: Head) -> Iterator[None]:
    before = [parameter.detach().clone() for parameter in head.parameters()]
    try:
        yield
    except _UnusableError:
        with torch.no_grad():
            for parameter, value in zip(head.parameters(), before, strict=True):
                parameter.copy_(value)
        raise


def _centered(logits_nk: Tensor) -> Tensor:
    return logits_nk - logits_nk.mean(1, keepdim=True)
