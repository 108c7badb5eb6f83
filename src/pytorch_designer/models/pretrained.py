"""Published weights from torch's cache, a mirror or a download, always verified.

torchvision's file names end in the first digits of the file's SHA-256 (`resnet18-f37072fd.pth`), against which it is
verified. `TORCH_HOME` moves the cache; `PYTORCH_DESIGNER_WEIGHTS_MIRROR` names a folder or an address with the same
file names. timm downloads its weights from its own hub.
"""

from __future__ import annotations

import hashlib
import re
import shutil
import time
import urllib.error
import urllib.parse
import urllib.request
from contextlib import closing
from http.client import HTTPException
from pathlib import Path
from typing import TYPE_CHECKING
from uuid import uuid4

import torch

from pytorch_designer.errors import FailedToDownloadFilesError
from pytorch_designer.models.architectures import build_network, build_on_meta, pretrained_architecture
from pytorch_designer.models.weights import check_tensors, read_state_dict
from pytorch_designer.settings import settings
from pytorch_designer.storage.retrying import is_file, open_retrying

if TYPE_CHECKING:
    from torch import Tensor

    from pytorch_designer.models.architectures import Architecture

_HASH_IN_NAME = re.compile(r"-([0-9a-f]{8,})\.[a-z]+$")
_NUM_ATTEMPTS = 3
_TIMEOUT_SECONDS = 60
_CHUNK_BYTES = 1 << 20
FIRST_WAIT_SECONDS = 1.0
_AUXILIARY_HEADS = ("AuxLogits.", "aux1.", "aux2.")
# DenseNet's files predate the rule that module names must not contain dots.
_DOTTED_DENSENET_NAME = re.compile(r"(denselayer\d+\.(?:norm|relu|conv))\.([12]\.)")


def download_weights(architecture: Architecture) -> dict[str, Tensor]:
    """The default published weights of `architecture`, with its network's tensor names.

    Returns:
        Tensors for `build_network(pretrained_architecture(architecture), None)`.

    Raises:
        FailedToDownloadFilesError: The weights are not available, or are not the published ones.
    """
    if architecture.source == "timm":
        return _timm_weights(architecture)
    import torchvision

    file = verified_file(torchvision.models.get_model_weights(architecture.name).DEFAULT.url)
    tensors = {
        _DOTTED_DENSENET_NAME.sub(r"\1\2", name) if architecture.name.startswith("densenet") else name: tensor
        for name, tensor in read_state_dict(file, FailedToDownloadFilesError).items()
        if not name.startswith(_AUXILIARY_HEADS)
    }
    network = build_on_meta(lambda: build_network(pretrained_architecture(architecture), None))
    check_tensors(tensors, network, file, FailedToDownloadFilesError)
    return tensors


def verified_file(url: str) -> Path:
    """A local copy of the published file, verified against the SHA-256 digits in its name.

    It comes from torch's cache or the mirror's folder, else it is downloaded into torch's cache.

    Args:
        url: The published address; a mirror has the same file name.

    Raises:
        FailedToDownloadFilesError: The file is not available, or is not the published one.
    """
    name = url.rpartition("/")[2]
    cache = Path(torch.hub.get_dir()) / "checkpoints"
    cached = cache / name
    if cached.is_file() and _is_published(cached, name):
        return cached
    mirror = settings().weights_mirror
    folder = None if mirror is None else _as_folder(mirror)
    if folder is not None:
        return _from_folder(folder / name, cache)
    _download(url if mirror is None else _below(mirror, name), cached)
    return cached


def _from_folder(file: Path, cache: Path) -> Path:
    try:
        if not is_file(file):
            raise _failure(str(file), file.name, cache, "The mirror does not have this file.")
        if not _is_published(file, file.name):
            raise _failure(str(file), file.name, cache, "Its SHA-256 is not the one in its name.")
    except OSError as error:
        reason = f"The mirror cannot be read: {error.strerror or error}."
        raise _failure(str(file), file.name, cache, reason) from error
    return file


