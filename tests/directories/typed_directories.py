"""One small directory of each type, written by this project, for tests that damage them."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch

from pytorch_designer.directories.image_directory import open_image_directory
from pytorch_designer.directories.model_directory import open_trained_model_directory
from pytorch_designer.directories.preprocessing import Preprocessing
from pytorch_designer.directories.scores.data_frame_directory import ScoredImagesWriter
from pytorch_designer.directories.scores.scored_dataset import open_scored_dataset
from pytorch_designer.directories.transformation_directory import (
    open_transformation_directory,
    write_transformation_directory,
)
from pytorch_designer.models.architectures import Architecture, build_network
from pytorch_designer.models.loading import load_model
from pytorch_designer.models.saving import write_trained_model
from tests.directories.hand_built import META, PNG, row, schema

CLASSES = ("cat", "dog", "emu")
NETWORK = Architecture("squeezenet1_1")


def write_image_directory(folder: Path) -> Path:
    (folder / "image").mkdir(parents=True)
    rows = [row(number, CLASSES[number % 3]) for number in range(6)]
    for entry in rows:
        (folder / entry["image_info"]["file_name"]).write_bytes(PNG)
    (folder / "images.lst").write_text("".join(json.dumps(entry) + "\n" for entry in rows))
    (folder / "_schema.json").write_text(schema([{"id": index, "name": name} for index, name in enumerate(CLASSES)]))
    (folder / "_meta.yaml").write_text(META)
    return folder


def write_coco(folder: Path) -> Path:
    folder.mkdir()
    (folder / "1.png").write_bytes(PNG)
    document = {
        "images": [{"id": 1, "file_name": "1.png"}],
        "annotations": [{"image_id": 1, "category_id": 7}],
        "categories": [{"id": 7, "name": "cat"}],
    }
    (folder / "labels.json").write_text(json.dumps(document))
    return folder


def write_transformations(folder: Path) -> Path:
    folder.mkdir()
    write_transformation_directory(folder, [("Resize", {"size": 32}), ("CenterCrop", 24), ("RandomHorizontalFlip", {})])
    return folder


def write_scores(folder: Path) -> Path:
    folder.mkdir()
    with ScoredImagesWriter(folder, class_names=CLASSES, has_labels=True, has_text_ids=False) as writer:
        names = [f"{number}.png" for number in range(4)]
        labels = ["cat", "dog", "emu", None]
        writer.write(ids=range(4), files=names, labels=labels, probabilities=np.full((4, 3), 1 / 3))
    return folder


def write_model(folder: Path) -> Path:
    folder.mkdir()
    torch.manual_seed(0)
    network = build_network(NETWORK, len(CLASSES))
    write_trained_model(
        folder,
        architecture=NETWORK,
        state_dict=network.state_dict(),
        classes=CLASSES,
        preprocessing=Preprocessing(resize_size=40, crop_height=32, crop_width=32),
    )
    return folder


def write_table(folder: Path) -> Path:
    folder.mkdir()
    (folder / "1.png").write_bytes(PNG)
    (folder / "2.png").write_bytes(PNG)
    (folder / "labels.csv").write_text("image,label\n1.png,cat\n2.png,dog\n")
    return folder


WRITERS: dict[str, tuple[Callable[[Path], Path], Callable[[Path], Any]]] = {
    "images": (write_image_directory, open_image_directory),
    "coco": (write_coco, open_image_directory),
    "table": (write_table, open_image_directory),
    "transformations": (write_transformations, open_transformation_directory),
    "scores": (write_scores, open_scored_dataset),
    "model": (write_model, lambda path: load_model(open_trained_model_directory(path))),
}
"""Functions that write and open a directory, by its kind."""
