"""Validation accuracy by schedule, average of weights and batch-norm statistics, in the same few steps.

    python benchmarks/recipes.py --data FOLDER --output results.jsonl [--seeds 5] [--epochs 5] [--recipes ...]
    python benchmarks/recipes.py --output results.jsonl --table

FOLDER/training and FOLDER/validation hold class folders of images of one size (benchmarks/harder_digits.py writes
them). A recipe is one training run; `RECIPES` lists the variants. The average of weights and the statistics of batch
norm do not change the steps. They are compared on the weights of one run, so these comparisons have no noise of their
own. Each result is a line of JSON, and existing results are not run again.
"""

from __future__ import annotations

import argparse
import json
import math
import time
from collections import defaultdict
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
import torchvision
from torch import nn
from torch.nn.functional import cross_entropy

from pytorch_designer.directories.image_directory import open_image_directory
from pytorch_designer.directories.preprocessing import Preprocessing
from pytorch_designer.images.loader import ImageLoader
from pytorch_designer.images.order import batch_slices, epoch_order
from pytorch_designer.images.preprocess import normalize
from pytorch_designer.training.recipe import learning_rate_at
from pytorch_designer.training.start.initial_scale import reduce_norms, scale_convolutions

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from numpy.typing import NDArray
    from torch import Tensor

    Images = tuple[Tensor, Tensor]
    Found = dict[str, tuple[float, float]]
    State = dict[str, Tensor]

SIZE = 32
BATCH_SIZE = 16
PATIENCE = 3
DECAYS = (0.98, 0.995)
BEST = "best epoch"
BEST_WITH_PATIENCE = f"best epoch, patience {PATIENCE}"
OURS = "momentum of at least 0.1"
KEYS = ("data", "model", "learning_rate", "num_epochs", "recipe", "seed")


@dataclass(frozen=True)
class Recipe:
    """One way to train.

    Attributes:
        rate: Learning rate as a share of the given one, by the share of the steps that are taken.
        nesterov: Whether the momentum is Nesterov's.
        momentum: Share of the last update that is kept.
        weight_decay: Of all weights with two or more dimensions.
        decays_all: Whether norms and biases decay too.
        label_smoothing: In the training loss.
        zero_classifier: Whether the classifier starts from zero.
        zero_residual: Whether the last norm of each block starts from zero.
        scales_weights: Whether the weights that batch norm follows are scaled before the first step.
        reduces_norms: Whether those of batch norm itself are reduced before that.
    """

    rate: Callable[[float], float] = field(
        default=lambda done: learning_rate_at(round(done * 10**6), num_steps=10**6, initial=1.0)
    )
    nesterov: bool = True
    momentum: float = 0.9
    weight_decay: float = 1e-4
    decays_all: bool = False
    label_smoothing: float = 0.0
    zero_classifier: bool = False
    zero_residual: bool = False
    scales_weights: bool = True
    reduces_norms: bool = True


def one_cycle(done: float) -> float:
    """A quarter of the steps from 1/25 up to the full rate, then down to nearly nothing, both along a cosine."""
    if done < 0.25:
        return 1 - (1 - 1 / 25) * (1 + math.cos(math.pi * done / 0.25)) / 2
    return (1 + math.cos(math.pi * (done - 0.25) / 0.75)) / 2


def cosine(done: float) -> float:
    """From the full rate down to zero along half a cosine."""
    return (1 + math.cos(math.pi * done)) / 2


def held_until(share: float) -> Callable[[float], float]:
    """The full rate for `share` of the steps, then down to zero along a line."""
    return lambda done: min(1.0, (1 - done) / (1 - share))


HELD = Recipe()
RECIPES = {
    "held for half, then linear": HELD,  # ours, and the baseline of the others
    "held for four fifths, then linear": replace(HELD, rate=held_until(0.8)),
    "linear": replace(HELD, rate=lambda done: 1 - done),
    "cosine": replace(HELD, rate=cosine),
    "power 2": replace(HELD, rate=lambda done: (1 - done) ** 2),
    "one cycle": replace(HELD, rate=one_cycle),
    "constant": replace(HELD, rate=lambda _: 1.0),
    "classifier from zero": replace(HELD, zero_classifier=True),
    "plain momentum": replace(HELD, nesterov=False),
    "momentum 0.95": replace(HELD, momentum=0.95),
    "weight decay 5e-4": replace(HELD, weight_decay=5e-4),
    "decay of norms and biases too": replace(HELD, decays_all=True),
    "label smoothing 0.1": replace(HELD, label_smoothing=0.1),
    "residual branches from zero": replace(HELD, zero_residual=True),
    "norms as torchvision has them": replace(HELD, reduces_norms=False),
    "weights as torchvision draws them": replace(HELD, scales_weights=False),
    "weights as torchvision draws them, cosine": replace(HELD, scales_weights=False, rate=cosine),
}


