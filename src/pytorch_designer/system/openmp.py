"""Spinning of OpenMP's waiting threads, which decides how training fares on a shared machine.

torch computes with the threads of GNU OpenMP. After each operation they spin for some milliseconds, in case the next
one follows at once, and sleep after that. On a core that other programs use too, a spinning thread takes the time of
the thread that it waits for. With a bound of about a tenth of a millisecond a quiet machine loses a few percent at 32
pixels, and the speed beside other work is up to several times higher (docs/decisions/0030-waiting-threads.md).
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import MutableMapping

_SPIN_VARIABLE = "GOMP_SPINCOUNT"
_SPIN_COUNT = 3_000
_USER_VARIABLES = (_SPIN_VARIABLE, "OMP_WAIT_POLICY")


def bound_spinning(environment: MutableMapping[str, str] | None = None) -> None:
    """Bound the spinning in the environment of processes to come, and in this process where torch is not loaded yet.

    OpenMP reads its variables once, when it is loaded. An environment in which the user chose how threads wait
    (`GOMP_SPINCOUNT`, `OMP_WAIT_POLICY`) is left alone.

    Args:
        environment: The variables to change; None: those of this process.
    """
    environment = os.environ if environment is None else environment
    if not any(environment.get(name) for name in _USER_VARIABLES):
        environment[_SPIN_VARIABLE] = str(_SPIN_COUNT)


def describe_waiting() -> str:
    """The variables that say how threads wait, for a log: `GOMP_SPINCOUNT=3000`; "" where none is set."""
    return ", ".join(f"{name}={os.environ[name]}" for name in _USER_VARIABLES if os.environ.get(name))
