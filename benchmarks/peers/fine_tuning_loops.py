"""Fine-tuning by training loops: torchvision's and timm's, at the defaults of their training scripts.

    python benchmarks/peers/fine_tuning_loops.py --folder FOLDER --output RUNS.jsonl < REQUESTS

* torchvision: SGD with momentum 0.9, and the rate divided by ten every seven epochs, as in its transfer-learning
  tutorial.
* timm: SGD with Nesterov momentum 0.9 and weight decay 2e-5, label smoothing 0.1, a cosine per epoch after a warm-up of
  five epochs, which is that of its script. It is made for long runs: five epochs are its warm-up.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from fine_tuning_task import (
    BATCH_SIZE,
    LabeledImages,
    TuningRecord,
    TuningRequest,
    build_network,
    pretrained_network,
    read_images,
    serve_command,
    training_rows,
    weights_file,
)

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from torch import Tensor


SOURCE_EPOCHS = {"pvt_v2_b0": 8}
"""Passes over a source by network, where six teach it too little: transformers from scratch."""


def main() -> None:
    """Make the runs that standard input asks for."""
    serve_command("Fine-tune with plain loops.", fine_tune)


def fine_tune(request: TuningRequest, folder: Path) -> dict[str, Any]:
    """Make one run."""
    task = request.task
    parts = {part: read_images(folder / request.target / part) for part in ("training", "validation", "test")}
    training = parts["training"].take(training_rows(parts["training"].labels.numpy(), task))
    weights = weights_file(folder, request.source, task.network)
    network = pretrained_network(task.network, weights, training.num_classes)
    record = TuningRecord(network, parts["validation"])
    optimizer, end_epoch, criterion = _RECIPES[request.way](network, task.learning_rate or 0.001, task.epochs)
    for epoch in range(1, task.epochs + 1):
        train_one_epoch(network, optimizer, criterion, training)
        end_epoch(epoch)
        record.epoch_ended()
    return record.result(parts["test"])


def train_one_epoch(
    network: nn.Module, optimizer: torch.optim.Optimizer, criterion: nn.Module, training: LabeledImages
) -> None:
    """A step per batch of 16, in a random order; a lone image at the end is left out, at which batch norm fails."""
    inputs = training.inputs
    network.train()
    for rows in torch.randperm(len(inputs)).split(BATCH_SIZE):
        if len(rows) > 1:
            loss: Tensor = criterion(network(inputs[rows]), training.labels[rows])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()


def learn_source(folder: Path, source: str, name: str) -> nn.Module:
    """A network that has learned a source: AdamW with one cycle up to 0.001, batches of 32; its weights are written."""
    torch.manual_seed(0)
    images = read_images(folder / source / "training")
    network = build_network(name, images.num_classes)
    epochs = SOURCE_EPOCHS.get(name, 6)
    inputs, num_steps = images.inputs, epochs * -(-len(images.labels) // 32)
    optimizer = torch.optim.AdamW(network.parameters(), 0.001, weight_decay=0.05)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 0.001, total_steps=num_steps)
    network.train()
    for _ in range(epochs):
        correct = 0
        for rows in torch.randperm(len(inputs)).split(32):
            logits = network(inputs[rows])
            loss = nn.functional.cross_entropy(logits, images.labels[rows])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
            correct += int((logits.argmax(1) == images.labels[rows]).sum())
        print(f"{source}, {name}: training accuracy {correct / len(inputs):.3f}", flush=True)
    file = weights_file(folder, source, name)
    file.parent.mkdir(exist_ok=True)
    torch.save(network.state_dict(), file)
    return network


def _torchvision(
    network: nn.Module, learning_rate: float, _epochs: int
) -> tuple[torch.optim.Optimizer, Callable[[int], None], nn.Module]:
    optimizer = torch.optim.SGD(network.parameters(), learning_rate, momentum=0.9)
    schedule = torch.optim.lr_scheduler.StepLR(optimizer, step_size=7, gamma=0.1)
    return optimizer, lambda _: schedule.step(), nn.CrossEntropyLoss()


def _timm(
    network: nn.Module, learning_rate: float, epochs: int
) -> tuple[torch.optim.Optimizer, Callable[[int], None], nn.Module]:
    from timm.optim import create_optimizer_v2
    from timm.scheduler import create_scheduler_v2

    optimizer = create_optimizer_v2(network, opt="sgd", lr=learning_rate, weight_decay=2e-5, momentum=0.9)
    schedule, _ = create_scheduler_v2(
        optimizer, sched="cosine", num_epochs=epochs, warmup_epochs=5, warmup_lr=1e-5, min_lr=0.0
    )
    return optimizer, schedule.step, nn.CrossEntropyLoss(label_smoothing=0.1)


_RECIPES = {"torchvision": _torchvision, "timm": _timm}


if __name__ == "__main__":
    main()
