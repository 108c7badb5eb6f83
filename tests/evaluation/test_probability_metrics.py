from __future__ import annotations

import math

import numpy as np
import pytest
from sklearn.calibration import calibration_curve

from pytorch_designer.evaluation.probability_metrics import calibrate


def test_bins_are_scikit_learns() -> None:
    generator = np.random.default_rng(0)
    confidence = np.concatenate([generator.uniform(size=2000), np.linspace(0, 1, 11)])
    is_correct = generator.uniform(size=len(confidence)) < confidence**2
    accuracy, mean_confidence = calibration_curve(is_correct, confidence, n_bins=10)
    bins = calibrate(confidence, is_correct).bins

    np.testing.assert_allclose([part.accuracy for part in bins], accuracy, rtol=1e-14)
    np.testing.assert_allclose([part.confidence for part in bins], mean_confidence, rtol=1e-14)
    assert sum(part.num_images for part in bins) == len(confidence)


def test_the_expected_error_weighs_each_bin_by_its_images() -> None:
    # Three images near 0.95 of which two are right, one image at 0.55 that is wrong.
    calibration = calibrate(np.array([0.95, 0.95, 0.95, 0.55]), np.array([True, True, False, False]))

    assert calibration.expected_error == pytest.approx(0.75 * (0.95 - 2 / 3) + 0.25 * 0.55)
    assert calibration.mean_confidence == pytest.approx(0.85)


def test_confidence_that_comes_true_has_no_error() -> None:
    assert calibrate(np.array([0.5, 0.5, 1.0]), np.array([True, False, True])).expected_error == 0


def test_an_empty_bin_has_no_accuracy() -> None:
    bins = calibrate(np.array([1.0]), np.array([True])).bins

    assert [part.num_images for part in bins] == [0] * 9 + [1]
    assert math.isnan(bins[0].accuracy)
    assert (bins[-1].lower, bins[-1].upper, bins[-1].accuracy) == (0.9, 1.0, 1.0)
