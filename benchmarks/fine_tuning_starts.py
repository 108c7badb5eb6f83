"""Fine-tuning by the start of the classifier, and by the statistics of batch norm, in the same few steps.

    python benchmarks/fine_tuning_starts.py pretrain --weights WEIGHTS.pt
    python benchmarks/fine_tuning_starts.py run --weights WEIGHTS.pt --output RESULTS.jsonl [--seeds 3] [...]
    python benchmarks/fine_tuning_starts.py table --output RESULTS.jsonl

ResNet-18 at 32 pixels, from scratch on 21 letters, then fine-tuned for five classes that it has not seen:

    letters   the five letters left out, drawn like the others: near
    digits    handwritten 0 to 4 on clutter
    places    from which of five places of two photos a piece is: far

All targets have 1,000 validation images. Each result is a line of JSON, and existing results are not run again.
"""

from __future__ import annotations

import argparse
import copy
import json
import math
import time
from collections import defaultdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import matplotlib
import numpy as np
import torch
import torchvision
from PIL import Image, ImageDraw, ImageFont
from sklearn.datasets import load_sample_images
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from harder_digits import drawn_digit, split_digits
from pytorch_designer.directories.preprocessing import Preprocessing
from pytorch_designer.images.order import batch_slices, epoch_order
from pytorch_designer.images.preprocess import normalize
from pytorch_designer.training.recipe import build_optimizer, learning_rate_at
from pytorch_designer.training.start.closed_form_head import PENALTIES, RidgeFit, fit_scale
from pytorch_designer.training.start.initial_scale import reduce_norms, scale_convolutions
from recipes import batch_norms, evaluate, statistics_of, use_statistics

if TYPE_CHECKING:
    from collections.abc import Callable

    Images = tuple[Tensor, Tensor]
    Head = tuple[Tensor, Tensor]

SIDE = 32
BATCH_SIZE = 16
LETTERS = "ABCDEFGHJKLMNOPQRSTUVWXYZ"
NEW_LETTERS = "BGKRW"
FONTS = ("DejaVuSans", "DejaVuSans-Bold", "DejaVuSerif", "DejaVuSerif-Italic", "DejaVuSansMono-Oblique", "STIXGeneral")
VALIDATION_FONTS = ("DejaVuSans-Oblique", "DejaVuSerif-Bold", "DejaVuSansMono", "STIXGeneralItalic")
NUM_VALIDATION = 200
PLACES = ((0, 60, 60), (0, 60, 420), (0, 300, 240), (1, 60, 60), (1, 280, 400))


# ---------------------------------------------------------------------------------------------------------- images
def images_of(name: str, per_class: int, seed: int, *, is_validation: bool) -> Images:
    """Normalized float32 [n, 3, 32, 32] and int64 [n], class after class."""
    generator = np.random.default_rng([seed, int(is_validation)])
    make = {"source": letters, "letters": letters, "digits": digits, "places": places}[name]
    classes = [letter for letter in LETTERS if letter not in NEW_LETTERS] if name == "source" else list(NEW_LETTERS)
    pixels, labels = [], []
    for label, letter in enumerate(classes):
        for _ in range(per_class):
            pixels.append(np.asarray(make(letter, label, generator, is_validation=is_validation)))
            labels.append(label)
    images_u8 = torch.from_numpy(np.stack(pixels)).permute(0, 3, 1, 2)
    rule = Preprocessing(resize_size=SIDE, crop_height=SIDE, crop_width=SIDE)
    return normalize(images_u8, rule).contiguous(), torch.tensor(labels)


