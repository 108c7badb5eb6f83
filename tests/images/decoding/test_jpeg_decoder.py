"""One decoder of JPEGs is chosen, all give the same pixels, and none gives made-up ones."""

from __future__ import annotations

import importlib.util
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch

from pytorch_designer.images.bad_files import UndecodableImageError
from pytorch_designer.images.decode import decode_image, decode_image_as_stored
from pytorch_designer.images.decoding import jpeg_decoder as module
from pytorch_designer.images.decoding.decoder_messages import DecoderMessages
from pytorch_designer.images.decoding.jpeg_decoder import JpegDecoder, jpeg_decoder
from tests.images.image_corpus import encode, exif, noise_pixels, smooth_pixels

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

MAX_PIXELS = 1_000_000
FINDERS: dict[str, Callable[[], JpegDecoder | None]] = {
    "torchvision": module._of_torchvision,
    "torchcodec": module._of_torchcodec,
    "pillow": lambda: JpegDecoder("Pillow", None),
}


@pytest.fixture(params=sorted(FINDERS))
def decoder(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Each of the decoders, in turn that of this process."""
    name: str = request.param
    if name == "torchcodec" and importlib.util.find_spec("torchcodec") is None:
        pytest.skip("torchcodec is not installed")
    found = FINDERS[name]()
    if found is None:
        pytest.skip(f"{name} has no decoder here")
    monkeypatch.setattr(module, "jpeg_decoder", lambda: found)
    return name


@pytest.fixture(params=[True, False], ids=["heard", "unheard"])
def can_listen(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """With and without the decoder's messages, which not every platform tells."""
    if not request.param:
        monkeypatch.setattr(module, "can_listen", lambda: False)
        monkeypatch.setattr(DecoderMessages, "lines", [])


KINDS: dict[str, dict[str, Any]] = {
    "sequential": {},
    "progressive": {"progressive": True},
    "full chroma": {"subsampling": 0},
    "restarts": {"restart_marker_blocks": 4},
}
MODES = ("RGB", "L", "CMYK")


def photo(mode: str = "RGB", **options: Any) -> bytes:
    from PIL import Image

    return encode(Image.fromarray(noise_pixels(96, 160)).convert(mode), "JPEG", **options)


def decoded(content: bytes) -> NDArray[np.uint8]:
    pixels: NDArray[np.uint8] = decode_image(content, max_pixels=MAX_PIXELS).permute(1, 2, 0).numpy()
    return pixels


@pytest.mark.usefixtures("can_listen")
@pytest.mark.parametrize("share", [0.2, 0.5, 0.8, 0.97])
@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("kind", KINDS)
def test_a_file_cut_in_the_middle_is_refused_although_an_end_marker_follows(
    decoder: str, kind: str, mode: str, share: float
) -> None:
    content = photo(mode, **KINDS[kind])
    start = content.index(b"\xff\xda")
    cut = content[: start + int((len(content) - start) * share)]
    with pytest.raises(UndecodableImageError, match=r"truncated|damaged"):
        decode_image(cut + b"\xff\xd9", max_pixels=MAX_PIXELS)


@pytest.mark.usefixtures("can_listen")
@pytest.mark.parametrize("kind", KINDS)
def test_a_grey_corner_is_no_fault(decoder: str, kind: str) -> None:
    pixels = noise_pixels(64, 64)
    pixels[32:] = 128
    assert decoded(encode(pixels, "JPEG", **KINDS[kind])).shape == (64, 64, 3)


@pytest.mark.usefixtures("can_listen")
@pytest.mark.parametrize("tail", [b"appended by a phone", b"\xff\xd9", photo()], ids=["text", "marker", "photo"])
def test_what_follows_the_image_is_no_fault(decoder: str, tail: bytes) -> None:
    for content in (photo(), encode(np.full((64, 64, 3), 128, np.uint8), "JPEG")):
        np.testing.assert_array_equal(decoded(content + tail), decoded(content))


@pytest.mark.usefixtures("can_listen")
def test_stray_bytes_between_segments_are_no_fault_but_hide_no_cut(decoder: str) -> None:
    content = photo()
    table = content.index(b"\xff\xc4")
    stray = content[:table] + b"\x01\x02\x03" + content[table:]
    np.testing.assert_array_equal(decoded(stray), decoded(content))
    if decoder != "pillow":  # whose own reader of the header stops at such bytes
        with pytest.raises(UndecodableImageError, match="truncated"):
            decode_image(stray[: len(stray) // 2] + b"\xff\xd9", max_pixels=MAX_PIXELS)


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("kind", KINDS)
def test_every_decoder_gives_the_pixels_of_pillow_turned_once(
    decoder: str, kind: str, orientation: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    content = encode(smooth_pixels(40, 56), "JPEG", exif=exif(orientation), **KINDS[kind])
    upright, stored = decode_image(content), decode_image_as_stored(content)
    assert stored.shape == (3, 40, 56)
    assert upright.shape == ((3, 56, 40) if orientation >= 5 else (3, 40, 56))
    monkeypatch.setattr(module, "jpeg_decoder", FINDERS["pillow"])
    difference = (decode_image(content).int() - upright.int()).abs()
    assert difference.max() <= 2  # two libjpeg builds may round the inverse cosine transform and colors differently
    assert (decode_image_as_stored(content).int() - stored.int()).abs().max() <= 2


def test_the_first_that_is_there_is_chosen_and_pillow_is_warned_of(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    chosen = []
    for missing in ([], ["_of_torchvision"], ["_of_torchvision", "_of_torchcodec"]):
        with monkeypatch.context() as patched:
            patched.setattr(module, "_of_torchcodec", lambda: JpegDecoder("torchcodec 0.17", torch.clone))
            for name in missing:
                patched.setattr(module, name, lambda: None)
            jpeg_decoder.cache_clear()
            chosen.append(jpeg_decoder().name)
    jpeg_decoder.cache_clear()
    assert [name.split()[0] for name in chosen] == ["torchvision", "torchcodec", "Pillow"]
    (message,) = caplog.messages
    assert message.startswith("JPEGs are decoded by Pillow, at half the speed")
