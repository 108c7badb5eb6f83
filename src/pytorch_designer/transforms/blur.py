"""Blur: pixels averaged with their neighbours."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, ClassVar

from pydantic import AfterValidator, BeforeValidator, Field

from pytorch_designer.transforms.transform import PositiveRange, RandomTransform, Square, Switch

if TYPE_CHECKING:
    from collections.abc import Sequence

    import torch

    from pytorch_designer.transforms.rng import Rng
    from pytorch_designer.transforms.transform import BatchFunction, BatchOperation, ImageSize


def _check_odd(kernel_size: tuple[int, int]) -> tuple[int, int]:
    if any(side % 2 == 0 for side in kernel_size):
        raise ValueError("a kernel has an odd number of pixels")
    return kernel_size


def _as_constant(value: object) -> object:
    return [value, value] if isinstance(value, (int, float)) else value


class GaussianBlur(RandomTransform):
    """Each pixel averaged with its neighbours, by a Gaussian of random width.

    `kernel_size` is (width, height), as in torchvision. One number for `sigma` in a file is a width that is not random.
    """

    switch: ClassVar = Switch(
        "gaussian_blur",
        "Blur images with a Gaussian whose standard deviation is drawn from 0.1 to gaussian_blur_sigma.",
        parameters={
            "gaussian_blur_kernel_size": Field(
                9,
                ge=1,
                le=99,
                description="Side of the kernel in pixels, an odd number, for gaussian_blur.",
            ),
            "gaussian_blur_sigma": Field(
                2.0, ge=0.1, le=100.0, description="Largest standard deviation in pixels, for gaussian_blur."
            ),
        },
        arguments=lambda gaussian_blur_kernel_size, gaussian_blur_sigma: {
            "kernel_size": gaussian_blur_kernel_size,
            "sigma": [0.1, gaussian_blur_sigma],
        },
    )

    kernel_size: Annotated[Square, AfterValidator(_check_odd)]
    sigma: Annotated[PositiveRange, BeforeValidator(_as_constant)] = (0.1, 2.0)

    def draw(self, height: int, width: int, rng: Rng) -> float:
        """The standard deviation in pixels."""
        return rng.uniform(*self.sigma)

    def apply(self, image_u8: torch.Tensor, drawn: float) -> torch.Tensor:
        """See `Transform`."""
        from torchvision.transforms.v2 import functional

        transformed: torch.Tensor = functional.gaussian_blur(image_u8, list(self.kernel_size), [drawn, drawn])
        return transformed

    def batch(self, size: ImageSize) -> BatchFunction:
        """One `Blur`."""
        return self._blur

    def _blur(self, drawn: Sequence[float]) -> list[BatchOperation]:
        import torch

        sigmas = torch.tensor(drawn).view(-1, 1)
        return [Blur(*(_weights(side, sigmas) for side in self.kernel_size))]


@dataclass(frozen=True)
class Blur:
    """Averages along the width and then the height, with weights for each image; borders are mirrored.

    Attributes:
        row_weights: float32 [n, kernel width].
        column_weights: float32 [n, kernel height].
    """

    row_weights: torch.Tensor
    column_weights: torch.Tensor

    def apply(self, images_u8: torch.Tensor) -> torch.Tensor:
        """uint8 [n, 3, height, width] to the same.

        By plain operations: they are not rounded to TF32, as convolutions are, and repeat on every device.
        """
        import torch
        from torch.nn.functional import pad

        x, y = self.row_weights.shape[1] // 2, self.column_weights.shape[1] // 2
        images = pad(images_u8.to(torch.float32), (x, x, y, y), mode="reflect")
        images = _averaged(images, self.row_weights, dim=3)
        return _averaged(images, self.column_weights, dim=2).round_().to(torch.uint8)


def _averaged(images: torch.Tensor, weights: torch.Tensor, *, dim: int) -> torch.Tensor:
    """The sum of weight * pixel over the kernel along `dim`, which gets shorter by the kernel's size - 1."""
    length = images.shape[dim] - weights.shape[1] + 1
    first, *others = weights[:, :, None, None, None].unbind(1)
    total = images.narrow(dim, 0, length) * first
    for shift, weight in enumerate(others, start=1):
        total.addcmul_(images.narrow(dim, shift, length), weight)
    return total


def _weights(side: int, sigmas: torch.Tensor) -> torch.Tensor:
    """float32 [n, side], exp(-(x / sigma)^2 / 2) for x pixels from the middle, with a sum of 1; as torchvision."""
    import torch

    end = (side - 1) / 8**0.5
    return torch.softmax(-((torch.linspace(-end, end, side) / sigmas) ** 2), dim=1)
