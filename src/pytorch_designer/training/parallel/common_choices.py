"""Choices that the processes of a run must have in common before they train, and warnings about them."""

from __future__ import annotations

import logging
from dataclasses import replace
from typing import TYPE_CHECKING

from torch import nn

from pytorch_designer.errors import UnsupportedEnvironmentError
from pytorch_designer.inference.compute import Compute, choose_compute
from pytorch_designer.settings import settings
from pytorch_designer.wording import count

if TYPE_CHECKING:
    from pytorch_designer.directories.preprocessing import Preprocessing
    from pytorch_designer.distributed.world import World
    from pytorch_designer.inference.predictor import Predictor
    from pytorch_designer.training.recipe import Hyperparameters

_log = logging.getLogger(__name__)

MOST_IMAGES_PER_STEP = 8192
"""Images of a step, of all processes, above which the learning rate can no longer make up for fewer steps."""

FEWEST_IMAGES_PER_NORM = 8
"""Images of a process below which the statistics of batch norm are too rough."""


def choose_compute_together(preprocessing: Preprocessing, world: World) -> Compute:
    """The choice of this process for images of this size, with as many threads as all processes can have.

    Raises:
        UnsupportedEnvironmentError: A device was asked for that a machine does not have.
    """
    height, width = preprocessing.crop_height, preprocessing.crop_width
    own = world.verdict_of_all(lambda: choose_compute(settings(), height=height, width=width, world=world))
    return replace(own, num_threads=min(world.gather(own.num_threads)))


def refuse_different_runs(fingerprint: str, world: World) -> None:
    """Refuse processes that would train something else than the first one does.

    Args:
        fingerprint: Hash of everything that determines the result of this process.
        world: The processes.

    Raises:
        UnsupportedEnvironmentError: There are some.
    """
    fingerprints = world.gather(fingerprint)
    others = [rank for rank, found in enumerate(fingerprints) if found != fingerprints[0]]
    if others:
        raise UnsupportedEnvironmentError(
            f"{count(len(others), 'process', 'processes')} of {world.size} would train something else than the first.",
            where=f"rank {others[0]}",
            advice="Give all processes the same inputs, parameters, versions and kind of device.",
            reason="different_runs",
        )


def warn_of_batch(predictor: Predictor, hyperparameters: Hyperparameters, world: World) -> None:
    """Log, in the first process, what is known to train badly with several processes."""
    if world.size == 1 or not world.is_first:
        return
    num_images = hyperparameters.batch_size
    num_together = num_images * world.size
    if num_together > MOST_IMAGES_PER_STEP:
        _log.warning(
            "A step sees %s: `batch_size` of each of %d processes. Above %s the accuracy usually falls, even with more "
            "epochs; use a smaller `batch_size`.",
            count(num_together, "image"),
            world.size,
            f"{MOST_IMAGES_PER_STEP:,}",
        )
    norms = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d)
    if num_images < FEWEST_IMAGES_PER_NORM and any(isinstance(one, norms) for one in predictor.network.modules()):
        _log.warning(
            "Each process normalizes by the %s of its own part of a batch (batch norm), which is too few for a good "
            "estimate; use a `batch_size` of at least %d, or fewer processes.",
            count(num_images, "image"),
            FEWEST_IMAGES_PER_NORM,
        )
