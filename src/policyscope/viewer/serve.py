"""Runs the viewer's server until somebody ends it."""

from __future__ import annotations

import errno
import signal
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import uvicorn

from policyscope.errors import RunError
from policyscope.viewer.access import Access
from policyscope.viewer.server import application
from policyscope.viewer.session import Session

PORT = 8377
_ENDS = (signal.SIGINT, signal.SIGTERM)


def bound(port: int) -> socket.socket:
    """A socket on this machine's own address; nobody else can reach it.

    Args:
        port: 0 for any that is free.

    Raises:
        RunError: It is taken, or may not be used.
    """
    made = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        made.bind(("127.0.0.1", port))
        # Another process may bind a port that nobody listens on yet.
        made.listen(128)
    except (OSError, OverflowError) as error:
        made.close()
        taken = isinstance(error, OSError) and error.errno == errno.EADDRINUSE
        why = "is taken, perhaps by another viewer" if taken else f"cannot be used ({error})"
        raise RunError(f"port {port} {why}: choose another with --port, or let --port 0 find a free one") from error
    return made


class Server:
    """A server in a thread of its own.

    Attributes:
        access: Makes links.
        port: Where it listens.
    """

    def __init__(self, session: Session, place: socket.socket) -> None:
        """Makes a server.

        Args:
            session: What is shown.
            place: As :func:`bound` makes it.
        """
        self._session, self._socket = session, place
        self.port: int = place.getsockname()[1]
        self.access = Access(self.port)
        config = uvicorn.Config(
            application(session, self.access),
            http="h11",
            ws="none",
            loop="asyncio",
            lifespan="off",
            log_config=None,
            access_log=False,
            server_header=False,
            log_level="critical",  # a browser that goes away in the middle is no news
            timeout_graceful_shutdown=5,
        )
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(target=self._run, name="server", daemon=True)

    @property
    def running(self) -> bool:
        """Whether it answers."""
        return self._thread.is_alive()

    def start(self) -> None:
        """Begins to answer."""
        self._thread.start()

    def stop(self) -> None:
        """Answers what was asked, and ends."""
        self._server.should_exit = True
        self._session.end()
        if self._thread.is_alive():
            self._thread.join(timeout=10)
        self._socket.close()

    def _run(self) -> None:
        self._server.run(sockets=[self._socket])


def serve(server: Server, started: Callable[[str], None]) -> int | None:
    """Serves until Ctrl-C or a request to end.

    Args:
        server: Not yet started.
        started: Is given the link once it can be followed.

    Returns:
        The signal that ended it; None if it ended by itself.
    """
    with _signals() as received:
        server.start()
        try:
            started(server.access.link())
            while server.running and not received.wait(0.5):
                pass
        finally:
            server.stop()
        return received.number


class _Received(threading.Event):
    """A signal that came.

    Attributes:
        number: Which; None so far.
    """

    number: int | None = None


@contextmanager
def _signals() -> Iterator[_Received]:
    received = _Received()

    def note(number: int, frame: Any) -> None:
        if received.is_set() and number == signal.SIGINT:
            raise KeyboardInterrupt  # a second one does not wait
        received.number = number
        received.set()

    previous = {number: signal.signal(number, note) for number in _ENDS}
    try:
        yield received
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
