"""When the state of a run is saved: now and then, at the ends of epochs, and before the process ends on request."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from pytorch_designer.errors import InterruptedRunError

if TYPE_CHECKING:
    from pytorch_designer.training.learner import Learner
    from pytorch_designer.training.loop import TrainingRun
    from pytorch_designer.training.state import TrainingState

_MAX_CHECKPOINT_SHARE = 0.02  # of the time of a run: on a slow disk, checkpoints become rarer
_LEAST_EPOCH_SHARE = 0.1  # of the time between checkpoints: epochs that are shorter do not each end with one
_FIRST_EPOCH_SHARE = 0.5  # likewise, as long as it is not known what a checkpoint costs


class CheckpointKeeper:
    """Saves the state of a run where it is due.

    Args:
        run: What is trained.
        state: Its position.
        learner: Takes its steps; a state is saved once all of them are counted.
    """

    def __init__(self, run: TrainingRun, state: TrainingState, learner: Learner) -> None:
        self._run = run
        self._state = state
        self._learner = learner
        self._saved_at = time.monotonic()
        self._epoch_end_seconds = run.checkpoint_seconds * _FIRST_EPOCH_SHARE
        self._step_seconds = run.checkpoint_seconds

    def save_if_due(self, *, is_epoch_end: bool = False) -> None:
        """Save, once enough time has passed since the last time.

        Raises:
            InterruptedRunError: The process was told to stop; the state is saved.
            FailedToWriteOutputsError: The checkpoint cannot be written.
        """
        self.stop_if_requested()
        least_seconds = self._epoch_end_seconds if is_epoch_end else self._step_seconds
        if time.monotonic() - self._saved_at >= least_seconds:
            self.save()

    def stop_if_requested(self) -> None:
        """Save and end the run if the process was told to stop; raises what `save_if_due` raises."""
        signal_number = self._run.stop_request.signal_number
        if signal_number is not None:
            self.save()
            raise InterruptedRunError(
                f"The run was told to stop (signal {signal_number}) in epoch {self._state.epoch}, after "
                f"{self._state.step} of {len(self._run.training_slices)} steps. Its state is saved.",
                signal_number=signal_number,
                where=self._run.checkpoints.folder,
            )

    def save(self) -> None:
        """Save now.

        Raises:
            FailedToWriteOutputsError: The checkpoint cannot be written.
        """
        self._learner.settle()
        # One more than the steps of an epoch, so that the end of an epoch is a position of its own.
        position = len(self._state.history) * (len(self._run.training_slices) + 1) + self._state.step
        started = time.monotonic()
        self._run.checkpoints.save(self._state, position)
        self._saved_at = time.monotonic()
        wanted = self._run.checkpoint_seconds
        affordable = (self._saved_at - started) / _MAX_CHECKPOINT_SHARE if wanted else 0.0
        self._epoch_end_seconds = max(affordable, wanted * _LEAST_EPOCH_SHARE)
        self._step_seconds = max(affordable, wanted)
