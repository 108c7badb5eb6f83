"""Plain training script: the loop of torchvision's reference scripts, with SGD and two worker processes.

    python benchmarks/peers/script.py --data FOLDER --output FILE.json

Momentum 0.9, weight decay 1e-4, and a constant learning rate: the reference lowers it first at epoch 30.
"""

from __future__ import annotations

from typing import Any

import torch
import torchvision
from torch import nn
from torch.utils.data import DataLoader

from image_folders import open_folders
from run_request import RunRecord, parse_request


def main() -> None:
    """Train and validate epoch by epoch."""
    request = parse_request("Train with a plain PyTorch loop.")
    torch.manual_seed(request.seed)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    training, validation = open_folders(request)
    training_loader: DataLoader[Any] = DataLoader(training, batch_size=request.batch_size, shuffle=True, num_workers=2)
    validation_loader: DataLoader[Any] = DataLoader(validation, batch_size=request.batch_size, num_workers=2)
    model = torchvision.models.get_model(request.model, num_classes=request.num_classes).to(device)
    optimizer = torch.optim.SGD(model.parameters(), request.learning_rate, momentum=0.9, weight_decay=1e-4)

    record = RunRecord("torch")
    record.begin()
    for _ in range(request.epochs):
        train_one_epoch(model, optimizer, training_loader, device)
        record.training_ended()
        top1, loss = evaluate(model, validation_loader, device)
        record.validation_ended(top1=top1, loss=loss)
    record.write(request.output)


def train_one_epoch(
    model: nn.Module, optimizer: torch.optim.Optimizer, loader: DataLoader[Any], device: torch.device
) -> None:
    """Take one training step per batch."""
    criterion = nn.CrossEntropyLoss()
    model.train()
    for images, labels in loader:
        loss = criterion(model(images.to(device)), labels.to(device))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()


def evaluate(model: nn.Module, loader: DataLoader[Any], device: torch.device) -> tuple[float, float]:
    """Top-1 accuracy and mean loss over all images."""
    criterion = nn.CrossEntropyLoss(reduction="sum")
    model.eval()
    num_images, num_correct, loss_sum = 0, 0, 0.0
    with torch.inference_mode():
        for images, labels in loader:
            targets = labels.to(device)
            logits = model(images.to(device))
            num_images += len(targets)
            num_correct += int((logits.argmax(1) == targets).sum())
            loss_sum += float(criterion(logits, targets))
    return num_correct / num_images, loss_sum / num_images


if __name__ == "__main__":
    main()
