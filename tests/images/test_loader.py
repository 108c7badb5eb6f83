"""Batches come in the order asked for, whatever the threads, the cache and the bad files."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from contextlib import closing
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import pytest
import torch

from pytorch_designer.directories.image_directory import open_image_directory
from pytorch_designer.directories.preprocessing import Preprocessing
from pytorch_designer.errors import InvalidDatasetError, ModuleOutOfMemoryError
from pytorch_designer.images.augmentation import Augmentation
from pytorch_designer.images.cache import CacheBudget
from pytorch_designer.images.decode import decode_image
from pytorch_designer.images.loader import Batch, ImageLoader
from pytorch_designer.images.order import batch_slices, epoch_order
from pytorch_designer.images.preprocess import crop_and_resize
from pytorch_designer.transforms.registrations import parse_transform
from tests.images.image_corpus import Folder, encode, folder_of, noise_pixels
from tests.waiting import killed_at_last

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from pytorch_designer.directories.image_directory import ImageDirectory

RULE = Preprocessing(resize_size=12, crop_height=10, crop_width=8)
ROW_BYTES = 10 * 8 * 3
NUM_IMAGES = 23


@pytest.fixture(scope="module")
def images() -> list[bytes]:
    formats = ["JPEG", "PNG", "BMP"]
    return [encode(noise_pixels(14 + row % 5, 20, seed=row), formats[row % 3]) for row in range(NUM_IMAGES)]


@pytest.fixture(autouse=True)
def _no_threads_are_left() -> Iterator[None]:
    before = set(threading.enumerate())
    yield
    for thread in set(threading.enumerate()) - before:
        thread.join(30)
        assert not thread.is_alive(), thread.name


def open_loader(dataset: ImageDirectory | Folder, **options: Any) -> ImageLoader:
    arguments: dict[str, Any] = {
        "num_threads": 2,
        "tolerance": 0.0,
        "port": "training_dataset",
    } | options
    return ImageLoader(cast("ImageDirectory", dataset), RULE, **arguments)


def in_order(num_images: int, batch_size: int = 5) -> list[Any]:
    return [np.arange(num_images)[part] for part in batch_slices(num_images, batch_size)]


def indices_of(batches: list[Batch]) -> list[list[int]]:
    return [batch.indices.tolist() for batch in batches]


@pytest.mark.parametrize("cache_bytes", [0, 7 * ROW_BYTES, 10**6])
@pytest.mark.parametrize("disk_cache_bytes", [0, 9 * ROW_BYTES, 10**6])
@pytest.mark.parametrize("num_threads", [1, 2, 40])
def test_order_and_pixels_depend_on_nothing_but_the_rows(
    num_threads: int, cache_bytes: int, disk_cache_bytes: int, images: list[bytes], tmp_path: Path
) -> None:
    expected = torch.stack([crop_and_resize(decode_image(content), RULE) for content in images])
    budget = CacheBudget(cache_bytes, disk_cache_bytes, tmp_path)
    with open_loader(folder_of(tmp_path, images), num_threads=num_threads, cache=budget) as loader:
        for epoch in range(3):
            order = epoch_order(NUM_IMAGES, seed=4, epoch=epoch)
            rows = [order[part] for part in batch_slices(NUM_IMAGES, 4)]
            batches = list(loader.batches(iter(rows)))
            assert indices_of(batches) == [part.tolist() for part in rows]
            assert torch.equal(torch.cat([batch.images for batch in batches]), expected[torch.from_numpy(order)])


def test_batches_are_uint8_and_channels_last(images: list[bytes], tmp_path: Path) -> None:
    with open_loader(folder_of(tmp_path, images), cache=CacheBudget(10**6)) as loader:
        for _ in ("from files", "from the cache"):
            (batch,) = loader.batches([np.arange(3)])
            assert batch.images.shape == (3, 3, 10, 8)
            assert batch.images.dtype == torch.uint8
            assert batch.images.is_contiguous(memory_format=torch.channels_last)
            assert batch.labels.dtype == torch.int64
            assert batch.indices.dtype == np.int64


def test_labels_are_the_datasets_or_the_given_ones_or_missing(images: list[bytes], tmp_path: Path) -> None:
    labels = list(range(100, 100 + NUM_IMAGES))
    folder = folder_of(tmp_path, images, labels=labels)
    with open_loader(folder) as own, open_loader(folder, labels=np.arange(NUM_IMAGES, dtype=np.int32)) as given:
        assert next(own.batches([np.array([7, 2])])).labels.tolist() == [107, 102]
        assert next(given.batches([np.array([7, 2])])).labels.tolist() == [7, 2]
    with open_loader(folder_of(tmp_path, images)) as without:
        assert next(without.batches([np.array([7, 2])])).labels.tolist() == [-1, -1]


def test_a_row_may_come_twice_and_a_batch_may_hold_everything(images: list[bytes], tmp_path: Path) -> None:
    with open_loader(folder_of(tmp_path, images), cache=CacheBudget(10**6)) as loader:
        (batch,) = loader.batches([np.array([3, 3, *range(NUM_IMAGES), 3])])
    assert torch.equal(batch.images[0], batch.images[1])
    assert torch.equal(batch.images[0], batch.images[-1])
    assert len(batch.images) == NUM_IMAGES + 3


def test_the_cache_spares_every_second_read(images: list[bytes], tmp_path: Path) -> None:
    folder = folder_of(tmp_path, images)
    with open_loader(folder, cache=CacheBudget(NUM_IMAGES * ROW_BYTES)) as loader:
        assert loader.cache.memory == 0
        first = list(loader.batches(in_order(NUM_IMAGES)))
        assert loader.cache.memory == NUM_IMAGES * ROW_BYTES
        for row in range(NUM_IMAGES):
            folder.path(row).unlink()
        second = list(loader.batches(in_order(NUM_IMAGES)))
    assert all(torch.equal(one.images, two.images) for one, two in zip(first, second, strict=True))


def test_rows_beyond_the_memory_are_read_back_from_the_disk(images: list[bytes], tmp_path: Path) -> None:
    folder = folder_of(tmp_path, images)
    budget = CacheBudget(7 * ROW_BYTES, 16 * ROW_BYTES, tmp_path)
    with open_loader(folder, cache=budget) as loader:
        first = list(loader.batches(in_order(NUM_IMAGES)))
        assert loader.cache.memory == 7 * ROW_BYTES
        for row in range(NUM_IMAGES):
            folder.path(row).unlink()
        second = list(loader.batches(in_order(NUM_IMAGES)))
        if os.name == "posix":
            assert list(tmp_path.iterdir()) == []
    assert list(tmp_path.iterdir()) == []
    assert all(torch.equal(one.images, two.images) for one, two in zip(first, second, strict=True))


def test_a_disk_that_fills_up_costs_time_but_no_pixel(
    images: list[bytes], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    resource = pytest.importorskip("resource")
    expected = torch.stack([crop_and_resize(decode_image(content), RULE) for content in images])
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    with open_loader(folder_of(tmp_path, images), cache=CacheBudget(0, 10**6, tmp_path)) as loader:
        resource.setrlimit(resource.RLIMIT_FSIZE, (5 * ROW_BYTES + 9, before[1]))  # of each file, as on a full disk
        try:
            epochs = [list(loader.batches(in_order(NUM_IMAGES))) for _ in range(3)]
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, before)
    for batches in epochs:
        assert torch.equal(torch.cat([batch.images for batch in batches]), expected)
    assert [str(tmp_path) in message for message in caplog.messages] == [True]


@pytest.mark.slow
def test_a_killed_process_leaves_nothing_in_the_cache_folder(images: list[bytes], tmp_path: Path) -> None:
    (tmp_path / "cache").mkdir()
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "one.jpg").write_bytes(images[0])
    command = [sys.executable, "-c", _SPILL_AND_WAIT, str(tmp_path / "data"), str(tmp_path / "cache")]
    with killed_at_last(subprocess.Popen(command, stdout=subprocess.PIPE)) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"spilled\n"
        process.kill()
        process.wait(120)
    assert list((tmp_path / "cache").iterdir()) == []


_SPILL_AND_WAIT = """
import sys, time
from pathlib import Path
import numpy as np
from pytorch_designer.directories.image_directory import open_image_directory
from pytorch_designer.directories.preprocessing import Preprocessing
from pytorch_designer.images.augmentation import Augmentation
from pytorch_designer.images.cache import CacheBudget
from pytorch_designer.images.loader import ImageLoader

