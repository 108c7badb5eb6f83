"""Environment of a process that may be one of several: the variables of Azure ML, of torchrun and of the harness.

    WORLD_SIZE, RANK, LOCAL_RANK            number of processes, of this one, and of this one on its node
    MASTER_ADDR, MASTER_PORT                where process 0, or the launcher, waits for the others
    LOCAL_WORLD_SIZE                        processes per node; of torchrun alone
    TORCHELASTIC_RUN_ID, TORCHELASTIC_USE_AGENT_STORE, TORCHELASTIC_RESTART_COUNT
                                            of torchrun alone, and of our own start (`launching`)

NODE_RANK is not read: Azure ML has left it out at times. Without WORLD_SIZE and its companions a process is alone.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pytorch_designer.errors import UnsupportedEnvironmentError, shorten

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

_NEEDED = ("WORLD_SIZE", "RANK", "LOCAL_RANK", "MASTER_ADDR", "MASTER_PORT")
_MPI_SIZES = ("OMPI_COMM_WORLD_SIZE", "PMI_SIZE", "MV2_COMM_WORLD_SIZE")
_LAST_PORT = 65535
_HALF_ADVICE = (
    "Azure ML sets all of them for `distribution: {type: pytorch}`, and so does torchrun. Start the job with one of "
    "them, or remove the variables for a run of one process."
)


@dataclass(frozen=True)
class StartVariables:
    """Environment variables that a launcher sets: rank, size and address.

    Attributes:
        rank: Number of this process.
        size: Number of processes.
        local_rank: Number of this process on its node.
        local_size: Processes on this node, where the launcher tells; else None.
        address: Host of the store in which the processes meet.
        port: Its port.
        is_store_served: Whether the launcher serves the store; else process 0 does.
        start: Name of this start of the processes, where one launcher starts them several times.
    """

    rank: int = 0
    size: int = 1
    local_rank: int = 0
    local_size: int | None = None
    address: str = "127.0.0.1"
    port: int = 0
    is_store_served: bool = False
    start: str = ""

    @property
    def is_by_torchrun(self) -> bool:
        """True if torch's launcher has started this process, and decided how many there are on this machine."""
        return self.local_size is not None


def read_start_variables(environment: Mapping[str, str] | None = None) -> StartVariables:
    """The place of this process as its environment tells.

    Args:
        environment: The variables; None: those of this process.

    Raises:
        UnsupportedEnvironmentError: Variables are missing or contradict each other, or MPI has started several
            processes; `where` names the variable.
    """
    variables = os.environ if environment is None else environment
    given = {name: variables.get(name, "").strip() for name in _NEEDED}
    is_served = variables.get("TORCHELASTIC_USE_AGENT_STORE") == "True"
    local_size = variables.get("LOCAL_WORLD_SIZE", "").strip()
    if not any(given.values()):
        _refuse_mpi(variables)
        return StartVariables()
    if given["WORLD_SIZE"] != "1":  # which alone is enough
        missing = [name for name, value in given.items() if not value]
        if missing:
            raise UnsupportedEnvironmentError(
                f"The environment says only in part that this process is one of several: "
                f"{_names(name for name in given if given[name])} set, but not {', '.join(missing)}.",
                where=missing[0],
                advice=_HALF_ADVICE,
                reason="half_a_set",
            )
    size = _whole_number("WORLD_SIZE", given["WORLD_SIZE"], 1)
    rank = _whole_number("RANK", given["RANK"] or "0", 0, size - 1, f"the {size} processes of WORLD_SIZE")
    local_rank = _whole_number("LOCAL_RANK", given["LOCAL_RANK"] or "0", 0, rank, f"process {rank}, which RANK says")
    if size == 1:
        return StartVariables(local_size=1 if local_size else None)
    return StartVariables(
        rank=rank,
        size=size,
        local_rank=local_rank,
        local_size=_whole_number("LOCAL_WORLD_SIZE", local_size, local_rank + 1, size) if local_size else None,
        address=given["MASTER_ADDR"],
        port=_whole_number("MASTER_PORT", given["MASTER_PORT"], 1, _LAST_PORT),
        is_store_served=is_served,
        start="/".join(variables.get(f"TORCHELASTIC_{name}", "") for name in ("RUN_ID", "RESTART_COUNT")),
    )


def _refuse_mpi(variables: Mapping[str, str]) -> None:
    for name in _MPI_SIZES:
        if variables.get(name, "1").strip() not in {"", "0", "1"}:
            raise UnsupportedEnvironmentError(
                f"MPI has started this job as {shorten(variables[name], 20)} processes, and MPI is not supported.",
                where=name,
                advice="Use `distribution: {type: pytorch}` on Azure ML, or torchrun, instead of MPI.",
                reason="mpi",
            )


def _whole_number(name: str, text: str, least: int, most: int | None = None, scope: str = "") -> int:
    number = int(text) if text.isascii() and text.isdecimal() and len(text) < 10 else -1
    if number < least or (most is not None and number > most):
        bound = f"of at least {least}" if most is None else f"from {least} to {most}"
        raise UnsupportedEnvironmentError(
            f"{name} is {shorten(repr(text), 40)}. It is a whole number {bound}{f', for {scope}' if scope else ''}.",
            where=name,
            advice=_HALF_ADVICE,
            reason="wrong_variable",
        )
    return number


def _names(names: Iterable[str]) -> str:
    found = list(names)
    return f"{', '.join(found)} {'is' if len(found) == 1 else 'are'}"
