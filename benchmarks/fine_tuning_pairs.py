"""Pairs of image sets for fine-tuning: a network learns the source, and is then fine-tuned on the target.

    python benchmarks/fine_tuning_pairs.py FOLDER

All images have 32 pixels a side, and are drawn from packages at hand: scikit-learn's digits and sample photos, and
matplotlib's fonts. Source and target share neither classes nor fonts.

    pair       source                     target                                              use
    digits     harder digits 0 to 4       harder digits 5 to 9                                development
    letters    13 letters, 7 fonts        5 other letters, 7 other fonts                      development
    hues       the letters                tinted pieces of the photos, 5 hues (far)           development
    counts     the letters                1 to 5 dots on pieces of the photos (far)           development
    shapes     8 drawn shapes             5 other shapes                                      held out
    textures   the letters                4 drawn textures, and pieces of a photo (far)       held out
    damages    the shapes                 pieces of the photos, damaged in 5 ways (far)       held out

FOLDER/SET/PART/CLASS/00000.png; the sources have the part `training`, the targets training, validation and test. The
same digit, or half of a photo, is never in two parts of a target. fine_tuning_public.py writes the sets of `drawings`,
`fashion` and `mnist`, fine_tuning_pretrained.py those of the pairs whose source is ImageNet.
"""

from __future__ import annotations

import argparse
import colorsys
import functools
import math
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import matplotlib as mpl
import numpy as np
from PIL import Image, ImageDraw, ImageFilter, ImageFont
from sklearn.datasets import load_sample_images

from harder_digits import SIDE, clutter, drawn_digit, inked, split_digits

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    Draw = Callable[[str, str, np.random.Generator], Image.Image]

LARGE = 4 * SIDE  # strokes are drawn at this size, then reduced
PRETRAINED_SIDE = 64  # of the images for networks with ImageNet's weights
IMAGENET = "imagenet"  # the source of the pairs of fine_tuning_pretrained.py
NUM_POOL, NUM_VALIDATION, NUM_TEST = 500, 40, 200  # images per class of a target


@dataclass(frozen=True)
class ImageSet:
    """One set of images.

    Attributes:
        classes: Names of its classes.
        draw: Draws an image of a class for a part.
        sizes: Images per class by part.
    """

    classes: tuple[str, ...]
    draw: Draw
    sizes: dict[str, int]


@dataclass(frozen=True)
class Pair:
    """Names of two image sets, whether choices may be made on it, and the side of its images in pixels."""

    source: str
    target: str
    is_held_out: bool
    side: int = SIDE


PAIRS = {
    "digits": Pair("digits-0-4", "digits-5-9", is_held_out=False),
    "letters": Pair("letters-a-m", "letters-n-z", is_held_out=False),
    "hues": Pair("letters-a-m", "hues", is_held_out=False),
    "counts": Pair("letters-a-m", "counts", is_held_out=False),
    "shapes": Pair("shapes-1", "shapes-2", is_held_out=True),
    "textures": Pair("letters-a-m", "textures", is_held_out=True),
    "damages": Pair("shapes-1", "damages", is_held_out=True),
    "emoji": Pair(IMAGENET, "emoji", is_held_out=False, side=PRETRAINED_SIDE),
    "stamps": Pair(IMAGENET, "stamps", is_held_out=False, side=PRETRAINED_SIDE),
    "clipart": Pair(IMAGENET, "clipart", is_held_out=True, side=PRETRAINED_SIDE),
    "large letters": Pair(IMAGENET, "letters-n-z-64", is_held_out=False, side=PRETRAINED_SIDE),
    "large hues": Pair(IMAGENET, "hues-64", is_held_out=False, side=PRETRAINED_SIDE),
    "large shapes": Pair(IMAGENET, "shapes-2-64", is_held_out=True, side=PRETRAINED_SIDE),
    "drawings": Pair("drawings-many", "drawings", is_held_out=True),
    "fashion": Pair("fashion-0-4", "fashion-5-9", is_held_out=False),
    "mnist": Pair("drawings-many", "mnist", is_held_out=False),
    "large drawings": Pair(IMAGENET, "drawings-64", is_held_out=True, side=PRETRAINED_SIDE),
    "large fashion": Pair(IMAGENET, "fashion-5-9-64", is_held_out=True, side=PRETRAINED_SIDE),
    "large mnist": Pair(IMAGENET, "mnist-64", is_held_out=False, side=PRETRAINED_SIDE),
}


