"""Ridge regression in closed form, compared with solutions that really leave an image out."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor
from torch.nn.functional import cross_entropy, one_hot

from pytorch_designer.training.start.closed_form_head import PENALTIES, RidgeFit, fit_scale, solve_head


def some_features(num_images: int, num_features: int, num_classes: int = 3, seed: int = 0) -> tuple[Tensor, Tensor]:
    """Noisy features around a mean of each class, away from zero."""
    generator = torch.Generator().manual_seed(seed)
    labels_n = torch.arange(num_images) % num_classes
    means_kd = torch.randn(num_classes, num_features, generator=generator, dtype=torch.float64)
    noise_nd = torch.randn(num_images, num_features, generator=generator, dtype=torch.float64)
    return 5 + means_kd[labels_n] + 2 * noise_nd, labels_n


def refitted(features_nd: Tensor, labels_n: Tensor, num_classes: int, penalty: float, *, has_bias: bool) -> Tensor:
    """The prediction for each image by a dense solution for all others."""
    targets_nk = one_hot(labels_n, num_classes).double()
    if not has_bias:
        targets_nk = targets_nk - 1 / num_classes
    found = []
    for left_out in range(len(labels_n)):
        others = torch.arange(len(labels_n)) != left_out
        inputs, targets = features_nd[others], targets_nk[others]
        damping = penalty * torch.eye(features_nd.shape[1] + has_bias, dtype=torch.float64)
        if has_bias:
            inputs = torch.cat([inputs, torch.ones(len(inputs), 1, dtype=torch.float64)], 1)
            damping[-1, -1] = 0
        solution = torch.linalg.solve(inputs.T @ inputs + damping, inputs.T @ targets)
        row = features_nd[left_out]
        found.append((torch.cat([row, torch.ones(1, dtype=torch.float64)]) if has_bias else row) @ solution)
    return torch.stack(found) + (0 if has_bias else 1 / num_classes)


@pytest.mark.parametrize("has_bias", [True, False])
@pytest.mark.parametrize(("num_images", "num_features"), [(12, 30), (40, 7), (9, 9)])
def test_left_out_predictions_are_those_of_solutions_without_the_image(
    num_images: int, num_features: int, has_bias: bool
) -> None:
    features_nd, labels_n = some_features(num_images, num_features)
    fit = RidgeFit(features_nd, labels_n, 4, has_bias=has_bias)  # the fourth class has no images
    around = features_nd - features_nd.mean(0) if has_bias else features_nd
    largest = float(torch.linalg.matrix_norm(around, 2)) ** 2
    for penalty in (1e-4, 1e-2, 1.0):
        expected = refitted(features_nd, labels_n, 4, penalty * largest, has_bias=has_bias)
        torch.testing.assert_close(fit.left_out(penalty), expected, rtol=1e-7, atol=1e-7)


@pytest.mark.parametrize("has_bias", [True, False])
@pytest.mark.parametrize(("num_images", "num_features"), [(12, 30), (40, 7)])
def test_the_solution_has_no_gradient(num_images: int, num_features: int, has_bias: bool) -> None:
    features_nd, labels_n = some_features(num_images, num_features)
    fit = RidgeFit(features_nd, labels_n, 3, has_bias=has_bias)
    around = features_nd - features_nd.mean(0) if has_bias else features_nd
    weight_dk, intercept_k = fit.solution(0.01)
    weight_dk.requires_grad_()
    intercept_k.requires_grad_()
    targets_nk = one_hot(labels_n, 3).double() - (0 if has_bias else 1 / 3)
    penalty = 0.01 * float(torch.linalg.matrix_norm(around, 2)) ** 2
    loss = (features_nd @ weight_dk + intercept_k - targets_nk).square().sum() + penalty * weight_dk.square().sum()
    by_weight, by_intercept = torch.autograd.grad(loss, [weight_dk, intercept_k])
    assert by_weight.abs().max() < 1e-8 * penalty
    if has_bias:
        assert by_intercept.abs().max() < 1e-8


def test_penalty_and_scale_are_the_best_for_left_out_images() -> None:
    features_nd, labels_n = some_features(60, 20)
    found = solve_head(features_nd, labels_n, 3)
    fit = RidgeFit(features_nd, labels_n, 3, has_bias=True)
    errors = {penalty: fit.squared_error(fit.left_out(penalty)) for penalty in PENALTIES}
    assert errors[found.penalty] == min(errors.values())
    assert PENALTIES[0] < found.penalty < PENALTIES[-1]
    predicted_nk = found.scale * fit.left_out(found.penalty)
    losses = [float(cross_entropy(factor * predicted_nk, labels_n)) for factor in (0.8, 1.0, 1.25)]
    assert found.left_out_loss == losses[1] == min(losses)
    assert found.left_out_loss < math.log(3)
    weight_dk, intercept_k = fit.solution(found.penalty)
    torch.testing.assert_close(found.weight_kd, found.scale * weight_dk.T)
    torch.testing.assert_close(found.bias_k, found.scale * intercept_k)


def test_many_features_and_few_images_are_not_learned_by_heart() -> None:
    features_nd, labels_n = some_features(30, 500)
    noise_nd = torch.randn(30, 500, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    assert solve_head(features_nd, labels_n, 3).left_out_top1 > 0.8
    found = solve_head(noise_nd, labels_n, 3)
    assert found.left_out_loss < math.log(3) + 0.02
    assert found.weight_kd.norm() < 0.1 * solve_head(features_nd, labels_n, 3).weight_kd.norm()


@pytest.mark.parametrize("value", [0.0, 1.0, 1e-30, 1e30, 3.3])
def test_features_that_do_not_differ_give_the_shares_of_the_classes(value: float) -> None:
    labels_n = torch.tensor([0, 0, 0, 1])
    found = solve_head(torch.full((4, 5), value), labels_n, 3)
    assert found.weight_kd.abs().max() == 0
    assert found.bias_k.isfinite().all()
    assert found.bias_k[0] >= found.bias_k[1] >= found.bias_k[2] == 0


def test_features_without_a_bias_may_be_zero() -> None:
    found = solve_head(torch.zeros(4, 5), torch.tensor([0, 1, 0, 1]), 2, has_bias=False)
    assert not found.weight_kd.any()
    assert not found.bias_k.any()


@pytest.mark.parametrize("num_images", [2, 3])
def test_more_classes_than_images(num_images: int) -> None:
    features_nd, _ = some_features(num_images, 6)
    found = solve_head(features_nd, torch.arange(num_images), 50)
    assert found.weight_kd.shape == (50, 6)
    assert found.weight_kd.isfinite().all()
    assert found.left_out_loss <= math.log(50) + 1e-9


def test_size_of_the_features_is_no_matter() -> None:
    features_nd, labels_n = some_features(40, 10)
    one = solve_head(features_nd, labels_n, 3)
    for factor in (1e-12, 1e12):
        other = solve_head(factor * features_nd, labels_n, 3)
        assert other.penalty == one.penalty
        torch.testing.assert_close(factor * other.weight_kd, one.weight_kd)


def test_repeated_images_have_no_leverage_of_their_own() -> None:
    features_nd, labels_n = some_features(6, 20)
    found = solve_head(features_nd.repeat(4, 1), labels_n.repeat(4), 3)
    assert found.left_out_top1 == 1
    assert 0 < found.scale < 100


def test_scale_is_zero_where_predictions_are_worse_than_guessing() -> None:
    assert fit_scale(torch.tensor([[0.0, 1.0], [1.0, 0.0]], dtype=torch.float64), torch.tensor([0, 1])) == 0


def test_scale_grows_with_the_number_of_right_predictions_and_is_finite() -> None:
    scales = [
        fit_scale(torch.eye(2, dtype=torch.float64).repeat(number, 1), torch.tensor([0, 1]).repeat(number))
        for number in (1, 10, 1000)
    ]
    assert scales == sorted(scales)
    # One image of an unknown class in 2001: a share of 1/4002 for the other class.
    assert scales[-1] == pytest.approx(math.log(4001), rel=1e-3)