def letters(letter: str, label: int, generator: np.random.Generator, *, is_validation: bool) -> Image.Image:
    """A letter on clutter; validation has fonts of its own."""
    del label
    fonts = VALIDATION_FONTS if is_validation else FONTS
    folder = Path(matplotlib.get_data_path(), "fonts", "ttf")
    font = ImageFont.truetype(str(folder / f"{fonts[generator.integers(len(fonts))]}.ttf"), 15)
    glyph = Image.new("L", (16, 16))
    ImageDraw.Draw(glyph).text((8, 8), letter, fill=255, font=font, anchor="mm")
    return drawn_digit(np.asarray(glyph) / 255, PHOTOS, generator)


def digits(letter: str, label: int, generator: np.random.Generator, *, is_validation: bool) -> Image.Image:
    """A handwritten digit, 0 to 4, on clutter; validation has handwriting of its own."""
    del letter
    strokes = [strokes for strokes, digit in SOURCES["validation" if is_validation else "training"] if digit == label]
    return drawn_digit(strokes[generator.integers(len(strokes))], PHOTOS, generator)


def places(letter: str, label: int, generator: np.random.Generator, *, is_validation: bool) -> Image.Image:
    """A piece of a photo; validation has the lower part of each place."""
    del letter
    photo, top, left = PLACES[label]
    side = int(generator.integers(24, 49))
    y = top + int(generator.integers(0, 48)) + (64 if is_validation else 0)
    x = left + int(generator.integers(0, 112))
    piece = PHOTOS[photo][y : y + side, x : x + side]
    light = generator.uniform(0.6, 1.4, 3) * generator.uniform(0.6, 1.4)
    noisy = np.clip(piece * light + generator.normal(0, 12, piece.shape), 0, 255).astype(np.uint8)
    return Image.fromarray(noisy).resize((SIDE, SIDE), Image.Resampling.BILINEAR)


PHOTOS = load_sample_images().images
SOURCES = split_digits()


# ------------------------------------------------------------------------------------------------------ pretraining
def pretrain(path: Path, per_class: int, num_epochs: int, learning_rate: float) -> None:
    """Train from scratch on the source classes by the project's recipe, and save the weights."""
    training = images_of("source", per_class, 0, is_validation=False)
    validation = images_of("source", 30, 0, is_validation=True)
    torch.manual_seed(0)
    network = torchvision.models.resnet18(num_classes=int(training[1].max()) + 1)
    rows = torch.from_numpy(epoch_order(len(training[1]), seed=0, epoch=1)[:BATCH_SIZE])

    def forward_loss(part: slice) -> Images:
        logits = network(training[0][rows][part])
        return logits, cross_entropy(logits, training[1][rows][part])

    network.train()
    reduce_norms(network, forward_loss)
    scale_convolutions(network, forward_loss, len(rows), learning_rate)
    optimizer = build_optimizer(network, learning_rate)
    for epoch in range(1, num_epochs + 1):
        train_epoch(
            network, optimizer, training, epoch=epoch, num_epochs=num_epochs, learning_rate=learning_rate, seed=0
        )
        print(epoch, evaluate(network, validation), flush=True)
    torch.save(network.state_dict(), path)


def train_epoch(
    network: nn.Module,
    optimizer: torch.optim.SGD,
    training: Images,
    *,
    epoch: int,
    num_epochs: int,
    learning_rate: float,
    seed: int,
    head_factor: float = 1.0,
) -> None:
    """One epoch of the project's recipe; parameters of a third group learn faster by `head_factor`."""
    slices = batch_slices(len(training[1]), BATCH_SIZE)
    order = epoch_order(len(training[1]), seed=seed, epoch=epoch)
    for step, part in enumerate(slices):
        rate = learning_rate_at(
            (epoch - 1) * len(slices) + step, num_steps=num_epochs * len(slices), initial=learning_rate
        )
        for number, group in enumerate(optimizer.param_groups):
            group["lr"] = rate * (head_factor if number >= 2 else 1.0)
        rows = torch.from_numpy(order[part])
        network.train()
        for norm in FROZEN:
            norm.eval()
        cross_entropy(network(training[0][rows]), training[1][rows]).backward()
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)