# Share of a batch in the running statistics of batch norm, by (the network's own momentum, step of the run from 0). A
# share of 1/(step + 1) at the start removes the initial values.
STATISTICS: dict[str, Callable[[float, int], float]] = {
    "the network's own momentum": lambda own, step: own,
    OURS: lambda own, step: max(own, 0.1),
    "momentum of at least 0.1, without the initial values": lambda own, step: max(own, 0.1, 1 / (step + 1)),
    "momentum 0.02, without the initial values": lambda own, step: max(0.02, 1 / (step + 1)),
}


def start_value(name: str) -> float:
    """Initial running statistics: variances of 1, means of 0."""
    return 1.0 if name.endswith(".var") else 0.0


def main() -> None:
    """Run what is missing, or print the table of the results."""
    parser = argparse.ArgumentParser(description="Validation accuracy by recipe.")
    parser.add_argument("--data", type=Path)
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--model", default="resnet18")
    parser.add_argument("--learning-rate", type=float, default=0.001)
    parser.add_argument("--epochs", type=int, default=5)
    parser.add_argument("--recipes", nargs="+", choices=list(RECIPES), default=list(RECIPES))
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--table", action="store_true")
    options = parser.parse_args()
    if options.table:
        print_tables(options.output)
        return
    torch.set_num_threads(options.threads)
    training, validation, num_classes = read_images(options.data)
    done = {tuple(line[key] for key in KEYS) for line in results(options.output)}
    for seed in range(1, options.seeds + 1):
        for name in options.recipes:
            key = (options.data.name, options.model, options.learning_rate, options.epochs, name, seed)
            if key not in done:
                started = time.perf_counter()
                network = build_network(RECIPES[name], options.model, num_classes, seed)
                found = run(
                    RECIPES[name],
                    network,
                    training,
                    validation,
                    num_epochs=options.epochs,
                    learning_rate=options.learning_rate,
                    seed=seed,
                )
                line = dict(zip(KEYS, key, strict=True)) | {"found": found}
                with options.output.open("a", encoding="utf-8") as stream:
                    stream.write(json.dumps(line) + "\n")
                print(f"{time.perf_counter() - started:.0f} s {line}", flush=True)


def read_images(folder: Path) -> tuple[Images, Images, int]:
    """Normalized images float32 [n, 3, 32, 32] and labels int64 [n], for training and for validation."""
    rule = Preprocessing(resize_size=SIZE, crop_height=SIZE, crop_width=SIZE)
    sides = []
    for side in ("training", "validation"):
        dataset = open_image_directory(folder / side)
        with ImageLoader(dataset, rule, num_threads=2, tolerance=0.0, port=side) as loader:
            (batch,) = loader.batches([np.arange(len(dataset))])
            sides.append((normalize(batch.images, rule).contiguous(), batch.labels))
    return sides[0], sides[1], len(dataset.classes)


def build_network(recipe: Recipe, model: str, num_classes: int, seed: int) -> nn.Module:
    """A network from scratch, drawn from the seed."""
    torch.manual_seed(seed)
    network: nn.Module = torchvision.models.get_model(model, num_classes=num_classes)
    if recipe.zero_classifier:
        classifier = [module for module in network.modules() if isinstance(module, nn.Linear)][-1]
        nn.init.zeros_(classifier.weight)
        nn.init.zeros_(classifier.bias)
    if recipe.zero_residual:
        for block in network.modules():
            if isinstance(block, torchvision.models.resnet.BasicBlock):
                nn.init.zeros_(block.bn2.weight)
    return network


