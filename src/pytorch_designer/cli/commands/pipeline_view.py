"""View of a running pipeline: a live table of its nodes on a terminal, lines elsewhere."""

from __future__ import annotations

import textwrap
import threading
import time
from typing import TYPE_CHECKING, Protocol

from pytorch_designer.harness.job.node import NodeState
from pytorch_designer.progress import format_duration
from pytorch_designer.shown_text import program_line

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from types import TracebackType

    from rich.table import Table
    from typing_extensions import Self

    from pytorch_designer.harness.job.node import NodeResult

_REFRESHES_PER_SECOND = 4
_WIDTH = 80
_MAX_NAME = 36
_MAX_LIVE_NAME = 28
_INDENT = "      "
_MEBIBYTE = 1 << 20
_THOUSAND = 1000
_COLORS = {
    NodeState.WAITING: "dim",
    NodeState.RUNNING: "cyan",
    NodeState.COMPLETED: "green",
    NodeState.REUSED: "green",
    NodeState.FAILED: "bold red",
    NodeState.SKIPPED: "yellow",
    NodeState.CANCELED: "yellow",
    NodeState.INTERRUPTED: "yellow",
    NodeState.LEFT_OUT: "dim",
}


class OpenView(Protocol):
    """A view of a pipeline that is a context manager."""

    def __enter__(self) -> Self:
        """Start to show."""

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End it."""

    def node_changed(self, node: NodeResult) -> None:
        """A node has started or ended."""

    def line_written(self, node: str, rank: int, line: str) -> None:
        """A process of a node has written a line."""


class PlainView:
    """A line for each change, and each line that a node writes, after the node's name.

    Args:
        num_processes: By node.
        show: Prints lines.
    """

    def __init__(self, num_processes: Mapping[str, int], show: Callable[[list[str]], None]) -> None:
        self._num_processes = num_processes
        self._show = show
        self._width = max((len(name) for name in num_processes), default=0)
        self._lock = threading.Lock()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        return

    def node_changed(self, node: NodeResult) -> None:
        """Print what has become of a node."""
        self._print(node.name, "=", describe(node))

    def line_written(self, node: str, rank: int, line: str) -> None:
        """Print the line, after the rank of the process where there are several."""
        self._print(node, "|", f"[{rank}] {line}" if self._num_processes[node] > 1 else line)

    def _print(self, node: str, mark: str, text: str) -> None:
        with self._lock:
            self._show([f"{node:<{self._width}} {mark} {text}"])


class LiveView:
    """A table at the bottom of the terminal: each node with its state, time and last line."""

    def __init__(self, nodes: Iterable[str]) -> None:
        from rich.live import Live

        self._nodes: dict[str, NodeResult | None] = dict.fromkeys(nodes)
        self._lines: dict[str, str] = {}
        self._memory: dict[str, int] = {}
        self._live = Live(get_renderable=self.table, refresh_per_second=_REFRESHES_PER_SECOND, transient=True)

    def __enter__(self) -> Self:
        self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._live.stop()

    def node_changed(self, node: NodeResult) -> None:
        """Show the node's state."""
        self._nodes[node.name] = node

    def line_written(self, node: str, rank: int, line: str) -> None:
        """Show the line as the node's last one, unless it is empty."""
        if line.strip():
            self._lines[node] = line

    def memory_sampled(self, node: str, num_bytes: int) -> None:
        """Show what the node uses, until its end tells the peak."""
        self._memory[node] = num_bytes

    def table(self) -> Table:
        """The table as it is now."""
        from rich.table import Table
        from rich.text import Text

        table = Table(box=None, padding=(0, 2, 0, 0), expand=True)
        table.add_column("Node", no_wrap=True)
        table.add_column("State", no_wrap=True)
        table.add_column("Time", no_wrap=True, justify="right")
        table.add_column("Memory", no_wrap=True, justify="right")
        table.add_column("Last line", no_wrap=True, overflow="ellipsis", ratio=1)
        for name, node in list(self._nodes.items()):
            state = NodeState.WAITING if node is None else node.state
            line = self._lines.get(name, "") if node is None or node.error is None else node.error.splitlines()[0]
            memory = self._memory.get(name) if node is None or state is NodeState.RUNNING else node.peak_memory_bytes
            shown = name if len(name) <= _MAX_LIVE_NAME else f"...{name[3 - _MAX_LIVE_NAME :]}"
            table.add_row(
                shown, Text(state.value, style=_COLORS[state]), time_of(node), size_of(memory), Text(program_line(line))
            )
        return table


def describe(node: NodeResult) -> str:
    """A node's state in words."""
    if node.state is NodeState.REUSED and node.reused_from is not None:
        return f"reused, from {date_of(node.reused_from)}"
    if node.error is not None:
        return f"{node.state.value}: {node.error}"
    took = "" if node.seconds is None else f" after {node.seconds:.1f} s"
    return f"{node.state.value}{took}"


def node_table(nodes: Iterable[NodeResult]) -> list[str]:
    """Lines of a table of nodes with state, time, peak memory and what there is to say, 80 columns wide."""
    shown = list(nodes)
    width = max(4, min(_MAX_NAME, max((len(node.name) for node in shown), default=0)))
    lines = [f"  {'Node':<{width}}  {'State':<11}  {'Time':>8}  {'Memory':>9}"]
    for node in shown:
        memory = "" if node.state is NodeState.REUSED else size_of(node.peak_memory_bytes)
        row = f"{node.state.value:<11}  {time_of(node):>8}  {memory:>9}"
        if len(node.name) > width:
            lines.append(f"  {node.name}")
        line = f"  {node.name if len(node.name) <= width else '':<{width}}  {row}".rstrip()
        notes = _notes(node)
        if len(notes) == 1 and len(line) + 2 + len(notes[0]) <= _WIDTH:
            line, notes = f"{line}  {notes[0]}", []
        lines += [line, *(f"{_INDENT}{text}" for note in notes for text in _wrapped(note))]
    return lines


def time_of(node: NodeResult | None) -> str:
    """Time that a node took, or has taken so far; empty where nothing of it ran."""
    if node is None or node.started is None or node.state is NodeState.REUSED:
        return ""
    if node.seconds is None and node.state is not NodeState.RUNNING:
        return ""
    return format_duration(time.time() - node.started if node.seconds is None else node.seconds)


def size_of(num_bytes: int | None) -> str:
    """A size in MiB or GiB; empty where it is not known."""
    if num_bytes is None:
        return ""
    mebibytes = num_bytes / _MEBIBYTE
    return f"{mebibytes:.0f} MiB" if mebibytes < _THOUSAND else f"{mebibytes / 1024:.1f} GiB"


def date_of(seconds: float) -> str:
    """A point in time, in seconds since 1970, as people write it."""
    return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(seconds))


def _notes(node: NodeResult) -> list[str]:
    if node.state is NodeState.REUSED and node.reused_from is not None:
        return [f"from {date_of(node.reused_from)}"]
    ran = [] if node.reason is None else [f"ran because: {node.reason}"]
    return ran + ([] if node.error is None else node.error.splitlines())


def _wrapped(note: str) -> list[str]:
    return textwrap.wrap(note, _WIDTH - len(_INDENT), break_long_words=False, break_on_hyphens=False) or [""]
