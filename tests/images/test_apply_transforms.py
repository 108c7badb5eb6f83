"""Transforms do to pixels what torchvision's transforms of the same names and arguments do."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torchvision.transforms import InterpolationMode, v2

from pytorch_designer.images.augmentation import UntransformableImageError, apply_transforms
from pytorch_designer.images.decoding import memory_budget
from pytorch_designer.transforms.color import ColorJitter
from pytorch_designer.transforms.erasing import RandomErasing
from pytorch_designer.transforms.geometry import RandomAffine, RandomPerspective, RandomRotation
from pytorch_designer.transforms.registrations import TRANSFORMS, parse_transform
from pytorch_designer.transforms.rng import Rng
from pytorch_designer.transforms.sizes import CenterCrop, Pad, RandomCrop, RandomResizedCrop, Resize
from pytorch_designer.transforms.transform import Transform, size_after
from tests.images.image_corpus import noise_pixels, smooth_pixels

if TYPE_CHECKING:
    pass

HEIGHT, WIDTH = 40, 56
KEY = (7, "augmentation", 3, 11)


@pytest.fixture
def image() -> torch.Tensor:
    return torch.from_numpy(smooth_pixels(HEIGHT, WIDTH, seed=3)).permute(2, 0, 1)


def torchvisions(image: torch.Tensor, op: str, args: dict[str, Any], params: dict[str, Any]) -> torch.Tensor:
    """The image that torchvision's own transform returns once it has drawn `params`."""
    transformed: torch.Tensor = torchvisions_own(op, args).transform(image, params)
    return transformed


def torchvisions_own(op: str, args: dict[str, Any]) -> Any:
    """The transform; before 0.27, torchvision takes no text for an interpolation."""
    named = {"interpolation": InterpolationMode(args["interpolation"])} if "interpolation" in args else {}
    return getattr(v2, op)(**(args | named))


@pytest.mark.parametrize(
    ("op", "args"),
    [
        ("Resize", {"size": 20}),
        ("Resize", {"size": 60, "max_size": 70, "interpolation": "bicubic"}),
        ("Resize", {"size": [13, 90], "interpolation": "nearest-exact"}),
        ("Resize", {"size": 17, "antialias": False}),
        ("CenterCrop", {"size": 30}),
        ("CenterCrop", {"size": [50, 20]}),
        ("Pad", {"padding": 3}),
        ("Pad", {"padding": [1, 2], "fill": 9, "padding_mode": "constant"}),
        ("Pad", {"padding": [1, 2, 3, 4], "fill": [1, 2, 3]}),
        ("Pad", {"padding": 5, "padding_mode": "reflect"}),
        ("Pad", {"padding": 5, "padding_mode": "edge"}),
        ("Grayscale", {"num_output_channels": 3}),
    ],
)
def test_deterministic_transforms_are_torchvisions(image: torch.Tensor, op: str, args: dict[str, Any]) -> None:
    expected = torchvisions_own(op, args)(image)
    assert torch.equal(apply_transforms(image, [parse_transform(op, args)]), expected)


def test_grayscale_keeps_three_channels_whatever_is_asked_for(image: torch.Tensor) -> None:
    gray = v2.Grayscale()(image)
    assert torch.equal(apply_transforms(image, [parse_transform("Grayscale", {})]), gray.expand(3, -1, -1))


@pytest.mark.parametrize(
    ("op", "args", "changed"),
    [
        ("RandomHorizontalFlip", {"p": 1}, lambda image: image.flip(2)),
        ("RandomVerticalFlip", {"p": 1}, lambda image: image.flip(1)),
        ("RandomGrayscale", {"p": 1}, v2.Grayscale(3)),
    ],
)
def test_transforms_that_happen_or_not(image: torch.Tensor, op: str, args: dict[str, Any], changed: Any) -> None:
    assert torch.equal(apply_transforms(image, [parse_transform(op, args)], Rng(0)), changed(image))
    assert torch.equal(apply_transforms(image, [parse_transform(op, {"p": 0})], Rng(0)), image)
    half = [
        torch.equal(apply_transforms(image, [parse_transform(op, {"p": 0.5})], Rng(row)), image) for row in range(200)
    ]
    assert 65 < sum(half) < 135  # 5 standard deviations


