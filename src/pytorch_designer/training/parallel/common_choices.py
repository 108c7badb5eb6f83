"""Choices that the processes of a run must have in common before they train, and warnings about them."""

from __future__ import annotations

import logging
from dataclasses import replace
from typing import TYPE_CHECKING

from pytorch_designer.errors import UnsupportedEnvironmentError
from pytorch_designer.inference.compute import Compute, choose_compute
from pytorch_designer.models.batch_norm import batch_norms
from pytorch_designer.settings import settings
from pytorch_designer.training.report.advice import batch_hints
from pytorch_designer.wording import count

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from pytorch_designer.directories.preprocessing import Preprocessing
    from pytorch_designer.distributed.world import World
    from pytorch_designer.inference.predictor import Predictor
    from pytorch_designer.training.recipe import Hyperparameters

_log = logging.getLogger(__name__)


def choose_compute_together(preprocessing: Preprocessing, world: World) -> Compute:
    """The choice of this process for images of this size, with as many threads as all processes can have.

    Raises:
        UnsupportedEnvironmentError: A device was asked for that a machine does not have.
    """
    height, width = preprocessing.crop_height, preprocessing.crop_width
    own = world.verdict_of_all(lambda: choose_compute(settings(), height=height, width=width, world=world))
    return replace(own, num_threads=min(world.gather(own.num_threads)))


def refuse_different_runs(fingerprint: str, describe: Callable[[], Mapping[str, str]], world: World) -> None:
    """Refuse processes that would train something else than the first one does.

    Args:
        fingerprint: Hash of everything that determines the result of this process.
        describe: What that is, by a name for users; is called where processes differ.
        world: The processes.

    Raises:
        UnsupportedEnvironmentError: There are some.
    """
    fingerprints = world.gather(fingerprint)
    others = [rank for rank, found in enumerate(fingerprints) if found != fingerprints[0]]
    if others:
        descriptions = world.gather(dict(describe()))
        first, other = descriptions[0], descriptions[others[0]]
        differing = [name for name in first if first[name] != other[name]]
        raise UnsupportedEnvironmentError(
            f"{count(len(others), 'process', 'processes')} of {world.size} would train something else than the first.",
            where=f"rank {others[0]}",
            examples=[f"not the same: {name}" for name in differing or ["the weights of the network"]],
            advice="Give all processes the same inputs, parameters, versions and kind of device.",
            reason="different_runs",
        )


def warn_of_batch(predictor: Predictor, hyperparameters: Hyperparameters, world: World) -> None:
    """Log, in the first process, what is known to train badly at this batch size."""
    if world.is_first:
        takes_statistics = normalizes_by_batches(predictor)
        for hint in batch_hints(hyperparameters.batch_size, world.size, normalizes_by_batches=takes_statistics):
            _log.warning("%s %s", hint.seen, hint.advice)


def normalizes_by_batches(predictor: Predictor) -> bool:
    """Whether the network has batch norm that takes its statistics from the batches of training."""
    return not predictor.keeps_statistics and bool(batch_norms(predictor.network))
