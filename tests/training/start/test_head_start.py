"""Start of a new classifier: the closed-form head in real networks of every family, and in runs."""

from __future__ import annotations

import logging
import signal
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import linear

from pytorch_designer.directories.image_directory import ImageDirectory
from pytorch_designer.directories.preprocessing import Preprocessing
from pytorch_designer.errors import InterruptedRunError, NonFiniteLossError
from pytorch_designer.images.augmentation import Augmentation
from pytorch_designer.images.loader import ImageLoader
from pytorch_designer.models.architectures import (
    Architecture,
    build_network,
    build_on_meta,
    find_architecture,
    minimum_image_size,
)
from pytorch_designer.models.heads import head_layer
from pytorch_designer.training.start import head_start
from pytorch_designer.training.start.features import head_features
from pytorch_designer.training.start.head_start import start_head
from pytorch_designer.training.weight_plan import WeightPlan
from pytorch_designer.transforms.registrations import parse_transform
from tests.training.small_run import AWAY, NEAR, BuildRun, SmallRun, head_of, same_tensors, small_network


def fine_tuned(build_run: BuildRun, network: nn.Module | None = None, **changes: object) -> SmallRun:
    """A run whose network has given weights and a new head."""
    network = small_network() if network is None else network
    given = {"plan": replace(NEAR, scales_convolutions=True), "new_head": head_of(network)}
    return build_run(network=network, **(given | changes))


def do_nothing() -> None:
    """The empty callback between batches."""


def weights_of(network: nn.Module) -> dict[str, Tensor]:
    return {name: tensor.clone() for name, tensor in network.state_dict().items()}


def test_the_head_knows_the_images_before_the_first_step(build_run: BuildRun, caplog: pytest.LogCaptureFixture) -> None:
    small = fine_tuned(build_run)
    before = weights_of(small.network)
    with caplog.at_level(logging.INFO):
        start_head(small.run, do_nothing)
    (batch,) = small.run.training.batches([np.arange(33)])
    assert (small.run.predictor.logits(batch.images).argmax(1) == batch.labels).double().mean() > 0.9
    changed = {name for name, tensor in small.network.state_dict().items() if not torch.equal(tensor, before[name])}
    assert changed == {"5.weight", "5.bias"}
    (line,) = [record.getMessage() for record in caplog.records if "classifier" in record.getMessage()]
    assert line.startswith("The new classifier is a ridge regression on the features of 33 training images.")


def test_random_weights_of_the_head_do_not_matter(build_run: BuildRun) -> None:
    states = []
    for seed in (1, 2):
        small = fine_tuned(build_run)
        torch.manual_seed(seed)
        head_of(small.network).reset_parameters()
        start_head(small.run, do_nothing)
        states.append(weights_of(small.network))
    assert same_tensors(*states)


def test_other_runs_start_as_they_are(build_run: BuildRun) -> None:
    small = build_run(plan=AWAY)
    before = weights_of(small.network)
    start_head(small.run, do_nothing)
    assert same_tensors(before, small.network.state_dict())


def test_one_class_has_nothing_to_learn(build_run: BuildRun) -> None:
    small = fine_tuned(build_run, num_classes=1)
    before = weights_of(small.network)
    start_head(small.run, do_nothing)
    assert same_tensors(before, small.network.state_dict())


def test_a_head_without_a_bias(build_run: BuildRun) -> None:
    network = small_network()
    network.set_submodule("5", nn.Linear(36, 3, bias=False))
    small = fine_tuned(build_run, network)
    start_head(small.run, do_nothing)
    (batch,) = small.run.training.batches([np.arange(33)])
    assert (small.run.predictor.logits(batch.images).argmax(1) == batch.labels).double().mean() > 0.9


class Body(nn.Module):
    """Features of 8 x 8 images that are spoiled in some way, and a head that may be used in an unusual way."""

    def __init__(self, kind: str) -> None:
        super().__init__()
        self.kind = kind
        self.head = nn.Linear(192, 3)
        self.other = nn.Linear(192, 3)

    def forward(self, images_nchw: Tensor) -> Tensor:
        features_nd = images_nchw.flatten(1)
        if self.kind == "not finite":
            features_nd = features_nd.masked_fill(features_nd > 0, torch.nan)
        if self.kind == "too small":
            features_nd = features_nd * 1e-42
        logits_nk: Tensor = self.head(features_nd)
        if self.kind == "twice":
            logits_nk = logits_nk + self.head(features_nd)
        if self.kind == "an activation":
            logits_nk = 5 * logits_nk.tanh()
        if self.kind == "another head":
            logits_nk = logits_nk + 100 * self.other(features_nd)
        return logits_nk