@pytest.mark.parametrize(
    "args", [{"size": 20}, {"size": [9, 70], "interpolation": "bicubic", "scale": [0.5, 0.9], "antialias": False}]
)
def test_random_resized_crop_is_torchvisions(image: torch.Tensor, args: dict[str, Any]) -> None:
    transform = RandomResizedCrop.model_validate(args)
    params = transform.draw(HEIGHT, WIDTH, Rng(*KEY))._asdict()
    assert torch.equal(
        apply_transforms(image, [transform], Rng(*KEY)), torchvisions(image, "RandomResizedCrop", args, params)
    )


@pytest.mark.parametrize(
    ("args", "padding"),
    [
        ({"size": 20}, (0, 0, 0, 0)),
        ({"size": [40, 56]}, (0, 0, 0, 0)),
        ({"size": 50, "padding": 7, "fill": 200}, (7, 7, 7, 7)),
        ({"size": 20, "padding": [1, 2, 3, 4], "padding_mode": "reflect"}, (1, 2, 3, 4)),
        ({"size": [48, 60], "pad_if_needed": True}, (4, 8, 4, 8)),
        ({"size": [48, 20], "pad_if_needed": True, "padding": [0, 1]}, (0, 7, 0, 7)),
    ],
)
def test_random_crop_is_torchvisions(
    image: torch.Tensor, args: dict[str, Any], padding: tuple[int, int, int, int]
) -> None:
    transform = RandomCrop.model_validate(args)
    left, top, right, bottom = padding
    box = RandomCrop(size=transform.size).draw(HEIGHT + top + bottom, WIDTH + left + right, Rng(*KEY)).box
    params = box._asdict() | {"needs_crop": True, "needs_pad": any(padding), "padding": list(padding)}
    expected = torchvisions(image, "RandomCrop", args, params)
    assert torch.equal(apply_transforms(image, [transform], Rng(*KEY)), expected)


@pytest.mark.parametrize(
    "args",
    [
        {"degrees": 30},
        {"degrees": [90, 90], "expand": True},
        {"degrees": 170, "interpolation": "bilinear", "fill": [1, 2, 3], "center": [3, 4]},
    ],
)
def test_random_rotation_is_torchvisions(image: torch.Tensor, args: dict[str, Any]) -> None:
    transform = RandomRotation.model_validate(args)
    params = {"angle": Rng(*KEY).uniform(*transform.degrees)}
    assert torch.equal(
        apply_transforms(image, [transform], Rng(*KEY)), torchvisions(image, "RandomRotation", args, params)
    )


@pytest.mark.parametrize(
    "args",
    [
        {"degrees": 30},
        {"degrees": 5, "translate": [0.1, 0.2], "scale": [0.5, 2], "shear": [1, 2, 3, 4], "fill": 7, "center": [1, 1]},
    ],
)
def test_random_affine_is_torchvisions(image: torch.Tensor, args: dict[str, Any]) -> None:
    transform = RandomAffine.model_validate(args)
    params = transform.draw(HEIGHT, WIDTH, Rng(*KEY))._asdict()
    assert torch.equal(
        apply_transforms(image, [transform], Rng(*KEY)), torchvisions(image, "RandomAffine", args, params)
    )


def test_color_jitter_is_torchvisions(image: torch.Tensor) -> None:
    args = {"brightness": 0.4, "contrast": 0.4, "saturation": 0.4, "hue": 0.1}
    transform = parse_transform("ColorJitter", args)
    assert isinstance(transform, ColorJitter)
    for row in range(5):
        drawn = transform.draw(HEIGHT, WIDTH, Rng(row))
        params: dict[str, Any] = {f"{name}_factor": factor for name, factor in drawn.factors.items()}
        params |= {"fn_idx": [list(args).index(name) for name in drawn.order]}
        assert torch.equal(
            apply_transforms(image, [transform], Rng(row)), torchvisions(image, "ColorJitter", args, params)
        )


