"""Parts of logs: forwards, backwards, at their ends."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from pytorch_designer.designer.runs.log_parts import log_part

TEXT = "one\ntwo\nthree\n"


def part(path: Path, **given: Any) -> tuple[str, int, int]:
    found = log_part(path, is_complete=True, **given)
    return found["text"], found["offset"], found["next_offset"]


@pytest.fixture
def log(tmp_path: Path) -> Path:
    path = tmp_path / "log.txt"
    path.write_text(TEXT, encoding="utf-8")
    return path


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({}, (TEXT, 0, 14)),
        ({"offset": 4}, ("two\nthree\n", 4, 14)),
        ({"offset": 14}, ("", 14, 14)),
        ({"offset": 99}, ("", 14, 14)),
        ({"limit": 9}, ("one\ntwo\n", 0, 8)),
        ({"limit": 2}, ("on", 0, 2)),
        ({"offset": -7}, ("three\n", 8, 14)),
        ({"offset": -99}, (TEXT, 0, 14)),
        ({"before": 8}, ("one\ntwo\n", 0, 8)),
        ({"before": 8, "limit": 5}, ("two\n", 4, 8)),
        ({"before": 0}, ("", 0, 0)),
    ],
)
def test_a_part_has_whole_lines(log: Path, given: dict[str, int], expected: tuple[str, int, int]) -> None:
    assert part(log, **given) == expected


def test_a_line_that_is_being_written_waits_until_it_is_whole(log: Path) -> None:
    log.write_text("one\ntw", encoding="utf-8")
    going_on = log_part(log, is_complete=False)
    assert (going_on["text"], going_on["next_offset"], going_on["ended"]) == ("one\n", 4, False)
    assert log_part(log, offset=4, is_complete=False)["text"] == ""
    at_the_end = log_part(log, offset=4, is_complete=True)
    assert (at_the_end["text"], at_the_end["ended"]) == ("tw", True)


def test_all_parts_in_turn_are_the_log_and_hide_secrets(tmp_path: Path) -> None:
    path = tmp_path / "log.txt"
    lines = [f"line {number} with ü" for number in range(500)]
    path.write_text("\n".join(lines) + "\npassword=hunter2\n", encoding="utf-8")
    texts, offset, is_over = [], 0, False
    while not is_over:
        found = log_part(path, offset=offset, limit=100, is_complete=True)
        texts.append(found["text"])
        offset, is_over = found["next_offset"], found["ended"]
    assert "".join(texts) == "\n".join(lines) + "\npassword=***\n"


def test_bytes_that_are_no_text_do_not_harm(tmp_path: Path) -> None:
    path = tmp_path / "log.txt"
    path.write_bytes(b"\xff\x00\x1b[31m\n")
    assert part(path) == ("\ufffd\x00\x1b[31m\n", 0, 8)
