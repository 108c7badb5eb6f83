"""Training with Lightning: the script's model, optimizer and two worker processes, with Trainer's defaults.

    python benchmarks/peers/lightning_run.py --data FOLDER --output FILE.json

Only console output and files are turned off: progress bar, model summary, logger and checkpoints.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import lightning
import torch
import torchvision
from torch.nn.functional import cross_entropy
from torch.utils.data import DataLoader

from image_folders import open_folders
from run_request import RunRecord, RunRequest, parse_request

if TYPE_CHECKING:
    from torch import Tensor


class ImageClassifier(lightning.LightningModule):
    """A torchvision classifier trained with SGD."""

    def __init__(self, request: RunRequest) -> None:
        super().__init__()
        self.model = torchvision.models.get_model(request.model, num_classes=request.num_classes)
        self.learning_rate = request.learning_rate

    def training_step(self, batch: tuple[Tensor, Tensor], _batch_index: int) -> Tensor:
        """The loss of a batch."""
        images, labels = batch
        return cross_entropy(self.model(images), labels)

    def validation_step(self, batch: tuple[Tensor, Tensor], _batch_index: int) -> None:
        """Log batch means, which Lightning averages over the epoch weighted by batch size."""
        images, labels = batch
        logits = self.model(images)
        self.log("validation_loss", cross_entropy(logits, labels))
        self.log("validation_top1", (logits.argmax(1) == labels).float().mean())

    def configure_optimizers(self) -> torch.optim.Optimizer:
        """SGD as in the script."""
        return torch.optim.SGD(self.parameters(), self.learning_rate, momentum=0.9, weight_decay=1e-4)


class Recorder(lightning.Callback):
    """Records the epochs of a fit."""

    def __init__(self, record: RunRecord) -> None:
        self.record = record

    def on_sanity_check_end(self, *_: object) -> None:
        """Called immediately before the workers of the first epoch start."""
        self.record.begin()

    def on_validation_start(self, trainer: Any, *_: object) -> None:
        """Called after an epoch's last training step."""
        if not trainer.sanity_checking:
            self.record.training_ended()

    def on_validation_end(self, trainer: Any, *_: object) -> None:
        """Called after validation, when the epoch's means are available."""
        if not trainer.sanity_checking:
            top1, loss = (float(trainer.callback_metrics[f"validation_{name}"]) for name in ("top1", "loss"))
            self.record.validation_ended(top1=top1, loss=loss)


def main() -> None:
    """Fit the model."""
    request = parse_request("Train with Lightning.")
    lightning.seed_everything(request.seed, workers=True)
    training, validation = open_folders(request)
    record = RunRecord("lightning")
    trainer = lightning.Trainer(
        max_epochs=request.epochs,
        callbacks=[Recorder(record)],
        enable_progress_bar=False,
        enable_model_summary=False,
        enable_checkpointing=False,
        logger=False,
    )
    trainer.fit(
        ImageClassifier(request),
        DataLoader(training, batch_size=request.batch_size, shuffle=True, num_workers=2),
        DataLoader(validation, batch_size=request.batch_size, num_workers=2),
    )
    record.write(request.output)


if __name__ == "__main__":
    main()
