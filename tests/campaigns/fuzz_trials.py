"""Damaged archives, typed directories, models and requests, and their use, for the campaign `fuzz`.

A trial damages one input by its number, uses it as a component would, and tells whether it was taken. The same number
gives the same damage.
"""

from __future__ import annotations

import base64
import bz2
import gzip
import io
import lzma
import re
import struct
import tarfile
import zipfile
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from mlflow.exceptions import MlflowException

from pytorch_designer.directories.image_directory import open_image_source
from pytorch_designer.errors import DesignerError
from pytorch_designer.images.bad_files import BadImageError
from pytorch_designer.images.decode import decode_image, decode_image_as_stored, upright_size
from pytorch_designer.models.weights import read_state_dict
from pytorch_designer.serving.mlflow_model import ServedModel, _load_pyfunc
from tests.directories.hand_built import PNG
from tests.directories.typed_directories import WRITERS, write_image_directory
from tests.images.mutations import mutate, mutated_image

MAX_PIXELS = 1_000_000
_MAX_MESSAGE = 5000
_SEED = 20261128
_BLOCK = 512
_REFUSED = 400

Outcome = tuple[str, bool]
"""Name of the trial, and True if the input was taken; False is a refusal by name."""
Trial = Callable[[int, Path], Outcome]

_TOKENS = re.compile(rb'"[^"]*"|[\w.+-]+|[\[\]{}:,]')
_EXTREME_TOKENS = (
    b"-1", b"0", b"1e999", b"NaN", b"99999999999999999999", b"0x" + b"f" * 5000, b"9" * 5000, b"null", b"true", b"[]",
    b"{}", b'""', b'"../x"', b'"/etc/passwd"', b'"a\\u0000b"', b'"\\ud800"', b"[" * 3000, b'{"a":' * 300, b"*a",
    b"&a [*a]", b"<<", b"!!python/name:os.system", b'"' + b"x" * 70_000 + b'"', b"\n", b"\t", b"\xff\xfe",
    b"2001-99-99", b"1:1:1:1",
)  # fmt: skip


_COMPRESSIONS: dict[str, Callable[[bytes], bytes]] = {
    ".tar": bytes,
    ".tar.gz": gzip.compress,
    ".tar.bz2": bz2.compress,
    ".tar.xz": lzma.compress,
}


class FaultError(AssertionError):
    """A damaged input led to what no input may lead to."""


def try_image(number: int, folder: Path) -> Outcome:
    """Decode a damaged image in all ways."""
    image_format, content = mutated_image(number)
    try:
        image = decode_image(content, max_pixels=MAX_PIXELS)
        decode_image_as_stored(content, max_pixels=MAX_PIXELS)
    except BadImageError as error:
        if not error.reason:
            raise FaultError("refused without a reason") from error
        return image_format, False
    if image.ndim != 3 or image.shape[0] != 3 or image.numel() == 0:
        raise FaultError(f"pixels of shape {tuple(image.shape)}")
    path = folder / "image"
    path.write_bytes(content)
    if upright_size(path) != tuple(image.shape[1:]):
        raise FaultError(f"its header tells the size {upright_size(path)}")
    return image_format, True


def try_archive(number: int, folder: Path) -> Outcome:
    """Open a damaged archive of images, which may write nothing but its own temporary folder and leaves nothing."""
    dice = np.random.default_rng([number, _SEED])
    extension, content = _damaged_archive(dice)
    archive = folder / f"archive{extension}"
    archive.write_bytes(content)
    try:
        with open_image_source(archive) as dataset:
            root = dataset.root.resolve()
            outside = [index for index in range(len(dataset)) if root not in dataset.path(index).resolve().parents]
            if outside:
                raise FaultError(f"an image outside: {dataset.path(outside[0])}")
        is_taken = True
    except DesignerError as error:
        _check_message(error)
        if "pytorch-designer-" in str(error):
            raise FaultError(f"the message names a temporary folder: {error}") from error
        is_taken = False
    archive.unlink()
    left = [path.name for path in folder.iterdir() if path.name.startswith(("pytorch-designer-", "evil"))]
    if left:
        raise FaultError(f"left behind: {left}")
    return f"archive{extension}", is_taken


