"""Training with fastai as in its documentation: ImageDataLoaders, Learner, fit_one_cycle.

    python benchmarks/peers/fastai_run.py --data FOLDER --output FILE.json

The defaults are Adam, a one-cycle schedule with the given maximum learning rate, and one worker process per core.
Resize crops and scales to the network's size; in training, the crop is at a random position along the longer side.
"""

from __future__ import annotations

import torchvision
from fastai.vision.all import (
    Callback,
    ImageDataLoaders,
    Learner,
    Normalize,
    Recorder,
    Resize,
    accuracy,
    imagenet_stats,
    set_seed,
)

from run_request import RunRecord, parse_request


class EpochTimer(Callback):
    """Records the epochs of a fit."""

    order = Recorder.order + 1  # after Recorder, so that the epoch's metrics are available

    def __init__(self, record: RunRecord) -> None:
        self.record = record

    def before_fit(self) -> None:
        """Called before the first epoch."""
        self.record.begin()

    def after_train(self) -> None:
        """Called after an epoch's last training step."""
        self.record.training_ended()

    def after_epoch(self) -> None:
        """Called after validation; Recorder has training loss, validation loss and accuracy."""
        _, loss, top1 = self.learn.recorder.values[-1]
        self.record.validation_ended(top1=top1, loss=loss)


def main() -> None:
    """Fit the model."""
    request = parse_request("Train with fastai.")
    set_seed(request.seed)
    loaders = ImageDataLoaders.from_folder(
        request.data,
        train="training",
        valid="validation",
        bs=request.batch_size,
        item_tfms=Resize(request.size),
        batch_tfms=Normalize.from_stats(*imagenet_stats),
    )
    model = torchvision.models.get_model(request.model, num_classes=request.num_classes)
    record = RunRecord("fastai")
    learner = Learner(loaders, model, metrics=accuracy, cbs=EpochTimer(record))
    with learner.no_bar(), learner.no_logging():
        learner.fit_one_cycle(request.epochs, request.learning_rate)
    record.write(request.output)


if __name__ == "__main__":
    main()