@pytest.mark.parametrize(
    ("kind", "reason"),
    [
        ("not finite", "the features by the given weights are not finite"),
        ("too small", "the features by the given weights are too small"),
        ("twice", "its layer is used 2 times per image"),
        ("an activation", "its logits are not those of one linear layer"),
        ("another head", "its logits are not those of one linear layer"),
    ],
)
def test_what_cannot_be_solved_keeps_random_weights_and_is_named(
    build_run: BuildRun, caplog: pytest.LogCaptureFixture, kind: str, reason: str
) -> None:
    network = Body(kind)
    small = build_run(network=network, plan=AWAY, new_head=network.head, num_epochs=1)
    before = weights_of(network)
    with caplog.at_level(logging.INFO):
        start_head(small.run, do_nothing)
    assert same_tensors(before, network.state_dict())
    assert f"The classifier starts from random weights: {reason}." in caplog.text
    if kind == "not finite":
        with pytest.raises(NonFiniteLossError, match="step 1 of epoch 1"):
            small.train()


def test_constant_features_give_the_shares_of_the_classes(build_run: BuildRun) -> None:
    network = nn.Sequential(nn.Flatten(), nn.Threshold(1e9, 1.0), nn.Linear(192, 3))
    start_head(fine_tuned(build_run, network).run, do_nothing)
    assert not head_of(network).weight.any()


def test_features_are_of_images_without_random_transforms(
    build_run: BuildRun, datasets: dict[str, ImageDirectory]
) -> None:
    sizing = Preprocessing(resize_size=8, crop_height=8, crop_width=8)
    random = (parse_transform("RandomHorizontalFlip", {}), parse_transform("RandomRotation", {"degrees": 90}))
    augmentation = Augmentation((), random, sizing, (8, 8), seed=7)
    states = []
    for drawn in (None, augmentation):
        with ImageLoader(
            datasets["training"], sizing, augmentation=drawn, num_threads=2, tolerance=0.0, port="training_dataset"
        ) as loader:
            small = fine_tuned(build_run, training=loader)
            start_head(small.run, do_nothing)
            states.append(weights_of(small.network))
    assert same_tensors(*states)


