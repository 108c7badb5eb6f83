"""Faults that can be injected into a job, and their text form.

    kill-after=SECONDS           SIGKILL to all processes, so long after their start
    kill-at-write=N              SIGKILL to all processes instead of their Nth change below an output
    small-shm=SIZE               a /dev/shm of SIZE bytes; k, m and g are understood, as in 64m
    read-only-output=NAME        an output that cannot be written
    full-output=NAME:SIZE        an output with room for SIZE bytes more
    slow-open=MILLISECONDS       each open below an input takes so much longer
    flaky-open=RATE[:SEED]       this share of the opens below an input fails, with EIO or ENOTCONN in turn
    no-network                   no network but the loopback interface

docs/testing_components.md says how each works and what it covers.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from pytorch_designer.errors import ParameterParsingError, UnknownNameError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

_SIZE = re.compile(r"([0-9]+)([kmg]?)", re.IGNORECASE)
_UNITS = {"": 1, "k": 1 << 10, "m": 1 << 20, "g": 1 << 30}
_MILLISECONDS = 1000.0


@dataclass(frozen=True)
class InjectedFaults:
    """Faults of one job; none by default.

    Attributes:
        kill_after_seconds: When all processes are killed, or None.
        kill_at_write: Which change below an output, counted from 1, does not happen because all are killed, or None.
        shm_bytes: Size of /dev/shm, or None.
        read_only_outputs: Names of outputs that cannot be written.
        full_outputs: Bytes that an output has room for, by name.
        open_delay_seconds: How much longer an open below an input takes.
        open_failure_rate: Share of the opens below an input that fail, 0 to 1.
        open_failure_seed: Which ones fail: the same ones for the same seed and paths.
        has_network: False: only the loopback interface is there.
        texts: The faults as they were written, to be shown.
    """

    kill_after_seconds: float | None = None
    kill_at_write: int | None = None
    shm_bytes: int | None = None
    read_only_outputs: tuple[str, ...] = ()
    full_outputs: Mapping[str, int] = field(default_factory=dict)
    open_delay_seconds: float = 0.0
    open_failure_rate: float = 0.0
    open_failure_seed: int = 0
    has_network: bool = True
    texts: tuple[str, ...] = ()

    @property
    def output_names(self) -> tuple[str, ...]:
        """The outputs that a fault names."""
        return (*self.read_only_outputs, *self.full_outputs)

    @property
    def watches_opens(self) -> bool:
        """True if opens below inputs are slow or fail."""
        return self.open_delay_seconds > 0 or self.open_failure_rate > 0

    @property
    def watches_system_calls(self) -> bool:
        """True if a system call must be stopped before it happens."""
        return self.watches_opens or self.kill_at_write is not None

    @property
    def needs_namespace(self) -> bool:
        """True if the processes need mounts or a network of their own."""
        return self.shm_bytes is not None or bool(self.output_names) or not self.has_network


NO_FAULTS = InjectedFaults()


def parse_faults(texts: Iterable[str]) -> InjectedFaults:
    """Faults parsed from text; of a fault that may be given once, the last one holds.

    Raises:
        UnknownNameError: There is no such fault.
        ParameterParsingError: Its value is not what it needs.
    """
    faults = NO_FAULTS
    for text in texts:
        name, _, value = text.partition("=")
        if name not in _PARSERS:
            raise UnknownNameError(f"There is no fault {name!r}.", where=text, advice=f"Use {', '.join(_PARSERS)}.")
        form, parse = _PARSERS[name]
        try:
            faults = replace(parse(faults, value), texts=(*faults.texts, text))
        except ValueError:
            raise ParameterParsingError(f"The fault {text!r} is not {form}.", where=text) from None
    return faults


def _kill_after(faults: InjectedFaults, value: str) -> InjectedFaults:
    return replace(faults, kill_after_seconds=_positive(float(value)))


def _kill_at_write(faults: InjectedFaults, value: str) -> InjectedFaults:
    return replace(faults, kill_at_write=int(_positive(int(value))))


def _small_shm(faults: InjectedFaults, value: str) -> InjectedFaults:
    return replace(faults, shm_bytes=_size(value))


def _read_only_output(faults: InjectedFaults, value: str) -> InjectedFaults:
    return replace(faults, read_only_outputs=(*faults.read_only_outputs, _required(value)))


def _full_output(faults: InjectedFaults, value: str) -> InjectedFaults:
    name, separator, size = value.partition(":")
    return replace(faults, full_outputs={**faults.full_outputs, _required(name and separator and name): _size(size)})


def _slow_open(faults: InjectedFaults, value: str) -> InjectedFaults:
    return replace(faults, open_delay_seconds=_positive(float(value)) / _MILLISECONDS)


def _flaky_open(faults: InjectedFaults, value: str) -> InjectedFaults:
    rate_text, _, seed = value.partition(":")
    rate = float(rate_text)
    if not 0 < rate <= 1:
        raise ValueError(value)
    return replace(faults, open_failure_rate=rate, open_failure_seed=int(seed or 0))


def _no_network(faults: InjectedFaults, value: str) -> InjectedFaults:
    if value:
        raise ValueError(value)
    return replace(faults, has_network=False)


_PARSERS: dict[str, tuple[str, Callable[[InjectedFaults, str], InjectedFaults]]] = {
    "kill-after": ("kill-after=SECONDS", _kill_after),
    "kill-at-write": ("kill-at-write=N, counted from 1", _kill_at_write),
    "small-shm": ("small-shm=SIZE, for instance 64m", _small_shm),
    "read-only-output": ("read-only-output=NAME", _read_only_output),
    "full-output": ("full-output=NAME:SIZE, for instance model:10m", _full_output),
    "slow-open": ("slow-open=MILLISECONDS", _slow_open),
    "flaky-open": ("flaky-open=RATE[:SEED], with a rate above 0 and up to 1", _flaky_open),
    "no-network": ("no-network, without a value", _no_network),
}


def _positive(number: float) -> float:
    if not (math.isfinite(number) and number > 0):
        raise ValueError(number)
    return number


def _required(text: str) -> str:
    if not text:
        raise ValueError(text)
    return text


def _size(text: str) -> int:
    match = _SIZE.fullmatch(text)
    if match is None:
        raise ValueError(text)
    return int(_positive(int(match.group(1)) * _UNITS[match.group(2).lower()]))