FROZEN: list[nn.Module] = []


# ----------------------------------------------------------------------------------------------------------- starts
@torch.no_grad()
def features(network: nn.Module, images: Tensor, mode: str) -> Tensor:
    """Inputs of the classifier, float64 [n, 512].

    With mode "kept" by the statistics of batch norm as they are, "estimated" by those of these images.
    """
    body = copy.deepcopy(network)
    body.fc = nn.Identity()
    if mode == "estimated":
        estimate(body, images)
    body.eval()
    return torch.cat([body(part) for part in torch.split(images, 256)]).double()


@torch.no_grad()
def estimate(network: nn.Module, images: Tensor, batch_size: int = 256) -> None:
    """Set the statistics of batch norm to those of these images, in shares of the batches."""
    norms = batch_norms(network)
    network.eval()
    seen = 0
    for part in torch.split(images, batch_size):
        if len(part) < 2:
            continue
        seen += len(part)
        for norm in norms.values():
            norm.train()
            norm.momentum = len(part) / seen
        network(part)
    for norm in norms.values():
        norm.momentum = 0.1


def ridge(
    x: Tensor, y: Tensor, k: int, *, criterion: str = "error", scaled: bool = True, penalty: float | None = None
) -> Head:
    """Ridge regression; the penalty by the left-out squared error or cross-entropy, or as given."""
    fit = RidgeFit(x, y, k, has_bias=True)
    if penalty is None:
        if criterion == "error":
            penalty = min(PENALTIES, key=lambda p: fit.squared_error(fit.left_out(p)))
        else:
            penalty = min(
                PENALTIES,
                key=lambda p: float(cross_entropy(fit_scale(fit.left_out(p), y) * fit.left_out(p), y)),
            )
    scale = fit_scale(fit.left_out(penalty), y) if scaled else 1.0
    weight, bias = fit.solution(penalty)
    return scale * weight.T, scale * bias


def whitened(x: Tensor, y: Tensor, k: int) -> Head:
    """Ridge on standardized features."""
    spread = x.std(0).clamp(min=1e-6)
    weight, bias = ridge(x / spread, y, k)
    return weight / spread, bias


def lda(x: Tensor, y: Tensor, k: int) -> Head:
    """Linear discriminant analysis with scikit-learn's automatic shrinkage."""
    from sklearn.discriminant_analysis import LinearDiscriminantAnalysis

    model = LinearDiscriminantAnalysis(solver="lsqr", shrinkage="auto").fit(x.numpy(), y.numpy())
    return torch.from_numpy(model.coef_), torch.from_numpy(model.intercept_)


def probe(x: Tensor, y: Tensor, k: int) -> Head:
    """Logistic regression by L-BFGS, its penalty by five-fold cross-validation."""
    from sklearn.linear_model import LogisticRegressionCV
    from sklearn.preprocessing import StandardScaler

    scaler = StandardScaler().fit(x.numpy())
    model = LogisticRegressionCV(
        Cs=np.logspace(-5, 1, 7),
        cv=5,
        scoring="neg_log_loss",
        max_iter=300,
        l1_ratios=(0,),
        use_legacy_attributes=False,
    ).fit(scaler.transform(x.numpy()), y.numpy())
    coef = model.coef_ / scaler.scale_
    return torch.from_numpy(coef), torch.from_numpy(model.intercept_ - coef @ scaler.mean_)


STARTS: dict[str, Callable[[Tensor, Tensor, int], Head]] = {
    "ridge, penalty by error": ridge,
    "ridge, penalty by cross-entropy": lambda x, y, k: ridge(x, y, k, criterion="entropy"),
    "ridge, penalty 1e-5": lambda x, y, k: ridge(x, y, k, penalty=1e-5),
    "ridge, without a scale": lambda x, y, k: ridge(x, y, k, scaled=False),
    "ridge, standardized features": whitened,
    "LDA, shrunk": lda,
    "logistic regression by L-BFGS": probe,
}


