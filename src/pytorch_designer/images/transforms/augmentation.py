"""What training does to its images and nobody else does: random steps, drawn afresh in each epoch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from pytorch_designer.directories.preprocessing import Preprocessing
from pytorch_designer.images.preprocess import crop_and_resize
from pytorch_designer.images.transforms.batch_plan import can_plan, plan_batch
from pytorch_designer.images.transforms.draws import Draws
from pytorch_designer.images.transforms.steps import apply_steps

if TYPE_CHECKING:
    import numpy as np
    import torch
    from numpy.typing import NDArray

    from pytorch_designer.directories.transform_steps import TransformStep
    from pytorch_designer.images.transforms.batch_plan import BatchPlan


@dataclass(frozen=True)
class Augmentation:
    """The way of a training image from its file to the batch.

    Attributes:
        fixed_steps: Deterministic steps that come first; what comes out of them can be kept in memory.
        random_steps: From the first random step on, deterministic ones after it included.
        sizing: How what comes out is brought to the network's size.
        source_size: Height and width of all images after `fixed_steps`; None where they differ.
        seed: The run's seed.
    """

    fixed_steps: tuple[TransformStep, ...]
    random_steps: tuple[TransformStep, ...]
    sizing: Preprocessing
    source_size: tuple[int, int] | None
    seed: int

    @property
    def source_sizing(self) -> Preprocessing:
        """How an image that is not of `source_size`, although all that were looked at are, is brought to it.

        Raises:
            ValueError: There is no such size.
        """
        if self.source_size is None:
            raise ValueError("batches need images of one size")
        height, width = self.source_size
        return Preprocessing(resize_size=min(self.source_size), crop_height=height, crop_width=width)

    def draw(self, image_u8: torch.Tensor, *, epoch: int, row: int) -> torch.Tensor:
        """The image of row `row` as `epoch` sees it; the same for the same seed, whoever asks and in whatever order.

        Args:
            image_u8: uint8 [3, height, width] after `fixed_steps`.
            epoch: Number of the epoch.
            row: The image's row in the dataset.

        Returns:
            uint8 [3, crop_height, crop_width].

        Raises:
            BadImageError: A step cannot be carried out on this image.
        """
        return crop_and_resize(apply_steps(image_u8, self.random_steps, self._draws(epoch, row)), self.sizing)

    def can_draw_batches(self) -> bool:
        """Whether `draw_batch` can do what `draw` does: all images have one size, and keep having one after each step.

        False, too, where images of that size cannot take the steps; `draw` says why. It tries the steps on an image:
        ask once.
        """
        return self.source_size is not None and can_plan(self.random_steps, self.sizing, self.source_size)

    def draw_batch(self, images_u8: torch.Tensor, *, epoch: int, rows: NDArray[np.int64]) -> torch.Tensor:
        """What `draw` makes of each of the images, computed on their device with operations on the whole batch.

        The random numbers are those of `draw`. So are the pixels of flips, crops, margins, grayscale and erasing, and
        of resizing that keeps at least a quarter of the pixels a side (`draw` on a processor with AVX2). Others differ
        by 1 of 255 in one value of thousands; by more where a turned image takes the next pixel, or where other
        changes of colour follow that of the hue.

        Drawing takes a tenth of a millisecond an image on the CPU. To have it done beside the device's work, draw in
        another thread, and send what was drawn ahead:

            plan = augmentation.plan_batch(epoch=epoch, rows=rows).to(device)    # in a thread that prepares batches
            images_u8 = plan.carry_out(images_u8)                                # where the batch is used

        Args:
            images_u8: uint8 [n, 3, height, width] after `fixed_steps`, of `source_size`; on any device, in any memory
                format.
            epoch: Number of the epoch.
            rows: int64 [n], the images' rows in the dataset.

        Returns:
            uint8 [n, 3, crop_height, crop_width] on the same device, in channels-last memory format.

        Raises:
            ValueError: The images have no one size, or these do not fit `source_size` and `rows`.
        """
        return self.plan_batch(epoch=epoch, rows=rows).carry_out(images_u8)

    def plan_batch(self, *, epoch: int, rows: NDArray[np.int64]) -> BatchPlan:
        """All that `draw` draws for these rows in `epoch`; on the CPU, in any thread.

        Args:
            epoch: Number of the epoch.
            rows: int64 [n], the images' rows in the dataset.

        Raises:
            ValueError: The images have no one size.
        """
        if self.source_size is None:
            raise ValueError("batches need images of one size")
        draws = [self._draws(epoch, row) for row in rows.tolist()]
        return plan_batch(self.random_steps, self.sizing, self.source_size, draws)

    def describe(self) -> str:
        """The random steps, for the log."""
        return ", ".join(str(step) for step in self.random_steps)

    def _draws(self, epoch: int, row: int) -> Draws:
        return Draws(self.seed, "augmentation", epoch, row)
