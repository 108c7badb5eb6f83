"""Latency of a served model, beside decoding and the forward pass alone.

    python benchmarks/serving.py [--images 16] [--runs 7] [--model resnet18] [--photos FOLDER]

A request has `--images` photos of 500x375 pixels as base64 JPEGs (crops of the two sample photos of scikit-learn,
unless `--photos` names a folder). The ways are run in turn, round after round: compare the ratios, not the times.

- floor: the same files, decoded, resized and cropped by a thread per core, and the same network on the whole batch
- model: `predict` of what MLflow has loaded, in this process, from the request's table to the table of the answer
- pyfunc: the same through MLflow, with its checks of the signature
- differences: of the probabilities of each photo alone from those in one request
"""

from __future__ import annotations

import argparse
import base64
import io
import logging
import tempfile
import warnings
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import torch
from PIL import Image
from sklearn.datasets import load_sample_images

from measuring import print_table, time_in_turn
from pytorch_designer.directories.preprocessing import Preprocessing
from pytorch_designer.images.decode import decode_image
from pytorch_designer.images.preprocess import crop_and_resize
from pytorch_designer.inference.predictor import Predictor
from pytorch_designer.models.architectures import Architecture, build_network
from pytorch_designer.models.saving import write_trained_model
from pytorch_designer.serving.classifier import ImageClassifier, open_classifier
from pytorch_designer.serving.mlflow_model import ServedModel
from pytorch_designer.system.resources import usable_cores

if TYPE_CHECKING:
    from collections.abc import Callable

CLASSES = ("cat", "dog", "owl")
PREPROCESSING = Preprocessing(resize_size=256, crop_height=224, crop_width=224)
SIZE = (500, 375)


def main() -> None:
    """Write a model, run all ways in turn, and print a table."""
    parser = argparse.ArgumentParser(description="Seconds per request of a served model.")
    parser.add_argument("--images", type=int, default=16)
    parser.add_argument("--runs", type=int, default=7)
    parser.add_argument("--model", default="resnet18")
    parser.add_argument("--photos", type=Path)
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    logging.getLogger("mlflow").setLevel(logging.ERROR)
    photos = photos_in(options.photos, options.images) if options.photos else sample_photos(options.images)
    with tempfile.TemporaryDirectory() as folder:
        write_model(Path(folder), options.model)
        measure(Path(folder), photos, options.runs)


def sample_photos(num_images: int) -> list[bytes]:
    """JPEGs of different crops of scikit-learn's sample photos."""
    dice = np.random.default_rng(0)
    sources = [Image.fromarray(pixels) for pixels in load_sample_images().images]
    photos = []
    for number in range(num_images):
        source = sources[number % 2]
        left, top = (int(dice.integers(0, side - least)) for side, least in zip(source.size, (400, 300), strict=True))
        stream = io.BytesIO()
        source.crop((left, top, left + 400, top + 300)).resize(SIZE).save(stream, "JPEG", quality=90)
        photos.append(stream.getvalue())
    return photos


def photos_in(folder: Path, num_images: int) -> list[bytes]:
    """The first files of a folder."""
    return [file.read_bytes() for file in sorted(folder.rglob("*.jpg"))[:num_images]]


def write_model(folder: Path, name: str) -> None:
    """Write a trained model with random weights."""
    torch.manual_seed(0)
    architecture = Architecture(name)
    state_dict = build_network(architecture, len(CLASSES)).state_dict()
    write_trained_model(
        folder, architecture=architecture, state_dict=state_dict, classes=CLASSES, preprocessing=PREPROCESSING
    )


def measure(folder: Path, photos: list[bytes], runs: int) -> None:
    """Time a request in all ways, and compare lone photos with those of a request."""
    import mlflow.pyfunc

    classifier = open_classifier(folder)
    classifier.compute.activate()
    served, loaded = ServedModel(classifier), mlflow.pyfunc.load_model(str(folder))
    table = pd.DataFrame({"image": [base64.b64encode(photo).decode() for photo in photos]})
    floor = floor_of(classifier, photos)
    ways = {"floor": floor, "model": lambda: served.predict(table), "pyfunc": lambda: loaded.predict(table)}
    title = f"a request of {len(photos)} photos, {classifier.compute.describe()}"
    print_table(title, time_in_turn(ways, runs), len(photos))
    together = classifier.classify(photos).probabilities
    alone = np.concatenate([classifier.classify([photo]).probabilities for photo in photos])
    print(f"largest difference of a probability, alone and in one request: {np.abs(together - alone).max():.2g}")


def floor_of(classifier: ImageClassifier, photos: list[bytes]) -> Callable[[], object]:
    """Decoding in threads, and one forward pass, written down as directly as possible."""
    predictor = Predictor(classifier.model.network, PREPROCESSING, classifier.compute)
    threads = ThreadPoolExecutor(usable_cores())

    def decoded(photo: bytes) -> torch.Tensor:
        return crop_and_resize(decode_image(photo), PREPROCESSING)

    def run() -> None:
        predictor.logits(torch.stack(list(threads.map(decoded, photos)))).double().softmax(dim=1)

    return run


if __name__ == "__main__":
    main()
