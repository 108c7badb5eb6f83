"""Processes of Python that take their modules from where this one does, and never from the working directory.

`python -m` and `python -c` put the working directory before everything else: a `queue.py` beside a user's images would
be imported instead of Python's own. `-P`, which Python 3.10 lacks, and `-I`, which ignores PYTHONPATH, are no way out.
"""

from __future__ import annotations

import sys
from pathlib import Path

_PACKAGE = Path(__file__).parents[1]

# The package's folder comes first only where nothing else leads to it, as in a component's code snapshot.
_PROGRAM = """
import sys
sys.path[:] = [entry for entry in sys.path if entry]
if {folder!r} not in sys.path:
    sys.path.insert(0, {folder!r})
import runpy
runpy.run_module({module!r}, run_name="__main__", alter_sys=True)
"""


def python_command(module: str, *arguments: str) -> list[str]:
    """Command line that runs a module of this package.

    Args:
        module: Name of the module, for instance `pytorch_designer.tracking.worker`.
        arguments: Its arguments.
    """
    program = _PROGRAM.format(folder=str(_PACKAGE.parent), module=module)
    return [sys.executable, "-c", program.strip(), *arguments]
