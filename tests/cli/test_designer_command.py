"""The command `designer`, in processes of its own."""

from __future__ import annotations

import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from pathlib import Path

import pytest

PROGRAM = (sys.executable, "-m", "pytorch_designer", "designer")
# Loaded modules that the page must not wait for, told when the server ends.
WATCHED = """
import atexit, sys
sys.addaudithook(lambda name, given: name == "socket.connect" and print("CONNECT", given[1], flush=True))
atexit.register(lambda: print("HEAVY", [name for name in ("torch", "mlflow", "pandas") if name in sys.modules]))
from pytorch_designer.cli.main import main
sys.exit(main(["designer", "--no-browser"]))
"""


def environment(folder: Path) -> dict[str, str]:
    return {**os.environ, "XDG_STATE_HOME": str(folder / "state"), "PYTHONUTF8": "1"}


def start(
    folder: Path, *arguments: str, program: tuple[str, ...] = (*PROGRAM, "--no-browser")
) -> subprocess.Popen[str]:
    project = folder / "project"
    project.mkdir(exist_ok=True)
    return subprocess.Popen(
        [*program, *arguments],
        cwd=project,
        env=environment(folder),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def address_of(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    watch = threading.Timer(60, process.kill)
    watch.start()
    try:
        for line in process.stdout:
            found = re.search(r"http://127\.0\.0\.1:\d+/\?token=[\w-]{43}$", line.strip())
            if found:
                return found[0]
    finally:
        watch.cancel()
    raise AssertionError("it has ended, or has printed no address for a minute")


def end(process: subprocess.Popen[str], number: int = signal.SIGINT) -> str:
    process.send_signal(number)
    return process.communicate(timeout=100)[0]


@pytest.mark.slow
def test_it_serves_in_an_empty_folder_and_ends_cleanly(tmp_path: Path) -> None:
    process = start(tmp_path)
    address = address_of(process)
    with pytest.raises(urllib.error.HTTPError) as refused:
        urllib.request.urlopen(address.replace("/?", "/api/project?"), timeout=60)
    assert refused.value.code == 403
    refused.value.close()
    second = start(tmp_path)
    shown = second.communicate(timeout=100)[0]
    assert second.returncode == 0
    assert f"runs already, at\n  {address}" in shown
    shown = end(process)
    assert process.returncode == 0
    assert "Traceback" not in shown
    assert "The designer has ended" in shown


@pytest.mark.slow
def test_sigterm_ends_it_too_and_the_port_can_be_used_at_once(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        refused = start(tmp_path, "--port", port)
        assert f"port {port} of this machine cannot be used" in refused.communicate(timeout=100)[0]
        assert refused.returncode == 1
    for _ in range(2):
        process = start(tmp_path, "--port", port)
        assert f":{port}/" in address_of(process)
        end(process, signal.SIGTERM)
        assert process.returncode == 0


@pytest.mark.slow
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["nowhere"], "there is no file or folder nowhere"),
        (["text.txt"], "text.txt is neither a folder nor a YAML file"),
        (["--port", "70000"], "--port 70000 is not from 1 to 65535"),
        (["--host", "any"], "there is no option --host"),
    ],
)
def test_wrong_use_is_named(tmp_path: Path, arguments: list[str], message: str) -> None:
    (tmp_path / "project").mkdir()
    (tmp_path / "project" / "text.txt").touch()
    process = start(tmp_path, *arguments)
    assert message in process.communicate(timeout=100)[0]
    assert process.returncode == 2


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("unshare") is None, reason="there is no unshare")
def test_nothing_is_heavy_and_nothing_leaves_the_loopback_interface(tmp_path: Path) -> None:
    """In a network of its own, where every connection to elsewhere would fail, and is told."""
    program: tuple[str, ...] = (sys.executable, "-c", WATCHED)
    if subprocess.run(["unshare", "-rn", "true"], capture_output=True, check=False, timeout=300).returncode == 0:
        program = ("unshare", "-rn", *program)
    process = start(tmp_path, program=program)
    address_of(process)
    time.sleep(2)  # it imports what reads pipelines meanwhile
    shown = end(process)
    assert "HEAVY []" in shown
    assert "CONNECT" not in shown
