"""Distributions of drawn parameters, compared with samples of torchvision's."""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torchvision.transforms import v2

from pytorch_designer.transforms.blur import GaussianBlur
from pytorch_designer.transforms.color import ColorJitter, RandomAutocontrast, RandomGrayscale
from pytorch_designer.transforms.erasing import RandomErasing
from pytorch_designer.transforms.flips import RandomHorizontalFlip, RandomVerticalFlip
from pytorch_designer.transforms.geometry import RandomAffine, RandomPerspective, RandomRotation
from pytorch_designer.transforms.rng import Rng
from pytorch_designer.transforms.sizes import RandomCrop, RandomResizedCrop

pytestmark = pytest.mark.slow

NUM_SAMPLES = 2000
HEIGHT, WIDTH = 60, 90
# Two samples of this size from one distribution differ by more only once in 10,000 times.
GREATEST_DISTANCE = 2.23 * np.sqrt(2 / NUM_SAMPLES)


def distance(one: NDArray[np.float64], two: NDArray[np.float64]) -> float:
    """The two-sample Kolmogorov-Smirnov statistic: the greatest difference of the cumulative shares."""
    values = np.sort(np.concatenate([one, two]))
    shares = [np.searchsorted(np.sort(sample), values, side="right") / len(sample) for sample in (one, two)]
    return float(np.abs(shares[0] - shares[1]).max())


def torchvision_samples(transform: Any, names: list[str], height: int, width: int) -> NDArray[np.float64]:
    torch.manual_seed(0)
    image = torch.zeros(3, height, width, dtype=torch.uint8)
    drawn = [transform.make_params([image]) for _ in range(NUM_SAMPLES)]
    return np.array([[params[name] for name in names] for params in drawn], dtype=np.float64)


def assert_same_distribution(ours: list[tuple[float, ...]], theirs: NDArray[np.float64]) -> None:
    samples = np.array(ours, dtype=np.float64)
    assert samples.shape == theirs.shape
    for column in range(theirs.shape[1]):
        assert distance(samples[:, column], theirs[:, column]) < GREATEST_DISTANCE, column


@pytest.mark.parametrize(
    ("size", "options"),
    [
        ((HEIGHT, WIDTH), {}),
        ((HEIGHT, WIDTH), {"scale": (0.5, 0.6), "ratio": (0.4, 0.9)}),
        ((10, 200), {"scale": (0.9, 1.0)}),  # no part is found: the middle
        ((200, 10), {"scale": (0.9, 1.0)}),
        ((20, 20), {"scale": (1.2, 1.5)}),
    ],
)
def test_resized_crops(size: tuple[int, int], options: dict[str, Any]) -> None:
    rng, transform = Rng(1), RandomResizedCrop(size=(9, 9), **options)
    ours: list[tuple[float, ...]] = [transform.draw(*size, rng) for _ in range(NUM_SAMPLES)]
    theirs = torchvision_samples(v2.RandomResizedCrop(9, **options), ["top", "left", "height", "width"], *size)
    assert_same_distribution(ours, theirs)


def test_crops() -> None:
    rng, transform = Rng(2), RandomCrop(size=(20, 31))
    ours: list[tuple[float, ...]] = [transform.draw(HEIGHT, WIDTH, rng).box[:2] for _ in range(NUM_SAMPLES)]
    assert_same_distribution(ours, torchvision_samples(v2.RandomCrop((20, 31)), ["top", "left"], HEIGHT, WIDTH))


def test_a_crop_of_the_whole_image_has_one_place() -> None:
    assert RandomCrop(size=(HEIGHT, WIDTH)).draw(HEIGHT, WIDTH, Rng(0)).box == (0, 0, HEIGHT, WIDTH)


@pytest.mark.parametrize("options", [{}, {"scale": (0.3, 0.9), "ratio": (1.0, 2.0)}])
def test_erased_parts(options: dict[str, Any]) -> None:
    rng, transform = Rng(3), RandomErasing(**options)
    boxes = [transform.draw_box(HEIGHT, WIDTH, rng) for _ in range(NUM_SAMPLES)]
    ours: list[tuple[float, ...]] = [box or (0, 0, HEIGHT, WIDTH) for box in boxes]  # as torchvision says "none found"
    theirs = torchvision_samples(v2.RandomErasing(**options), ["i", "j", "h", "w"], HEIGHT, WIDTH)
    assert_same_distribution(ours, theirs)


def test_no_part_is_erased_where_none_is_smaller_than_the_image() -> None:
    assert RandomErasing(scale=(1, 1), ratio=(1, 1)).draw_box(9, 9, Rng(0)) is None


@pytest.mark.parametrize(
    "options",
    [
        {"degrees": (-30, 30)},
        {"degrees": (0, 90), "translate": (0.1, 0.4), "scale": (0.5, 2.0), "shear": (-10, 20)},
        {"degrees": (0, 0), "shear": (-10, 20, 5, 6)},
    ],
)
def test_affine_parameters(options: dict[str, Any]) -> None:
    rng, transform = Rng(4), RandomAffine(**options)
    drawn = [transform.draw(HEIGHT, WIDTH, rng) for _ in range(NUM_SAMPLES)]
    ours: list[tuple[float, ...]] = [(each.angle, *each.translate, each.scale, *each.shear) for each in drawn]
    torch.manual_seed(0)
    transform, image = v2.RandomAffine(**options), torch.zeros(3, HEIGHT, WIDTH)
    params = [transform.make_params([image]) for _ in range(NUM_SAMPLES)]
    theirs = [(each["angle"], *each["translate"], each["scale"], *each["shear"]) for each in params]
    assert_same_distribution(ours, np.array(theirs))