def run(
    recipe: Recipe,
    network: nn.Module,
    training: Images,
    validation: Images,
    *,
    num_epochs: int,
    learning_rate: float,
    seed: int,
) -> Found:
    """Train, and return what `evaluate` finds in the best epoch, with patience and without, and after the last one.

    The variants after the last epoch are compared for the first recipe only.
    """
    optimizer = build_optimizer(recipe, network, learning_rate)
    slices = batch_slices(len(training[1]), BATCH_SIZE)
    num_steps = num_epochs * len(slices)
    norms = batch_norms(network)
    momentum = {name: norm.momentum or 0.0 for name, norm in norms.items()}
    for norm in norms.values():
        norm.momentum = 1.0  # the running statistics are those of the last batch; `averages` keeps the averages
    averages = {
        name: {key: start_value(key) * torch.ones_like(value) for key, value in statistics_of(norms).items()}
        for name in STATISTICS
    }
    weights = {decay: {name: value.detach().clone() for name, value in network.named_parameters()} for decay in DECAYS}
    by_epoch: list[tuple[float, float]] = []
    step = 0
    for epoch in range(1, num_epochs + 1):
        order = epoch_order(len(training[1]), seed=seed, epoch=epoch)
        for part in slices:
            for group in optimizer.param_groups:
                group["lr"] = learning_rate * recipe.rate(step / num_steps)
            rows = torch.from_numpy(order[part])
            network.train()
            if step == 0 and recipe.scales_weights:
                inputs, labels = training[0][rows], training[1][rows]

                def forward_loss(some: slice, inputs: Tensor = inputs, labels: Tensor = labels) -> Images:
                    logits = network(inputs[some])
                    return logits, cross_entropy(logits, labels[some])

                if recipe.reduces_norms:
                    reduce_norms(network, forward_loss)
                scale_convolutions(network, forward_loss, len(labels), learning_rate)
            loss = cross_entropy(network(training[0][rows]), training[1][rows], label_smoothing=recipe.label_smoothing)
            loss.backward()
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
            of_batch = statistics_of(norms)
            for name, norm_momentum in momentum.items():
                values = {key: of_batch[key] for key in (f"{name}.mean", f"{name}.var")}
                for way, share in STATISTICS.items():
                    update(averages[way], values, share(norm_momentum, step))
            for decay, average in weights.items():
                update(average, dict(network.named_parameters()), max(1 - decay, 1 / (step + 1)))
            step += 1
        use_statistics(norms, averages[OURS])
        by_epoch.append(evaluate(network, validation))
    found = {BEST: max(by_epoch), BEST_WITH_PATIENCE: max(by_epoch[: epochs_with_patience(by_epoch)])}
    if recipe is not HELD:
        return found
    for way, average in averages.items():
        use_statistics(norms, average)
        found[f"statistics: {way}"] = evaluate(network, validation)
    estimate_statistics(network, training, num_epochs, seed)
    found["statistics: estimated anew from 64 batches"] = evaluate(network, validation)
    for decay, average in weights.items():
        use_weights(network, average)
        use_statistics(norms, averages[OURS])
        found[f"average of weights, decay {decay}"] = evaluate(network, validation)
        estimate_statistics(network, training, num_epochs, seed)
        found[f"average of weights, decay {decay}, statistics estimated anew"] = evaluate(network, validation)
    return found


def epochs_with_patience(by_epoch: list[tuple[float, float]]) -> int:
    """Number of epochs that are trained before `PATIENCE` of them in a row had no lower loss."""
    lowest = 0
    for epoch, (_, negative_loss) in enumerate(by_epoch):
        if negative_loss > by_epoch[lowest][1]:
            lowest = epoch
        elif epoch - lowest >= PATIENCE:
            return epoch + 1
    return len(by_epoch)


def build_optimizer(recipe: Recipe, network: nn.Module, learning_rate: float) -> torch.optim.SGD:
    """The SGD of the recipe."""
    parameters = list(network.parameters())
    decayed = [parameter for parameter in parameters if recipe.decays_all or parameter.ndim >= 2]
    others = [parameter for parameter in parameters if not recipe.decays_all and parameter.ndim < 2]
    groups = [{"params": decayed, "weight_decay": recipe.weight_decay}, {"params": others, "weight_decay": 0.0}]
    return torch.optim.SGD(
        [group for group in groups if group["params"]],
        lr=learning_rate,
        momentum=recipe.momentum,
        nesterov=recipe.nesterov,
        fused=True,
    )


def batch_norms(network: nn.Module) -> dict[str, nn.BatchNorm2d]:
    """The batch norms of a network by name."""
    return {name: module for name, module in network.named_modules() if isinstance(module, nn.BatchNorm2d)}


