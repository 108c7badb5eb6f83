"""Python's UTF-8 mode, in which this program runs whatever the locale."""

from __future__ import annotations

import codecs
import os
import sys


def restart_in_utf8_mode() -> None:
    """Run this command again in Python's UTF-8 mode, in this same process, where file names would be read as ASCII.

    Under the locale C with that mode switched off, the name of a folder or class outside ASCII is a different text
    than under other locales, and a model would learn other class names.
    """
    if os.name == "posix" and sys.executable and codecs.lookup(sys.getfilesystemencoding()).name == "ascii":
        os.environ["PYTHONUTF8"] = "1"
        os.execv(sys.executable, [sys.executable, "-X", "utf8", *sys.orig_argv[1:]])