def test_random_perspective_is_torchvisions(image: torch.Tensor) -> None:
    transform = RandomPerspective(p=1, distortion_scale=0.7, fill=9)
    rng = Rng(*KEY)
    rng.happens(1)
    corners, moved = transform.draw_corners(HEIGHT, WIDTH, rng)
    expected = v2.functional.perspective(
        image, [list(point) for point in corners], [list(point) for point in moved], fill=9
    )
    assert torch.equal(apply_transforms(image, [transform], Rng(*KEY)), expected)


@pytest.mark.parametrize(("value", "paint"), [(0, [0, 0, 0]), (7, [7, 7, 7]), ((1, 2, 3), [1, 2, 3])])
def test_random_erasing_paints_the_drawn_part(image: torch.Tensor, value: Any, paint: list[int]) -> None:
    transform = RandomErasing(p=1, value=value)
    rng = Rng(*KEY)
    rng.happens(1)
    box = transform.draw_box(HEIGHT, WIDTH, rng)
    assert box is not None
    expected = image.clone()
    for channel, color in enumerate(paint):
        expected[channel, box.top : box.top + box.height, box.left : box.left + box.width] = color
    assert torch.equal(apply_transforms(image, [transform], Rng(*KEY)), expected)


def test_random_erasing_with_random_colors_paints_all_colors() -> None:
    black = torch.zeros(3, 200, 200, dtype=torch.uint8)
    erased = apply_transforms(black, [RandomErasing(p=1, scale=(0.3, 0.3), value="random")], Rng(0))
    counts = torch.bincount(erased.flatten(), minlength=256)
    assert counts[1:].min() > 80  # 36,000 values of 256 colors: 141 of each, give or take 12
    assert counts[1:].max() < 210


def random_transforms() -> list[Any]:
    needed: dict[str, Any] = {
        "RandomResizedCrop": 20,
        "RandomCrop": 20,
        "RandomRotation": 45,
        "RandomAffine": 45,
        "ColorJitter": [0.4, 0.4, 0.4, 0.1],
        "GaussianBlur": 5,
    }
    return [parse_transform(op, needed.get(op, {})) for op, transform in TRANSFORMS.items() if transform.is_random]


@pytest.mark.parametrize("transform", random_transforms(), ids=str)
def test_random_transforms_depend_on_the_key_alone_and_leave_their_image(transform: Any, image: torch.Tensor) -> None:
    before = image.clone()
    torch.manual_seed(1)
    ones = [apply_transforms(image, [transform], Rng(0, epoch)) for epoch in range(16)]
    torch.manual_seed(2)
    state = torch.random.get_rng_state()
    twos = [apply_transforms(image, [transform], Rng(0, epoch)) for epoch in range(16)]
    assert all(torch.equal(one, two) for one, two in zip(ones, twos, strict=True))
    assert any(not torch.equal(one, ones[0]) for one in ones)
    assert torch.equal(torch.random.get_rng_state(), state)
    assert torch.equal(image, before)
    assert all(one.dtype == torch.uint8 and one.shape[0] == 3 for one in ones)


def test_random_transforms_need_draws(image: torch.Tensor) -> None:
    with pytest.raises(TypeError, match="RandomErasing"):
        apply_transforms(image, [RandomErasing()])


