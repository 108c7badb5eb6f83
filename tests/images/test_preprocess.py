"""Pixels after preprocessing are torchvision's, bit for bit; sizes follow the documented rule."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import torch
from PIL import Image
from torchvision.transforms import InterpolationMode, v2

from pytorch_designer.directories.preprocessing import Preprocessing
from pytorch_designer.images.bad_files import UndecodableImageError
from pytorch_designer.images.decode import decode_image
from pytorch_designer.images.preprocess import crop_and_resize, normalize, preprocessing_for_dataset
from tests.images.image_corpus import encode, folder_of, noise_pixels

if TYPE_CHECKING:
    from pathlib import Path

HALF = (0.5, 0.5, 0.5)


def noise_image(height: int, width: int) -> torch.Tensor:
    return torch.from_numpy(noise_pixels(height, width)).permute(2, 0, 1)


@pytest.mark.parametrize("interpolation", ["nearest", "bilinear", "bicubic"])
@pytest.mark.parametrize("size", [(40, 60), (61, 37), (32, 32), (5, 7), (1, 1), (1, 30), (33, 250)])
@pytest.mark.parametrize("crop", [(28, 28), (40, 24), (32, 32)])
def test_resize_and_crop_are_those_of_transforms_v2(
    interpolation: Any, size: tuple[int, int], crop: tuple[int, int]
) -> None:
    rule = Preprocessing(resize_size=32, crop_height=crop[0], crop_width=crop[1], interpolation=interpolation)
    image = noise_image(*size)
    resize = v2.Resize(32, InterpolationMode(interpolation), antialias=True)
    expected = v2.CenterCrop(list(crop))(resize(image))
    result = crop_and_resize(image, rule)
    assert result.dtype == torch.uint8
    assert torch.equal(result, expected)


def test_without_resizing_an_image_is_cropped_or_padded_with_zeros() -> None:
    image = noise_image(3, 6)
    result = crop_and_resize(image, Preprocessing(resize_size=None, crop_height=5, crop_width=4))
    assert torch.equal(result[:, 1:4], image[:, :, 1:5])
    assert not result[:, 0].any()
    assert not result[:, 4].any()


def test_memory_layout_does_not_change_pixels() -> None:
    image = noise_image(50, 70)
    rule = Preprocessing(resize_size=32, crop_height=28, crop_width=28)
    assert torch.equal(crop_and_resize(image, rule), crop_and_resize(image.contiguous(), rule))


def test_a_thread_of_pixels_is_refused_before_it_fills_the_memory() -> None:
    rule = Preprocessing(resize_size=256, crop_height=224, crop_width=224)
    with pytest.raises(UndecodableImageError, match="too long and thin: 20000x1 pixels"):
        crop_and_resize(torch.zeros(3, 1, 20_000, dtype=torch.uint8), rule)


@pytest.mark.parametrize("memory_format", [torch.contiguous_format, torch.channels_last])
def test_normalize_is_that_of_transforms_v2_and_keeps_the_memory_format(memory_format: torch.memory_format) -> None:
    batch = torch.stack([noise_image(8, 9), noise_image(8, 9)]).contiguous(memory_format=memory_format)
    rule = Preprocessing(crop_height=8, crop_width=9, mean=(0.1, 0.2, 0.3), std=(0.4, 0.5, 0.6))
    result = normalize(batch, rule)
    expected = v2.Normalize([0.1, 0.2, 0.3], [0.4, 0.5, 0.6])(v2.ToDtype(torch.float32, scale=True)(batch))
    torch.testing.assert_close(result, expected)
    assert result.dtype == torch.float32
    assert result.is_contiguous(memory_format=memory_format)


def test_statistics_made_in_inference_mode_serve_training() -> None:
    rule = Preprocessing(crop_height=2, crop_width=2, mean=(0.11, 0.22, 0.33))
    batch = torch.zeros(1, 3, 2, 2, dtype=torch.uint8)
    with torch.inference_mode():
        normalize(batch, rule)
    weight = torch.ones(3, 1, 1, requires_grad=True)
    (gradient,) = torch.autograd.grad((normalize(batch, rule) * weight).sum(), weight)
    assert gradient.shape == weight.shape


def rule_for(tmp_path: Path, sizes: list[tuple[int, int]], minimum_size: tuple[int, int] = (1, 1)) -> Preprocessing:
    folder = folder_of(tmp_path, [encode(noise_pixels(*size), "PNG") for size in sizes])
    return preprocessing_for_dataset(folder, minimum_size=minimum_size, mean=HALF, std=HALF)


@pytest.mark.parametrize(
    ("size", "minimum_size", "resized", "crop"),
    [
        ((32, 32), (1, 1), 32, (32, 32)),
        ((20, 40), (1, 1), 20, (20, 40)),
        ((28, 28), (32, 32), 32, (32, 32)),
        ((20, 40), (32, 32), 32, (32, 64)),
        ((30, 20), (33, 75), 75, (112, 75)),
        ((20, 30), (20, 299), 200, (200, 300)),
        ((512, 512), (1, 1), 512, (512, 512)),
    ],
)
def test_images_of_one_size_keep_it_or_grow_to_the_least_size(
    size: tuple[int, int], minimum_size: tuple[int, int], resized: int, crop: tuple[int, int], tmp_path: Path
) -> None:
    rule = rule_for(tmp_path, [size] * 2, minimum_size)
    assert (rule.resize_size, rule.crop_height, rule.crop_width) == (resized, *crop)
    assert (rule.mean, rule.std) == (HALF, HALF)
    assert crop_and_resize(noise_image(*size), rule).shape == (3, *crop)


def test_images_that_keep_their_size_keep_their_pixels(tmp_path: Path) -> None:
    image = noise_image(20, 40)
    assert torch.equal(crop_and_resize(image, rule_for(tmp_path, [(20, 40)])), image)


@pytest.mark.parametrize("sizes", [[(32, 32), (32, 33)], [(8, 513)], [(600, 600)], []])
def test_other_datasets_are_cropped_to_224_pixels(sizes: list[tuple[int, int]], tmp_path: Path) -> None:
    rule = rule_for(tmp_path, sizes)
    assert (rule.resize_size, rule.crop_height, rule.crop_width) == (256, 224, 224)


def test_the_224_rule_grows_with_the_least_size(tmp_path: Path) -> None:
    rule = rule_for(tmp_path, [(600, 600)], (299, 299))
    assert (rule.resize_size, rule.crop_height, rule.crop_width) == (299, 299, 299)


def test_sizes_are_upright_and_bad_files_are_passed_over(tmp_path: Path) -> None:
    tags = Image.Exif()
    tags[0x0112] = 6
    on_its_side = encode(noise_pixels(40, 20), "JPEG", exif=tags)
    folder = folder_of(tmp_path, [b"", on_its_side, encode(noise_pixels(20, 40), "PNG")])
    rule = preprocessing_for_dataset(folder, minimum_size=(1, 1), mean=HALF, std=HALF)
    assert (rule.crop_height, rule.crop_width) == decode_image(on_its_side).shape[1:]
