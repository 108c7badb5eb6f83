"""What training does to its images and nobody else does: random steps, drawn afresh in each epoch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from pytorch_designer.images.draws import Draws
from pytorch_designer.images.preprocess import crop_and_resize
from pytorch_designer.images.transforms import apply_steps

if TYPE_CHECKING:
    import torch

    from pytorch_designer.directories.preprocessing import Preprocessing
    from pytorch_designer.directories.transform_steps import TransformStep


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
        draws = Draws(self.seed, "augmentation", epoch, row)
        return crop_and_resize(apply_steps(image_u8, self.random_steps, draws), self.sizing)

    def describe(self) -> str:
        """The random steps, for the log."""
        return ", ".join(str(step) for step in self.random_steps)