def statistics_of(norms: dict[str, nn.BatchNorm2d]) -> State:
    """The running statistics themselves, not copies."""
    found: State = {}
    for name, norm in norms.items():
        assert norm.running_mean is not None
        assert norm.running_var is not None
        found |= {f"{name}.mean": norm.running_mean, f"{name}.var": norm.running_var}
    return found


def use_statistics(norms: dict[str, nn.BatchNorm2d], values: State) -> None:
    """Copy `values` into the running statistics."""
    for name, value in statistics_of(norms).items():
        value.copy_(values[name])


@torch.no_grad()
def use_weights(network: nn.Module, values: State) -> None:
    """Copy `values` into the parameters."""
    for name, parameter in network.named_parameters():
        parameter.copy_(values[name])


@torch.no_grad()
def update(average: State, values: State, share: float) -> None:
    """Move an exponential average towards `values`."""
    for name, value in values.items():
        average[name].lerp_(value, share)


@torch.no_grad()
def estimate_statistics(
    network: nn.Module, training: Images, num_epochs: int, seed: int, num_batches: int = 64
) -> None:
    """Set the running statistics to their mean over `num_batches` training batches at the present weights."""
    norms = batch_norms(network)
    order = epoch_order(len(training[1]), seed=seed, epoch=num_epochs + 1)
    total = {name: torch.zeros_like(value) for name, value in statistics_of(norms).items()}
    network.train()
    for number, rows in enumerate(_first_batches(order, num_batches), start=1):
        network(training[0][rows])
        update(total, statistics_of(norms), 1 / number)
    use_statistics(norms, total)


def _first_batches(order: NDArray[np.int64], num_batches: int) -> Iterator[Tensor]:
    for part in batch_slices(len(order), BATCH_SIZE)[:num_batches]:
        yield torch.from_numpy(order[part])


@torch.inference_mode()
def evaluate(network: nn.Module, validation: Images) -> tuple[float, float]:
    """Top-1 accuracy, and negative cross-entropy, so that more is better."""
    network.eval()
    logits = torch.cat([network(images) for images in torch.split(validation[0], 250)])
    top1 = (logits.argmax(1) == validation[1]).float().mean().item()
    return top1, -cross_entropy(logits, validation[1]).item()


def results(path: Path) -> list[dict[str, Any]]:
    """The results so far."""
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()] if path.exists() else []


def print_tables(path: Path) -> None:
    """Recipes and variants after the last epoch, as differences in points to the first of them, paired by seed."""
    runs: dict[tuple[Any, ...], dict[str, dict[int, Found]]] = defaultdict(lambda: defaultdict(dict))
    for line in results(path):
        data, model, learning_rate, num_epochs, recipe, seed = (line[key] for key in KEYS)
        runs[data, model, learning_rate, num_epochs][recipe][seed] = line["found"]
    columns = "n | top-1 % | points beside the first | loss | loss beside the first |\n|---|---|---|---|---|---|"
    for (data, model, learning_rate, num_epochs), by_recipe in runs.items():
        first = by_recipe[next(iter(RECIPES))]
        print(f"\n{model}, {data}, learning rate {learning_rate:g}, {num_epochs} epochs")
        for what in (BEST, BEST_WITH_PATIENCE):
            print(f"\n| {what} | {columns}")
            for name, by_seed in by_recipe.items():
                seeds = sorted(set(by_seed) & set(first))
                print_row(name, [by_seed[s][what] for s in seeds], [first[s][what] for s in seeds])
        print(f"\n| after the last epoch of the first | {columns}")
        base = f"statistics: {next(iter(STATISTICS))}"
        for way in next(iter(first.values())):
            if way not in {BEST, BEST_WITH_PATIENCE}:
                print_row(way, [found[way] for found in first.values()], [found[base] for found in first.values()])


def print_row(name: str, values: list[tuple[float, float]], base: list[tuple[float, float]]) -> None:
    """Means, and mean differences to `base`, each with its standard error."""
    top1, loss, first_top1, first_loss = (np.array(column) for column in (*np.transpose(values), *np.transpose(base)))
    cells = [with_error(column) for column in (100 * top1, 100 * (top1 - first_top1), -loss, first_loss - loss)]
    print(f"| {name} | {len(values)} | {' | '.join(cells)} |")


def with_error(values: NDArray[np.float64]) -> str:
    """Mean and standard error of the mean."""
    error = values.std(ddof=1) / math.sqrt(len(values)) if len(values) > 1 else math.nan
    return f"{values.mean():.2f} ± {error:.2f}"


if __name__ == "__main__":
    main()
