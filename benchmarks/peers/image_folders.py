"""Conventional image input: ImageFolder, PIL and torchvision's transforms, without augmentation."""

from __future__ import annotations

from typing import TYPE_CHECKING

from PIL import Image
from torchvision import transforms
from torchvision.datasets import ImageFolder

if TYPE_CHECKING:
    from run_request import RunRequest


def open_folders(request: RunRequest) -> tuple[ImageFolder, ImageFolder]:
    """The training and the validation images."""
    training = ImageFolder(str(request.data / "training"))
    validation = ImageFolder(str(request.data / "validation"))
    with Image.open(training.samples[0][0]) as first:
        has_size = first.size == (request.size, request.size)
    training.transform = validation.transform = transforms.Compose(
        [
            transforms.Resize(request.size if has_size else request.size * 256 // 224),
            transforms.CenterCrop(request.size),
            transforms.ToTensor(),
            transforms.Normalize(mean=[0.485, 0.456, 0.406], std=[0.229, 0.224, 0.225]),
        ]
    )
    return training, validation
