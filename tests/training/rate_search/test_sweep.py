from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

import pytest
import torch
from torch import nn
from torch.nn.utils import get_total_norm

from pytorch_designer.errors import InterruptedRunError, NonFiniteLossError
from pytorch_designer.progress import SilentLine
from pytorch_designer.system.stop_requests import StopRequest
from pytorch_designer.training.rate_search.rate_curve import RateCurve
from pytorch_designer.training.rate_search.sweep import SCALE_RATE, RateSweep, SweepDisplay, sweep_rates
from pytorch_designer.training.steps.near_steps import LONGEST_STEP
from pytorch_designer.training.weight_plan import WeightPlan
from tests.training.small_run import AWAY, FROM_SCRATCH, NEAR, BuildRun, SmallRun, head_of, small_network


def swept(build_run: BuildRun, *, num_steps: int = 60, **changes: Any) -> RateCurve:
    built = build_run(**changes)
    display = SweepDisplay(SilentLine(), num_steps)
    sweep = RateSweep(**(vars(built.run) | {"display": display, "num_steps": num_steps}))
    return sweep_rates(sweep, built.state, display)


@dataclass
class SizeDisplay(SweepDisplay):
    """Notes the size of the convolution's weights after each step."""

    network: nn.Module = field(default_factory=nn.Identity)
    sizes: list[float] = field(default_factory=list)

    def step_taken(self, **values: Any) -> None:
        super().step_taken(**values)
        self.sizes.append(size_of_convolution(self.network))


def size_of_convolution(network: nn.Module) -> float:
    return float(next(network.parameters()).detach().norm())


def test_the_rate_grows_by_an_equal_factor_over_epoch_after_epoch(build_run: BuildRun) -> None:
    curve = swept(build_run)

    assert curve.rates[0] == pytest.approx(1e-5)
    assert curve.rates[-1] == pytest.approx(1.0) or curve.has_diverged
    factors = [later / earlier for earlier, later in zip(curve.rates, curve.rates[1:], strict=False)]
    assert factors == pytest.approx([factors[0]] * len(factors))
    assert len(curve.losses) == len(curve.rates) > 33 // 8  # more steps than an epoch has


@pytest.mark.slow
def test_the_same_seed_gives_the_same_curve(build_run: BuildRun) -> None:
    assert swept(build_run) == swept(build_run)
    assert swept(build_run) != swept(build_run, random_seed=8)


def test_something_is_learned_on_the_way(build_run: BuildRun) -> None:
    curve = swept(build_run, num_steps=100)

    assert float(curve.smoothed.min()) < curve.start - 0.2


@pytest.mark.parametrize("plan", [FROM_SCRATCH, AWAY, NEAR])
def test_weights_are_scaled_as_in_a_run_at_a_high_rate(build_run: BuildRun, plan: WeightPlan) -> None:
    def built(**changes: Any) -> SmallRun:
        network = small_network()
        head = head_of(network) if plan.are_given else None
        return build_run(network=network, plan=replace(plan, scales_convolutions=True), new_head=head, **changes)

    trained = built(learning_rate=SCALE_RATE, num_epochs=1)
    sizes: list[float] = []
    trained.display.after_step = lambda _: sizes.append(size_of_convolution(trained.network))
    trained.train()
    tested = built()
    display = SizeDisplay(SilentLine(), 60, network=tested.network)

    sweep_rates(RateSweep(**(vars(tested.run) | {"display": display, "num_steps": 60})), tested.state, display)

    assert display.sizes[0] == pytest.approx(sizes[0], rel=0.02)  # but for the first step


def test_steps_near_given_weights_are_bounded_at_every_rate(build_run: BuildRun) -> None:
    def longest_step(plan: WeightPlan) -> float:
        built = build_run(plan=plan)
        lengths: list[float] = []

        def note(optimizer: torch.optim.Optimizer, *_: object) -> None:
            gradients = [parameter.grad for parameter in built.network.parameters() if parameter.grad is not None]
            lengths.append(optimizer.param_groups[0]["lr"] * float(get_total_norm(gradients)))

        built.state.optimizer.register_step_post_hook(note)
        display = SweepDisplay(SilentLine(), 60)
        sweep_rates(RateSweep(**(vars(built.run) | {"display": display, "num_steps": 60})), built.state, display)
        return max(lengths)

    assert longest_step(AWAY) > 2 * LONGEST_STEP
    assert longest_step(NEAR) == pytest.approx(LONGEST_STEP)


def test_a_stop_ends_the_test(build_run: BuildRun) -> None:
    request = StopRequest()
    request.request(2)

    with pytest.raises(InterruptedRunError):
        swept(build_run, stop_request=request)


def test_weights_that_are_not_finite_are_named(build_run: BuildRun) -> None:
    network = small_network()
    with torch.no_grad():
        next(network.parameters()).fill_(torch.inf)

    with pytest.raises(NonFiniteLossError, match="before anything was learned"):
        swept(build_run, network=network)
