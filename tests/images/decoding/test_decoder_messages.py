"""Messages of C libraries: told to the thread that decodes, and to nobody else."""

from __future__ import annotations

import ctypes
from concurrent.futures import ThreadPoolExecutor

import pytest

from pytorch_designer.images.bad_files import UndecodableImageError
from pytorch_designer.images.decoding.decoder_messages import DecoderMessages, can_listen
from pytorch_designer.images.decoding.jpeg_decoder import decode_jpeg, jpeg_decoder
from tests.images.image_corpus import encode, noise_pixels

only_where_heard = pytest.mark.skipif(not can_listen(), reason="messages cannot be heard on this platform")


def print_in_c(text: bytes) -> None:
    library = ctypes.CDLL(None)
    library.fputs(text, ctypes.c_void_p.in_dll(library, "stderr"))


@only_where_heard
def test_lines_are_collected_within_the_context_and_pass_outside(capfd: pytest.CaptureFixture[str]) -> None:
    with DecoderMessages() as messages:
        print_in_c(b"a first line\nand a second\n")
    print_in_c(b"as ever\n")
    assert messages.lines == ["a first line", "and a second"]
    assert capfd.readouterr().err == "as ever\n"


@only_where_heard
def test_the_inner_context_hears() -> None:
    with DecoderMessages() as outer:
        with DecoderMessages() as inner:
            print_in_c(b"inner\n")
        print_in_c(b"outer\n")
    assert (outer.lines, inner.lines) == (["outer"], ["inner"])


@only_where_heard
@pytest.mark.skipif(jpeg_decoder().decode is None, reason="Pillow prints nothing")
def test_of_many_threads_each_hears_its_own_file(capfd: pytest.CaptureFixture[str]) -> None:
    good = bytearray(encode(noise_pixels(64, 64), "JPEG"))
    cut = good[: len(good) // 2] + b"\xff\xd9"

    def is_refused(number: int) -> bool:
        try:
            decode_jpeg(cut if number % 3 == 0 else good)
        except UndecodableImageError:
            return True
        return False

    with ThreadPoolExecutor(16) as threads:
        refused = list(threads.map(is_refused, range(600)))
    assert refused == [number % 3 == 0 for number in range(600)]
    assert capfd.readouterr().err == ""
