"""Numbered events of a run: whole after a kill at any byte, replayed from any number."""

from __future__ import annotations

from pathlib import Path

import pytest

from pytorch_designer.errors import FailedToWriteOutputsError
from pytorch_designer.harness.pipeline.event_log import EVENTS_FILE, EventLog, EventReader
from pytorch_designer.harness.pipeline.pipeline_run import run_pipeline
from tests.harness.pipeline_files import node, write_pipeline


def _numbers(folder: Path, after: int = 0) -> list[int]:
    return [event.number for event in EventReader(folder, after).read()]


def _write(folder: Path, *kinds: str) -> None:
    log = EventLog(folder)
    for kind in kinds:
        log.write(kind, text="a\nb \u2028 \N{GRINNING FACE}")
    log.close()


def test_events_are_read_from_any_number_and_once(tmp_path: Path) -> None:
    _write(tmp_path, "one", "two", "three")
    reader = EventReader(tmp_path, after=1)

    assert [event.kind for event in reader.read()] == ["two", "three"]
    assert list(reader.read()) == []
    _write(tmp_path, "four")
    assert [(event.number, event.kind) for event in reader.read()] == [(4, "four")]
    assert list(EventReader(tmp_path / "nowhere").read()) == []


def test_a_log_that_was_cut_at_any_byte_has_whole_events_and_goes_on(tmp_path: Path) -> None:
    _write(tmp_path, "one", "two", "three")
    path = tmp_path / EVENTS_FILE
    whole = path.read_bytes()
    ends = [index + 1 for index, byte in enumerate(whole) if byte == ord("\n")]

    for size in range(len(whole) + 1):
        path.write_bytes(whole[:size])
        num_whole = sum(end <= size for end in ends)

        assert _numbers(tmp_path) == list(range(1, num_whole + 1))
        _write(tmp_path, "next")
        assert _numbers(tmp_path) == list(range(1, num_whole + 2))


@pytest.mark.parametrize(
    "tail", [b"\0" * 512, b"garbage\n", b"[]\n", b'{"number": 7, "time": 1, "event": "x"}\n', b"\xff"]
)
def test_what_a_crash_of_the_machine_leaves_is_removed(tmp_path: Path, tail: bytes) -> None:
    _write(tmp_path, "one", "two")
    path = tmp_path / EVENTS_FILE
    path.write_bytes(path.read_bytes() + tail)

    assert _numbers(tmp_path) == [1, 2]
    _write(tmp_path, "three")
    assert _numbers(tmp_path) == [1, 2, 3]
    assert tail not in path.read_bytes()


def test_a_log_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / EVENTS_FILE).mkdir()

    with pytest.raises(FailedToWriteOutputsError):
        EventLog(tmp_path)


@pytest.mark.slow
def test_a_run_tells_what_happened_in_order(tmp_path: Path) -> None:
    out, log = {"out": None}, tmp_path / "run" / EVENTS_FILE
    jobs = {
        "a": node(f"until grep -q node_sampled {log}; do sleep 0.02; done", outputs=out),
        "b": node("exit 3", inputs={"d": "${{parent.jobs.a.outputs.out}}"}),
    }
    path = write_pipeline(tmp_path, jobs)

    run_pipeline(path, run_folder=tmp_path / "run")
    all_events = list(EventReader(tmp_path / "run").read())
    events = [event for event in all_events if event.kind != "node_sampled"]
    sample = next(event for event in all_events if event.kind == "node_sampled")

    assert [(event.kind, event.fields.get("node"), event.fields.get("state")) for event in events] == [
        ("run_started", None, None),
        ("node_changed", "a", "running"),
        ("node_changed", "a", "completed"),
        ("node_changed", "b", "running"),
        ("node_changed", "b", "failed"),
        ("run_ended", None, "failed"),
    ]
    assert events[0].fields["nodes"] == {
        "a": {"needs": [], "num_processes": 1},
        "b": {"needs": ["a"], "num_processes": 1},
    }
    assert events[1].number < sample.number < events[2].number
    assert sample.fields["node"] == "a"
    assert sample.fields["memory_bytes"] > 0
    assert sample.fields["log_bytes"] == [0]
    assert events[4].fields["exit_code"] == 3

    run_pipeline(path, run_folder=tmp_path / "run")
    again = list(EventReader(tmp_path / "run", after=len(all_events)).read())
    assert again[0].kind == "run_started"
    assert [event.number for event in again] == list(range(len(all_events) + 1, len(all_events) + len(again) + 1))