dataset = open_image_directory(Path(sys.argv[1]))
rule = Preprocessing(resize_size=12, crop_height=10, crop_width=8)
budget = CacheBudget(0, 10**6, Path(sys.argv[2]))
loader = ImageLoader(dataset, rule, num_threads=2, tolerance=0.0, port="dataset", cache=budget)
list(loader.batches([np.arange(len(dataset))]))
print("spilled", flush=True)
time.sleep(60)
"""


def test_what_one_loader_leaves_of_its_budget_is_for_another(images: list[bytes], tmp_path: Path) -> None:
    folder = folder_of(tmp_path, images)
    budget = CacheBudget(7 * ROW_BYTES + 5, 18 * ROW_BYTES, tmp_path)
    with open_loader(folder, cache=budget) as loader:
        assert loader.cache.left == CacheBudget(5, 2 * ROW_BYTES, tmp_path)


def test_batches_are_copies_of_the_cache(images: list[bytes], tmp_path: Path) -> None:
    with open_loader(folder_of(tmp_path, images), cache=CacheBudget(10**6)) as loader:
        before = [next(loader.batches([np.arange(4)])).images.clone() for _ in range(2)]
        for _ in range(2):
            next(loader.batches([np.arange(4)])).images.zero_()
        assert torch.equal(next(loader.batches([np.arange(4)])).images, before[0])
    assert torch.equal(*before)


@pytest.mark.parametrize(
    ("num_in_memory", "num_on_disk", "text"),
    [
        (0, 0, "cache: off, every image is read again in every epoch"),
        (7, 0, "cache: 7 of 23 images in memory (0.0 MB), 16 read again in every epoch"),
        (99, 99, "cache: all 23 images in memory (0.0 MB)"),
        (0, 99, "cache: all 23 images on local disk in FOLDER (0.0 MB)"),
        (7, 99, "cache: 7 of 23 images in memory (0.0 MB), 16 of 23 images on local disk in FOLDER (0.0 MB)"),
        (
            7,
            9,
            "cache: 7 of 23 images in memory (0.0 MB), 9 of 23 images on local disk in FOLDER (0.0 MB), 7 read again "
            "in every epoch",
        ),
    ],
)
def test_the_cache_is_described_for_the_log(
    num_in_memory: int, num_on_disk: int, text: str, images: list[bytes], tmp_path: Path
) -> None:
    budget = CacheBudget(num_in_memory * ROW_BYTES, num_on_disk * ROW_BYTES, tmp_path)
    with open_loader(folder_of(tmp_path, images), cache=budget) as loader:
        assert loader.cache.describe() == text.replace("FOLDER", str(tmp_path))
        list(loader.batches(in_order(NUM_IMAGES)))
        assert loader.cache.memory <= num_in_memory * ROW_BYTES


def test_bad_files_within_the_tolerance_are_left_out_and_listed(images: list[bytes], tmp_path: Path) -> None:
    contents = [*images[:20]]
    contents[3], contents[11] = b"", images[0][:-9]
    folder = folder_of(tmp_path, contents, labels=list(range(20)))
    with open_loader(folder, tolerance=0.1, cache=CacheBudget(10**6)) as loader:
        for _ in range(2):
            batches = list(loader.batches(in_order(20)))
            assert indices_of(batches) == [[0, 1, 2, 4], [5, 6, 7, 8, 9], [10, 12, 13, 14], [15, 16, 17, 18, 19]]
            assert torch.cat([batch.labels for batch in batches]).tolist() == [
                row for row in range(20) if row not in {3, 11}
            ]
        reasons = [(bad.index, bad.file, bad.reason) for bad in loader.bad_files]
    assert reasons == [(3, "0003.img", "the file is empty"), (11, "0011.img", "damaged or truncated JPEG")]


def test_a_batch_of_nothing_but_bad_files_is_empty(images: list[bytes], tmp_path: Path) -> None:
    with open_loader(folder_of(tmp_path, [b"", b"", *images[:4]]), tolerance=0.5) as loader:
        batches = list(loader.batches(in_order(6, 2)))
    assert indices_of(batches) == [[], [2, 3], [4, 5]]
    assert batches[0].images.shape == (0, 3, 10, 8)
    assert batches[0].labels.shape == (0,)


def test_one_bad_file_too_many_ends_the_run_and_all_are_listed(images: list[bytes], tmp_path: Path) -> None:
    contents = [*images, b"", b"<html>", *[b"text"] * 5]
    with open_loader(folder_of(tmp_path, contents), tolerance=0.21) as loader, pytest.raises(InvalidDatasetError) as c:
        list(loader.batches(in_order(30, 4)))
    error = c.value
    assert error.what == "7 of the 30 images of training_dataset cannot be used; 6 are tolerated."
    assert error.where == str(tmp_path)
    assert error.examples[:2] == (
        "0023.img: the file is empty",
        "0024.img: not an image: the file is a web page or XML",
    )
    assert (len(error.examples), error.num_offending) == (5, 7)
    assert "PYTORCH_DESIGNER_BAD_IMAGE_TOLERANCE" in error.advice


def test_the_rest_of_the_dataset_is_swept_for_bad_files(images: list[bytes], tmp_path: Path) -> None:
    contents = [b"", *images[:18], b""]
    with open_loader(folder_of(tmp_path, contents)) as loader, pytest.raises(InvalidDatasetError) as caught:
        next(loader.batches(in_order(20, 1)))
    assert caught.value.what == "2 of the 20 images of training_dataset cannot be used; 0 are tolerated."


def test_the_sweep_is_bounded_in_time_and_the_error_says_what_was_left(
    images: list[bytes], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pytorch_designer.images.loader.SWEEP_SECONDS", 0.0)
    with (
        open_loader(folder_of(tmp_path, [b"", *images, *images]), num_threads=1) as loader,
        pytest.raises(InvalidDatasetError, match=r"1 of the 47 images .* \(\d+ more were not checked\)"),
    ):
        next(loader.batches(in_order(46, 1)))


@pytest.mark.parametrize(("tolerance", "num_images", "limit"), [(0.29, 100, 29), (0.0199, 100, 1), (1.0, 4, 3)])
def test_the_tolerance_is_a_share_rounded_down(tolerance: float, num_images: int, limit: int, tmp_path: Path) -> None:
    good = encode(noise_pixels(9, 9), "PNG")
    for num_bad in (limit, limit + 1):
        folder = folder_of(tmp_path, [b""] * num_bad + [good] * (num_images - num_bad))
        with open_loader(folder, tolerance=tolerance) as loader:
            if num_bad == limit:
                assert sum(len(batch.indices) for batch in loader.batches(in_order(num_images))) == num_images - limit
            else:
                with pytest.raises(InvalidDatasetError):
                    list(loader.batches(in_order(num_images)))


def test_a_file_that_vanishes_between_epochs_is_a_bad_file(images: list[bytes], tmp_path: Path) -> None:
    folder = folder_of(tmp_path, images)
    with open_loader(folder, tolerance=0.1) as loader:
        list(loader.batches(in_order(NUM_IMAGES)))
        folder.path(5).unlink()
        assert all(5 not in batch.indices for batch in loader.batches(in_order(NUM_IMAGES)))
        assert [bad.reason for bad in loader.bad_files] == ["no such file"]


def test_a_wholly_wrong_dataset_fails_before_the_first_step(tmp_path: Path) -> None:
    with open_loader(folder_of(tmp_path, [b"text"] * 40), tolerance=0.9) as loader:
        with pytest.raises(InvalidDatasetError, match="40 of the 40 images"):
            loader.check_readable()
        assert len(loader.bad_files) == 40


def test_a_readable_dataset_passes_the_first_check(images: list[bytes], tmp_path: Path) -> None:
    with open_loader(folder_of(tmp_path, [b"", *images]), tolerance=0.1) as loader:
        loader.check_readable()
        assert [bad.index for bad in loader.bad_files] == [0]


@dataclass
class WatchedFolder(Folder):
    """A dataset that calls a function for each row that is about to be read."""

    watch: Callable[[int], object] = print

    def path(self, row: int) -> Path:
        self.watch(row)
        return super().path(row)


def watched(root: Path, contents: list[bytes], watch: Callable[[int], object]) -> WatchedFolder:
    return WatchedFolder(root, list(folder_of(root, contents).files), None, watch)


def test_reads_that_wait_are_in_flight_over_the_bounds_of_batches(images: list[bytes], tmp_path: Path) -> None:
    together = threading.Barrier(8, timeout=120)  # broken, and so an error, unless 8 reads are under way at once

    def wait(row: int) -> None:
        if row < 16:  # as on a mount
            time.sleep(0.01)
        else:
            together.wait()

    with open_loader(watched(tmp_path, (2 * images)[:32], wait), num_threads=8) as loader:
        assert len(list(loader.batches(in_order(32, 1)))) == 32


@pytest.mark.parametrize(("batch_size", "bound"), [(1, 2 * 2 + 1), (4, 5 * 4)])
def test_reading_ahead_is_bounded(batch_size: int, bound: int, images: list[bytes], tmp_path: Path) -> None:
    rows: list[int] = []
    with (
        open_loader(watched(tmp_path, images * 4, rows.append)) as loader,
        closing(cast("Any", loader.batches(in_order(92, batch_size)))) as batches,
    ):
        next(batches)
        threading.Event().wait(0.1)
        assert batch_size <= len(rows) <= bound


def test_an_abandoned_iterator_stops_reading(images: list[bytes], tmp_path: Path) -> None:
    rows: list[int] = []
    with open_loader(watched(tmp_path, images, rows.append), num_threads=1) as loader:
        batches = loader.batches(in_order(NUM_IMAGES, 2))
        next(batches)
        cast("Any", batches).close()
        threading.Event().wait(0.05)
        num_read = len(rows)
        next(loader.batches([np.array([1])]))
        assert len(rows) == num_read + 1


@pytest.fixture
def short_timeout(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTORCH_DESIGNER_READ_TIMEOUT_SECONDS", "1.5")


@pytest.mark.slow
@pytest.mark.usefixtures("short_timeout")
def test_a_stuck_read_ends_in_an_error_that_names_the_file(images: list[bytes], tmp_path: Path) -> None:
    released = threading.Event()
    stuck_rows = [6]

    def hang_once(row: int) -> None:
        if row in stuck_rows:
            stuck_rows.remove(row)
            released.wait(120)

    loader = open_loader(watched(tmp_path, images, hang_once))
    try:
        with pytest.raises(InvalidDatasetError, match=r"longer than 1\.5 seconds") as caught:
            list(loader.batches(in_order(NUM_IMAGES, 4)))
    finally:
        released.set()
        loader.close()
    assert caught.value.where == str(tmp_path)
    assert caught.value.examples == ("0006.img",)


@pytest.mark.slow
@pytest.mark.usefixtures("short_timeout")
def test_many_short_reads_may_take_longer_than_one_is_allowed_to(images: list[bytes], tmp_path: Path) -> None:
    slow = watched(tmp_path, images, lambda _: threading.Event().wait(0.1))
    with open_loader(slow, num_threads=1) as loader:
        (batch,) = loader.batches([np.arange(NUM_IMAGES)])
    assert len(batch.indices) == NUM_IMAGES


def test_nothing_is_decoded_while_a_batch_is_used_where_that_is_not_wanted(
    images: list[bytes], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    in_use = threading.Event()
    decoded_in_use: list[bool] = []

    def decode(content: bytearray, **options: Any) -> torch.Tensor:
        time.sleep(0.001)
        decoded_in_use.append(in_use.is_set())
        return decode_image(content, **options)

    monkeypatch.setattr("pytorch_designer.images.loader.decode_image", decode)
    dataset = folder_of(tmp_path, images)
    with closing(open_loader(dataset)) as loader:
        expected = [batch.images for batch in loader.batches(in_order(NUM_IMAGES))]
    decoded_in_use.clear()
    with closing(open_loader(dataset, num_threads=4, decodes_ahead=False)) as loader:
        for batch, pixels in zip(loader.batches(in_order(NUM_IMAGES)), expected, strict=True):
            time.sleep(0.01)  # what is being decoded at this moment is decoded to its end
            in_use.set()
            time.sleep(0.02)
            in_use.clear()
            assert torch.equal(batch.images, pixels)
    assert len(decoded_in_use) == NUM_IMAGES
    # But for some that a busy machine begins late; without the pause it is nearly all.
    assert sum(decoded_in_use) <= NUM_IMAGES // 2


@pytest.mark.slow
@pytest.mark.usefixtures("short_timeout")
def test_slow_decoding_is_not_a_stuck_read(
    images: list[bytes], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def slow_decode(*arguments: Any, **options: Any) -> torch.Tensor:
        threading.Event().wait(2)
        return decode_image(*arguments, **options)

    monkeypatch.setattr("pytorch_designer.images.loader.decode_image", slow_decode)
    with open_loader(folder_of(tmp_path, images)) as loader:
        (batch,) = loader.batches([np.arange(4)])
    assert len(batch.indices) == 4


def test_a_bug_in_a_thread_is_raised_where_the_batch_is_used(images: list[bytes], tmp_path: Path) -> None:
    def fail(row: int) -> None:
        if row == 9:
            raise ZeroDivisionError("a bug")

    with open_loader(watched(tmp_path, images, fail)) as loader, pytest.raises(ZeroDivisionError, match="a bug"):
        list(loader.batches(in_order(NUM_IMAGES)))


def test_closing_is_repeatable_and_final(images: list[bytes], tmp_path: Path) -> None:
    loader = open_loader(folder_of(tmp_path, images), cache=CacheBudget(10**6))
    batches = loader.batches(in_order(NUM_IMAGES, 2))
    next(batches)
    loader.close()
    loader.close()
    assert loader.cache.memory == 0
    with pytest.raises(RuntimeError, match="closed"):
        list(batches)


def test_nothing_is_read_before_the_first_batch(images: list[bytes], tmp_path: Path) -> None:
    rows: list[int] = []
    with open_loader(watched(tmp_path, images, rows.append)) as loader:
        loader.batches(in_order(NUM_IMAGES))
        assert len(loader) == NUM_IMAGES
        assert rows == []


def test_no_batches_are_asked_for(images: list[bytes], tmp_path: Path) -> None:
    with open_loader(folder_of(tmp_path, images)) as loader:
        assert list(loader.batches([])) == []


def test_an_open_image_source_is_loaded_with_its_labels(images: list[bytes], tmp_path: Path) -> None:
    for name, content in zip(("cat/a.jpg", "cat/b.jpg", "dog/c.jpg"), images, strict=False):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(content)
    with open_loader(open_image_directory(tmp_path)) as loader:
        (batch,) = loader.batches([np.array([2, 0, 1])])
    assert batch.labels.tolist() == [1, 0, 0]
    assert torch.equal(batch.images[0], crop_and_resize(decode_image(images[2]), RULE))


def test_random_steps_can_be_left_to_whoever_uses_the_batches(tmp_path: Path) -> None:
    contents = [encode(noise_pixels(14, 20, seed=row), "PNG") for row in range(3)]
    contents.append(encode(noise_pixels(28, 40, seed=3), "PNG"))  # not of the size that all looked at have
    augmentation = Augmentation((), (parse_transform("RandomHorizontalFlip", {"p": 1}),), RULE, (14, 20), seed=0)
    with open_loader(folder_of(tmp_path, contents), augmentation=augmentation, draws_later=True) as loader:
        for epoch in (1, 2):
            (batch,) = loader.batches([np.array([2, 0, 3])], epoch=epoch)
            assert batch.images.shape == (3, 3, 14, 20)
            assert torch.equal(batch.images[0], decode_image(contents[2]))
            halved = crop_and_resize(
                decode_image(contents[3]), Preprocessing(resize_size=14, crop_height=14, crop_width=20)
            )
            assert torch.equal(batch.images[2], halved)
            drawn = augmentation.draw_batch(batch.images, epoch=epoch, rows=batch.indices)
            alone = augmentation.draw(batch.images[1], epoch=epoch, row=0)
            assert torch.equal(drawn[1], alone)


def test_of_many_odd_images_one_is_warned_of(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    values = np.arange(16, dtype=np.uint16).reshape(4, 4) * 100
    with open_loader(folder_of(tmp_path, [encode(values, "PNG")] * 6)) as loader:
        assert [len(batch.images) for batch in loader.batches(in_order(6, 2))] == [2, 2, 2]
    (message,) = caplog.messages
    assert ".img (training_dataset): its samples have 16 bits, but none is above 1,535 of 65,535" in message


@pytest.mark.parametrize(
    "error", [MemoryError(), RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory")]
)
def test_memory_that_runs_out_is_named_with_the_file(
    error: Exception, images: list[bytes], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def decode(*_: Any, **__: Any) -> torch.Tensor:
        raise error

    monkeypatch.setattr("pytorch_designer.images.loader.decode_image", decode)
    with (
        open_loader(folder_of(tmp_path, images[:1]), tolerance=1.0) as loader,
        pytest.raises(ModuleOutOfMemoryError, match="too little free memory to read an image") as caught,
    ):
        list(loader.batches(in_order(1)))
    assert caught.value.where == f"{tmp_path}, 0000.img"