def try_directory(number: int, folder: Path) -> Outcome:
    """Open a typed directory of which one file is damaged."""
    dice = np.random.default_rng([number, _SEED + 1])
    kind = ("images", "coco", "table", "transformations", "scores")[number % 5]
    return _try_with_one_file_damaged(kind, dice, folder)


def try_model(number: int, folder: Path) -> Outcome:
    """Load a model of which one file is damaged, or a damaged state dict."""
    dice = np.random.default_rng([number, _SEED + 2])
    if number % 3:
        return _try_with_one_file_damaged("model", dice, folder)
    content = _state_dicts()[dice.integers(2)]
    path = folder / "state_dict"
    path.write_bytes(_mutated(content, dice))
    try:
        read_state_dict(path)
    except DesignerError as error:
        _check_message(error)
        return "state dict", False
    return "state dict", True


def try_request(number: int, folder: Path) -> Outcome:
    """Score a request with one damaged value among good ones."""
    dice = np.random.default_rng([number, _SEED + 3])
    frame = pd.DataFrame({"image": [PNG, base64.b64encode(PNG).decode()]})
    values: tuple[Any, ...] = (
        mutated_image(number)[1],
        base64.b64encode(mutated_image(number)[1]).decode(),
        bytes(mutate(bytearray(base64.b64encode(PNG)), dice)).decode("latin-1"),
        None, float("nan"), number, [1], {}, "", b"", "\ud800", bytearray(PNG), memoryview(PNG), np.zeros(3),
    )  # fmt: skip
    frame = pd.DataFrame({"image": pd.Series([*frame["image"], values[dice.integers(len(values))]], dtype=object)})
    if dice.random() < 0.1:
        frame.columns = pd.Index([("IMAGE", 7, "")[dice.integers(3)]])
    if dice.random() < 0.05:
        frame = frame.assign(other=1)
    try:
        scores = _served_model(folder).predict(frame)
    except MlflowException as error:
        if error.get_http_status_code() != _REFUSED or not error.message or len(error.message) > _MAX_MESSAGE:
            raise FaultError(f"a refusal without a reason: {error.message[:300]}") from error
        return "request", False
    if len(scores) != len(frame) or scores.isna().to_numpy().any():
        raise FaultError("a row without scores")
    return "request", True


TRIALS: dict[str, Trial] = {
    "images": try_image,
    "archives": try_archive,
    "directories": try_directory,
    "models": try_model,
    "requests": try_request,
}
"""The kinds of input."""


def _try_with_one_file_damaged(kind: str, dice: np.random.Generator, folder: Path) -> Outcome:
    write, open_directory = WRITERS[kind]
    root = folder / kind
    if not root.exists():
        write(root)
    files = sorted(path for path in root.rglob("*") if path.suffix not in {".png", ".html", ".txt"} and path.is_file())
    file = files[dice.integers(len(files))]
    content = file.read_bytes()
    file.write_bytes(_mutated(content, dice))
    try:
        open_directory(root)
        is_taken = True
    except DesignerError as error:
        _check_message(error)
        is_taken = False
    finally:
        file.write_bytes(content)
    return kind, is_taken


def _check_message(error: DesignerError) -> None:
    if len(str(error)) > _MAX_MESSAGE or not error.advice or error.where is None:
        raise FaultError(f"a message without a place, without advice or too long: {str(error)[:300]}")


def _mutated(content: bytes, dice: np.random.Generator) -> bytes:
    if dice.random() < 0.5:
        return bytes(mutate(bytearray(content), dice))
    tokens = list(_TOKENS.finditer(content[:100_000]))
    if not tokens:
        return bytes(mutate(bytearray(content), dice))
    token = tokens[dice.integers(len(tokens))]
    other = tokens[dice.integers(len(tokens))].group()
    replacement = _EXTREME_TOKENS[dice.integers(len(_EXTREME_TOKENS))] if dice.random() < 0.7 else other
    return content[: token.start()] + replacement + content[token.end() :]


