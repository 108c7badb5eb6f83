"""matplotlib, as this program uses it: without the settings of the user, of other programs and of the place.

A Jupyter notebook names its own backend in MPLBACKEND for all processes that it starts; a `matplotlibrc` in the working
directory or in the user's folder may ask for LaTeX, a window system, or fonts that are not there.
"""

from __future__ import annotations

import importlib
import logging
import os
import sys
import warnings
from contextlib import contextmanager, nullcontext, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pytorch_designer.system.places import working_directory

if TYPE_CHECKING:
    from collections.abc import Iterator

_BACKEND_VARIABLE, _SETTINGS_VARIABLE = "MPLBACKEND", "MATPLOTLIBRC"
_SETTINGS_FILE = "matplotlibrc"


@contextmanager
def drawing_settings(settings: Any) -> Iterator[None]:
    """Let matplotlib work with its defaults and these settings; afterwards those of the process are back.

    Args:
        settings: Dictionary of values by matplotlib's names.
    """
    with _without_complaints():
        if "matplotlib" not in sys.modules:
            _import_matplotlib()
        import matplotlib as mpl

        with mpl.rc_context():
            mpl.rcdefaults()
            mpl.rcParams.update(settings)
            yield


def obey_settings_of_user() -> None:
    """Give matplotlib, which this module has imported, what its import would have read: for the program around this.

    A notebook's plots appear in it through the backend that MPLBACKEND names.
    """
    import matplotlib as mpl

    with _without_complaints(), suppress(Exception):  # whatever is wrong with them, it is the program's to find out
        mpl.rcParams.update(mpl.rc_params_from_file(mpl.matplotlib_fname(), use_default_template=True))
        if os.environ.get(_BACKEND_VARIABLE):
            mpl.rcParams["backend"] = os.environ[_BACKEND_VARIABLE]


@contextmanager
def _without_complaints() -> Iterator[None]:
    """Keep matplotlib's warnings from the log: of folders that cannot be written, of settings, and of missing fonts."""
    logger = logging.getLogger("matplotlib")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            # matplotlib's font, which lacks most scripts, only measures the text; the reader's fonts draw it.
            warnings.filterwarnings("ignore", message=r"Glyph .* missing from font", category=UserWarning)
            warnings.filterwarnings("ignore", message=r"Matplotlib currently does not support", category=UserWarning)
            yield
    finally:
        logger.setLevel(level)


def _import_matplotlib() -> None:
    """Import matplotlib for the first time, such that it obeys no settings from outside."""
    backend, settings = (os.environ.pop(name, None) for name in (_BACKEND_VARIABLE, _SETTINGS_VARIABLE))
    try:
        # In the root nothing is that could be imported instead; only a settings file makes leaving worth it.
        away = working_directory(Path.cwd().anchor) if os.path.lexists(_SETTINGS_FILE) else nullcontext()
        with away:
            importlib.import_module("matplotlib")
    finally:
        for name, value in ((_BACKEND_VARIABLE, backend), (_SETTINGS_VARIABLE, settings)):
            if value is not None:
                os.environ[name] = value
