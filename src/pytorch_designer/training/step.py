"""One step of SGD."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from torch import nn
from torch.nn.functional import cross_entropy

from pytorch_designer.errors import NonFiniteLossError
from pytorch_designer.inference.memory import memory_errors
from pytorch_designer.training.metrics import count_correct
from pytorch_designer.training.optimizer import set_learning_rate

if TYPE_CHECKING:
    from torch import Tensor

    from pytorch_designer.images.loader import Batch
    from pytorch_designer.inference.predictor import Predictor
    from pytorch_designer.training.state import TrainingState


def take_step(
    state: TrainingState, batch: Batch, predictor: Predictor, *, learning_rate: float, normalizes_lone_image: bool
) -> float:
    """Train on a batch of at least one image, and count it in `state.sums`.

    Args:
        state: Changed: weights, momentum, batch-norm statistics and sums.
        batch: uint8 images [n, 3, h, w] with their labels.
        predictor: The network, its preprocessing and its device.
        learning_rate: Learning rate of this step.
        normalizes_lone_image: Whether batch norm can take its statistics from a batch of one image. Where it cannot
            (one value a channel), such a batch is normalised with the running statistics.

    Returns:
        The mean cross-entropy of the batch before the step, in nats.

    Raises:
        NonFiniteLossError: The loss is NaN or infinite; no weight was changed.
        ModuleOutOfMemoryError: The device has too little memory.
    """
    labels_n = batch.labels.to(predictor.plan.device)
    num_images = len(labels_n)
    predictor.network.train()
    if num_images == 1 and not normalizes_lone_image:
        _use_running_statistics(predictor.network)
    set_learning_rate(state.optimizer, learning_rate)
    with memory_errors(num_images):
        logits_nk, loss = batch_loss(predictor, batch.images, labels_n)
        value = loss.item()
        if not math.isfinite(value):
            raise _diverged(value, state, learning_rate)
        loss.backward()  # type: ignore[no-untyped-call]
        state.optimizer.step()
        state.optimizer.zero_grad(set_to_none=True)
    top1, top5 = count_correct(logits_nk.detach(), labels_n)
    state.sums.add_batch(loss=value, top1=top1, top5=top5, num_images=num_images)
    return value


def batch_loss(predictor: Predictor, images_nchw: Tensor, labels_n: Tensor) -> tuple[Tensor, Tensor]:
    """The logits [n, k] of uint8 images in the network's present mode, and their mean cross-entropy in nats, fp32.

    The labels, int64, are on the predictor's device already.
    """
    inputs_nchw = predictor.prepare(images_nchw)
    with predictor.plan.autocast():
        logits_nk: Tensor = predictor.network(inputs_nchw)
    return logits_nk, cross_entropy(logits_nk.float(), labels_n)


def _use_running_statistics(network: nn.Module) -> None:
    for module in network.modules():
        if isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d | nn.BatchNorm3d):
            module.eval()


def _diverged(loss: float, state: TrainingState, learning_rate: float) -> NonFiniteLossError:
    kept = "" if state.best is None else " The best weights so far are kept in the checkpoint in the output folder."
    return NonFiniteLossError(
        f"The training loss became {loss} at step {state.step + 1} of epoch {state.epoch}, "
        f"with learning rate {learning_rate:.3g}; the step was not taken.{kept}",
        where="learning_rate",
        advice="Use a lower learning_rate, a tenth of this one for instance.",
    )
