"""From a step and what it drew for each image to the tensors that carry it out for a whole batch."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from pytorch_designer.directories.transform_steps import (
    CenterCrop,
    ColorJitter,
    Grayscale,
    Pad,
    RandomAffine,
    RandomCrop,
    RandomErasing,
    RandomGrayscale,
    RandomHorizontalFlip,
    RandomPerspective,
    RandomResizedCrop,
    RandomRotation,
    RandomVerticalFlip,
    Resize,
)
from pytorch_designer.images.transforms.batch_colors import Blend, Erase, Gray, HueShift
from pytorch_designer.images.transforms.batch_geometry import AxisWeights, Flip, Rearrange, Resample, Warp
from pytorch_designer.images.transforms.batch_tensors import ImageSubset
from pytorch_designer.images.transforms.random_parameters import AffineParameters, Box
from pytorch_designer.images.transforms.resampling import nearest_indices, resampling_taps
from pytorch_designer.images.transforms.steps import erasing_color, size_after
from pytorch_designer.images.transforms.warp_matrices import inverse_affine, perspective_coefficients

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from pytorch_designer.directories.transform_steps import TransformStep
    from pytorch_designer.images.transforms.batch_tensors import BatchStep
    from pytorch_designer.images.transforms.random_parameters import Erasure, JitterParameters, MovedCorners, PaddedCrop

    Size = tuple[int, int]
    Builder = Callable[[Any, Any, Size], list[BatchStep]]

# Beyond these, three corners of a perspective may come to lie on a line, and an image alone is then bad.
_MOST_DISTORTION = 0.6
_LEAST_SIDE = 16


def batch_steps(step: TransformStep, drawn: Sequence[Any], size: Size) -> list[BatchStep]:
    """What carries out `step` on a batch; nothing where it leaves all images as they are.

    Args:
        step: One for which `has_batch_steps` holds.
        drawn: `random_parameters.drawn_parameters` for each image; for a deterministic step it does not matter.
        size: Height and width of the images before the step.
    """
    return _BUILDERS[type(step)](step, drawn, size)


def has_batch_steps(step: TransformStep, size: Size) -> bool:
    """Whether `batch_steps` knows the step, and whatever images of `size` draw can be carried out and has one size."""
    if isinstance(step, RandomPerspective) and (step.distortion_scale > _MOST_DISTORTION or min(size) < _LEAST_SIDE):
        return False
    return type(step) in _BUILDERS and not (isinstance(step, RandomRotation) and step.expand)


def _resize(step: Resize, _: object, size: Size) -> list[BatchStep]:
    target = size_after([step], *size)
    return [] if target == size else [_resized_whole(size, target, step)]


def _resized_crop(step: RandomResizedCrop, boxes: Sequence[Box], _: Size) -> list[BatchStep]:
    return [_resized_boxes(boxes, step.size, step)]


@lru_cache(maxsize=16)  # it is the same for each batch
def _resized_whole(size: Size, target: Size, step: Resize) -> BatchStep:
    return _resized_boxes([Box(0, 0, *size)], target, step)


def _resized_boxes(boxes: Sequence[Box], target: Size, step: Resize | RandomResizedCrop) -> BatchStep:
    tops, lefts, heights, widths = np.array(boxes, dtype=np.int64).T
    parts = ((tops, heights, target[0]), (lefts, widths, target[1]))
    if step.interpolation in {"nearest", "nearest-exact"}:
        is_exact = step.interpolation == "nearest-exact"
        rows, columns = (torch.from_numpy(nearest_indices(*part, is_exact=is_exact)) for part in parts)
        return Rearrange(rows, columns)
    is_antialiased = bool(step.antialias)
    taps = [resampling_taps(*part, interpolation=step.interpolation, antialias=is_antialiased) for part in parts]
    padded = [np.pad(weights, ((0, 0), (0, 0), (1, 1))) for _, weights in taps]
    axes = [AxisWeights(torch.from_numpy(t.starts), torch.from_numpy(w)) for t, w in zip(taps, padded, strict=True)]
    return Resample(*axes)


def _center_crop(step: CenterCrop, _: object, size: Size) -> list[BatchStep]:
    if step.size == size:
        return []
    margins = [max(0, new - old) for new, old in zip(step.size, size, strict=True)]
    before = [margin // 2 for margin in margins]
    starts = [round((old + more - new) / 2) for new, old, more in zip(step.size, size, margins, strict=True)]
    padding = (before[1], before[0], margins[1] - before[1], margins[0] - before[0])
    return [_padded_parts(size, padding, "constant", 0, [Box(starts[0], starts[1], *step.size)])]


def _pad(step: Pad, _: object, size: Size) -> list[BatchStep]:
    whole = Box(0, 0, *size_after([step], *size))
    return [_padded_parts(size, step.padding, step.padding_mode, step.fill, [whole])]


def _random_crop(step: RandomCrop, drawn: Sequence[PaddedCrop], size: Size) -> list[BatchStep]:
    boxes = [each.box for each in drawn]
    return [_padded_parts(size, drawn[0].padding, step.padding_mode, step.fill, boxes)]


def _padded_parts(
    size: Size, padding: tuple[int, int, int, int], mode: str, fill: Any, boxes: Sequence[Box]
) -> BatchStep:
    left, top, right, bottom = padding
    rows, columns = _with_margins(size[0], (top, bottom), mode), _with_margins(size[1], (left, right), mode)
    tops, lefts = (np.array([box[axis] for box in boxes])[:, None] for axis in (0, 1))
    rows, columns = rows[tops + np.arange(boxes[0].height)], columns[lefts + np.arange(boxes[0].width)]
    has_outside = bool((rows < 0).any() or (columns < 0).any())
    colour = _colour(fill or 0).to(torch.uint8) if has_outside else None
    return Rearrange(torch.from_numpy(rows), torch.from_numpy(columns), colour)


def _with_margins(side: int, margins: tuple[int, int], mode: str) -> NDArray[np.int64]:
    """Which pixel along an axis each pixel with margins is; -1 outside."""
    options: dict[str, Any] = {"mode": mode} | ({"constant_values": -1} if mode == "constant" else {})
    return np.pad(np.arange(side), margins, **options)


def _flip(dim: int) -> Builder:
    def build(_: object, happens: Sequence[bool], __: Size) -> list[BatchStep]:
        return [Flip(_each(happens), dim)] if any(happens) else []

    return build


def _grayscale(_: Grayscale, __: object, ___: Size) -> list[BatchStep]:
    return [Gray(None)]


def _random_grayscale(_: RandomGrayscale, happens: Sequence[bool], __: Size) -> list[BatchStep]:
    return [Gray(_each(happens))] if any(happens) else []


def _color_jitter(_: ColorJitter, drawn: Sequence[JitterParameters], __: Size) -> list[BatchStep]:
    steps: list[BatchStep] = []
    for turn in range(len(drawn[0].order)):
        changes = [(each.order[turn], each.factors[each.order[turn]]) for each in drawn]
        steps += [*_blend(changes), *_hue_shift(changes)]
    return steps


def _blend(changes: Sequence[tuple[str, float | None]]) -> list[BatchStep]:
    factors = np.ones(len(changes))
    shares = {"saturation": np.zeros(len(changes)), "contrast": np.zeros(len(changes))}
    for image, (name, factor) in enumerate(changes):
        if factor is not None and name != "hue":
            factors[image] = factor
            if name in shares:
                shares[name][image] = 1.0 - factor
    if (factors == 1.0).all():
        return []
    gray_shares, mean_shares = (_each(each) if each.any() else None for each in shares.values())
    return [Blend(_each(factors), gray_shares, mean_shares)]


def _hue_shift(changes: Sequence[tuple[str, float | None]]) -> list[BatchStep]:
    factors = [factor if name == "hue" else None for name, factor in changes]
    drawn = [factor for factor in factors if factor is not None]
    if not drawn:
        return []
    shifts = np.array(drawn)[:, None, None, None] * 6 + np.array([5.0, 3.0, 1.0])[:, None, None]
    subset = ImageSubset.where([factor is not None for factor in factors])
    return [HueShift(subset, torch.from_numpy(shifts.astype(np.float32)))]


def _random_rotation(step: RandomRotation, angles: Sequence[float], size: Size) -> list[BatchStep]:
    turns = [AffineParameters(-(angle % 360), (0, 0), 1.0, (0.0, 0.0)) for angle in angles]
    return [_affine_warp(step, turns, size)]


def _random_affine(step: RandomAffine, drawn: Sequence[AffineParameters], size: Size) -> list[BatchStep]:
    return [_affine_warp(step, drawn, size)]


def _affine_warp(step: RandomAffine | RandomRotation, drawn: Sequence[AffineParameters], size: Size) -> BatchStep:
    height, width = size
    center = (0.0, 0.0) if step.center is None else (step.center[0] - width * 0.5, step.center[1] - height * 0.5)
    matrices = np.array([[*inverse_affine(each, center), 0.0, 0.0, 1.0] for each in drawn])
    return _warp(step, ImageSubset.where([True] * len(drawn)), matrices, size, is_perspective=False)


def _random_perspective(step: RandomPerspective, drawn: Sequence[MovedCorners | None], size: Size) -> list[BatchStep]:
    happening = [each for each in drawn if each is not None]
    if not happening:
        return []
    matrices = np.concatenate([perspective_coefficients(happening), np.ones((len(happening), 1))], axis=1)
    return [_warp(step, ImageSubset.where([each is not None for each in drawn]), matrices, size, is_perspective=True)]


def _warp(
    step: RandomAffine | RandomRotation | RandomPerspective,
    subset: ImageSubset,
    matrices: NDArray[Any],
    size: Size,
    *,
    is_perspective: bool,
) -> Warp:
    scaled = matrices.astype(np.float32).reshape(-1, 3, 3)
    scaled[:, 0] /= np.float32(0.5 * size[1])
    scaled[:, 1] /= np.float32(0.5 * size[0])
    fill = None if step.fill is None else _colour(step.fill)
    return Warp(subset, torch.from_numpy(scaled), is_perspective, step.interpolation, fill)


def _random_erasing(step: RandomErasing, drawn: Sequence[Erasure | None], _: Size) -> list[BatchStep]:
    if not any(drawn):
        return []
    boxes = torch.tensor([(0, 0, 0, 0) if each is None else each.box for each in drawn])
    if step.value != "random":
        return [Erase(boxes, erasing_color(step).to(torch.uint8), None)]
    nothing = np.empty(0, dtype=np.uint8)
    paints = [nothing if each is None or each.paint is None else each.paint.ravel() for each in drawn]
    ends = np.cumsum([len(paint) for paint in paints])
    starts = torch.from_numpy(ends - [len(paint) for paint in paints])
    return [Erase(boxes, torch.from_numpy(np.concatenate(paints)), starts)]


def _colour(fill: float | tuple[float, ...]) -> torch.Tensor:
    """float32 [1, 3 or 1, 1, 1]."""
    return torch.tensor(fill, dtype=torch.float32).view(1, -1, 1, 1)


def _each(values: Sequence[float] | NDArray[np.float64]) -> torch.Tensor:
    """One value an image, float32 or bool [n, 1, 1, 1]."""
    array = np.asarray(values)
    array = array if array.dtype == np.bool_ else array.astype(np.float32)
    return torch.from_numpy(array).view(-1, 1, 1, 1)


_BUILDERS: dict[type[TransformStep], Builder] = {
    Resize: _resize,
    CenterCrop: _center_crop,
    Pad: _pad,
    Grayscale: _grayscale,
    ColorJitter: _color_jitter,
    RandomResizedCrop: _resized_crop,
    RandomCrop: _random_crop,
    RandomHorizontalFlip: _flip(3),
    RandomVerticalFlip: _flip(2),
    RandomRotation: _random_rotation,
    RandomAffine: _random_affine,
    RandomGrayscale: _random_grayscale,
    RandomPerspective: _random_perspective,
    RandomErasing: _random_erasing,
}