def test_no_more_images_than_allowed_are_read(build_run: BuildRun, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(head_start, "MOST_IMAGES", 9)
    seen = 0

    def count(layer: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        nonlocal seen
        seen += len(inputs[0])

    small = fine_tuned(build_run)
    small.network.register_forward_pre_hook(count)
    start_head(small.run, do_nothing)
    assert seen == 9 + 8  # eight of them again, to compare logits


def test_training_goes_on_from_the_head_with_a_lower_loss(build_run: BuildRun) -> None:
    losses = []
    for has_start in (False, True):
        small = fine_tuned(build_run, num_epochs=1, learning_rate=1e-4, **({} if has_start else {"new_head": None}))
        small.train()
        losses.append(small.state.history[-1].validation.loss)
    assert losses[1] < losses[0]


def test_the_model_before_training_is_saved_where_no_epoch_is_better(build_run: BuildRun) -> None:
    start = fine_tuned(build_run)
    start_head(start.run, do_nothing)
    small = fine_tuned(build_run, learning_rate=1e-12, num_epochs=4, patience=2)
    assert small.train().startswith("Stopped after epoch 3: 2 epochs in a row without")
    assert [record.epoch for record in small.state.history] == [0, 1, 2, 3]
    assert repr(small.display.records) == repr(small.state.history), "NaN included, which equals nothing"
    first = small.state.history[0]
    assert first.is_best
    assert (first.training.num_images, first.learning_rate, first.validation.num_images) == (0, 0.0, 12)
    assert "train_loss" not in first.tracked_metrics()
    assert all(np.isfinite(value) for value in first.tracked_metrics().values())
    assert small.state.best is not None
    assert small.state.best.epoch == 0
    assert same_tensors(small.state.best.weights, start.network.state_dict())


def test_an_epoch_that_is_better_than_the_start_is_saved(build_run: BuildRun) -> None:
    small = fine_tuned(build_run, learning_rate=0.05, num_epochs=10, patience=10)
    small.train()
    assert small.state.best is not None
    assert small.state.best.epoch > 0
    assert small.state.history[0].validation.loss > small.state.history[small.state.best.epoch].validation.loss


@pytest.mark.parametrize("plan", [NEAR, AWAY])
def test_a_run_has_the_start_to_beat_and_learns_from_a_share_of_it(
    build_run: BuildRun, caplog: pytest.LogCaptureFixture, plan: WeightPlan
) -> None:
    with caplog.at_level(logging.INFO):
        small = fine_tuned(build_run, plan=plan, learning_rate=5e-324, num_epochs=2)
        small.train()
    assert "The epochs start from 0.2 of this classifier" in caplog.text
    assert [record.epoch for record in small.state.history] == [0, 1, 2]
    assert small.state.best is not None
    best = max(small.state.history, key=lambda record: (record.validation.top1, -record.validation.loss))
    assert small.state.best.epoch == best.epoch == 0
    head = head_of(small.network).state_dict()
    expected = {name: 0.2 * small.state.best.weights[f"5.{name}"] for name in head}
    assert same_tensors(head, expected)


@pytest.mark.parametrize(("plan", "share"), [(replace(NEAR, shrinks_head=False), 1.0), (AWAY, 0.2)])
def test_without_batch_norm_the_whole_start_is_kept_where_the_plan_does_not_shrink_it(
    build_run: BuildRun, caplog: pytest.LogCaptureFixture, plan: WeightPlan, share: float
) -> None:
    network = nn.Sequential(nn.Conv2d(3, 4, 3, stride=2), nn.ReLU(), nn.Flatten(), nn.Linear(36, 3))
    with caplog.at_level(logging.INFO):
        small = fine_tuned(build_run, network, plan=plan, learning_rate=5e-324, num_epochs=1)
        small.train()
    assert ("of this classifier" in caplog.text) == plan.shrinks_head
    assert small.state.best is not None
    head = head_of(small.network).state_dict()
    assert same_tensors(head, {name: share * small.state.best.weights[f"3.{name}"] for name in head})


def test_a_start_that_could_not_be_computed_is_not_validated(build_run: BuildRun) -> None:
    network = Body("an activation")
    small = build_run(network=network, plan=AWAY, new_head=network.head, num_epochs=1)
    small.train()
    assert [record.epoch for record in small.state.history] == [1]


@pytest.mark.parametrize("plan", [NEAR, AWAY])
@pytest.mark.parametrize("number", [1, 2, 3, 4, 5])
def test_a_run_that_was_stopped_at_its_start_continues_bit_for_bit(
    build_run: BuildRun, tmp_path: Path, number: int, plan: WeightPlan
) -> None:
    changes: dict[str, Any] = {"plan": replace(plan, scales_convolutions=True), "num_epochs": 1}
    whole = fine_tuned(build_run, output=tmp_path / "whole", **changes)
    whole.train()
    stopped = fine_tuned(build_run, output=tmp_path / "stopped", **changes)
    passes = 0

    def stop(layer: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        nonlocal passes
        passes += 1
        # Near its weights, inputs are measured; features are computed, logits are compared, the start is validated, a
        # step is taken.
        if passes == number:
            stopped.run.stop_request.request(signal.SIGTERM)

    stopped.network.register_forward_pre_hook(stop)
    with pytest.raises(InterruptedRunError):
        stopped.train()
    again = fine_tuned(build_run, output=tmp_path / "stopped", **changes)
    again.network.load_state_dict(small_network(seed=5).state_dict())
    assert again.store.restore(again.state)
    again.train()
    assert same_tensors(whole.network.state_dict(), again.network.state_dict())
    assert whole.state.best is not None
    assert again.state.best is not None
    assert same_tensors(whole.state.best.weights, again.state.best.weights)
    assert [record.validation for record in whole.state.history] == [
        record.validation for record in again.state.history
    ]


FAMILIES = [
    "alexnet",
    "convnext_tiny",
    "densenet121",
    "efficientnet_b0",
    "googlenet",
    "inception_v3",
    "mnasnet0_5",
    "mobilenet_v2",
    "mobilenet_v3_small",
    "regnet_x_400mf",
    "resnet18",
    "shufflenet_v2_x0_5",
    "squeezenet1_1",
    "swin_t",
    "timm/test_resnet",
    "timm/test_vit",
]


@pytest.mark.slow
@pytest.mark.parametrize("name", FAMILIES)
def test_the_head_of_every_family_gives_the_logits_of_the_solution(
    build_run: BuildRun, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, name: str
) -> None:
    monkeypatch.setattr(head_start, "MOST_IMAGES", 6)
    architecture = Architecture(name) if "/" not in name else find_architecture(name)
    network = with_some_weights(architecture)
    height, width = (max(side, 32) for side in minimum_image_size(architecture))
    head = head_layer(network, architecture)
    assert head is not None
    small = build_run(
        network=network,
        plan=AWAY,
        new_head=head,
        preprocessing=Preprocessing(resize_size=max(height, width), crop_height=height, crop_width=width),
    )
    with caplog.at_level(logging.INFO):
        start_head(small.run, do_nothing)
    assert "ridge regression on the features of 6 training images" in caplog.text
    ((_, features_nd, logits_nk),) = head_features(
        small.run.predictor, head, small.run.training.batches([np.arange(0, 33, 6)])
    )
    with torch.no_grad():
        expected_nk = linear(features_nd, head.weight.flatten(1), head.bias)
    difference = (logits_nk - logits_nk.mean(1, keepdim=True)) - (expected_nk - expected_nk.mean(1, keepdim=True))
    assert difference.abs().max() < 1e-3
    assert logits_nk.isfinite().all()


def with_some_weights(architecture: Architecture) -> nn.Module:
    """The real network for three classes, with random weights that let signals pass, drawn within a second."""
    network = build_on_meta(lambda: build_network(architecture, 3)).to_empty(device="cpu")
    torch.manual_seed(0)
    with torch.no_grad():
        for key, tensor in network.state_dict().items():
            if not tensor.is_floating_point():
                tensor.zero_()
            elif tensor.ndim >= 2:
                bound = (3 / tensor[0].numel()) ** 0.5
                tensor.uniform_(-bound, bound)
            else:
                tensor.fill_(1.0 if key.endswith(("weight", "running_var", "layer_scale")) else 0.0)
    return network.eval()
