"""Deterministic preprocessing of a model, as data.

Training writes it into the ModelDirectory; validation, scoring and serving read it from there, so that all of them
see the same tensor for the same file. `pytorch_designer.images` applies it.
"""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from pytorch_designer.transforms.registrations import DeterministicTransform

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)


class Preprocessing(BaseModel):
    """Transforms, resize, center crop and normalization of one image, in this order.

    An image is decoded upright to 8 bit RGB. `transforms` are applied, except those that its file has been through
    already (docs/decisions/0006-preprocessing-and-transforms.md). The shorter side is resized to `resize_size` pixels
    (antialiased, on 8 bit values, the aspect ratio kept); the middle `crop_height` x `crop_width` pixels are cut out,
    padded with zeros where the image is smaller; values are divided by 255 and normalized per channel as
    (value - mean) / std.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

    resize_size: int | None = Field(None, ge=1, description="Length of the shorter side in pixels; None: not resized.")
    crop_height: int = Field(ge=1, description="Height in pixels of what the network sees.")
    crop_width: int = Field(ge=1, description="Width in pixels of what the network sees.")
    interpolation: Literal["nearest", "bilinear", "bicubic"] = "bilinear"
    mean: tuple[float, float, float] = IMAGENET_MEAN
    std: tuple[float, float, float] = IMAGENET_STD
    transforms: tuple[DeterministicTransform, ...] = Field(
        (), description="The user's deterministic transforms, which all training images went through."
    )

    def to_dict(self) -> dict[str, Any]:
        """Plain data for a YAML or JSON file."""
        return self.model_dump(mode="json", exclude=None if self.transforms else {"transforms"})

    def describe_size(self) -> str:
        """Part of an image that the network sees, for a log."""
        size = f"{self.crop_height} x {self.crop_width} pixels"
        if self.resize_size in {None, min(self.crop_height, self.crop_width)}:
            return size
        return f"{size}, cut out of images whose shorter side is {self.resize_size}"
