"""Conversion of Azure's exceptions to named errors, with signatures, tokens, keys and passwords redacted."""

from __future__ import annotations

import re
from contextlib import contextmanager
from typing import TYPE_CHECKING

from pytorch_designer.errors import (
    CloudAccessError,
    CloudError,
    CloudLoginError,
    CloudNotFoundError,
    InvalidSpecError,
    shorten,
)
from pytorch_designer.shown_text import redacted

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from azure.core.exceptions import HttpResponseError

_SCHEMA_FAULT = re.compile(r'"message": "(.*)",\s*"path": "(.*)"')
_ATTEMPT = re.compile(r"\w+Credential: ")
_USUAL_LOGINS = ("EnvironmentCredential", "ManagedIdentityCredential", "AzureCliCredential")
_MAX_ATTEMPT = 160
_COLOURS = re.compile(r"\x1b\[\d+m")


@contextmanager
def named_faults(what: str, *, where: object) -> Iterator[None]:
    """Convert Azure's exceptions inside the block to named errors.

    Args:
        what: The attempted action, for the message: `register resnet`.
        where: The workspace, registry or file.

    Raises:
        CloudError: Azure refused the request, or could not be reached.
    """
    from azure.ai.ml.exceptions import MlException, ValidationException
    from azure.core.exceptions import AzureError, ClientAuthenticationError, HttpResponseError

    place = str(where)
    try:
        yield
    except ClientAuthenticationError as error:
        raise CloudLoginError(
            f"Azure does not accept the login: {_first_line(error)}", where=place, examples=_attempts(error)
        ) from error
    except HttpResponseError as error:
        raise _refusal(error, what, place) from error
    except ValidationException as error:
        raise InvalidSpecError(f"Could not {what}: {_first_line(error)}", where=place) from error
    except MlException as error:
        raise CloudError(f"Could not {what}: {_first_line(error)}", where=place) from error
    except AzureError as error:
        raise CloudError(
            f"Could not {what}, because Azure cannot be reached: {_first_line(error)}",
            where=place,
            advice="Check the network, proxies and private endpoints, then try again.",
        ) from error


@contextmanager
def named_load_faults(path: Path) -> Iterator[None]:
    """Convert azure-ai-ml's exceptions about a YAML file to a named error.

    Raises:
        InvalidSpecError: azure-ai-ml refuses the file.
    """
    from azure.ai.ml.exceptions import MlException
    from marshmallow.exceptions import ValidationError

    try:
        yield
    except (MlException, ValidationError, ValueError, TypeError, OSError) as error:
        raise InvalidSpecError(
            f"azure-ai-ml refuses the file: {_first_line(error)}",
            where=path,
            advice=f"Run `pytorch-designer lint {path}` to see where it is wrong.",
        ) from error


def _refusal(error: HttpResponseError, what: str, place: str) -> CloudError:
    text = f"Could not {what}: {_first_line(error)}"
    status = error.status_code
    if status == 401:
        return CloudLoginError(text, where=place)
    if status == 403:
        return CloudAccessError(text, where=place)
    if status == 404:
        return CloudNotFoundError(text, where=place)
    if status == 409:
        return CloudError(text, where=place, advice="This version exists already; give another one with --version.")
    return CloudError(text, where=place, advice="If the file is not at fault, try again later.")


def _attempts(error: BaseException) -> list[str]:
    """Lines of azure-identity about each credential that it tried; those that the user has come first."""
    lines = [line.strip() for line in redacted(str(getattr(error, "message", None) or error)).splitlines()]
    attempts = [shorten(line, _MAX_ATTEMPT) for line in lines if _ATTEMPT.match(line)]
    return sorted(attempts, key=lambda line: not line.startswith(_USUAL_LOGINS))


def _first_line(error: BaseException) -> str:
    """The error as one line: the part of the SDK's long, colored message that names the fault."""
    message = redacted(_COLOURS.sub("", str(getattr(error, "message", None) or error)))
    details = [f"{path}: {text}" for text, path in _SCHEMA_FAULT.findall(message)]
    lines = [line.strip() for line in message.splitlines() if line.strip()]
    marked = [line.removeprefix("(x)").strip() for line in lines if line.startswith("(x)")]
    return shorten((details or marked or lines or [type(error).__name__])[0])
