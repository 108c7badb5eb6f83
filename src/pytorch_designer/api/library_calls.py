"""Calls of the Python API: options as arguments, errors in a caller's words, and a process that is left as it was.

Settings count for the whole process while a call lasts, and torch has only one set of them: calls that compute wait for
each other. Nothing of a call stays: neither settings nor environment variables, handlers, filters, random numbers or
threads.
"""

from __future__ import annotations

import csv
import gc
import inspect
import os
import sys
import threading
import warnings
from contextlib import contextmanager
from typing import TYPE_CHECKING, Literal, TypedDict

import pytorch_designer
from pytorch_designer.addresses import local_path
from pytorch_designer.api.python_wording import worded_for_python
from pytorch_designer.api.shown_progress import open_shown_line
from pytorch_designer.errors import NullOrEmptyError, ParameterParsingError, UnknownNameError, describe_value
from pytorch_designer.progress import shown_by
from pytorch_designer.reporting.drawing import obey_settings_of_user
from pytorch_designer.settings import given_settings
from pytorch_designer.storage.stopped_folder import owned_temporary_folder
from pytorch_designer.system.out_of_memory import is_out_of_memory, out_of_memory_error, shortage
from pytorch_designer.system.places import check_temporary_folder
from pytorch_designer.wording import nearest_name

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

# What libraries set when they are imported, and what this program sets for them.
_VARIABLES = ("GOMP_SPINCOUNT", "JOBLIB_MULTIPROCESSING", "KMP_DUPLICATE_LIB_OK", "KMP_INIT_AT_FORK")

_computing = threading.RLock()


class RuntimeOptions(TypedDict, total=False):
    """Options of a call, all optional: how it runs, not what it learns.

    What is not given is what the environment variable says (`PYTORCH_DESIGNER_LAYOUT` for `layout`), or automatic.
    docs/reference/settings.md has the values and their meaning. Sizes are in bytes, times in seconds.
    """

    num_threads: int | None
    read_threads: int | None
    cache_bytes: int | None
    disk_cache_bytes: int | None
    cache_folder: str | os.PathLike[str] | None
    max_image_pixels: int | None
    bad_image_tolerance: float | None
    read_timeout_seconds: float | None
    deterministic: bool | None
    checkpoint_seconds: float | None
    weights_mirror: str | os.PathLike[str] | None
    report_images: Literal["on", "off"] | None
    progress: Literal["auto", "live", "plain", "off"] | None
    layout: Literal["auto", "class-folders", "unlabeled"] | None


@contextmanager
def library_call(
    name: str, options: Mapping[str, object], *, ports: Mapping[str, str] | None = None, tracking: str | None = "off"
) -> Iterator[None]:
    """Run what is in the context with these options, and leave the process as it was.

    Args:
        name: The function that was called, for messages.
        options: Names and values of `RuntimeOptions`, `device` and `precision`.
        ports: The arguments of the function by the names that components have for them, for messages.
        tracking: "auto" for MLflow; None: what the environment says.

    Raises:
        UnknownNameError: There is no such option.
        ParameterParsingError: An option's value has the wrong type or is out of range.
        ModuleOutOfMemoryError: An allocation failed.
    """
    with worded_for_python(name, ports or {}):
        _check_names(name, options)
        given = {key: os.fspath(value) if isinstance(value, os.PathLike) else value for key, value in options.items()}
        try:
            with _computing, given_settings(**given, tracking=tracking), kept_process(), shown_by(open_shown_line):
                yield
        except Exception as error:
            if is_out_of_memory(error):
                raise out_of_memory_error(shortage(error, "this call")) from error
            raise


def path_argument(value: object, name: str) -> Path:
    """The path that an argument of a call is.

    Raises:
        ParameterParsingError: It is something else.
        NullOrEmptyError: It is empty.
        UnsupportedLocallyError: It is an address.
    """
    if not isinstance(value, str | os.PathLike) or isinstance(os.fspath(value), bytes):
        raise ParameterParsingError(
            f"The argument {name} is {describe_value(value)}, and not a path.",
            where=name,
            advice="Give a path, as text or as a pathlib.Path.",
        )
    text = str(os.fspath(value))
    if not text:
        raise NullOrEmptyError(f"The argument {name} is empty.", where=name, advice="Give a path.")
    return local_path(text, name=name)


def _check_names(name: str, options: Mapping[str, object]) -> None:
    known = ("device", "precision", *RuntimeOptions.__annotations__)
    unknown = next((option for option in options if option not in known), None)
    if unknown is not None:
        own = inspect.signature(getattr(pytorch_designer, name)).parameters
        near = nearest_name(unknown, [*own, *known])
        raise UnknownNameError(
            f"{name}() has no argument {unknown}.",
            where=unknown,
            advice=f"Did you mean {near}?" if near else f"help(pytorch_designer.{name}) lists the arguments.",
        )


@contextmanager
def kept_process() -> Iterator[None]:
    """Put back what belongs to the process; torch's part is kept where it is changed (`kept_torch_state`)."""
    had_matplotlib = "matplotlib" in sys.modules
    variables = {name: os.environ.get(name) for name in _VARIABLES}
    field_limit = csv.field_size_limit()
    has_frozen_objects = gc.get_freeze_count() > 0
    try:
        with warnings.catch_warnings():
            # tqdm, which libraries import, wants a package for bars in notebooks, which are not shown.
            warnings.filterwarnings("ignore", message="IProgress not found")
            yield
    finally:
        for name, value in variables.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
        csv.field_size_limit(field_limit)
        if not has_frozen_objects and gc.get_freeze_count():  # of quick imports: the caller's objects are among them
            gc.unfreeze()
        if not had_matplotlib and "matplotlib" in sys.modules:
            obey_settings_of_user()


class ResultFolder:
    """Folder of a result: the one that the caller named, or a temporary one; see `owned_temporary_folder`.

    Attributes:
        path: The folder.
    """

    def __init__(self, output: str | os.PathLike[str] | None) -> None:
        """Make a temporary folder where none is named.

        Raises:
            ParameterError: The output is not a path.
            UnsupportedEnvironmentError: There is no folder for temporary files.
        """
        if output is not None:
            self.path = path_argument(output, "output")
            return
        check_temporary_folder()
        self.path = owned_temporary_folder(self)
