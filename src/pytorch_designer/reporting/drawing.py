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
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

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
    _import_matplotlib()
    import matplotlib as mpl

    with mpl.rc_context(), warnings.catch_warnings():
        mpl.rcdefaults()
        mpl.rcParams.update(settings)
        # matplotlib's font, which lacks most scripts, only measures the text; the reader's fonts draw it.
        warnings.filterwarnings("ignore", message=r"Glyph .* missing from font", category=UserWarning)
        warnings.filterwarnings("ignore", message=r"Matplotlib currently does not support", category=UserWarning)
        yield


def _import_matplotlib() -> None:
    """Import matplotlib, for the first time, such that it neither obeys settings from outside nor warns of them."""
    if "matplotlib" in sys.modules:
        return
    logging.getLogger("matplotlib").setLevel(logging.ERROR)  # of folders that cannot be written, and unknown settings
    backend, settings = (os.environ.pop(name, None) for name in (_BACKEND_VARIABLE, _SETTINGS_VARIABLE))
    try:
        with _away_from_settings_file():
            importlib.import_module("matplotlib")
    finally:
        for name, value in ((_BACKEND_VARIABLE, backend), (_SETTINGS_VARIABLE, settings)):
            if value is not None:
                os.environ[name] = value


@contextmanager
def _away_from_settings_file() -> Iterator[None]:
    """Leave the working directory where it holds a `matplotlibrc`, which matplotlib reads while it is imported."""
    if not os.path.lexists(_SETTINGS_FILE):
        yield
        return
    left = Path.cwd()
    os.chdir(Path(__file__).parent)
    try:
        yield
    finally:
        os.chdir(left)
