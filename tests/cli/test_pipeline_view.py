from __future__ import annotations

import io
import time
from pathlib import Path

from rich.console import Console

from pytorch_designer.cli.commands.pipeline_view import LiveView, PlainView
from pytorch_designer.harness.job.node import NodeResult, NodeState

FOLDER = Path("run")


def _shown(view: LiveView) -> list[list[str]]:
    console = Console(file=io.StringIO(), width=70, record=True)
    console.print(view.table())
    return [line.split() for line in console.export_text().splitlines()]


def test_the_table_has_each_node_with_state_time_and_last_line() -> None:
    view = LiveView(["first", "second", "third", "fourth"])
    view.node_changed(NodeResult("first", FOLDER, NodeState.COMPLETED, started=1.0, seconds=83.2))
    view.node_changed(NodeResult("second", FOLDER, NodeState.RUNNING, started=time.time()))
    view.line_written("second", 0, "epoch 1")
    view.line_written("second", 0, "  ")
    view.node_changed(NodeResult("third", FOLDER, NodeState.FAILED, started=1.0, seconds=2.0, error="Oh.\nMore."))

    assert _shown(view) == [
        ["Node", "State", "Time", "Last", "line"],
        ["first", "completed", "1:23"],
        ["second", "running", "0:00", "epoch", "1"],
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
