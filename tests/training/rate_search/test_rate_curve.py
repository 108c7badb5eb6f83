from __future__ import annotations

import numpy as np
import pytest

from pytorch_designer.components.train_pytorch_model import TrainPyTorchModelParameters
from pytorch_designer.training.rate_search.rate_curve import RateCurve, rounded_down, suggest_rate, table_lines

from .curves import RATES, valley


@pytest.mark.parametrize("lowest", [0.003, 0.03, 0.2])
def test_the_rate_where_nine_tenths_of_the_fall_are_reached_is_suggested(lowest: float) -> None:
    suggestion = suggest_rate(valley(lowest))

    assert suggestion.rate is not None
    assert lowest / 5 < suggestion.rate <= lowest
    assert "and rose beyond" in suggestion.reason


@pytest.mark.parametrize("seed", range(5))
def test_noise_of_the_batches_moves_the_suggestion_by_a_digit_at_most(seed: int) -> None:
    suggestion = suggest_rate(valley(0.03, noise=0.15, seed=seed))

    assert suggestion.rate in {0.01, 0.02, 0.03}


@pytest.mark.parametrize("seed", range(5))
def test_nothing_is_suggested_for_noise(seed: int) -> None:
    losses = 1.6 + 0.15 * np.random.default_rng(seed).normal(size=len(RATES))

    suggestion = suggest_rate(RateCurve(RATES, tuple(losses.tolist()), has_diverged=False))

    assert suggestion.rate is None
    assert f"train at the default, {TrainPyTorchModelParameters().learning_rate}." in suggestion.reason


def test_a_loss_that_falls_to_the_end_is_said() -> None:
    falling = valley(1.0)

    assert "the end of the range" in suggest_rate(falling).reason


def test_smoothing_keeps_a_straight_line_and_averages_noise() -> None:
    noisy = RateCurve(RATES, tuple((1 + np.random.default_rng(0).normal(size=len(RATES))).tolist()), has_diverged=False)

    assert np.ptp(noisy.smoothed) < np.ptp(noisy.losses) / 2
    flat = RateCurve(RATES, (2.0,) * len(RATES), has_diverged=False)
    assert flat.smoothed == pytest.approx([2.0] * len(RATES))
    assert flat.noise == 0


@pytest.mark.parametrize(
    ("rate", "rounded"), [(0.001, 0.001), (0.00199, 0.001), (0.0299, 0.02), (0.49, 0.3), (0.5, 0.5), (9.9e-5, 5e-5)]
)
def test_rates_are_rounded_down_to_a_digit(rate: float, rounded: float) -> None:
    assert rounded_down(rate) == rounded


def test_table_has_a_row_per_half_decade_and_marks_the_suggestion() -> None:
    curve = valley(0.03)
    lines = table_lines(curve, suggest_rate(curve))

    (suggested,) = [line.split() for line in lines if "suggested" in line]
    assert float(suggested[0]) == suggest_rate(curve).rate
    assert any("lowest loss" in line for line in lines)
    assert len(lines) >= 12


def test_table_ends_where_the_test_ended() -> None:
    curve = RateCurve(RATES[:70], valley(0.003).losses[:70], has_diverged=True)
    lines = table_lines(curve, suggest_rate(curve))

    assert "the test had ended" in lines[-1]
    assert float(lines[-1].split()[0]) > RATES[69]
