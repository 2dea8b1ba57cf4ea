"""Processes that work on the same memory, and never outlive the one that started them.

Between them is nothing that one could hold while it is killed. A queue, an event or a pool has locks, and a worker
that the system kills at the wrong moment would leave the others waiting for ever. Here each worker has a pipe of its
own, which ends when it does, and the order to stop is a number in shared memory.
"""

from __future__ import annotations

import os
import signal
import sys
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from multiprocessing import connection, resource_tracker
from multiprocessing.process import BaseProcess
from types import TracebackType
from typing import Any

import torch
from torch import Tensor
from torch import multiprocessing as processes

PATIENCE = 10.0
"""Seconds that a worker has to end when it is told to."""


class WorkerError(Exception):
    """A worker died; the text tells which one, and of what."""


@dataclass(frozen=True)
class _LastWords:
    error: str
    trace: str


@dataclass(frozen=True)
class Post:
    """What a worker knows of the others.

    Attributes:
        number: Of the worker, from 1.
    """

    number: int
    _pipe: connection.Connection
    _stop: Tensor
    _begun: Tensor
    _parent: int

    def going(self) -> bool:
        """Whether to go on: nobody asked to stop, and whoever would ask is alive."""
        return not self._stop.item() and os.getppid() == self._parent

    def begin(self) -> None:
        """From now on the worker hears when it is to stop."""
        self._begun[self.number - 1] = 1

    def tell(self, message: Any) -> None:
        """Sends something to the process that started this one."""
        self._pipe.send(message)


Work = Callable[..., None]
"""What a worker does: ``work(post, *arguments)``, until ``post.going()`` says no or its work is done."""


class Workers:
    """A few processes that do the same work, as a context; where it ends, so do they.

    >>> with Workers(4, play, network) as workers:
    ...     while workers.busy:
    ...         for message in workers.hear(0.2):
    ...             print(message)
    """

    def __init__(self, count: int, work: Work, *arguments: Any) -> None:
        """Prepares them.

        Args:
            count: How many.
            work: What each does; a function of a module, since the processes begin anew.
            arguments: Of ``work``, after its post. Tensors in shared memory stay shared, others are copied.
        """
        self._count, self._work, self._arguments = count, work, arguments
        self._stop = torch.zeros((), dtype=torch.uint8).share_memory_()
        self._begun = torch.zeros(count, dtype=torch.uint8).share_memory_()
        self._processes: list[BaseProcess] = []
        self._pipes: dict[connection.Connection, int] = {}

    def __enter__(self) -> Workers:
        context = processes.get_context("spawn")  # a fork of a process that has threads may hang
        try:
            with _signals_kept():
                for number in range(1, self._count + 1):
                    ours, theirs = context.Pipe(duplex=False)
                    self._pipes[ours] = number
                    post = Post(number, theirs, self._stop, self._begun, os.getpid())
                    process = context.Process(
                        target=_begin,
                        args=(post, self._work, self._arguments),
                        name=f"worker {number}",
                        daemon=True,
                    )
                    try:
                        process.start()
                    except OSError as error:
                        raise WorkerError(f"worker {number} of {self._count} could not be started: {error}") from error
                    finally:
                        theirs.close()  # the worker's copy is then the last, and closes when it dies
                    self._processes.append(process)
        except BaseException:
            self._end(0.0)
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        at_once = kind is not None and issubclass(kind, KeyboardInterrupt)
        self._end(0.0 if at_once else PATIENCE)

    @property
    def busy(self) -> bool:
        """Whether any is still at work."""
        return bool(self._pipes)

    def hear(self, seconds: float) -> list[Any]:
        """What the workers told since they were last heard.

        Args:
            seconds: How long to wait for the first message.

        Raises:
            WorkerError: One died.
        """
        heard = []
        for pipe in connection.wait(list(self._pipes), seconds):
            assert isinstance(pipe, connection.Connection)
            number = self._pipes[pipe]
            try:
                message = pipe.recv()
            except (EOFError, OSError):  # its end of the pipe is closed, perhaps amid a message
                self._see_off(pipe)
                continue
            if isinstance(message, _LastWords):
                raise WorkerError(f"worker {number} of {self._count} died of {message.error}") from RuntimeError(
                    message.trace
                )
            heard.append(message)
        return heard

    def _see_off(self, pipe: connection.Connection) -> None:
        number = self._pipes.pop(pipe)
        pipe.close()
        process = self._processes[number - 1]
        process.join(PATIENCE)
        if process.exitcode is None:
            process.kill()
            process.join()
        code = process.exitcode or 0
        if code < 0:
            name = signal.Signals(-code).name
            why = " (the system does so when memory runs out)" if name == "SIGKILL" else ""
            raise WorkerError(f"worker {number} of {self._count} was killed by {name}{why}")
        if code > 0:
            raise WorkerError(f"worker {number} of {self._count} ended with status {code}")

    def _end(self, patience: float) -> None:
        self._stop.fill_(1)
        for process, begun in zip(self._processes, self._begun, strict=False):
            if not begun:  # it is still importing, which may take long, and has done nothing yet
                process.kill()
        until = time.monotonic() + patience
        try:
            while self.busy and time.monotonic() < until:
                with suppress(WorkerError):  # that it is gone is all that is asked
                    self.hear(0.2)
        finally:
            for process in self._processes:
                process.kill()
                process.join()
                process.close()
            for pipe in self._pipes:
                pipe.close()
            self._processes, self._pipes = [], {}


def _begin(post: Post, work: Work, arguments: tuple[Any, ...]) -> None:
    """Where a worker's life begins and ends."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    post.begin()
    try:
        work(post, *arguments)
    except BrokenPipeError:
        pass  # nobody listens any more
    except Exception as error:
        line = "".join(traceback.format_exception_only(error)).splitlines()[0]
        with suppress(OSError):
            post.tell(_LastWords(line, traceback.format_exc()))
        sys.exit(1)


@contextmanager
def _signals_kept() -> Iterator[None]:
    """Holds signals back while processes are started, which are born deaf to them.

    Ctrl-C goes to every process of a terminal, and a service is ended by a signal to all its processes: a worker that
    has not yet come to ignore them would die instead of being told to stop. Whoever starts it hears them afterwards.
    """
    if sys.platform == "win32":
        yield
        return
    resource_tracker.ensure_running()  # it lets signals through when it starts, so it must not start in between
    before = signal.pthread_sigmask(signal.SIG_BLOCK, (signal.SIGINT, signal.SIGTERM))
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