def test_jitter_factors_and_their_order() -> None:
    options: dict[str, Any] = {"brightness": (0.75, 1.25), "contrast": (0, 3), "saturation": (1, 2), "hue": (-0.1, 0.3)}
    rng, transform = Rng(5), ColorJitter(**options)
    drawn = [transform.draw(HEIGHT, WIDTH, rng) for _ in range(NUM_SAMPLES)]
    ours: list[tuple[float, ...]] = [tuple(each.factors[name] or 0.0 for name in options) for each in drawn]
    names = [f"{name}_factor" for name in options]
    assert_same_distribution(ours, torchvision_samples(v2.ColorJitter(**options), names, HEIGHT, WIDTH))
    counts = Counter(each.order for each in drawn)
    assert len(counts) == 24
    assert max(abs(count - NUM_SAMPLES / 24) for count in counts.values()) < 5 * np.sqrt(NUM_SAMPLES / 24)


def test_neutral_and_absent_factors_change_nothing() -> None:
    factors = ColorJitter(brightness=(1, 1), hue=(0, 0)).draw(HEIGHT, WIDTH, Rng(0)).factors
    assert factors == {"brightness": None, "contrast": None, "saturation": None, "hue": None}


def test_perspective_moves_each_corner_evenly_towards_the_middle() -> None:
    rng, transform = Rng(6), RandomPerspective(distortion_scale=0.5)
    drawn = [transform.draw_corners(HEIGHT, WIDTH, rng) for _ in range(NUM_SAMPLES)]
    assert drawn[0][0] == [(0, 0), (89, 0), (89, 59), (0, 59)]
    moved = np.array([corners for _, corners in drawn])
    # Half of half the sides: up to 22 of 90 pixels, and up to 15 of 60, each end included.
    lowest = [[0, 0], [67, 0], [67, 44], [0, 44]]
    highest = [[22, 15], [89, 15], [89, 59], [22, 59]]
    assert moved.min(axis=0).tolist() == lowest
    assert moved.max(axis=0).tolist() == highest
    middle = (np.array(lowest) + np.array(highest)) / 2
    assert np.abs(moved.mean(axis=0) - middle).max() < 5 * 23 / np.sqrt(12 * NUM_SAMPLES)


CASES: list[tuple[Any, Any]] = [
    (RandomHorizontalFlip(p=0.3), lambda rng: rng.happens(0.3)),
    (RandomVerticalFlip(p=0.3), lambda rng: rng.happens(0.3)),
    (RandomGrayscale(p=0.3), lambda rng: rng.happens(0.3)),
    (RandomRotation(degrees=(-4, 9)), lambda rng: rng.uniform(-4, 9)),
    (RandomAutocontrast(p=0.3), lambda rng: rng.happens(0.3)),
    (GaussianBlur(kernel_size=(3, 3)), lambda rng: rng.uniform(0.1, 2.0)),
]


@pytest.mark.parametrize(("transform", "draw"), CASES, ids=[each.op for each, _ in CASES])
def test_what_a_transform_draws_is_drawn_and_nothing_else(transform: Any, draw: Any) -> None:
    for row in range(20):
        rng, same = Rng(row), Rng(row)
        assert transform.draw(HEIGHT, WIDTH, rng) == draw(same)
        assert rng.uniform() == same.uniform()


def test_what_does_not_happen_draws_nothing_more() -> None:
    for transform in (RandomPerspective(p=0), RandomErasing(p=0)):
        rng, same = Rng(1), Rng(1)
        assert transform.draw(HEIGHT, WIDTH, rng) is None
        same.happens(0)
        assert rng.uniform() == same.uniform()


def test_paint_is_drawn_after_the_part_that_it_covers() -> None:
    rng, same, transform = Rng(1), Rng(1), RandomErasing(p=1, value="random")
    erasure = transform.draw(HEIGHT, WIDTH, rng)
    same.happens(1)
    box = transform.draw_box(HEIGHT, WIDTH, same)
    assert box is not None
    assert erasure is not None
    assert erasure.paint is not None
    assert erasure.box == box
    assert erasure.paint.shape == (3, box.height, box.width)
    assert (erasure.paint.ravel() == same.values(3 * box.height * box.width)).all()
    assert RandomErasing(p=1, value=3).draw(HEIGHT, WIDTH, Rng(1)) == (box, None)


@pytest.mark.parametrize(
    ("transform", "padding"),
    [
        (RandomCrop(size=(20, 31)), (0, 0, 0, 0)),
        (RandomCrop(size=(20, 31), padding=(1, 2, 3, 4)), (1, 2, 3, 4)),
        (RandomCrop(size=(70, 95), pad_if_needed=True), (5, 10, 5, 10)),
        (RandomCrop(size=(70, 31), pad_if_needed=True, padding=(1, 2, 3, 4)), (1, 6, 3, 8)),
    ],
)
def test_crops_lie_in_the_padded_image(transform: RandomCrop, padding: tuple[int, ...]) -> None:
    rng = Rng(3)
    for _ in range(200):
        drawn = transform.draw(HEIGHT, WIDTH, rng)
        assert drawn.padding == padding
        assert 0 <= drawn.box.top <= HEIGHT + padding[1] + padding[3] - transform.size[0]
        assert 0 <= drawn.box.left <= WIDTH + padding[0] + padding[2] - transform.size[1]


def test_crops_larger_than_the_image_are_refused() -> None:
    with pytest.raises(ValueError, match="the crop is larger than the image"):
        RandomCrop(size=(61, 9)).draw(HEIGHT, WIDTH, Rng(0))
