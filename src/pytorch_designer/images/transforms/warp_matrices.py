"""Matrices from places in a turned or bent image to places in the image it was, by torchvision's formulas.

Torchvision makes them for one image, in functions that are private (`torchvision.transforms.v2.functional._geometry`,
`_get_inverse_affine_matrix`; `torchvision.transforms.functional`, `_get_perspective_coeffs`).
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
import torch

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from pytorch_designer.images.transforms.random_parameters import AffineParameters, MovedCorners


def inverse_affine(drawn: AffineParameters, center: tuple[float, float]) -> list[float]:
    """The six numbers of the matrix's first two rows, for (x, y, 1) in pixels from the middle of the image.

    The image is sheared along x and y, scaled and turned about `center` (x, y), then shifted.
    """
    turn, (shear_x, shear_y) = math.radians(drawn.angle), (math.radians(angle) for angle in drawn.shear)
    a = math.cos(turn - shear_y) / math.cos(shear_y)
    b = -(a * math.tan(shear_x) + math.sin(turn))
    c = math.sin(turn - shear_y) / math.cos(shear_y)
    d = math.cos(turn) - c * math.tan(shear_x)
    (x, y), (to_x, to_y) = center, (at + shift for at, shift in zip(center, drawn.translate, strict=True))
    first, second = (d / drawn.scale, -b / drawn.scale), (-c / drawn.scale, a / drawn.scale)
    return [
        *first,
        x - first[0] * to_x - first[1] * to_y,
        *second,
        y - second[0] * to_x - second[1] * to_y,
    ]


def perspective_coefficients(drawn: Sequence[MovedCorners]) -> NDArray[np.float32]:
    """float32 [m, 8], all but the last number, a 1, of the matrices that take moved corners back; in pixels.

    No three corners of an image may lie on a line.
    """
    to_x, to_y = np.array([each.corners for each in drawn], dtype=np.float64).transpose(2, 0, 1)
    x, y = np.array([each.moved for each in drawn], dtype=np.float64).transpose(2, 0, 1)
    equations = np.zeros((len(drawn), 4, 2, 8))
    equations[:, :, 0, :3] = equations[:, :, 1, 3:6] = np.stack([x, y, np.ones_like(x)], axis=-1)
    for axis, to in enumerate((to_x, to_y)):
        equations[:, :, axis, 6:] = np.stack([-to * x, -to * y], axis=-1)
    targets = np.stack([to_x, to_y], axis=-1).reshape(-1, 8, 1)
    left, right = torch.from_numpy(equations.reshape(-1, 8, 8)), torch.from_numpy(targets)
    solution: NDArray[np.float32] = torch.linalg.lstsq(left, right, driver="gels").solution[..., 0].float().numpy()
    return solution
