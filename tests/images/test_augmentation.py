"""Training sees each image changed afresh in each epoch, the same way whatever the threads and the cache."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch

from pytorch_designer.directories.preprocessing import Preprocessing
from pytorch_designer.errors import InvalidDatasetError
from pytorch_designer.images.augmentation import Augmentation, apply_transforms
from pytorch_designer.images.cache import CacheBudget
from pytorch_designer.images.decode import decode_image
from pytorch_designer.images.loader import ImageLoader
from pytorch_designer.images.order import batch_slices, epoch_order
from pytorch_designer.images.preprocess import crop_and_resize
from pytorch_designer.transforms.color import ColorJitter, Grayscale
from pytorch_designer.transforms.flips import RandomHorizontalFlip
from pytorch_designer.transforms.geometry import RandomRotation
from pytorch_designer.transforms.rng import Rng
from pytorch_designer.transforms.sizes import CenterCrop, RandomCrop, Resize
from tests.images.image_corpus import encode, folder_of, noise_pixels

if TYPE_CHECKING:
    from pathlib import Path

    from pytorch_designer.directories.image_directory import ImageDirectory

NUM_IMAGES = 17
SOURCE = (24, 24)
FIXED = (Resize(size=(26,)), CenterCrop(size=SOURCE))
RANDOM = (RandomRotation(degrees=(-90, 90)), ColorJitter(hue=(-0.4, 0.4)), Grayscale(), RandomCrop(size=(20, 20)))
SIZING = Preprocessing(resize_size=20, crop_height=20, crop_width=20)
RULE = Preprocessing(resize_size=24, crop_height=20, crop_width=20, transforms=(*FIXED, Grayscale()))
SOURCE_BYTES = 24 * 24 * 3


@pytest.fixture(scope="module")
def images() -> list[bytes]:
    return [encode(noise_pixels(28 + row % 3, 30, seed=row), "PNG") for row in range(NUM_IMAGES)]


def augmentation(seed: int = 3, **changes: Any) -> Augmentation:
    parts: dict[str, Any] = {"fixed": FIXED, "random": RANDOM, "sizing": SIZING, "source_size": SOURCE}
    return Augmentation(**(parts | changes), seed=seed)


def open_loader(dataset: ImageDirectory, augmented: Augmentation | None, **options: Any) -> ImageLoader:
    arguments: dict[str, Any] = {"num_threads": 2, "tolerance": 0.0, "port": "training_dataset"}
    return ImageLoader(dataset, RULE, augmentation=augmented, **(arguments | options))


def epoch_images(loader: ImageLoader, epoch: int) -> torch.Tensor:
    """The images of an epoch by their rows."""
    order = epoch_order(NUM_IMAGES, seed=1, epoch=epoch)
    batches = list(loader.batches((order[part] for part in batch_slices(NUM_IMAGES, 4)), epoch=epoch))
    by_row = torch.empty(NUM_IMAGES, 3, 20, 20, dtype=torch.uint8)
    by_row[np.concatenate([batch.indices for batch in batches])] = torch.cat([batch.images for batch in batches])
    return by_row


def expected_images(images: list[bytes], epoch: int, seed: int = 3) -> torch.Tensor:
    sources = [apply_transforms(decode_image(content), FIXED) for content in images]
    return torch.stack(
        [apply_transforms(source, RANDOM, Rng(seed, "augmentation", epoch, row)) for row, source in enumerate(sources)]
    )


@pytest.mark.slow
@pytest.mark.parametrize("cache_bytes", [0, 5 * SOURCE_BYTES, 10**6])
@pytest.mark.parametrize("num_threads", [1, 2, 8])
def test_pixels_depend_on_seed_epoch_and_row_alone(
    num_threads: int, cache_bytes: int, images: list[bytes], tmp_path: Path
) -> None:
    dataset = folder_of(tmp_path, images)
    with open_loader(dataset, augmentation(), num_threads=num_threads, cache=CacheBudget(cache_bytes)) as loader:
        loader.check_readable()
        for epoch in (1, 2, 1):
            assert torch.equal(epoch_images(loader, epoch), expected_images(images, epoch))


def test_epochs_and_seeds_see_other_images(images: list[bytes], tmp_path: Path) -> None:
    dataset = folder_of(tmp_path, images)
    with open_loader(dataset, augmentation(seed=3)) as loader, open_loader(dataset, augmentation(seed=4)) as other:
        first, second, others = epoch_images(loader, 1), epoch_images(loader, 2), epoch_images(other, 1)
    for row in range(NUM_IMAGES):
        assert not torch.equal(first[row], second[row])
        assert not torch.equal(first[row], others[row])


def test_the_cache_keeps_what_random_transforms_start_from(images: list[bytes], tmp_path: Path) -> None:
    dataset = folder_of(tmp_path, images)
    with open_loader(dataset, augmentation(), cache=CacheBudget(NUM_IMAGES * SOURCE_BYTES)) as loader:
        epoch_images(loader, 1)
        assert loader.cache.memory == NUM_IMAGES * SOURCE_BYTES
        for row in range(NUM_IMAGES):
            dataset.path(row).unlink()
        assert torch.equal(epoch_images(loader, 2), expected_images(images, 2))


@pytest.mark.parametrize("source_size", [None, (28, 30)])
def test_images_of_other_sizes_are_not_kept(
    source_size: tuple[int, int] | None, images: list[bytes], tmp_path: Path
) -> None:
    unsized = augmentation(fixed=(), random=(RandomHorizontalFlip(p=1),), source_size=source_size)
    with open_loader(folder_of(tmp_path, images), unsized, cache=CacheBudget(10**6)) as loader:
        for epoch in (1, 2):
            flipped = [crop_and_resize(decode_image(content).flip(2), SIZING) for content in images]
            assert torch.equal(epoch_images(loader, epoch), torch.stack(flipped))
        num_kept = sum(row % 3 == 0 for row in range(NUM_IMAGES)) if source_size else 0
        assert loader.cache.memory == num_kept * 28 * 30 * 3


def test_an_image_too_small_for_a_random_crop_is_a_bad_file(images: list[bytes], tmp_path: Path) -> None:
    dataset = folder_of(tmp_path, [*images, encode(noise_pixels(10, 10), "PNG")])
    cropped = augmentation(fixed=(), random=(RandomCrop(size=(20, 20)),), source_size=None)
    with open_loader(dataset, cropped, tolerance=0.2) as loader:
        (batch,) = loader.batches([np.arange(NUM_IMAGES + 1)], epoch=1)
        assert len(batch.images) == NUM_IMAGES
        assert [bad.index for bad in loader.bad_files] == [NUM_IMAGES]
        assert "RandomCrop" in loader.bad_files[0].reason
    too_large = augmentation(random=(RandomCrop(size=(25, 25)),))
    with open_loader(dataset, too_large) as loader, pytest.raises(InvalidDatasetError, match="the crop is larger"):
        loader.check_readable()


@pytest.mark.parametrize("num_applied", [0, 1, 2, 3])
def test_a_model_does_what_the_files_have_not_been_through(
    num_applied: int, images: list[bytes], tmp_path: Path
) -> None:
    """The same tensors for raw, half and wholly transformed files."""
    contents = [decode_image(content) for content in images]
    done = RULE.transforms[:num_applied]
    files = [encode(apply_transforms(image, done).permute(1, 2, 0).numpy(), "PNG") for image in contents]
    dataset = folder_of(tmp_path, files)
    object.__setattr__(dataset, "applied_transforms", tuple((op, args) for op, args in (s.to_pair() for s in done)))
    expected = torch.stack([crop_and_resize(apply_transforms(image, RULE.transforms), RULE) for image in contents])
    with open_loader(dataset, None, cache=CacheBudget(10**6)) as loader:
        for epoch in (1, 2):
            assert torch.equal(epoch_images(loader, epoch), expected)


def test_files_with_other_transforms_are_only_resized_and_cropped(
    images: list[bytes], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    dataset = folder_of(tmp_path, images)
    object.__setattr__(dataset, "applied_transforms", (("CenterCrop", 28),))
    with caplog.at_level(logging.WARNING), open_loader(dataset, None) as loader:
        seen = epoch_images(loader, 1)
    assert "images of training_dataset have been through other transforms" in caplog.text
    assert torch.equal(seen, torch.stack([crop_and_resize(decode_image(content), RULE) for content in images]))


def test_what_a_dataset_records_must_be_known(images: list[bytes], tmp_path: Path) -> None:
    dataset = folder_of(tmp_path, images)
    object.__setattr__(dataset, "applied_transforms", (("Sharpen", 2),))
    with pytest.raises(InvalidDatasetError, match="Sharpen"):
        open_loader(dataset, None)


def test_the_thread_that_trains_keeps_its_share_of_the_cores(images: list[bytes], tmp_path: Path) -> None:
    before = torch.get_num_threads()
    with open_loader(folder_of(tmp_path, images), augmentation()) as loader:
        epoch_images(loader, 1)
        assert torch.get_num_threads() == before


def test_random_transforms_are_described() -> None:
    described = augmentation(random=(RandomHorizontalFlip(), RandomCrop(size=(2, 3)))).describe()
    assert described == "RandomHorizontalFlip(), RandomCrop(size=[2, 3])"


def test_a_batch_is_drawn_as_its_images_are(images: list[bytes]) -> None:
    augmented = augmentation()
    sources = torch.stack([apply_transforms(decode_image(content), FIXED) for content in images])
    rows = np.random.default_rng(0).permutation(NUM_IMAGES)
    for epoch in (1, 2):
        batch = augmented.draw_batch(sources[rows], epoch=epoch, rows=rows)
        expected = expected_images(images, epoch)[rows]
        assert batch.shape == expected.shape
        assert (batch != expected).float().mean() < 1e-3
        drawn = augmented.drawn_batch(epoch=epoch, rows=rows)
        assert torch.equal(drawn.apply(sources[rows]), batch)


@pytest.mark.parametrize(
    ("changes", "is_possible"),
    [
        ({}, True),
        ({"source_size": None}, False),
        ({"source_size": (19, 24)}, False),  # smaller than the crop
        ({"random": (RandomRotation(degrees=(-9, 9), expand=True),)}, False),
    ],
)
def test_batches_need_images_of_one_size_that_take_the_transforms(changes: dict[str, Any], is_possible: bool) -> None:
    assert augmentation(**changes).can_draw_batches() == is_possible


def test_images_of_several_sizes_are_drawn_one_by_one() -> None:
    with pytest.raises(ValueError, match="one size"):
        augmentation(source_size=None).drawn_batch(epoch=1, rows=np.arange(2))
