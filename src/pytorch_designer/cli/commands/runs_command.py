"""`pytorch-designer runs`: earlier and present runs of pipelines and components, on this machine."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

from pytorch_designer.addresses import local_path
from pytorch_designer.cli.command_parser import CommandParser
from pytorch_designer.cli.commands.pipeline_view import date_of, node_table, size_of, time_of
from pytorch_designer.errors import UnknownNameError, shorten
from pytorch_designer.harness.job.node import NodeResult, NodeState
from pytorch_designer.harness.job.run_folder import RUNS_FOLDER
from pytorch_designer.harness.pipeline.event_log import EventReader
from pytorch_designer.harness.pipeline.run_requests import cancel_node, cancel_run
from pytorch_designer.harness.runs.run_comparison import compare_runs, node_values
from pytorch_designer.harness.runs.run_list import elapsed_seconds, find_run, list_runs
from pytorch_designer.progress import format_duration
from pytorch_designer.shown_text import on_one_line, program_line

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator, Sequence

    from pytorch_designer.harness.pipeline.pipeline_state import PipelineResult
    from pytorch_designer.harness.runs.run_comparison import ComparedRow

_WIDTH = 80
_NAME_WIDTH = 26
_MEANINGS = {
    "list": "the runs in a folder, the latest first",
    "show": "one run: inputs, nodes, metrics, outputs",
    "compare": "several runs side by side",
    "events": "what happened in a run, a line of JSON for each event",
    "cancel": "end a run, or one node of it",
}
_TITLES = {"input": "Inputs", "node": "Nodes", "parameter": "Parameters (MLflow)", "metric": "Metrics (MLflow, last)"}


def run_runs(arguments: Sequence[str], program: str) -> int:
    """Run one of the actions and return the exit code.

    Raises:
        DesignerError: There is no such run, or it cannot be read.
        SystemExit: The command line is wrong (code 2), or asks for help (code 0).
    """
    known = runs_command_parser(program).parse_args(arguments[:1])
    options = _action_parser(known.action, program).parse_args(arguments[1:])
    lines, exit_code = _ACTIONS[known.action](options)
    print("\n".join(program_line(line) for line in lines))
    return exit_code


def runs_command_parser(program: str) -> argparse.ArgumentParser:
    """The actions of `runs`."""
    meanings = "; ".join(f"{name}: {meaning}" for name, meaning in _MEANINGS.items())
    parser = CommandParser(
        prog=f"{program} runs",
        description="Shows runs that `run` has made on this machine, and those that go on.",
        epilog=f"`{program} runs ACTION --help` shows what it takes.",
    )
    parser.add_argument("action", choices=_MEANINGS, metavar="ACTION", help=meanings)
    return parser


def _action_parser(action: str, program: str) -> argparse.ArgumentParser:
    parser = CommandParser(
        prog=f"{program} runs {action}",
        description=f"{_MEANINGS[action].capitalize()}.",
        epilog=None if action == "list" else "RUN is a run folder, or the beginning of the name of one in ./runs.",
    )
    if action == "list":
        parser.add_argument(
            "folder", nargs="?", type=local_path, default=Path(RUNS_FOLDER), metavar="FOLDER", help="default: ./runs"
        )
    elif action == "compare":
        parser.add_argument("runs", nargs="*", metavar="RUN", help="default: the last two")
        parser.add_argument("--all", action="store_true", help="also what is equal in all of them")
    elif action == "cancel":
        parser.add_argument("run", metavar="RUN")
        parser.add_argument("node", nargs="?", metavar="NODE", help="the node; default: the whole run")
    else:
        parser.add_argument("run", nargs="?", metavar="RUN", help="default: the last one")
    if action == "events":
        parser.add_argument("--after", type=int, default=0, metavar="N", help="only events after this number")
    return parser


def _last_runs(num_runs: int) -> list[PipelineResult]:
    folder = Path(RUNS_FOLDER)
    found = [run.result for run in list_runs(folder) if run.result is not None][:num_runs]
    if len(found) < num_runs:
        raise UnknownNameError(
            f"There {'is no run' if not found else 'is one run'} in this folder.",
            where=folder.absolute(),
            advice="Name a run folder.",
        )
    return found


def _run(options: argparse.Namespace) -> PipelineResult:
    return _last_runs(1)[0] if options.run is None else find_run(options.run)


def _list(options: argparse.Namespace) -> tuple[list[str], int]:
    found = list_runs(options.folder)
    if not found:
        return [f"There are no runs in {options.folder.absolute()}."], 0
    lines = [f"{'State':<11}  {'Started':<19}  {'Time':>8}  {'Nodes':>7}  Name"]
    for run in found:
        if run.result is None:
            lines.append(f"{'unreadable':<11}  {'':<19}  {'':>8}  {'':>7}  {run.name}")
            continue
        nodes = run.result.nodes.values()
        done = f"{sum(node.state.has_succeeded for node in nodes)}/{len(nodes)}"
        started = date_of(run.result.started)
        lines.append(f"{run.result.state:<11}  {started}  {_duration(run.result):>8}  {done:>7}  {run.name}")
    return lines, 0


def _show(options: argparse.Namespace) -> tuple[list[str], int]:
    run = _run(options)
    took = f" after {_duration(run)}" if _duration(run) else ""
    lines = [
        on_one_line(f"Run         {run.run_folder.name}"),
        on_one_line(f"Pipeline    {run.name}, {run.source}"),
        f"State       {run.state}{took}, started {date_of(run.started)}",
        *(f"Input       {name} = {on_one_line(value)}" for name, value in run.inputs.items()),
        "",
        *node_table(run.nodes.values()),
        *_logged(run),
        "",
        *(f"Output      {name} = {path}" for name, path in run.outputs.items()),
        f"Run folder  {run.run_folder}",
    ]
    if run.database is not None:
        lines.append(f"MLflow      run {run.run_id} in {run.database}")
    return lines, 0


def _compare(options: argparse.Namespace) -> tuple[list[str], int]:
    runs = [find_run(text) for text in options.runs] or _last_runs(2)[::-1]
    letters = [chr(ord("A") + number % 26) * (1 + number // 26) for number in range(len(runs))]
    lines = [
        on_one_line(f"{letter}  {run.run_folder.name}: {run.state}, started {date_of(run.started)}, {_duration(run)}")
        for letter, run in zip(letters, runs, strict=True)
    ]
    rows = compare_runs(runs)
    shown = [row for row in rows if options.all or row.section == "node" or row.differs]
    width = max(12, (_WIDTH - 4 - _NAME_WIDTH) // len(runs) - 2)
    for section, title in _TITLES.items():
        some = [row for row in shown if row.section == section]
        num_equal = sum(row.section == section for row in rows) - len(some)
        if some:
            heads = "  ".join(f"{letter:<{width}}" for letter in letters)
            lines += ["", f"{title:<{_NAME_WIDTH + 4}}{heads}".rstrip(), *_rows(some, width)]
        if num_equal:
            lines += [*([] if some else ["", title]), f"    ({num_equal} equal in all; --all shows them)"]
    return lines, 0


def _events(options: argparse.Namespace) -> tuple[list[str], int]:
    run = _run(options)
    events = EventReader(run.run_folder, options.after).read()
    return [
        json.dumps({"number": event.number, "time": event.time, "event": event.kind, **event.fields})
        for event in events
    ], 0


def _cancel(options: argparse.Namespace) -> tuple[list[str], int]:
    run = find_run(options.run)
    what = run.run_folder.name if options.node is None else f"{options.node} of {run.run_folder.name}"
    is_asked = cancel_run(run.run_folder) if options.node is None else cancel_node(run.run_folder, options.node)
    return ([f"Asked {what} to end."], 0) if is_asked else ([f"{what} has ended already; nothing was done."], 1)


_ACTIONS = {"list": _list, "show": _show, "compare": _compare, "events": _events, "cancel": _cancel}


def _duration(run: PipelineResult) -> str:
    seconds = elapsed_seconds(run)
    return "" if seconds is None else format_duration(seconds)


def _logged(run: PipelineResult) -> Iterator[str]:
    for node, values in node_values(run).items():
        yield ""
        yield f"Metrics     of {node}"
        for name, points in values.metrics.items():
            steps = f"  (step {points[-1].step}, {len(points)} values)" if len(points) > 1 else ""
            yield on_one_line(f"  {name:<{_NAME_WIDTH}}  {points[-1].value:.6g}{steps}")


def _rows(rows: list[ComparedRow], width: int) -> Iterator[str]:
    for row in rows:
        cells = [shorten(_cell(value), width) for value in row.values]
        name = row.name
        if len(name) > _NAME_WIDTH:
            yield f"{'*' if row.differs else ' '} {name}"
            name = ""
        mark = "*" if row.differs and name else " "
        yield f"{mark} {name:<{_NAME_WIDTH}}  {'  '.join(f'{cell:<{width}}' for cell in cells)}".rstrip()


def _cell(value: str | float | NodeResult | None) -> str:
    if value is None:
        return "-"
    if isinstance(value, NodeResult):
        parts = (value.state.value, time_of(value), size_of(value.peak_memory_bytes))
        return " ".join(part for part in parts if part) if value.state is not NodeState.REUSED else parts[0]
    return f"{value:.6g}" if isinstance(value, float) else on_one_line(value)