def main() -> None:
    """Write all sets."""
    parser = argparse.ArgumentParser(description="Write the image sets of the fine-tuning benchmark.")
    parser.add_argument("folder", type=Path)
    write_sets(parser.parse_args().folder)


def write_sets(root: Path) -> None:
    """Write the sets that are not in `root` yet; the same images every time."""
    for number, (name, images) in enumerate(SETS.items()):
        if (root / name).exists():
            continue
        staging = root / f"{name}.part"
        for part_number, (part, num_images) in enumerate(images.sizes.items()):
            for label, class_name in enumerate(images.classes):
                generator = np.random.default_rng([number, part_number, label])
                folder = staging / part / class_name
                folder.mkdir(parents=True, exist_ok=True)
                for index in range(num_images):
                    images.draw(class_name, part, generator).convert("RGB").save(folder / f"{index:05}.png")
        staging.rename(root / name)


def _digit(class_name: str, part: str, generator: np.random.Generator) -> Image.Image:
    sources = _digits()["training" if part == "training" else "validation"]
    # Of the handwritten digits that are not trained on, every other one is for the test.
    own = [strokes for strokes, label in sources if str(label) == class_name]
    own = own[1::2] if part == "test" else own[::2] if part == "validation" else own
    return drawn_digit(own[generator.integers(len(own))], _photos(), generator)


def _letter(fonts: tuple[str, ...]) -> Draw:
    def draw(class_name: str, _part: str, generator: np.random.Generator) -> Image.Image:
        path = Path(mpl.get_data_path(), "fonts", "ttf", fonts[generator.integers(len(fonts))] + ".ttf")
        canvas = Image.new("L", (LARGE, LARGE))
        font = ImageFont.truetype(str(path), int(generator.integers(60, 110)))
        middle = LARGE / 2 + generator.uniform(-12, 12, 2)
        ImageDraw.Draw(canvas).text((middle[0], middle[1]), class_name, fill=255, font=font, anchor="mm")
        return _on_photo(_distorted(canvas, 35, generator), generator)

    return draw


def _shape(class_name: str, _part: str, generator: np.random.Generator) -> Image.Image:
    canvas = Image.new("L", (LARGE, LARGE))
    radius = generator.uniform(28, 54)
    middle = LARGE / 2 + generator.uniform(-10, 10, 2)
    outlines = [middle + radius * corners for corners in SHAPES[class_name]]
    drawing = ImageDraw.Draw(canvas)
    for number, outline in enumerate(outlines):  # further outlines are holes
        drawing.polygon([(float(x), float(y)) for x, y in outline], fill=0 if number else 255)
    if generator.random() < 0.4:  # only its edge
        inner = canvas.filter(ImageFilter.MinFilter(9))
        canvas = Image.fromarray(np.asarray(canvas) - np.asarray(inner))
    return _on_photo(_distorted(canvas, 180, generator), generator)


