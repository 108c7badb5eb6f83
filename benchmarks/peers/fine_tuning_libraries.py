"""Fine-tuning with fastai and with Hugging Face's Trainer, at their defaults.

    python benchmarks/peers/fine_tuning_libraries.py --folder FOLDER --output RUNS.jsonl < REQUESTS

* fastai: `vision_learner`, which gives the network fastai's own head, and `fine_tune`: one epoch of the head alone
  before the given number of epochs, then one cycle over all layers with lower rates for the first ones.
* HF Trainer: AdamW, linear decay to zero.

Images are in memory, so that no worker processes are needed.
"""

from __future__ import annotations

import tempfile
from typing import TYPE_CHECKING, Any

import torch
import torchvision
from torch import nn

from fine_tuning_task import (
    BATCH_SIZE,
    LabeledImages,
    TuningRecord,
    TuningRequest,
    build_network,
    is_of_torchvision,
    pretrained_network,
    read_images,
    serve_command,
    training_rows,
    weights_file,
)

if TYPE_CHECKING:
    from pathlib import Path

    from torch import Tensor


def main() -> None:
    """Make the runs that standard input asks for."""
    serve_command("Fine-tune with other libraries.", fine_tune)


def fine_tune(request: TuningRequest, folder: Path) -> dict[str, Any]:
    """Make one run."""
    parts = {part: read_images(folder / request.target / part) for part in ("training", "validation", "test")}
    parts["training"] = parts["training"].take(training_rows(parts["training"].labels.numpy(), request.task))
    weights = weights_file(folder, request.source, request.task.network)
    run = _fine_tune_fastai if request.way.startswith("fastai") else _fine_tune_trainer
    return run(request, weights, parts)


def _fine_tune_fastai(request: TuningRequest, weights: Path, parts: dict[str, LabeledImages]) -> dict[str, Any]:
    from fastai.vision.all import Callback, DataLoader, DataLoaders, default_split, model_meta, vision_learner

    task, training = request.task, parts["training"]

    class EpochEnd(Callback):
        """Validates as all ways do."""

        def after_epoch(self) -> None:
            record.epoch_ended()

    # fastai does not know where this network's body ends, and its learner ignores its own argument for it.
    model_meta.setdefault(torchvision.models.mobilenet_v2, {"cut": -1, "split": default_split})
    loader = DataLoader(_pairs(training), bs=BATCH_SIZE, shuffle=True, drop_last=len(training.labels) % 16 == 1)
    loaders = DataLoaders(loader, DataLoader(_pairs(training)[:1], bs=1))
    learner = vision_learner(
        loaders,
        getattr(torchvision.models, task.network) if is_of_torchvision(task.network) else task.network,
        n_out=training.num_classes,
        pretrained=False,
        normalize=False,
        loss_func=nn.CrossEntropyLoss(),
        cbs=EpochEnd(),
    )
    _load_body(learner.model[0], task.network, weights)
    record = TuningRecord(learner.model, parts["validation"])
    own = {} if task.learning_rate is None else {"base_lr": task.learning_rate}
    with learner.no_bar(), learner.no_logging():
        learner.fine_tune(task.epochs, **own)
    return record.result(parts["test"])


def _load_body(body: nn.Module, network: str, weights: Path) -> None:
    """The weights of the source, without its head, into the body that fastai has built."""
    state = torch.load(weights, weights_only=True)
    of_timm = getattr(body, "model", None)
    if isinstance(of_timm, nn.Module):
        missing = of_timm.load_state_dict(state, strict=False).missing_keys
    else:
        num_classes = next(reversed(state.values())).shape[0]
        whole = build_network(network, num_classes)
        whole.load_state_dict(state)
        kept = len(list(body.children()))
        missing = body.load_state_dict(nn.Sequential(*list(whole.children())[:kept]).state_dict()).missing_keys
    if missing:
        raise SystemExit(f"fastai's body has no weights for {missing}")


def _fine_tune_trainer(request: TuningRequest, weights: Path, parts: dict[str, LabeledImages]) -> dict[str, Any]:
    from transformers import Trainer, TrainerCallback, TrainingArguments

    task, training = request.task, parts["training"]
    network = pretrained_network(task.network, weights, training.num_classes)
    record = TuningRecord(network, parts["validation"])

    class EpochEnd(TrainerCallback):
        """Validates as all ways do."""

        def on_epoch_end(self, *_: object, **__: object) -> None:
            record.epoch_ended()
            network.train()

    own = {} if task.learning_rate is None else {"learning_rate": task.learning_rate}
    with tempfile.TemporaryDirectory() as folder:
        Trainer(
            model=_WithLoss(network),
            args=TrainingArguments(
                output_dir=folder,
                num_train_epochs=task.epochs,
                per_device_train_batch_size=BATCH_SIZE,
                dataloader_drop_last=len(training.labels) % BATCH_SIZE == 1,
                seed=task.seed,
                save_strategy="no",
                report_to="none",
                disable_tqdm=True,
                logging_strategy="no",
                remove_unused_columns=False,
                use_cpu=True,
                **own,
            ),
            data_collator=_collate,
            train_dataset=_pairs(training),
            callbacks=[EpochEnd()],
        ).train()
    return record.result(parts["test"])


class _WithLoss(nn.Module):
    """A classifier with the inputs and outputs that Trainer expects."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, pixel_values: Tensor, labels: Tensor) -> dict[str, Tensor]:
        """Logits and their mean cross-entropy."""
        logits = self.model(pixel_values)
        return {"loss": nn.functional.cross_entropy(logits, labels), "logits": logits}


def _pairs(images: LabeledImages) -> list[tuple[Tensor, Tensor]]:
    return list(zip(images.inputs, images.labels, strict=True))


def _collate(examples: list[tuple[Tensor, Tensor]]) -> dict[str, Tensor]:
    inputs, labels = zip(*examples, strict=True)
    return {"pixel_values": torch.stack(inputs), "labels": torch.stack(labels)}


if __name__ == "__main__":
    main()
