"""Wording of errors for a Python program: arguments instead of ports, options and environment variables."""

from __future__ import annotations

import re
import shlex
from contextlib import contextmanager
from typing import TYPE_CHECKING

from pytorch_designer.errors import (
    DesignerError,
    InterruptedCallError,
    InterruptedRunError,
    InvalidModelDirectoryError,
    NotLabeledDatasetError,
    NotScoredDatasetError,
)
from pytorch_designer.settings import ENVIRONMENT_PREFIX

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

_ADVICE = {
    InvalidModelDirectoryError.default_advice: "Give a folder that `pytorch_designer.train` or Train PyTorch Model has "
    "written.",
    "Connect the output of Train PyTorch Model.": "Give a folder that `pytorch_designer.train` or Train PyTorch Model "
    "has written.",
    NotScoredDatasetError.default_advice: "Give what `pytorch_designer.score` has returned, or its folder.",
    NotLabeledDatasetError.default_advice: "Give labeled images, for instance a folder with one folder per class.",
    "Look into the log of Score Image Model for why images could not be read.": "The file _unscored.csv in the folder "
    "of the scores says why images could not be read.",
}
_VARIABLE_WITH_VALUE = re.compile(rf"(?:set )?{ENVIRONMENT_PREFIX}([A-Z_]+)=([\w-]+)")
_VARIABLE = re.compile(rf"(?:the |environment |variable )*{ENVIRONMENT_PREFIX}([A-Z_]+)")


@contextmanager
def worded_for_python(name: str, ports: Mapping[str, str]) -> Iterator[None]:
    """Reword named errors in the context.

    Args:
        name: The function that was called.
        ports: Its arguments by the names that components have for them.
    """
    try:
        yield
    except InterruptedRunError as error:
        advice = f"Call {name}() again with the same arguments, without overwrite: it continues where it stopped."
        raise InterruptedCallError(
            error.what, signal_number=error.signal_number, where=error.where, advice=advice
        ) from None
    except DesignerError as error:
        _reword(error, ports)
        raise


def _reword(error: DesignerError, ports: Mapping[str, str]) -> None:
    for port, argument in ports.items():
        error.what = error.what.replace(f"on the port `{port}`", f"in `{argument}`")
        error.advice = error.advice.replace(f"`{port}`", f"`{argument}`")
        if error.where == port:
            error.where = argument
    error.what = _with_arguments(error.what)
    error.advice = _with_arguments(_ADVICE.get(error.advice, error.advice))
    error.examples = tuple(map(_with_arguments, error.examples))
    if error.where is not None and error.where.startswith(ENVIRONMENT_PREFIX):
        error.where = error.where.removeprefix(ENVIRONMENT_PREFIX).lower()
    if error.reason == "several_splits":
        error.examples = tuple(map(_call_instead_of_command, error.examples))
        error.advice = error.advice.replace("with the first command", "with the first call")
    if error.reason == "not_empty" and "overwrite" in ports:
        error.advice += " With overwrite=True, the result of an earlier run is replaced."
    error.args = (error.what,)


def _with_arguments(text: str) -> str:
    text = _VARIABLE_WITH_VALUE.sub(lambda found: f'give {found[1].lower()}="{found[2]}"', text)
    text = _VARIABLE.sub(lambda found: f"the argument {found[1].lower()}", text)
    return text.replace("leave the variable unset", "leave the argument out")


def _call_instead_of_command(command: str) -> str:
    """`pytorch-designer train pets` as `pytorch_designer.train('pets')`; likewise of each split."""
    match shlex.split(command):
        case [_, "train", folder]:
            return f"pytorch_designer.train({folder!r})"
        case [_, _, "--input-dataset", folder, *_]:
            return f"pytorch_designer.open_images({folder!r})"
        case _:
            return command