# ------------------------------------------------------------------------------------------------------------- runs
def fine_tune(
    weights: dict[str, Tensor],
    training: Images,
    validation: Images,
    *,
    start: str,
    options: argparse.Namespace,
    seed: int,
) -> dict[str, Any]:
    """Accuracy and negative loss after each epoch, by the momentum's statistics and by estimated ones."""
    num_classes = int(training[1].max()) + 1
    network = torchvision.models.resnet18(num_classes=len(weights["fc.bias"]))
    network.load_state_dict(weights)
    torch.manual_seed(seed)
    network.fc = nn.Linear(512, num_classes)
    name, _, mode = start.partition(" | ")
    head_factor = 1.0
    FROZEN.clear()
    if mode == "frozen statistics":
        FROZEN.extend(batch_norms(network).values())
    started = time.perf_counter()
    if name.startswith("random, head rate"):
        head_factor = float(name.split("x")[-1])
    elif name != "random":
        found = features(network, training[0], "estimated" if mode == "estimated" else "kept")
        weight, bias = STARTS[name](found, training[1], num_classes)
        with torch.no_grad():
            network.fc.weight.copy_(weight)
            network.fc.bias.copy_(bias)
        if mode == "estimated":
            estimate(network, training[0])
    spent = time.perf_counter() - started
    result: dict[str, Any] = {"seconds": spent, "momentum": [], "estimated": [], "start": evaluate(network, validation)}
    optimizer = build_optimizer(network, options.learning_rate)
    if head_factor != 1:
        head = {id(parameter) for parameter in network.fc.parameters()}
        groups = optimizer.param_groups
        moved = [[p for p in group["params"] if id(p) in head] for group in groups]
        for group in groups[:2]:
            group["params"] = [p for p in group["params"] if id(p) not in head]
        for params, decay in zip(moved, (1e-4, 0.0), strict=True):
            optimizer.add_param_group({"params": params, "weight_decay": decay})
    norms = batch_norms(network)
    for epoch in range(1, options.epochs + 1):
        train_epoch(
            network,
            optimizer,
            training,
            epoch=epoch,
            num_epochs=options.epochs,
            learning_rate=options.learning_rate,
            seed=seed,
            head_factor=head_factor,
        )
        if options.every_epoch or epoch == options.epochs:
            result["momentum"].append(evaluate(network, validation))
            if not FROZEN:
                running = {key: value.clone() for key, value in statistics_of(norms).items()}
                estimate(network, training[0][:: max(1, math.ceil(len(training[0]) / options.estimated))])
                result["estimated"].append(evaluate(network, validation))
                use_statistics(norms, running)
    return result


def run(options: argparse.Namespace) -> None:
    """Run what is missing."""
    torch.set_num_threads(1)
    weights = torch.load(options.weights)
    done = {tuple(line["key"]) for line in read(options.output)}
    for seed in range(1, options.seeds + 1):
        for target in options.targets:
            validation = images_of(target, NUM_VALIDATION, 0, is_validation=True)
            for per_class in options.per_class:
                training = images_of(target, per_class, seed, is_validation=False)
                for start in options.starts:
                    key = (target, per_class, options.learning_rate, options.epochs, start, seed)
                    if key in done:
                        continue
                    line = {"key": key} | fine_tune(
                        weights, training, validation, start=start, options=options, seed=seed
                    )
                    with options.output.open("a", encoding="utf-8") as stream:
                        stream.write(json.dumps(line) + "\n")


