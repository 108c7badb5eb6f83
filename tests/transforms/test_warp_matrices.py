"""Matrices take places in the result to places in the image."""

from __future__ import annotations

import numpy as np
import pytest
from torchvision.transforms import functional

from pytorch_designer.transforms.geometry import (
    AffineParameters,
    MovedCorners,
    inverse_affine,
    perspective_coefficients,
)


def moved_back(drawn: AffineParameters, center: tuple[float, float], place: tuple[float, float]) -> list[float]:
    matrix = np.array(inverse_affine(drawn, center)).reshape(2, 3)
    return [float(value) for value in matrix @ [*place, 1.0]]


@pytest.mark.parametrize(
    ("drawn", "center", "place", "expected"),
    [
        (AffineParameters(0, (0, 0), 1, (0, 0)), (5, 6), (3, 4), [3, 4]),
        (AffineParameters(0, (2, -1), 1, (0, 0)), (5, 6), (3, 4), [1, 5]),
        (AffineParameters(0, (0, 0), 2, (0, 0)), (1, 1), (3, 5), [2, 3]),  # twice as large: half as far from the center
        (AffineParameters(90, (0, 0), 1, (0, 0)), (0, 0), (0, 1), [1, 0]),  # right turns down, as y points down
        (AffineParameters(0, (0, 0), 1, (45, 0)), (0, 0), (0, 1), [1, 1]),
        (AffineParameters(0, (0, 0), 1, (0, 45)), (0, 0), (1, 0), [1, 1]),
    ],
)
def test_places_are_moved_back(
    drawn: AffineParameters, center: tuple[float, float], place: tuple[float, float], expected: list[float]
) -> None:
    assert moved_back(drawn, center, place) == pytest.approx(expected)


def test_moved_corners_come_from_the_corners_of_the_image() -> None:
    corners = [(0, 0), (9, 0), (9, 5), (0, 5)]
    first, second = [(1, 2), (8, 1), (7, 4), (0, 5)], [(0, 0), (9, 0), (9, 5), (0, 5)]
    coefficients = perspective_coefficients([MovedCorners(corners, first), MovedCorners(corners, second)])
    for moved, numbers in zip((first, second), coefficients, strict=True):
        matrix = np.append(numbers, 1.0).reshape(3, 3)
        back = [matrix @ [*point, 1.0] for point in moved]
        assert np.array([point[:2] / point[2] for point in back]) == pytest.approx(np.array(corners), abs=1e-4)
    assert coefficients[1] == pytest.approx([1, 0, 0, 0, 1, 0, 0, 0], abs=1e-6)


def test_coefficients_are_torchvisions_to_the_last_bit() -> None:
    corners, moved = [(0, 0), (99, 0), (99, 50), (0, 50)], [(13, 21), (80, 1), (72, 44), (7, 50)]
    expected = functional._get_perspective_coeffs([list(p) for p in corners], [list(p) for p in moved])
    assert perspective_coefficients([MovedCorners(corners, moved)] * 3).tolist() == [expected] * 3


def test_corners_in_one_place_have_no_matrix() -> None:
    with pytest.raises(RuntimeError, match="full rank"):
        perspective_coefficients([MovedCorners([(0, 0)] * 4, [(0, 0)] * 4)])
