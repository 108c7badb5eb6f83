from __future__ import annotations

import io
import time
from pathlib import Path

from rich.console import Console

from pytorch_designer.cli.commands.pipeline_view import LiveView, PlainView, node_table
from pytorch_designer.harness.job.node import NodeResult, NodeState

FOLDER = Path("run")


def _shown(view: LiveView) -> list[list[str]]:
    console = Console(file=io.StringIO(), width=70, record=True)
    console.print(view.table())
    return [line.split() for line in console.export_text().splitlines()]


def test_the_table_has_each_node_with_state_time_and_last_line() -> None:
    view = LiveView(["first", "second", "third", "fourth"])
    view.node_changed(
        NodeResult("first", FOLDER, NodeState.COMPLETED, started=1.0, seconds=83.2, peak_memory_bytes=3 << 30)
    )
    view.node_changed(NodeResult("second", FOLDER, NodeState.RUNNING, started=time.time()))
    view.line_written("second", 0, "epoch 1")
    view.memory_sampled("second", 5 << 20)
    view.line_written("second", 0, "  ")
    view.node_changed(NodeResult("third", FOLDER, NodeState.FAILED, started=1.0, seconds=2.0, error="Oh.\nMore."))

    assert _shown(view) == [
        ["Node", "State", "Time", "Memory", "Last", "line"],
        ["first", "completed", "1:23", "3.0", "GiB"],
        ["second", "running", "0:00", "5", "MiB", "epoch", "1"],
        ["third", "failed", "0:02", "Oh."],
        ["fourth", "waiting"],
    ]


def test_colors_of_a_component_do_not_break_the_table() -> None:
    view = LiveView(["n"])
    view.line_written("n", 0, "\x1b[31mred\x1b[0m [bold]not markup[/bold]")

    assert _shown(view)[1] == ["n", "waiting", "red", "[bold]not", "markup[/bold]"]


def test_plain_lines_say_whose_they_are() -> None:
    shown: list[str] = []
    view = PlainView({"a": 1, "long": 2}, shown.extend)

    with view:
        view.line_written("a", 0, "hello")
        view.line_written("long", 1, "hello")
        view.node_changed(NodeResult("a", FOLDER, NodeState.COMPLETED, seconds=1.25))
        view.node_changed(NodeResult("long", FOLDER, NodeState.FAILED, error="It broke."))

    assert shown == ["a    | hello", "long | [1] hello", "a    = completed after 1.2 s", "long = failed: It broke."]


def test_the_table_at_the_end_is_80_columns_wide_whatever_is_in_it() -> None:
    long = "outer_pipeline_with_a_long_name.inner_pipeline_with_a_long_name.node"
    nodes = [
        NodeResult("short", FOLDER, NodeState.COMPLETED, started=1.0, seconds=3.2, peak_memory_bytes=12 << 20),
        NodeResult("kept", FOLDER, NodeState.REUSED, seconds=3.0, reused_from=1.0, peak_memory_bytes=12 << 20),
        NodeResult(long, FOLDER, NodeState.FAILED, started=1.0, seconds=4000.0, error="word " * 40, reason="x: 1 -> 2"),
        NodeResult("later", FOLDER, NodeState.WAITING),
    ]

    lines = node_table(nodes)

    assert all(len(line) <= 80 for line in lines)
    assert lines[0].split() == ["Node", "State", "Time", "Memory"]
    assert lines[1].split() == ["short", "completed", "0:03", "12", "MiB"]
    assert lines[2].split()[:3] == ["kept", "reused", "from"]
    assert lines[3].split() == [long]
    assert lines[4].split() == ["failed", "1:06:40"]
    assert lines[5].strip() == "ran because: x: 1 -> 2"
    assert lines[-1].split() == ["later", "waiting"]
