"""Log lines on the terminal."""

from __future__ import annotations

import logging

import pytest

from pytorch_designer.cli.console import console_handler


@pytest.mark.parametrize("name", ["cat\x1b[31m", "\x9b2Jcat", "\x1b]0;title\x07", "\u202egpj.tac", "a\rb"])
def test_no_name_in_a_log_line_is_obeyed_by_a_terminal(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    record = logging.LogRecord("name", logging.WARNING, "", 0, "class %s\nnext line", (name,), None)
    console_handler(with_time=False).emit(record)
    shown = capsys.readouterr().out
    assert shown.replace("\n", "").isprintable()
    assert shown.splitlines()[-1] == "next line"
