"""`mlflow models serve` in a process of its own, on a port of the loopback interface."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

START_SECONDS = 120
ANSWER_SECONDS = 60
JSON = "application/json"


class Answer(NamedTuple):
    status: int
    text: str

    @property
    def predictions(self) -> list[dict[str, Any]]:
        assert self.status == 200, self.text
        found: list[dict[str, Any]] = json.loads(self.text)["predictions"]
        return found

    @property
    def message(self) -> str:
        assert self.status == 400, self.text
        return str(json.loads(self.text)["message"])


@dataclass(frozen=True)
class ScoringServer:
    """A running server.

    Attributes:
        port: Its port on 127.0.0.1.
        log: What it prints.
        group: The group of its processes.
    """

    port: int
    log: Path
    group: int

    def post(self, body: object, *, content_type: str | None = JSON) -> Answer:
        """Send `body`, which is JSON unless it is bytes."""
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        request = urllib.request.Request(f"http://127.0.0.1:{self.port}/invocations", data)
        if content_type is not None:
            request.add_header("Content-Type", content_type)
        try:
            with urllib.request.urlopen(request, timeout=ANSWER_SECONDS) as response:
                return Answer(response.status, response.read().decode())
        except urllib.error.HTTPError as error:
            with error:
                return Answer(error.code, error.read().decode())

    def resident_bytes(self) -> int:
        """Memory of all its processes."""
        return sum(_resident_bytes(int(entry.name)) for entry in Path("/proc").glob("[0-9]*") if self._owns(entry))

    def _owns(self, process: Path) -> bool:
        with suppress(OSError):  # it has ended
            return os.getpgid(int(process.name)) == self.group
        return False


def _resident_bytes(process: int) -> int:
    with suppress(OSError):
        return int(Path(f"/proc/{process}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    return 0


@contextmanager
def scoring_server(model: Path, folder: Path, **variables: str) -> Iterator[ScoringServer]:
    """The server of a model, from its start to its end."""
    commands = folder / "bin"
    commands.mkdir()
    uvicorn = commands / "uvicorn"  # MLflow looks for it on the path, where an environment that is not activated is not
    uvicorn.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m uvicorn "$@"\n', encoding="utf-8")
    uvicorn.chmod(0o755)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    environment = os.environ | {"PATH": f"{commands}{os.pathsep}{os.environ['PATH']}"} | variables
    options = ["--env-manager", "local", "--port", str(port)]
    command = [sys.executable, "-m", "mlflow", "models", "serve", "-m", str(model), *options]
    log = folder / "server.log"
    with log.open("w") as stream:
        process = subprocess.Popen(
            command, cwd=folder, env=environment, stdout=stream, stderr=stream, start_new_session=True
        )
    try:
        _wait_for(port, process, log)
        yield ScoringServer(port, log, process.pid)
    finally:
        os.killpg(process.pid, signal.SIGTERM)
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait(20)


def _wait_for(port: int, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        if _answers(port):
            return
        assert process.poll() is None, log.read_text(errors="replace")
        time.sleep(0.2)
    raise AssertionError(f"no answer: {log.read_text(errors='replace')}")


def _answers(port: int) -> bool:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/ping", timeout=5):
            return True
    except OSError:
        return False
