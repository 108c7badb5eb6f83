"""A torchvision classifier trained with fastai as its documentation does: ImageDataLoaders, Learner, fit_one_cycle.

    python benchmarks/peers/fastai_run.py --data FOLDER --output FILE.json

The defaults are Adam, a one-cycle schedule with the given highest learning rate, and a worker process a core. Resize
crops and scales to the network's size in one go, at a random place along the longer side in training: its default.
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


class Marks(Callback):  # type: ignore[misc]
    """Marks the epochs of a fit."""

    order = Recorder.order + 1  # so that Recorder has an epoch's values when it is marked

    def __init__(self, record: RunRecord) -> None:
        self.record = record

    def before_fit(self) -> None:
        """The first epoch follows."""
        self.record.begin()

    def after_train(self) -> None:
        """An epoch's last step is done."""
        self.record.training_ended()

    def after_epoch(self) -> None:
        """Recorder has the epoch's values: training loss, validation loss, accuracy."""
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
    learner = Learner(loaders, model, metrics=accuracy, cbs=Marks(record))
    with learner.no_bar(), learner.no_logging():
        learner.fit_one_cycle(request.epochs, request.learning_rate)
    record.write(request.output)


if __name__ == "__main__":
    main()
