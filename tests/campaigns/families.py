"""Trains one small network of each family twice, in two fresh processes, and compares the bytes of the weights.

    python -m tests.campaigns.families [--family NAME ...]

The second process trains the families in the opposite order, reads with one thread instead of eight, and keeps no
image in memory. The training images are augmented. Networks that take one size only get images of that size.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from pytorch_designer.components.registry import COMPONENTS
from pytorch_designer.spec.parameters import parse_parameters
from tests.images.digits import write_digits

# By the component that makes it; one for each family of networks that torchvision has.
FAMILIES = {
    "densenet121": "densenet",
    "resnet18": "resnet",
    "resnext50_32x4d": "resnet",
    "wide_resnet50_2": "resnet",
    **dict.fromkeys(
        (
            "alexnet",
            "convnext_tiny",
            "efficientnet_b0",
            "efficientnet_v2_s",
            "googlenet",
            "inception_v3",
            "maxvit_t",
            "mnasnet0_5",
            "mobilenet_v2",
            "mobilenet_v3_small",
            "regnet_y_400mf",
            "shufflenet_v2_x0_5",
            "squeezenet1_1",
            "swin_t",
            "swin_v2_t",
            "vgg11_bn",
            "vit_b_16",
        ),
        "image_model",
    ),
}
SIDE = 64
# From two steps on six images the statistics of some deep networks are so far off that their scores are infinite.
EPOCHS = dict.fromkeys(("efficientnet_b0", "mnasnet0_5", "mobilenet_v2"), "10")
WAYS = {
    "first": {"PYTORCH_DESIGNER_READ_THREADS": "8"},
    "second": {"PYTORCH_DESIGNER_READ_THREADS": "1", "PYTORCH_DESIGNER_CACHE_BYTES": "0"},
}
_AUGMENTATION = {
    "resize": "False",
    "center_crop": "False",
    "color_jitter": "True",
    "random_horizontal_flip": "True",
    "random_affine": "True",
}
_TOP = Path(__file__).parent.parent.parent


def differing_families(top: Path, families: Sequence[str]) -> dict[str, list[str]]:
    """Train each family in both ways below `top`; the hashes of those of which the weights differ."""
    write_digits(top / "raw", classes=3, per_class=2, side=SIDE)
    write_digits(top / "validation", classes=3, per_class=1, skip=2, side=SIDE)
    _run("init_image_transformation", {}, top / "steps", _AUGMENTATION)
    steps = {"input_image_transformation": top / "steps", "input_image_directory": top / "raw"}
    _run("apply_image_transformation", steps, top / "training", {"mode": "For training"})
    for name in families:
        made_by = {"model_name": name, "pretrained": "False"}
        _run(FAMILIES[name], {}, top / "untrained" / name, made_by)
    hashes = [_train_in_fresh_process(top, way, families) for way in WAYS]
    return {name: [found[name] for found in hashes] for name in families if len({found[name] for found in hashes}) != 1}


def train_families(top: Path, way: str, families: Sequence[str]) -> dict[str, str]:
    """Train untrained models below `top`; the SHA-256 of the weights of each."""
    hashes = {}
    for name in families:
        ports = {
            "untrained_model": top / "untrained" / name,
            "training_dataset": top / "training",
            "validation_dataset": top / "validation",
        }
        print(name, file=sys.stderr, flush=True)
        _run("train_pytorch_model", ports, top / way / name, {"epochs": EPOCHS.get(name, "1"), "batch_size": "3"})
        weights = top / way / name / "model.safetensors"
        hashes[name] = hashlib.sha256(weights.read_bytes()).hexdigest()
        weights.unlink()  # the largest have half a gigabyte
    return hashes


def main() -> int:
    parser = argparse.ArgumentParser(description="Train each family of networks twice and compare the weights.")
    parser.add_argument("--family", action="append", choices=sorted(FAMILIES))
    parser.add_argument("--worker", nargs=2, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.worker:
        folder, way = options.worker
        print(json.dumps(train_families(Path(folder), way, options.family)))
        return 0
    families = options.family or list(FAMILIES)
    started = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        differing = differing_families(Path(folder), families)
    print(f"{time.strftime('%Y-%m-%d')}, {platform.machine()}, {os.cpu_count()} cores, ", end="")
    print(f"{time.monotonic() - started:,.0f} s\n{len(families)} families: {', '.join(families)}")
    print(f"{len(differing)} differ", *differing.items(), sep="\n")
    return 1 if differing else 0


def _train_in_fresh_process(top: Path, way: str, families: Sequence[str]) -> dict[str, str]:
    ordered = families if way == "first" else list(reversed(families))
    command = [sys.executable, "-m", "tests.campaigns.families", "--worker", str(top), way]
    command += [f"--family={name}" for name in ordered]
    environment = os.environ | {"PYTORCH_DESIGNER_TRACKING": "off"} | WAYS[way]
    done = subprocess.run(command, cwd=_TOP, env=environment, stdout=subprocess.PIPE, text=True, check=True)
    hashes: dict[str, str] = json.loads(done.stdout.splitlines()[-1])
    return hashes


def _run(name: str, inputs: dict[str, Path], output: Path, parameters: dict[str, str]) -> None:
    component = COMPONENTS[name]
    (port,) = component.outputs
    component.run(inputs, {port.name: output}, parse_parameters(component.parameters, parameters))


if __name__ == "__main__":
    sys.exit(main())
