"""Standard streams that are closed, full or without a reader: the run goes on, and its exit code is its own."""

from __future__ import annotations

import io
import os
import subprocess
import sys
from pathlib import Path

import pytest

from pytorch_designer.cli.commands import train_command
from pytorch_designer.cli.standard_streams import lasting_stream

PROGRAM = f"{sys.executable} -m pytorch_designer"
COMMANDS = {"--help": 0, "lint missing.yaml": 2, "split-image-directory --fraction 7": 1}

STREAMS = {
    "closed": "{} >&- 2>&- <&-",
    "output full": "{} >/dev/full 2>/dev/null",
    "both full": "{} >/dev/full 2>/dev/full",
    "reader gone": "{{ sleep 0.2; {} 2>&1; echo $? >code; }} | true; exit $(cat code)",
}


@pytest.mark.slow
@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no device that is always full")
@pytest.mark.parametrize("stream", STREAMS)
@pytest.mark.parametrize("command", COMMANDS)
def test_no_stream_changes_the_exit_code(command: str, stream: str, tmp_path: Path) -> None:
    script = STREAMS[stream].format(f"{PROGRAM} {command}")
    done = subprocess.run(["bash", "-c", script], cwd=tmp_path, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == COMMANDS[command], done.stderr
    assert "Traceback" not in done.stderr
    assert "Exception ignored" not in done.stderr


def test_characters_that_the_encoding_lacks_are_written_as_escapes(tmp_path: Path) -> None:
    with (tmp_path / "out").open("w", encoding="ascii") as plain:
        stream = lasting_stream(plain, plain.fileno())
        print("caf\u00e9 \U0001f431 \udcff", file=stream, flush=True)
    assert (tmp_path / "out").read_text(encoding="ascii") == "caf\\xe9 \\U0001f431 \\udcff\n"


def test_a_pipe_without_a_reader_is_left_for_the_null_device() -> None:
    reader, writer = os.pipe()
    os.close(reader)
    stream = lasting_stream(None, writer)
    for _ in range(3):
        print("x" * 100_000, file=stream, flush=True)
    assert os.fstat(writer).st_rdev == Path(os.devnull).stat().st_rdev
    os.close(writer)


def test_a_full_pipe_that_does_not_block_is_waited_for() -> None:
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    text = "y" * 300_000
    with subprocess.Popen([sys.executable, "-c", "import sys; print(len(sys.stdin.read()))"], stdin=reader,
                          stdout=subprocess.PIPE, text=True) as process:  # fmt: skip
        os.close(reader)
        stream = lasting_stream(None, writer)
        stream.write(text)
        stream.flush()
        os.close(writer)
        assert process.communicate(timeout=60)[0].strip() == str(len(text))


@pytest.mark.parametrize("written", [["--model-name", "-"], ["--model-name=-"]])
def test_processes_of_train_get_the_text_that_was_read(monkeypatch: pytest.MonkeyPatch, written: list[str]) -> None:
    given: list[list[str]] = []

    def run_in_processes(arguments: list[str]) -> int:
        given.append(arguments)
        return 3

    monkeypatch.setattr(train_command, "run_in_processes", run_in_processes)
    monkeypatch.setattr("sys.stdin", io.StringIO("resnet34\n"))
    assert train_command.run_train(["images", *written], "pytorch-designer") == 3
    assert given == [["train", "images", "--model-name=resnet34"]]
