"""Policies draw what torchvision's draw, and do to pixels what torchvision's do."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest
import torch
from torchvision.transforms import InterpolationMode, v2

from pytorch_designer.transforms.policies import PolicyOperation, RandAugment, TrivialAugmentWide
from pytorch_designer.transforms.rng import Rng
from tests.images.image_corpus import smooth_pixels

HEIGHT, WIDTH = 40, 56
IMAGE = torch.from_numpy(smooth_pixels(HEIGHT, WIDTH, seed=3)).permute(2, 0, 1)
NAMES = list(v2.RandAugment._AUGMENTATION_SPACE)


def torchvisions_strength(space: dict[str, Any], name: str, num_bins: int, strength_bin: int) -> tuple[float, bool]:
    """The strength of a bin, and whether its sign is drawn."""
    of_bins, is_signed = space[name]
    strengths = of_bins(num_bins, HEIGHT, WIDTH)
    return (0.0 if strengths is None else float(strengths[strength_bin])), is_signed


@pytest.mark.parametrize(("magnitude", "num_bins"), [(9, 31), (0, 31), (30, 31), (3, 11)])
def test_rand_augment_draws_operations_of_one_strength(magnitude: int, num_bins: int) -> None:
    transform = RandAugment(num_ops=3, magnitude=magnitude, num_magnitude_bins=num_bins)
    drawn = [operation for row in range(500) for operation in transform.draw(HEIGHT, WIDTH, Rng(row))]
    counts = Counter(operation.name for operation in drawn)
    assert set(counts) == set(NAMES)
    assert max(abs(count - 1500 / 14) for count in counts.values()) < 5 * (1500 / 14) ** 0.5
    for name in NAMES:
        strengths = {operation.strength for operation in drawn if operation.name == name}
        expected, is_signed = torchvisions_strength(v2.RandAugment._AUGMENTATION_SPACE, name, num_bins, magnitude)
        signs = {expected, -expected} if is_signed else {expected}
        assert sorted(strengths) == pytest.approx(sorted(signs), abs=1e-5)


def test_trivial_augment_draws_every_strength_of_every_operation() -> None:
    transform = TrivialAugmentWide(num_magnitude_bins=5)
    drawn = [transform.draw(HEIGHT, WIDTH, Rng(row)) for row in range(3000)]
    counts = Counter(operation.name for operation in drawn)
    assert max(abs(count - 3000 / 14) for count in counts.values()) < 5 * (3000 / 14) ** 0.5
    for name in NAMES:
        expected = set()
        for strength_bin in range(5):
            space = v2.TrivialAugmentWide._AUGMENTATION_SPACE
            strength, is_signed = torchvisions_strength(space, name, 5, strength_bin)
            expected |= {strength, -strength} if is_signed else {strength}
        strengths = {operation.strength for operation in drawn if operation.name == name}
        assert sorted(strengths) == pytest.approx(sorted(expected), abs=1e-5)


@pytest.mark.parametrize("options", [{}, {"interpolation": "bilinear", "fill": (1.0, 200.0, 3.0)}], ids=str)
@pytest.mark.parametrize("name", NAMES)
def test_operations_are_torchvisions(name: str, options: dict[str, Any]) -> None:
    ours, mode = TrivialAugmentWide(**options), InterpolationMode(options.get("interpolation", "nearest"))
    fill = list(options["fill"]) if "fill" in options else None
    theirs = v2.TrivialAugmentWide(interpolation=mode, fill=fill)
    for strength_bin in (0, 3, 7):
        strength, is_signed = torchvisions_strength(theirs._AUGMENTATION_SPACE, name, 8, strength_bin)
        for signed in (strength, -strength) if is_signed else (strength,):
            expected = theirs._apply_image_or_video_transform(IMAGE, name, signed, mode, theirs._fill)
            assert torch.equal(ours.apply(IMAGE, PolicyOperation(name, signed)), expected)


def test_operations_of_rand_augment_follow_one_another() -> None:
    drawn = (PolicyOperation("Rotate", 30.0), PolicyOperation("Identity", 0.0), PolicyOperation("Solarize", 0.5))
    expected = v2.functional.solarize(v2.functional.rotate(IMAGE, 30.0), 127.5)
    assert torch.equal(RandAugment().apply(IMAGE, drawn), expected)


def test_magnitude_must_be_one_of_the_bins() -> None:
    with pytest.raises(ValueError, match="below num_magnitude_bins"):
        RandAugment(magnitude=31)
