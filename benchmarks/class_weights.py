"""Weights of classes in the closed-form head, where the classes have unequal numbers of images.

    python benchmarks/class_weights.py --folder FOLDER [--seeds 1 2 3 4 5]

FOLDER is that of fine_tuning.py, with its source networks. The five classes of each target have 10 to 100 training
images, in a geometric sequence and in a random order of the classes. The head is computed from features alone; there is
no training. Printed are accuracies on test images with as many of each class, which is the balanced accuracy, and on
test images in the proportions of the training images.
"""

from __future__ import annotations

import argparse
import statistics
import sys
from collections import defaultdict
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import nn
from torch.nn.functional import cross_entropy, one_hot

sys.path.insert(0, str(Path(__file__).parent / "peers"))
from fine_tuning_pairs import PAIRS
from fine_tuning_task import logits_of, pretrained_network, read_images, weights_file
from measuring import print_conditions
from pytorch_designer.training.start.closed_form_head import PENALTIES, fit_scale

if TYPE_CHECKING:
    from torch import Tensor

SIZES = (100, 56, 32, 18, 10)
POWERS = {"no weights (ours)": 0.0, "inverse root of the size": 0.5, "inverse size": 1.0}
ADJUSTED = "no weights, logits less the logarithm of the class's share"


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description="Class weights in the closed-form head.")
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3, 4, 5])
    options = parser.parse_args()
    found: dict[str, dict[str, list[tuple[float, float, float]]]] = defaultdict(lambda: defaultdict(list))
    for name, pair in PAIRS.items():
        network = pretrained_network("resnet18", weights_file(options.folder, pair.source, "resnet18"), len(SIZES))
        network.fc = nn.Identity()
        parts = {part: read_images(options.folder / pair.target / part) for part in ("training", "test")}
        with torch.inference_mode():
            features = {part: logits_of(network, images.inputs).double() for part, images in parts.items()}
        for seed in options.seeds:
            generator = np.random.default_rng(seed)
            sizes = generator.permutation(SIZES)
            labels = parts["training"].labels.numpy()
            rows = np.concatenate(
                [generator.permutation(np.flatnonzero(labels == label))[:size] for label, size in enumerate(sizes)]
            )
            known, known_labels = features["training"][rows], parts["training"].labels[rows]
            for way, power in POWERS.items():
                weight, bias = solve(known, known_labels, power)
                found[way][name].append(score(features["test"] @ weight + bias, parts["test"].labels, sizes))
                if not power:
                    less = bias - torch.from_numpy(sizes / sizes.sum()).log()
                    found[ADJUSTED][name].append(score(features["test"] @ weight + less, parts["test"].labels, sizes))
    print_conditions("ResNet-18, 32 pixels: balanced accuracy, accuracy and cross-entropy in natural proportions")
    print(f"| head | {' | '.join(PAIRS)} | mean |\n|" + "---|" * (2 + len(PAIRS)))
    for way, by_pair in found.items():
        cells = [
            ", ".join(f"{statistics.mean(values):.3f}" for values in zip(*by_pair[pair], strict=True)) for pair in PAIRS
        ]
        every = [scores for scores_of_pair in by_pair.values() for scores in scores_of_pair]
        mean = ", ".join(f"{statistics.mean(values):.3f}" for values in zip(*every, strict=True))
        print(f"| {way} | {' | '.join(cells)} | {mean} |")


def solve(features_nd: Tensor, labels_n: Tensor, power: float) -> tuple[Tensor, Tensor]:
    """The ridge regression of the closed-form head, with weights of (images of the class) ** -power."""
    targets_nk = one_hot(labels_n).double()
    weight_n = targets_nk.sum(0)[labels_n] ** -power
    weight_n = weight_n / weight_n.mean()
    root_n1 = weight_n.sqrt()[:, None]
    center_d, mean_k = (weight_n @ values / weight_n.sum() for values in (features_nd, targets_nk))
    scaled_nd = root_n1 * (features_nd - center_d)
    scaled_nk = root_n1 * (targets_nk - mean_k)
    squares, vectors = torch.linalg.eigh(scaled_nd.T @ scaled_nd)
    projected = scaled_nd @ vectors
    best: tuple[float, Tensor, Tensor] | None = None
    for share in PENALTIES:
        damped = 1 / (squares.clamp(min=0) + share * squares.max())
        leverage_n = projected.square() @ damped + weight_n / weight_n.sum()
        residual_nk = (scaled_nk - projected @ (damped[:, None] * (projected.T @ scaled_nk))) / root_n1
        left_out_nk = targets_nk - residual_nk / (1 - leverage_n).clamp(min=1e-9)[:, None]
        error = float((weight_n[:, None] * (left_out_nk - targets_nk).square()).mean())
        if best is None or error < best[0]:
            best = (error, left_out_nk, vectors @ (damped[:, None] * (projected.T @ scaled_nk)))
    assert best is not None
    _, left_out_nk, weight_dk = best
    scale = fit_scale(left_out_nk, labels_n)
    return scale * weight_dk, scale * (mean_k - center_d @ weight_dk)


def score(
    logits_nk: Tensor, labels_n: Tensor, sizes: np.ndarray[tuple[int], np.dtype[np.int64]]
) -> tuple[float, float, float]:
    """Balanced accuracy, accuracy, and cross-entropy, the last two in the proportions of the training images."""
    is_right_n = (logits_nk.argmax(1) == labels_n).double()
    losses_n = cross_entropy(logits_nk, labels_n, reduction="none")
    recalls, losses = (
        np.array([float(values[labels_n == label].mean()) for label in range(len(sizes))])
        for values in (is_right_n, losses_n)
    )
    shares = sizes / sizes.sum()
    return float(recalls.mean()), float(shares @ recalls), float(shares @ losses)


if __name__ == "__main__":
    main()
