"""Closed-form head: ridge regression from features to classes (docs/decisions/0041-closed-form-head.md).

    features_nd   what the classifier's layer is given          targets_nk   one-hot labels
    weight        minimizes |features @ weight + intercept - targets|^2 + penalty * |weight|^2
    logits        scale * (features @ weight + intercept)

What the solution for all other images predicts for an image follows from one decomposition, for every penalty:

    left-out prediction = target - (target - prediction) / (1 - leverage)

Penalty and scale are chosen by these predictions: the penalty with the lowest squared error, then the scale with the
lowest cross-entropy. Everything is computed in fp64. Source: The Elements of Statistical Learning, sections 3.4.1 and
7.10.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy, one_hot

PENALTIES: tuple[float, ...] = tuple(10 ** (exponent / 2) for exponent in range(-12, 3))
"""Penalties that are tried, as shares of the largest eigenvalue of the features' scatter."""

_LEAST_SHARE = 1e-12  # of the features' sum of squares; eigenvalues below it are rounding errors
_LEAST_SLACK = 1e-9  # of 1 - leverage, which is positive but for rounding errors
_MOST_DOUBLINGS, _NUM_HALVINGS = 20, 30


@dataclass(frozen=True)
class ClosedFormHead:
    """A classifier's layer, and how well it predicts images that it does not know.

    Attributes:
        weight_kd: float64 [classes, features].
        bias_k: float64 [classes]; zeros where the layer has no bias.
        penalty: As a share of the largest eigenvalue of the features' scatter.
        scale: Of the logits, at least 0; 0 where the left-out predictions are no better than guessing.
        left_out_top1: Share (0 to 1) of the images whose class the solution for all other images names.
        left_out_loss: Mean cross-entropy of these predictions, in nats.
    """

    weight_kd: Tensor
    bias_k: Tensor
    penalty: float
    scale: float
    left_out_top1: float
    left_out_loss: float


def solve_head(features_nd: Tensor, labels_n: Tensor, num_classes: int, *, has_bias: bool = True) -> ClosedFormHead:
    """The head by ridge regression, with the penalty and the scale that predict left-out images best.

    Args:
        features_nd: Finite, of at least two images.
        labels_n: int64, 0 to num_classes - 1; there may be classes without images.
        num_classes: At least 1.
        has_bias: Whether the layer has a bias; if not, there is no intercept.
    """
    fit = RidgeFit(features_nd, labels_n, num_classes, has_bias=has_bias)
    penalty = min(PENALTIES, key=lambda penalty: fit.squared_error(fit.left_out(penalty)))
    predicted_nk = fit.left_out(penalty)
    scale = fit_scale(predicted_nk, labels_n)
    weight_dk, intercept_k = fit.solution(penalty)
    return ClosedFormHead(
        weight_kd=scale * weight_dk.T,
        bias_k=scale * intercept_k,
        penalty=penalty,
        scale=scale,
        left_out_top1=float((predicted_nk.argmax(1) == labels_n).double().mean()),
        left_out_loss=float(cross_entropy(scale * predicted_nk, labels_n)),
    )


class RidgeFit:
    """Ridge regressions of the same features and labels with any penalty; arguments as for `solve_head`."""

    def __init__(self, features_nd: Tensor, labels_n: Tensor, num_classes: int, *, has_bias: bool) -> None:
        features_nd = features_nd.double()
        self._has_bias = has_bias
        self._targets_nk = one_hot(labels_n, num_classes).double()
        # Without an intercept from the middle: a number that is added to all logits changes no probability.
        middle_k = torch.full((num_classes,), 1 / num_classes, dtype=torch.float64)
        self._mean_k = self._targets_nk.mean(0) if has_bias else middle_k
        self._center_d = features_nd.mean(0) if has_bias else torch.zeros_like(features_nd[0])
        self._features_nd = features_nd - self._center_d
        self._eigenvalues_r, self._projected_nr = _principal_axes(
            self._features_nd, least=_LEAST_SHARE * float(features_nd.square().sum())
        )
        self._products_rk = self._projected_nr.T @ (self._targets_nk - self._mean_k)

    def left_out(self, penalty: float) -> Tensor:
        """Predictions float64 [n, k] for each image, by the solution for all other images."""
        damped_r = 1 / (self._eigenvalues_r + self._absolute(penalty))
        predicted_nk = self._mean_k + self._projected_nr @ (damped_r[:, None] * self._products_rk)
        leverage_n = self._projected_nr.square() @ damped_r
        if self._has_bias:
            leverage_n = leverage_n + 1 / len(leverage_n)
        slack_n = (1 - leverage_n).clamp(min=_LEAST_SLACK)
        return self._targets_nk - (self._targets_nk - predicted_nk) / slack_n[:, None]

    def squared_error(self, predicted_nk: Tensor) -> float:
        """Mean squared distance of predictions to the one-hot labels."""
        return float((predicted_nk - self._targets_nk).square().sum(1).mean())

    def solution(self, penalty: float) -> tuple[Tensor, Tensor]:
        """Weights float64 [d, k] and intercepts float64 [k]."""
        shrunk_rk = self._products_rk / (self._eigenvalues_r * (self._eigenvalues_r + self._absolute(penalty)))[:, None]
        weight_dk = self._features_nd.T @ (self._projected_nr @ shrunk_rk)
        return weight_dk, self._mean_k - self._center_d @ weight_dk if self._has_bias else torch.zeros_like(
            self._mean_k
        )

    def _absolute(self, penalty: float) -> float:
        return penalty * float(self._eigenvalues_r.max()) if len(self._eigenvalues_r) else penalty


def fit_scale(predicted_nk: Tensor, labels_n: Tensor) -> float:
    """The factor of at least 0 by which predictions become the logits with the lowest cross-entropy.

    One more image of an unknown class is counted, so that it is finite where all predictions are right. The slope of
    the cross-entropy rises with the factor: its zero is found by halving.
    """
    num_images, num_classes = predicted_nk.shape
    targets_nk = one_hot(labels_n, num_classes).double()
    targets_nk = (num_images * targets_nk + 1 / num_classes) / (num_images + 1)

    def slope(scale: float) -> float:
        return float((predicted_nk * ((scale * predicted_nk).softmax(1) - targets_nk)).sum())

    low, high = 0.0, 1.0
    if slope(low) >= 0:
        return 0.0
    for _ in range(_MOST_DOUBLINGS):
        if slope(high) >= 0:
            break
        low, high = high, 2 * high
    for _ in range(_NUM_HALVINGS):
        middle = (low + high) / 2
        low, high = (middle, high) if slope(middle) < 0 else (low, middle)
    return low


def _principal_axes(features_nd: Tensor, *, least: float) -> tuple[Tensor, Tensor]:
    """Sums of squares [r] along the principal axes, those above `least`, and the features [n, r] along them.

    The smaller of the two scatter matrices is decomposed.
    """
    num_images, num_features = features_nd.shape
    if num_images <= num_features:
        squares, vectors = torch.linalg.eigh(features_nd @ features_nd.T)
    else:
        squares, vectors = torch.linalg.eigh(features_nd.T @ features_nd)
    is_kept = squares > least
    squares, vectors = squares[is_kept], vectors[:, is_kept]
    return squares, vectors * squares.sqrt() if num_images <= num_features else features_nd @ vectors
