"""Entry point of `python -m pytorch_designer`."""

import sys
from contextlib import suppress
from pathlib import Path

# `python -m` puts the working directory before everything else: a `queue.py` there would be taken for Python's own.
with suppress(FileNotFoundError):  # the working directory was removed
    if sys.path[0] == str(Path.cwd()) and not getattr(sys.flags, "safe_path", False):  # Python 3.10 has no safe_path
        del sys.path[0]

from pytorch_designer.cli.main import main

if __name__ == "__main__":
    sys.exit(main())