def _damaged_archive(dice: np.random.Generator) -> tuple[str, bytes]:
    extension = (".zip", ".tar", ".tar.gz", ".tar.bz2", ".tar.xz")[dice.integers(5)]
    if extension == ".zip":
        files = _zips()
        content = bytearray(files[dice.integers(len(files))])
        return extension, bytes(mutate(content, dice))
    compress = _COMPRESSIONS[extension]
    files = _tars()
    content = bytearray(files[dice.integers(len(files))])
    if dice.random() < 0.3 and extension != ".tar":
        return extension, bytes(mutate(bytearray(compress(bytes(content))), dice))
    for _ in range(dice.integers(1, 4)):
        content = _with_damaged_header(content, dice) if dice.random() < 0.7 else mutate(content, dice)
    return extension, compress(bytes(content))


def _with_damaged_header(content: bytearray, dice: np.random.Generator) -> bytearray:
    """A field of one header replaced, with its checksum made right, or a header more."""
    blocks = [
        start for start in range(0, len(content) - _BLOCK, _BLOCK) if content[start + 257 : start + 262] == b"ustar"
    ]
    if not blocks:
        return content
    start = blocks[dice.integers(len(blocks))]
    block = content[start : start + _BLOCK]
    place, width = ((0, 100), (124, 12), (156, 1), (157, 100), (345, 155), (257, 8))[dice.integers(6)]
    extremes = (
        b"\xff" * 12, b"\x80" + b"\x7f" * 11, b"77777777777\0", b"-0000000001\0", b"\0" * 12, b"../evil\0", b"/evil\0",
        b"L", b"K", b"x", b"g", b"S", b"1", b"2", b"3", b"5", b"6", b"V", b"D", b"\0", dice.bytes(8),
    )  # fmt: skip
    extreme = extremes[dice.integers(len(extremes))][:width]
    block[place : place + len(extreme)] = extreme
    block[148:156] = b" " * 8
    block[148:156] = b"%06o\0 " % sum(block)
    end = start if dice.random() < 0.3 else start + _BLOCK
    return content[:start] + block * int(dice.choice([1, 1, 1, 2, 30])) + content[end:]


@lru_cache(maxsize=1)
def _tars() -> list[bytes]:
    packed = []
    for form in (tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT):
        stream = io.BytesIO()
        with tarfile.open(fileobj=stream, mode="w", format=form) as tar:
            for name in ("cat/1.png", "dog/" + "x" * 80 + "/" + "y" * 90 + ".png", "dog/2.png"):
                member = tarfile.TarInfo(name)
                member.size = len(PNG)
                tar.addfile(member, io.BytesIO(PNG))
        packed.append(stream.getvalue())
    return packed


@lru_cache(maxsize=1)
def _zips() -> list[bytes]:
    packed = []
    for method in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA):
        stream = io.BytesIO()
        with zipfile.ZipFile(stream, "w", method) as archive:
            archive.writestr("pets/", b"")
            for name in ("pets/cat/1.png", "pets/dog/é.png"):
                archive.writestr(name, PNG * 3)
            archive.comment = struct.pack("<I", method)
        packed.append(stream.getvalue())
    return packed


@lru_cache(maxsize=1)
def _state_dicts() -> list[bytes]:
    packed = []
    for is_zip in (True, False):
        stream = io.BytesIO()
        tensors = {"a.weight": torch.zeros(3, 4), "a.bias": torch.nn.Parameter(torch.ones(4)), "n": torch.tensor(7)}
        torch.save(tensors, stream, _use_new_zipfile_serialization=is_zip)
        packed.append(stream.getvalue())
    return packed


@lru_cache(maxsize=1)
def _served_model(folder: Path) -> ServedModel:
    root = folder / "served"
    if not root.exists():
        WRITERS["model"][0](root)
    return _load_pyfunc(str(root))


def prepare(folder: Path) -> None:
    """Load what trials load once, before the memory is limited."""
    write_image_directory(folder / "warm")
    for name, (write, open_directory) in WRITERS.items():
        open_directory(write(folder / name))
    _served_model(folder)