def _texture(class_name: str, part: str, generator: np.random.Generator) -> Image.Image:
    if class_name == "photo":
        photo = _photos()[0]
        half = photo[:, : photo.shape[1] // 2] if part == "training" else photo[:, photo.shape[1] // 2 :]
        values = clutter(half, generator)
        return Image.fromarray(np.clip(values, 0, 255).astype(np.uint8))
    rows, columns = np.mgrid[0:SIDE, 0:SIDE] - generator.uniform(0, SIDE, 2)[:, None, None]
    angle, period = generator.uniform(0, math.pi), generator.uniform(3.5, 11)
    along = (columns * math.cos(angle) + rows * math.sin(angle)) * 2 * math.pi / period
    across = (rows * math.cos(angle) - columns * math.sin(angle)) * 2 * math.pi / period
    noise = generator.normal(size=(SIDE, SIDE))
    pattern = {
        "stripes": np.sin(along),
        "grid": np.sin(along) * np.sin(across),
        "dots": 2.0 * (np.sin(along) + np.sin(across) > 1.1) - 1,
        "grain": _smooth(noise, period / 6),
    }[class_name]
    strength = generator.uniform(0.25, 1.0)
    noisy = pattern * strength + _smooth(generator.normal(size=(SIDE, SIDE)), generator.uniform(0.3, 2)) * 0.5
    first, second = generator.uniform(0, 255, (2, 3))
    share = 1 / (1 + np.exp(-2 * noisy[:, :, None]))
    return Image.fromarray((first * share + second * (1 - share)).round().astype(np.uint8))


def _damaged(class_name: str, part: str, generator: np.random.Generator) -> Image.Image:
    piece = Image.fromarray(np.clip(photo_piece(part, generator), 0, 255).astype(np.uint8))
    if class_name == "blurred":
        return piece.filter(ImageFilter.GaussianBlur(generator.uniform(0.5, 1.5)))
    if class_name == "pixelated":
        side = int(generator.integers(8, 20))
        return piece.resize((side, side), Image.Resampling.BOX).resize(piece.size, Image.Resampling.NEAREST)
    values = np.asarray(piece, dtype=np.float64)
    if class_name == "noisy":
        values = values + generator.normal(size=values.shape) * generator.uniform(8, 30)
    elif class_name == "posterized":
        step = 256 / generator.integers(3, 8)
        values = (np.floor(values / step) + 0.5) * step
    elif class_name == "streaked":
        rows = np.arange(SIDE) % int(generator.integers(2, 5)) == 0
        values = values * np.where(rows, generator.uniform(0.6, 0.9), 1.0)[:, None, None]
    return Image.fromarray(np.clip(values, 0, 255).round().astype(np.uint8))


def _tinted(class_name: str, part: str, generator: np.random.Generator) -> Image.Image:
    hue = (int(class_name.removeprefix("hue")) + generator.uniform(0, 0.9)) / 5
    tint = np.array(colorsys.hsv_to_rgb(hue, generator.uniform(0.3, 0.9), generator.uniform(0.4, 1))) * 255
    piece = photo_piece(part, generator)
    cover = 0.5 + 0.3 * _smooth(generator.normal(size=(SIDE, SIDE)), generator.uniform(0.5, 4))
    share = 0.7 * np.clip(cover, 0, 1)[:, :, None]
    values = piece * (1 - share) + tint * share + generator.normal(size=piece.shape) * 12
    return Image.fromarray(np.clip(values, 0, 255).astype(np.uint8))


def _dotted(class_name: str, part: str, generator: np.random.Generator) -> Image.Image:
    piece = photo_piece(part, generator)
    rows, columns = np.mgrid[0:SIDE, 0:SIDE]
    middles: list[NDArray[np.float64]] = []
    while len(middles) < int(class_name.removeprefix("n")):
        middle = generator.uniform(4, SIDE - 4, 2)
        if all(np.hypot(*(middle - other)) > 7 for other in middles):
            middles.append(middle)
    share = np.zeros((SIDE, SIDE, 1))
    for row, column in middles:
        distances = np.hypot(rows - row, columns - column) - generator.uniform(1.5, 3)
        share = np.maximum(share, 1 / (1 + np.exp(3 * distances))[:, :, None])
    values = piece * (1 - share) + generator.uniform(0, 255, 3) * share
    return Image.fromarray(np.clip(values, 0, 255).astype(np.uint8))


def photo_piece(part: str, generator: np.random.Generator) -> NDArray[np.float64]:
    """A piece of one of the photos, of the half that belongs to the part; [32, 32, 3] of about 0 to 255."""
    photo = _photos()[generator.integers(2)]
    half = photo[:, : photo.shape[1] // 2] if part == "training" else photo[:, photo.shape[1] // 2 :]
    return clutter(half, generator)


def _smooth(values: NDArray[np.float64], width: float) -> NDArray[np.float64]:
    """Gaussian blur that keeps the variance."""
    frequencies = np.fft.fftfreq(SIDE)
    kernel = np.exp(-2 * (math.pi * width) ** 2 * (frequencies[:, None] ** 2 + frequencies[None] ** 2))
    blurred = np.fft.ifft2(np.fft.fft2(values) * kernel).real
    return np.asarray((blurred - blurred.mean()) / blurred.std())


def _distorted(canvas: Image.Image, degrees: float, generator: np.random.Generator) -> NDArray[np.float64]:
    """Rotated, sheared and reduced: the share of each of [32, 32] pixels that is covered."""
    rotated = canvas.rotate(generator.uniform(-degrees, degrees), Image.Resampling.BICUBIC)
    shear, middle = generator.uniform(-0.3, 0.3), LARGE / 2
    sheared = rotated.transform(
        canvas.size, Image.Transform.AFFINE, (1, shear, -shear * middle, 0, 1, 0), Image.Resampling.BICUBIC
    )
    blurred = sheared.filter(ImageFilter.GaussianBlur(generator.uniform(0, 4)))
    return np.asarray(blurred.resize((SIDE, SIDE), Image.Resampling.BOX), dtype=np.float64) / 255


def _on_photo(coverage: NDArray[np.float64], generator: np.random.Generator) -> Image.Image:
    photos = _photos()
    background = clutter(photos[generator.integers(len(photos))], generator)
    return inked(background, coverage * generator.uniform(0.4, 1.0), generator)


@functools.cache
def _photos() -> list[NDArray[np.uint8]]:
    return list(load_sample_images().images)


@functools.cache
def _digits() -> dict[str, list[tuple[NDArray[np.float64], int]]]:
    return split_digits()


def _star(num_points: int, inner: float, *, turn: float = 0.0) -> NDArray[np.float64]:
    """Corners [n, 2] of a star, or with an inner radius of 0 a polygon, around (0, 0) with radius 1."""
    angles = 2 * np.pi * np.arange(2 * num_points) / (2 * num_points) + turn
    radii = np.where(np.arange(2 * num_points) % 2 == 0, 1.0, inner)
    corners = np.stack([radii * np.cos(angles), radii * np.sin(angles)], axis=1)
    return np.asarray(corners[::2] if inner == 0 else corners)


def _ellipse(ratio: float) -> NDArray[np.float64]:
    return np.asarray(_star(40, 0.0) * np.array([1.0, ratio]))


SHAPES: dict[str, list[NDArray[np.float64]]] = {
    "triangle": [_star(3, 0.0)],
    "square": [_star(4, 0.0)],
    "pentagon": [_star(5, 0.0)],
    "star5": [_star(5, 0.45)],
    "disk": [_ellipse(1.0)],
    "ring": [_ellipse(1.0), 0.55 * _ellipse(1.0)],
    "bar": [np.array([[-1, -0.3], [1, -0.3], [1, 0.3], [-1, 0.3]])],
    "arrow": [np.array([[-1, -0.25], [0.2, -0.25], [0.2, -0.7], [1, 0], [0.2, 0.7], [0.2, 0.25], [-1, 0.25]])],
    "ellipse": [_ellipse(0.55)],
    "hexagon": [_star(6, 0.0)],
    "star4": [_star(4, 0.4)],
    "star6": [_star(6, 0.55)],
    "trapezoid": [np.array([[-1, 0.6], [1, 0.6], [0.45, -0.6], [-0.45, -0.6]])],
}
_SOURCE_FONTS = (
    "DejaVuSans",
    "DejaVuSans-Bold",
    "DejaVuSans-Oblique",
    "DejaVuSerif",
    "DejaVuSerif-Bold",
    "DejaVuSansMono",
    "DejaVuSerif-Italic",
)
_TARGET_FONTS = ("STIXGeneral", "STIXGeneralBol", "STIXGeneralItalic", "cmr10", "cmss10", "cmtt10", "cmb10")
TARGET_SIZES = {"training": NUM_POOL, "validation": NUM_VALIDATION, "test": NUM_TEST}
SETS = {
    "digits-0-4": ImageSet(tuple("01234"), _digit, {"training": 600}),
    "digits-5-9": ImageSet(tuple("56789"), _digit, TARGET_SIZES),
    "letters-a-m": ImageSet(tuple("ABCDEFGHIJKLM"), _letter(_SOURCE_FONTS), {"training": 250}),
    "letters-n-z": ImageSet(tuple("NPQRS"), _letter(_TARGET_FONTS), TARGET_SIZES),
    "shapes-1": ImageSet(tuple(SHAPES)[:8], _shape, {"training": 400}),
    "shapes-2": ImageSet(tuple(SHAPES)[8:], _shape, TARGET_SIZES),
    "textures": ImageSet(("stripes", "grid", "dots", "grain", "photo"), _texture, TARGET_SIZES),
    "damages": ImageSet(("blurred", "noisy", "pixelated", "posterized", "streaked"), _damaged, TARGET_SIZES),
    "hues": ImageSet(tuple(f"hue{hue}" for hue in range(5)), _tinted, TARGET_SIZES),
    "counts": ImageSet(tuple(f"n{count}" for count in range(1, 6)), _dotted, TARGET_SIZES),
}


if __name__ == "__main__":
    main()
