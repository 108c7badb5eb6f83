from __future__ import annotations

from typing import Any

import pytest
import torch

from pytorch_designer.errors import InterruptedRunError, NonFiniteLossError
from pytorch_designer.progress import SilentLine
from pytorch_designer.system.stop_requests import StopRequest
from pytorch_designer.training.rate_search.rate_curve import RateCurve
from pytorch_designer.training.rate_search.sweep import RateSweep, SweepDisplay, sweep_rates
from tests.training.small_run import BuildRun, small_network


def swept(build_run: BuildRun, *, num_steps: int = 60, **changes: Any) -> RateCurve:
    built = build_run(**changes)
    display = SweepDisplay(SilentLine(), num_steps)
    sweep = RateSweep(**(vars(built.run) | {"display": display, "num_steps": num_steps}))
    return sweep_rates(sweep, built.state, display)


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
