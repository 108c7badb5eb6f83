"""Processes that read data for previews: an untrusted file can break only them, and not the server.

Each has a bounded address space and may write nothing. One that takes too long, or dies, is replaced. Messages are a
line of JSON each way; an answer's bytes follow its line.
"""

from __future__ import annotations

import json
import queue
import subprocess
import threading
from contextlib import suppress
from typing import IO, Any

from pytorch_designer.errors import UnsupportedEnvironmentError
from pytorch_designer.system.python_process import python_command

_NUM_PROCESSES = 2
_SECONDS = 30.0
_MAX_HEADER_BYTES = 16 << 20
_MAX_BYTES = 16 << 20


class PreviewProcess:
    """Processes for previews, started when they are needed; may be used from several threads.

    Args:
        timeout_seconds: How long one answer may take.
    """

    def __init__(self, timeout_seconds: float = _SECONDS) -> None:
        self._timeout_seconds = timeout_seconds
        self._idle: queue.LifoQueue[_Worker] = queue.LifoQueue()
        self._workers = [_Worker() for _ in range(_NUM_PROCESSES)]
        for worker in self._workers:
            self._idle.put(worker)

    def ask(self, question: dict[str, Any]) -> tuple[dict[str, Any], bytes]:
        """An answer, and the bytes that belong to it.

        Raises:
            UnsupportedEnvironmentError: The process has ended, or takes too long; it cannot read that.
        """
        worker = self._idle.get()
        try:
            return worker.ask(question, self._timeout_seconds)
        finally:
            self._idle.put(worker)

    def close(self) -> None:
        """End the processes."""
        for worker in self._workers:
            worker.end()


class _Worker:
    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None

    def ask(self, question: dict[str, Any], seconds: float) -> tuple[dict[str, Any], bytes]:
        process = self._running()
        assert process.stdin is not None
        assert process.stdout is not None
        timer = threading.Timer(seconds, process.kill)
        timer.start()
        try:
            process.stdin.write(json.dumps(question).encode() + b"\n")
            process.stdin.flush()
            answer = json.loads(process.stdout.readline(_MAX_HEADER_BYTES))
            return answer, _exactly(process.stdout, min(int(answer["num_bytes"]), _MAX_BYTES))
        except (OSError, ValueError, KeyError, TypeError) as error:
            self.end()
            raise UnsupportedEnvironmentError(
                "This cannot be shown: reading it took too long, or too much memory.",
                where=str(question.get("path")),
                advice="Look at it with another program.",
                reason="preview",
            ) from error
        finally:
            timer.cancel()

    def end(self) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        process.kill()
        for stream in (process.stdin, process.stdout):
            if stream is not None:
                with suppress(OSError):
                    stream.close()
        process.wait()

    def _running(self) -> subprocess.Popen[bytes]:
        if self._process is None or self._process.poll() is not None:
            self.end()
            self._process = subprocess.Popen(
                python_command("pytorch_designer.designer.previews.preview_worker"),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                start_new_session=True,
            )
        return self._process


def _exactly(stream: IO[bytes], num_bytes: int) -> bytes:
    data = stream.read(num_bytes)
    if len(data) != num_bytes:
        raise ValueError("the process has ended")
    return data
