"""Progress: a bar on a terminal, periodic log lines elsewhere."""

from __future__ import annotations

import logging

import pytest

from pytorch_designer.progress import LiveLine, Pace, PlainLine, format_duration, log_header, open_progress_line
from pytorch_designer.settings import Settings


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The time in seconds, as its only element."""
    now = [100.0]
    monkeypatch.setattr("pytorch_designer.progress.time.monotonic", lambda: now[0])
    return now


def test_plain_line_is_logged_when_the_last_is_half_a_minute_old(
    clock: list[float], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "pytorch_designer")
    with PlainLine() as line:
        for second in range(95):
            clock[0] = 100.0 + second
            line.show("scoring", second, 95, "images", "1 images/s")
    assert caplog.messages == [f"scoring: {second} of 95 images, 1 images/s" for second in (30, 60, 90)]


def test_live_line_shows_the_last_state_whenever_it_was_refreshed(
    clock: list[float], capsys: pytest.CaptureFixture[str]
) -> None:
    with LiveLine() as line:
        line.show("scoring", 1, 3, "images")
        line.show("scoring", 2, 3, "images")  # too soon
        line.show("scoring", 3, 3, "images")
        [task] = line._progress.tasks
        assert (task.completed, task.total, task.fields["details"]) == (3, 3, "3 of 3 images")


@pytest.mark.parametrize(("setting", "kind"), [("live", LiveLine), ("plain", PlainLine), ("auto", PlainLine)])
def test_line_fits_the_output_unless_the_setting_says_otherwise(setting: str, kind: type) -> None:
    settings = Settings(progress=setting)
    assert isinstance(open_progress_line(settings), kind)  # pytest's output is not a terminal


def test_pace_excludes_images_of_an_earlier_process(clock: list[float]) -> None:
    pace = Pace(num_total=1000, num_done=400)
    pace.add(100)
    clock[0] += 5
    assert pace.images_per_second == 20
    assert pace.seconds_left == 25
    assert pace.describe() == "20 images/s, 0:25 left"


@pytest.mark.parametrize(("seconds", "text"), [(0.4, "0:00"), (123, "2:03"), (3723, "1:02:03")])
def test_durations_are_formatted_as_on_a_clock(seconds: float, text: str) -> None:
    assert format_duration(seconds) == text


def test_header_is_a_title_and_aligned_metadata(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "pytorch_designer")
    log_header("Score Image Model", {"Device": "cpu", "Images": "3"})
    assert caplog.messages == ["Score Image Model", "  Device  cpu", "  Images  3"]
