"""Local server of one project: its port, token and lifetime.

It listens on the loopback interface and nowhere else. One server runs per project; a file in the user's state folder
says where, for the next one. Runs are processes of their own and go on when it ends.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import secrets
import socket
from contextlib import ExitStack, contextmanager, nullcontext
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import uvicorn
from filelock import Timeout

from pytorch_designer.errors import UnsupportedEnvironmentError
from pytorch_designer.storage.locking import held_lock
from pytorch_designer.storage.output import write_atomically, writing_errors
from pytorch_designer.system.regular_files import read_regular
from pytorch_designer.system.special_files import resolved

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from starlette.types import ASGIApp

    from pytorch_designer.system.stop_requests import StopRequest

LOOPBACK = "127.0.0.1"
USUAL_PORT = 8478
_TOKEN_BYTES = 32
_POLL_SECONDS = 0.1
_GRACE_SECONDS = 3
_LOCK_SECONDS = 0.5
_MAX_HEADER_BYTES = 32 << 10
_MAX_REQUESTS = 200  # at a time


@dataclass(frozen=True)
class ServerPlace:
    """Place of a server.

    Attributes:
        port: Its port on the loopback interface.
        token: Its secret.
    """

    port: int
    token: str

    @property
    def origin(self) -> str:
        """The address without the token."""
        return f"http://{LOOPBACK}:{self.port}"

    @property
    def address(self) -> str:
        """The address that opens the page."""
        return f"{self.origin}/?token={self.token}"


class OpenProject:
    """The one server of a project, while the context lasts.

    Args:
        project: The folder.
        state_folder: Where the user's servers leave their places.
        port: The port; None: the usual one, or any where that is in use.
    """

    def __init__(self, project: Path, state_folder: Path, port: int | None = None) -> None:
        name = hashlib.sha256(os.fsencode(resolved(project))).hexdigest()[:16]
        self._folder = state_folder / "servers"
        self._lock = self._folder / f"{name}.lock"
        self._file = self._folder / f"{name}.json"
        self._port = port

    @contextmanager
    def opened(self) -> Iterator[tuple[socket.socket, ServerPlace] | ServerPlace]:
        """The listening socket and the place of this server; the place alone of one that runs already.

        Raises:
            UnsupportedEnvironmentError: The port is in use.
            FailedToWriteOutputsError: The state folder cannot be written.
        """
        with ExitStack() as stack:
            if not self._acquire(stack):
                yield self._other()
                return
            listener = stack.enter_context(_listener(self._port))
            place = ServerPlace(listener.getsockname()[1], secrets.token_urlsafe(_TOKEN_BYTES))
            with writing_errors(self._folder):
                _write_private(self._file, {"port": place.port, "token": place.token, "process_id": os.getpid()})
            stack.callback(self._file.unlink, missing_ok=True)
            yield listener, place

    def _acquire(self, stack: ExitStack) -> bool:
        with writing_errors(self._folder):
            self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            try:
                stack.enter_context(held_lock(self._lock, timeout_seconds=_LOCK_SECONDS))
            except Timeout:
                return False
        return True

    def _other(self) -> ServerPlace:
        try:
            found = json.loads(read_regular(self._file))
            return ServerPlace(int(found["port"]), str(found["token"]))
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise UnsupportedEnvironmentError(
                "Another server has this project open, and does not say where.",
                where=self._file,
                advice="End it (Ctrl-C in its terminal), or try again in a moment.",
                reason="in_use",
            ) from error


def serve(
    app: ASGIApp,
    listener: socket.socket,
    stop: StopRequest,
    *,
    on_start: Callable[[], None],
    on_stop: Callable[[], None],
) -> None:
    """Serve until a signal comes.

    Args:
        app: What answers.
        listener: Where.
        stop: Ends it.
        on_start: Called when it serves.
        on_stop: Called when the signal has come, before connections are closed; it ends streams.
    """
    config = uvicorn.Config(
        app,
        http="h11",
        ws="none",
        loop="asyncio",
        lifespan="off",
        log_config=None,
        log_level="critical",
        access_log=False,
        proxy_headers=False,
        server_header=False,
        limit_concurrency=_MAX_REQUESTS,
        h11_max_incomplete_event_size=_MAX_HEADER_BYTES,
        timeout_graceful_shutdown=_GRACE_SECONDS,
    )
    asyncio.run(_serve(_Server(config), listener, stop, on_start, on_stop))


class _Server(uvicorn.Server):
    def capture_signals(self) -> Any:
        """Leave signals to the caller, who knows what they mean."""
        return nullcontext()


async def _serve(
    server: _Server,
    listener: socket.socket,
    stop: StopRequest,
    on_start: Callable[[], None],
    on_stop: Callable[[], None],
) -> None:
    serving = asyncio.create_task(server.serve(sockets=[listener]))
    while not server.started and not serving.done():
        await asyncio.sleep(0.001)
    if server.started:
        on_start()
    while not serving.done():
        if stop.signal_number is not None:
            if not server.should_exit:
                await asyncio.to_thread(on_stop)
            server.should_exit = True
            server.force_exit = stop.is_urgent
        await asyncio.sleep(_POLL_SECONDS)
    await serving


@contextmanager
def _listener(port: int | None) -> Iterator[socket.socket]:
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    with listener:
        if os.name == "posix":  # so that the port of a server that has just ended can be used again
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        for number in [port] if port is not None else [USUAL_PORT, 0]:
            try:
                listener.bind((LOOPBACK, number))
                listener.listen()
                break
            except OSError as error:
                if port is not None:
                    raise UnsupportedEnvironmentError(
                        f"The port {port} of this machine cannot be used: {error.strerror}.",
                        where=f"{LOOPBACK}:{port}",
                        advice="Name another one with --port, or leave it out for a free one.",
                        reason="port_in_use",
                    ) from error
        yield listener


def _write_private(path: Path, content: dict[str, Any]) -> None:
    """Write a file that nobody else can read, at no moment."""
    previous = os.umask(0o077)
    try:
        write_atomically(path, json.dumps(content).encode())
    finally:
        os.umask(previous)