@pytest.mark.parametrize(
    ("transform", "text"),
    [
        (RandomCrop(size=(41, 10)), r"RandomCrop\(size=\[41, 10\]\) does not take 56x40 pixels: the crop is larger"),
        (Pad(padding=(99, 0, 0, 0), padding_mode="reflect"), "Pad.*does not take 56x40 pixels"),
        (Resize(size=(10**6,)), "Resize.*would make 56x40 pixels an image of 1400000x1000000"),
        (CenterCrop(size=(10**9, 10**9)), "CenterCrop.*pixels are allowed"),
        (Pad(padding=(10**9, 10**9, 0, 0)), "Pad.*pixels are allowed"),
        (RandomResizedCrop(size=(10**9, 10**9)), "RandomResizedCrop.*pixels are allowed"),
    ],
)
def test_transforms_that_an_image_does_not_fit_are_named(image: torch.Tensor, transform: Any, text: str) -> None:
    with pytest.raises(UntransformableImageError, match=text):
        apply_transforms(image, [transform], Rng(0))


def test_long_and_thin_images_are_refused_before_memory_is_asked_for() -> None:
    with pytest.raises(UntransformableImageError, match="would make"):
        apply_transforms(torch.zeros(3, 1, 20_000, dtype=torch.uint8), [Resize(size=(1000,))])
    with pytest.raises(UntransformableImageError, match="would make"):
        apply_transforms(torch.zeros(3, 1, 20_000, dtype=torch.uint8), [Resize(size=(10,), max_size=11)])


@pytest.fixture
def small_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTORCH_DESIGNER_MAX_IMAGE_PIXELS", "3000")


@pytest.mark.usefixtures("small_limit")
def test_the_limit_on_pixels_is_the_one_for_files(image: torch.Tensor) -> None:
    assert apply_transforms(image, [CenterCrop(size=(50, 60))]).shape == (3, 50, 60)
    with pytest.raises(UntransformableImageError, match="3,000 pixels are allowed"):
        apply_transforms(image, [CenterCrop(size=(50, 61))])


sides = st.integers(1, 70)
any_transform = (
    st.builds(Resize, size=st.tuples(sides) | st.tuples(sides, sides))
    | st.builds(lambda size, more: Resize(size=(size,), max_size=size + more), sides, st.integers(1, 30))
    | st.builds(CenterCrop, size=st.tuples(sides, sides))
    | st.builds(Pad, padding=st.tuples(*[st.integers(0, 9)] * 4))
    | st.builds(RandomResizedCrop, size=st.tuples(sides, sides))
    | st.builds(RandomCrop, size=st.tuples(sides, sides), pad_if_needed=st.just(True))
    | st.sampled_from(
        [
            transform
            for transform in random_transforms()
            if not transform.chooses_size and transform.op != "GaussianBlur"
        ]
    )
)


@settings(max_examples=60)
@given(st.lists(any_transform, max_size=3), sides, sides)
def test_the_predicted_size_is_the_size(transforms: list[Any], height: int, width: int) -> None:
    image = torch.from_numpy(noise_pixels(height, width)).permute(2, 0, 1)
    try:
        transformed = apply_transforms(image, transforms, Rng(0))
    except UntransformableImageError:  # such as a side of no pixels
        return
    assert size_after(transforms, height, width) == tuple(transformed.shape[1:])


def test_no_transforms_copy_nothing(image: torch.Tensor) -> None:
    assert apply_transforms(image, ()) is image


@pytest.mark.parametrize("transform", [Resize(size=(13_000, 13_000)), Pad(padding=(6_000, 6_000, 6_000, 6_000))])
def test_what_does_not_fit_into_memory_is_refused_with_both_sizes(
    transform: Transform, image: torch.Tensor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(memory_budget, "available_memory_bytes", lambda: 10**9)
    with pytest.raises(UntransformableImageError, match=r"takes about [12]\.[0-9] GB of memory, 1\.0 GB are free"):
        apply_transforms(image, (transform,))


def test_memory_that_runs_out_is_no_fault_of_the_image(image: torch.Tensor, monkeypatch: pytest.MonkeyPatch) -> None:
    def resize(*_: Any) -> torch.Tensor:
        raise RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory")

    monkeypatch.setattr(Resize, "apply", resize)
    with pytest.raises(MemoryError):
        apply_transforms(image, (Resize(size=(20,)),))