def _download(source: str, target: Path) -> None:
    """Download with bounded retries; `target` is created complete and verified, or not at all."""
    reason = ""
    for attempt in range(_NUM_ATTEMPTS):
        if attempt > 0:
            time.sleep(FIRST_WAIT_SECONDS * 2 ** (attempt - 1))
        try:
            if _try_download(source, target):
                return
            reason = "Its SHA-256 is not the one in its name."
        except urllib.error.HTTPError as error:
            error.close()
            reason = f"The server answered {error.code} {error.reason}."
            if error.code < 500 and error.code not in (408, 429):
                break
        except (OSError, HTTPException, ValueError) as error:
            reason = f"{type(error).__name__}: {error}"
    raise _failure(source, target.name, target.parent, reason)


def _try_download(source: str, target: Path) -> bool:
    """Download once; False if the downloaded file is not the published one."""
    if urllib.parse.urlsplit(source).scheme not in ("http", "https"):
        raise ValueError("neither a folder nor an http(s) address")
    target.parent.mkdir(parents=True, exist_ok=True)
    # Unique per process that fills the cache; not from tempfile, whose files other users could not read.
    partial = target.with_name(f".{target.name}.{uuid4().hex}.partial")
    try:
        with (
            partial.open("xb") as stream,
            closing(urllib.request.urlopen(source, timeout=_TIMEOUT_SECONDS)) as response,  # noqa: S310 (the user names the mirror)
        ):
            shutil.copyfileobj(response, stream, _CHUNK_BYTES)
        is_published = _is_published(partial, target.name)
        if is_published:
            partial.replace(target)
    finally:
        partial.unlink(missing_ok=True)
    return is_published


def _is_published(file: Path, name: str) -> bool:
    match = _HASH_IN_NAME.search(name)
    if match is None:
        raise AssertionError(f"{name} has no hash to verify it by")
    digest = hashlib.sha256()
    with open_retrying(file) as stream:  # a mirror may be a mount
        while chunk := stream.read(_CHUNK_BYTES):
            digest.update(chunk)
    return digest.hexdigest().startswith(match[1])


def _as_folder(mirror: str) -> Path | None:
    """The folder of a mirror that is a path or a file:// address; None for other addresses."""
    parts = urllib.parse.urlsplit(mirror)
    if parts.scheme == "file":
        return Path(urllib.request.url2pathname(parts.path))
    is_path = len(parts.scheme) <= 1  # a single letter is a Windows drive
    return Path(mirror) if is_path else None


def _below(address: str, name: str) -> str:
    """The address of a file in the folder at `address`, whose query (a token, for instance) is kept."""
    parts = urllib.parse.urlsplit(address)
    return urllib.parse.urlunsplit(parts._replace(path=f"{parts.path.rstrip('/')}/{name}"))


def _failure(source: str, name: str, cache: Path, reason: str) -> FailedToDownloadFilesError:
    return FailedToDownloadFilesError(
        f"The pretrained weights {name} are not available. {reason}",
        where=source,
        advice=f"Check the network, or copy the published file {name} to {cache}, or set TORCH_HOME to a folder that "
        "has it in hub/checkpoints, or PYTORCH_DESIGNER_WEIGHTS_MIRROR to a folder or address with such files, or "
        "train from scratch with `pretrained=False`.",
        reason="download",
    )


def _timm_weights(architecture: Architecture) -> dict[str, Tensor]:
    import timm

    try:
        network = timm.create_model(architecture.name, pretrained=True)
    except (OSError, RuntimeError, ValueError) as error:
        raise FailedToDownloadFilesError(
            f"timm could not provide the pretrained weights of {architecture.name}.",
            where=architecture.name,
            examples=[str(error).split("\n", maxsplit=1)[0]],
            advice="Check the network, or fill the hub's cache (HF_HOME) on a machine that has one, or train "
            "from scratch with `pretrained=False`.",
            reason="download",
        ) from error
    tensors: dict[str, Tensor] = network.state_dict()
    return tensors
