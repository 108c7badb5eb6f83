"""The training loop of torchvision's documentation, on class folders; prints images per second of its last epochs.

python benchmarks/shared_machine_loop.py FOLDER SIZE
"""

from __future__ import annotations

import statistics
import sys
import time

import torch
import torchvision
from torch.utils.data import DataLoader
from torchvision.transforms import v2

BATCH_SIZE = 16
NUM_EPOCHS = 3


def main() -> None:
    """Train ResNet-18 from scratch."""
    folder, size = sys.argv[1], int(sys.argv[2])
    crop = [v2.Resize(size * 8 // 7), v2.CenterCrop(size)] if size > 32 else []
    transform = v2.Compose([v2.ToImage(), *crop, v2.ToDtype(torch.float32, scale=True)])
    dataset = torchvision.datasets.ImageFolder(folder, transform=transform)
    loader = DataLoader(dataset, batch_size=BATCH_SIZE, shuffle=True)
    model = torchvision.models.resnet18(num_classes=len(dataset.classes))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.001, momentum=0.9)
    rates = []
    for _ in range(NUM_EPOCHS):
        start = time.perf_counter()
        for images, labels in loader:
            optimizer.zero_grad()
            loss: torch.Tensor = torch.nn.functional.cross_entropy(model(images), labels)
            torch.autograd.backward(loss)
            optimizer.step()
        rates.append(len(dataset) / (time.perf_counter() - start))
    print(statistics.median(rates[1:]))


if __name__ == "__main__":
    main()
