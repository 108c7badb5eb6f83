"""Training with the Trainer of Hugging Face's transformers, at its defaults.

    python benchmarks/peers/trainer_run.py --data FOLDER --output FILE.json

The defaults are AdamW, linear decay of the learning rate to zero, and no worker processes. Only reports, progress bar
and checkpoints are turned off.
"""

from __future__ import annotations

import tempfile
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
import torchvision
from torch import nn
from transformers import Trainer, TrainerCallback, TrainingArguments, set_seed

from image_folders import open_folders
from run_request import RunRecord, parse_request

if TYPE_CHECKING:
    from torch import Tensor


class ImageClassifier(nn.Module):
    """A torchvision classifier with the inputs and outputs that Trainer expects."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, pixel_values: Tensor, labels: Tensor) -> dict[str, Tensor]:
        """Logits and their mean cross-entropy."""
        logits = self.model(pixel_values)
        return {"loss": nn.functional.cross_entropy(logits, labels), "logits": logits}


class Recorder(TrainerCallback):
    """Records the epochs of a training run."""

    def __init__(self, record: RunRecord) -> None:
        self.record = record

    def on_train_begin(self, *_: object, **__: object) -> None:
        """Called before the first epoch."""
        self.record.begin()

    def on_epoch_end(self, *_: object, **__: object) -> None:
        """Called after an epoch's last training step."""
        self.record.training_ended()

    def on_evaluate(self, *_: object, metrics: dict[str, float], **__: object) -> None:
        """Called after evaluation."""
        self.record.validation_ended(top1=metrics["eval_top1"], loss=metrics["eval_loss"])


def main() -> None:
    """Train the model."""
    request = parse_request("Train with Hugging Face's Trainer.")
    set_seed(request.seed)
    training, validation = open_folders(request)
    record = RunRecord("transformers")
    with tempfile.TemporaryDirectory() as folder:
        trainer = Trainer(
            model=ImageClassifier(torchvision.models.get_model(request.model, num_classes=request.num_classes)),
            args=TrainingArguments(
                output_dir=folder,
                learning_rate=request.learning_rate,
                num_train_epochs=request.epochs,
                per_device_train_batch_size=request.batch_size,
                per_device_eval_batch_size=request.batch_size,
                seed=request.seed,
                eval_strategy="epoch",
                save_strategy="no",
                report_to="none",
                disable_tqdm=True,
                remove_unused_columns=False,
            ),
            data_collator=collate,
            train_dataset=training,
            eval_dataset=validation,
            compute_metrics=compute_metrics,
            callbacks=[Recorder(record)],
        )
        trainer.train()
    record.write(request.output)


def collate(examples: list[tuple[Tensor, int]]) -> dict[str, Tensor]:
    """A batch, keyed by the model's argument names."""
    images, labels = zip(*examples, strict=True)
    return {"pixel_values": torch.stack(images), "labels": torch.tensor(labels)}


def compute_metrics(prediction: Any) -> dict[str, float]:
    """Top-1 accuracy over all images."""
    return {"top1": float(np.mean(prediction.predictions.argmax(axis=1) == prediction.label_ids))}


if __name__ == "__main__":
    main()
