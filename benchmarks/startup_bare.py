"""The minimum before a first training step; run by benchmarks/startup.py.

    python startup_bare.py FOLDER SIZE

Imports torch and torchvision, builds ResNet-18, reads 16 files into one batch, and reports.
"""

import sys
from pathlib import Path

import torch
import torchvision
from torchvision.io import ImageReadMode, decode_image, read_file
from torchvision.transforms.functional import resize

from startup_report import report_and_end

folder, size = Path(sys.argv[1]), int(sys.argv[2])
files = sorted(folder.glob("*/*"))[:16]
network = torchvision.models.resnet18(num_classes=len(list(folder.iterdir())))
images = [decode_image(read_file(str(file)), ImageReadMode.RGB) for file in files]
batch = torch.stack([resize(image, [size, size], antialias=True) for image in images])
assert batch.shape == (16, 3, size, size)
report_and_end()
