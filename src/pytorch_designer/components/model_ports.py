"""Category and output port of the components that make untrained models."""

from __future__ import annotations

from pytorch_designer.spec.component import DirectoryType, Port

IMAGE_CLASSIFICATION = "Computer Vision/Image Classification"

UNTRAINED_MODEL_OUTPUT = Port(
    "untrained_model", DirectoryType.UNTRAINED_MODEL, "The untrained model; connect it to Train PyTorch Model."
)
