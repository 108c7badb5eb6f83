"""One step of SGD."""

from __future__ import annotations

import math
from contextlib import contextmanager
from typing import TYPE_CHECKING

import torch
from torch.nn.functional import cross_entropy

from pytorch_designer.errors import ModuleOutOfMemoryError, NonFiniteLossError
from pytorch_designer.training.metrics import count_correct
from pytorch_designer.training.optimizer import set_learning_rate

if TYPE_CHECKING:
    from collections.abc import Iterator

    from torch import Tensor

    from pytorch_designer.images.loader import Batch
    from pytorch_designer.inference.predictor import Predictor
    from pytorch_designer.training.state import TrainingState


def take_step(
    state: TrainingState, batch: Batch, predictor: Predictor, *, learning_rate: float, repeats_lone_image: bool
) -> float:
    """Train on a batch of at least one image, and count it in `state.sums`.

    Args:
        state: Changed: weights, momentum, batch-norm statistics and sums.
        batch: uint8 images [n, 3, h, w] with their labels.
        predictor: The network, its preprocessing and its device.
        learning_rate: Learning rate of this step.
        repeats_lone_image: Whether a batch of one image is made of the image twice, which has the same gradient,
            because the network's batch norm cannot train on one value.

    Returns:
        The mean cross-entropy of the batch before the step, in nats.

    Raises:
        NonFiniteLossError: The loss is NaN or infinite; no weight was changed.
        ModuleOutOfMemoryError: The device has too little memory.
    """
    images_nchw, labels_n = batch.images, batch.labels.to(predictor.plan.device)
    num_images = len(labels_n)
    if num_images == 1 and repeats_lone_image:
        images_nchw, labels_n = torch.cat([images_nchw] * 2), torch.cat([labels_n] * 2)
    predictor.network.train()
    set_learning_rate(state.optimizer, learning_rate)
    with memory_errors(num_images):
        inputs_nchw = predictor.prepare(images_nchw)
        with predictor.plan.autocast():
            logits_nk: Tensor = predictor.network(inputs_nchw)
        loss = cross_entropy(logits_nk.float(), labels_n)
        value = loss.item()
        if not math.isfinite(value):
            raise _diverged(value, state, learning_rate)
        loss.backward()  # type: ignore[no-untyped-call]
        state.optimizer.step()
        state.optimizer.zero_grad(set_to_none=True)
    top1, top5 = count_correct(logits_nk.detach()[:num_images], labels_n[:num_images])
    state.sums.add_batch(loss=value, top1=top1, top5=top5, num_images=num_images)
    return value


@contextmanager
def memory_errors(num_images: int) -> Iterator[None]:
    """Turn a failed allocation of a batch of `num_images` images into a `ModuleOutOfMemoryError` that names it.

    Raises:
        ModuleOutOfMemoryError: In place of torch's error.
    """
    try:
        yield
    except torch.OutOfMemoryError as error:
        raise ModuleOutOfMemoryError(
            f"The GPU has too little memory for a batch of {num_images} images with this model.", where="batch_size"
        ) from error
    except RuntimeError as error:
        # torch has no class of its own for a failed allocation on the CPU; the allocator's name is all it gives.
        if "DefaultCPUAllocator" not in str(error):
            raise
        raise ModuleOutOfMemoryError(
            f"The machine has too little memory for a batch of {num_images} images with this model.",
            where="batch_size",
        ) from error


def _diverged(loss: float, state: TrainingState, learning_rate: float) -> NonFiniteLossError:
    kept = "" if state.best is None else " The best weights so far are kept in the checkpoint in the output folder."
    return NonFiniteLossError(
        f"The training loss became {loss} at step {state.step + 1} of epoch {state.epoch}, "
        f"with learning rate {learning_rate:.3g}; the step was not taken.{kept}",
        where="learning_rate",
        advice="Use a lower learning_rate, a tenth of this one for instance.",
    )
