"""Addresses where paths are wanted: `https://...`, `s3://...`, `azureml:NAME:VERSION`.

A `Path` would lose one of their slashes, and name a folder that nobody has typed.
"""

from __future__ import annotations

import re
import shlex
from pathlib import Path

from pytorch_designer.errors import UnsupportedLocallyError, shorten

_ASSET = "azureml:"
# A `Path` has one slash left. One letter before the colon is a drive of Windows.
_ADDRESS = re.compile(r"(azureml:|git\+|(?P<scheme>[a-z][a-z0-9+.-]+):/)", re.IGNORECASE)
_MAX_SHOWN = 200

_TOOLS = {
    **dict.fromkeys(("http", "https"), "for instance with `curl -L -O ADDRESS`"),
    **dict.fromkeys(("s3", "s3a"), "for instance with `aws s3 sync ADDRESS FOLDER`"),
    **dict.fromkeys(("gs", "gcs"), "for instance with `gcloud storage cp -r ADDRESS FOLDER`"),
    **dict.fromkeys(("abfs", "abfss", "wasb", "wasbs", "adl"), "for instance with AzCopy or Azure Storage Explorer"),
}


def is_address(text: str) -> bool:
    """True if `text` is an address or the name of an Azure ML asset instead of a local path."""
    return _ADDRESS.match(text) is not None


def local_path(text: str, *, name: str | None = None) -> Path:
    """`text` as a local path.

    Args:
        text: What a user gave for a path.
        name: The port or option that it was given for, for the message.

    Raises:
        UnsupportedLocallyError: It is an address, and nothing on this machine has that name.
    """
    path = Path(text)
    if is_address(text) and not path.exists():
        raise address_error(text, name=name)
    return path


def address_error(text: str, *, name: str | None = None) -> UnsupportedLocallyError:
    """The error that says that `text` is an address, and how to get what is there."""
    shown = shorten(text, _MAX_SHOWN)
    return UnsupportedLocallyError(
        f"{shown} is an address, not a path on this machine.",
        where=shown if name is None else name,
        advice=address_advice(text),
        reason="address",
    )


def address_advice(text: str) -> str:
    """Advice on getting what is at an address."""
    if text.lower().startswith(_ASSET):
        return (
            "It is an asset or a datastore of Azure ML. Use it in a job that runs there, or download it and give the "
            "local folder: a model with `az ml model download`, the output of a job with `az ml job download`, data "
            "with AzCopy or from its page in the studio."
        )
    match = _ADDRESS.match(text)
    scheme = ((match and match["scheme"]) or "").lower()
    if scheme == "file":
        return "Give the path alone, without `file://`."
    tool = f", {_TOOLS[scheme].replace('ADDRESS', shlex.quote(text))}," if scheme in _TOOLS else ""
    return f"Download it{tool} and give the path of the copy."