def heads(options: argparse.Namespace) -> None:
    """The accuracy of the starts themselves, before any step: seconds per row."""
    torch.set_num_threads(1)
    weights = torch.load(options.weights)
    network = torchvision.models.resnet18(num_classes=len(weights["fc.bias"]))
    network.load_state_dict(weights)
    for target in options.targets:
        validation = images_of(target, NUM_VALIDATION, 0, is_validation=True)
        for per_class in options.per_class:
            found: dict[str, list[tuple[float, float, float]]] = defaultdict(list)
            for seed in range(1, options.seeds + 1):
                images, labels = images_of(target, per_class, seed, is_validation=False)
                for mode in ("kept", "estimated"):
                    body = copy.deepcopy(network)
                    body.fc = nn.Identity()
                    if mode == "estimated":
                        estimate(body, images)
                    x, seen = features(body, images, "kept"), features(body, validation[0], "kept")
                    for name, start in STARTS.items():
                        started = time.perf_counter()
                        weight, bias = start(x, labels, 5)
                        seconds = time.perf_counter() - started
                        logits = seen @ weight.T + bias
                        top1 = (logits.argmax(1) == validation[1]).double().mean().item()
                        found[f"{name} | {mode}"].append((top1, cross_entropy(logits, validation[1]).item(), seconds))
            for name, values in found.items():
                top1s, losses, seconds_ = np.array(values).T
                print(
                    f"{target:8} {per_class:4} {name:50} {top1s.mean():.3f} loss {losses.mean():.3f}",
                    f"{seconds_.mean():.2f} s",
                    flush=True,
                )


def read(path: Path) -> list[dict[str, Any]]:
    """The results so far."""
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()] if path.exists() else []


def table(path: Path) -> None:
    """Last epoch's top-1 in points, and beside a random head, paired by seed."""
    by: dict[tuple[Any, ...], dict[str, dict[int, dict[str, Any]]]] = defaultdict(lambda: defaultdict(dict))
    for line in read(path):
        *task, start, seed = line["key"]
        by[tuple(task)][start][seed] = line
    for task, starts in by.items():
        print(f"\n{task}")
        for start, runs in starts.items():
            for way in ("momentum", "estimated"):
                pairs = [
                    (runs[s][way][-1], starts["random"][s]["momentum"][-1], runs[s]["start"][0])
                    for s in runs
                    if runs[s][way] and s in starts["random"]
                ]
                if pairs:
                    own = np.array([100 * p[0][0] for p in pairs])
                    more = own - np.array([100 * p[1][0] for p in pairs])
                    loss = np.mean([-p[0][1] for p in pairs])
                    error = more.std(ddof=1) / len(more) ** 0.5 if len(more) > 1 else math.nan
                    first = 100 * np.mean([p[2] for p in pairs])
                    print(f"{start:52} {way:10} n={len(pairs)} start {first:5.1f} end {own.mean():5.1f}", end=" ")
                    print(f"{more.mean():+.1f} ± {error:.1f} loss {loss:.3f}")


def main() -> None:
    """Pretrain, run or print."""
    parser = argparse.ArgumentParser(description="Fine-tuning by the start of the classifier.")
    parser.add_argument("what", choices=["pretrain", "run", "table", "heads"])
    parser.add_argument("--weights", type=Path)
    parser.add_argument("--output", type=Path)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--targets", nargs="+", default=["letters", "digits", "places"])
    parser.add_argument("--per-class", type=int, nargs="+", default=[20, 100])
    parser.add_argument("--learning-rate", type=float, default=0.001)
    parser.add_argument("--epochs", type=int, default=5)
    parser.add_argument("--every-epoch", action="store_true")
    parser.add_argument("--estimated", type=int, default=256)
    parser.add_argument("--pretraining", type=float, nargs=3, default=[300, 6, 0.003])
    parser.add_argument("--starts", nargs="+", default=["random", "ridge, penalty by error | kept"])
    options = parser.parse_args()
    if options.what == "pretrain":
        pretrain(options.weights, int(options.pretraining[0]), int(options.pretraining[1]), options.pretraining[2])
    elif options.what == "run":
        run(options)
    elif options.what == "heads":
        heads(options)
    else:
        table(options.output)


if __name__ == "__main__":
    main()
