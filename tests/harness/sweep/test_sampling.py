"""Values that are drawn for trials."""

from __future__ import annotations

from typing import Any

import pytest

from pytorch_designer.harness.node_kinds.search_space import Hyperparameter
from pytorch_designer.harness.node_kinds.sweep_settings import Sampling, SweepSettings
from pytorch_designer.harness.sweep.sampling import open_sampler

X = Hyperparameter("x", "uniform")
KIND = Hyperparameter("kind", "choice", choices=("a", "b"))
SIZE = Hyperparameter("size", "choice", choices=(1, 2, 3))


def _settings(sampling: Sampling, *space: Hyperparameter, total: int = 12) -> SweepSettings:
    return SweepSettings(space, sampling, "m", False, total, 1)


def _drawn(settings: SweepSettings, number: int) -> list[dict[str, Any]]:
    sampler = open_sampler(settings)
    drawn = []
    for index in range(number):
        drawn.append(sampler.values(index))
        sampler.tell(index, abs(float(drawn[-1].get("x", 0)) - 0.2))
    return drawn


def test_a_grid_is_all_combinations_in_order() -> None:
    settings = _settings(Sampling("grid"), KIND, SIZE)

    assert [tuple(values.values()) for values in _drawn(settings, 6)] == [
        (kind, size) for kind in ("a", "b") for size in (1, 2, 3)
    ]


@pytest.mark.parametrize("sampling", [Sampling(), Sampling(rule="sobol"), Sampling("bayesian")])
def test_the_same_values_are_drawn_again(sampling: Sampling) -> None:
    settings = _settings(sampling, X, KIND)

    first = _drawn(settings, 12)

    assert first == _drawn(settings, 12)
    assert all(0 <= values["x"] <= 1 for values in first)
    assert {values["kind"] for values in first} == {"a", "b"}
    assert len({values["x"] for values in first}) == 12


def test_another_seed_draws_other_values() -> None:
    assert _drawn(_settings(Sampling(seed=1), X), 3) != _drawn(_settings(Sampling(seed=2), X), 3)


def test_bayesian_search_comes_near_the_best_value() -> None:
    drawn = _drawn(_settings(Sampling("bayesian"), X, total=30), 30)

    late = [abs(values["x"] - 0.2) for values in drawn[20:]]
    assert sum(late) / len(late) < 0.15  # at random it would be 0.34


def test_a_trial_without_a_result_is_no_obstacle() -> None:
    sampler = open_sampler(_settings(Sampling("bayesian"), X))
    for index in range(6):
        sampler.values(index)
        sampler.tell(index, None)

    assert 0 <= float(sampler.values(6)["x"]) <= 1
