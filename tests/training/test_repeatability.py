"""A network that cannot repeat is trained all the same, and it is said (on the CPU, where one operation cannot)."""

from __future__ import annotations

import logging
from collections.abc import Iterator

import pytest
import torch
from torch import Tensor, nn

from pytorch_designer.inference.predictor import Predictor
from pytorch_designer.training.repeatability import check_repeatability
from pytorch_designer.training.state import copy_weights

from .small_run import COMPUTE, PREPROCESSING, same_tensors, small_network


class Putting(nn.Module):
    """`small_network`, behind a copy that torch makes in no fixed order on any device."""

    def __init__(self) -> None:
        super().__init__()
        self.network = small_network()

    def forward(self, images: Tensor) -> Tensor:
        places = torch.arange(images.numel(), device=images.device)
        logits: Tensor = self.network(images.clone().put_(places, images.flatten()))
        return logits


@pytest.fixture
def must_repeat() -> Iterator[None]:
    torch.use_deterministic_algorithms(True)
    yield
    torch.use_deterministic_algorithms(False)


@pytest.mark.usefixtures("must_repeat")
@pytest.mark.parametrize("normalizes_lone_image", [True, False])
def test_a_network_that_repeats_has_to(caplog: pytest.LogCaptureFixture, normalizes_lone_image: bool) -> None:
    predictor = Predictor(small_network(), PREPROCESSING, COMPUTE, normalizes_lone_image=normalizes_lone_image)
    before = copy_weights(predictor.network)
    check_repeatability(predictor)
    assert not torch.is_deterministic_algorithms_warn_only_enabled()
    assert not caplog.records
    assert same_tensors(copy_weights(predictor.network), before)
    assert all(parameter.grad is None for parameter in predictor.network.parameters())


@pytest.mark.usefixtures("must_repeat")
def test_a_network_that_cannot_repeat_may_be_trained_and_it_is_said(caplog: pytest.LogCaptureFixture) -> None:
    predictor = Predictor(Putting(), PREPROCESSING, COMPUTE)
    before = copy_weights(predictor.network)
    with caplog.at_level(logging.WARNING):
        check_repeatability(predictor)
    assert torch.is_deterministic_algorithms_warn_only_enabled()
    (message,) = caplog.messages
    assert message.endswith("may differ a little: put_ does not have a deterministic implementation.")
    assert same_tensors(copy_weights(predictor.network), before)
    assert all(parameter.grad is None for parameter in predictor.network.parameters())


def test_nothing_is_tried_where_runs_need_not_repeat() -> None:
    predictor = Predictor(Putting(), PREPROCESSING, COMPUTE)
    check_repeatability(predictor)
    assert not torch.are_deterministic_algorithms_enabled()
