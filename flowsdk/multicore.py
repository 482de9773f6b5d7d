"""``parallel_map`` and ``parallel_imap_unordered``: a function over many values, on all CPUs.

Each call runs in a fork of this process, so the function may be anything – a closure, a lambda, a
method – and sees all that there is in memory; only what it returns must be picklable.
"""

from __future__ import annotations

import os
import pickle
import selectors
import signal
import sys
import tempfile
import traceback
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any, NoReturn, TypeVar

from flowsdk.datastore.hashing import cores
from flowsdk.exception import MulticoreException

T = TypeVar("T")
R = TypeVar("R")

_READ = 1024 * 1024


def parallel_map(
    func: Callable[[T], R],
    iterable: Iterable[T],
    max_parallel: int | None = None,
    dir: str | None = None,
) -> list[R]:
    """``[func(x) for x in iterable]``, several at a time, each in a process of its own.

    Args:
        func: Any function of one argument.
        iterable: The arguments. It is read as processes become free.
        max_parallel: How many run at once. By default as many as this process may use CPUs.
        dir: Folder for the results while they wait to be read; by default they wait in memory.

    Returns:
        The results in the order of ``iterable``.

    Raises:
        MulticoreException: A call failed; the others are stopped. It shows the call's traceback.
    """
    found = dict(_calls(func, iterable, max_parallel, dir))
    return [found[index] for index in range(len(found))]


def parallel_imap_unordered(
    func: Callable[[T], R],
    iterable: Iterable[T],
    max_parallel: int | None = None,
    dir: str | None = None,
) -> Iterator[R]:
    """The results of :func:`parallel_map` one by one, each as soon as it is there.

    Leaving the iterator early stops the calls that are running.

    Args:
        func: Any function of one argument.
        iterable: The arguments. It is read as processes become free.
        max_parallel: How many run at once. By default as many as this process may use CPUs.
        dir: Folder for the results while they wait to be read; by default they wait in memory.

    Raises:
        MulticoreException: A call failed; the others are stopped. It shows the call's traceback.
    """
    for _, result in _calls(func, iterable, max_parallel, dir):
        yield result


def _calls(
    func: Callable[[T], R], iterable: Iterable[T], max_parallel: int | None, folder: str | None
) -> Iterator[tuple[int, R]]:
    limit = max_parallel if max_parallel is not None else cores()
    if limit < 1:
        raise ValueError(f"max_parallel={max_parallel!r}, expected at least 1.")
    todo = enumerate(iterable)
    with ExitStack() as stack:
        selector = stack.enter_context(selectors.DefaultSelector())
        spool = folder and stack.enter_context(tempfile.TemporaryDirectory(dir=folder))
        running: set[_Call] = set()
        stack.callback(_stop, running)
        exhausted = False
        while True:
            while not exhausted and len(running) < limit:
                item = next(todo, None)
                if item is None:
                    exhausted = True
                    break
                index, argument = item
                call = _Call(func, argument, index, spool and Path(spool, str(index)), running)
                running.add(call)
                selector.register(call.fd, selectors.EVENT_READ, call)
            if not running:
                return
            for key, _ in selector.select():
                ended: _Call = key.data
                if ended.read():
                    continue
                selector.unregister(ended.fd)
                running.remove(ended)
                yield ended.index, ended.result()


def _stop(calls: set[_Call]) -> None:
    for call in calls:
        call.stop()


class _Call:
    """One call in a forked process, whose answer comes through a pipe.

    Args:
        func: What is called.
        argument: With what.
        index: Position of the argument.
        file: Where a result is put, in place of the pipe; None for the pipe.
        others: The calls whose pipes the process must not hold open.
    """

    def __init__(
        self,
        func: Callable[[T], Any],
        argument: T,
        index: int,
        file: Path | str | None,
        others: set[_Call],
    ) -> None:
        self.index = index
        self._file = Path(file) if file else None
        self._answer = bytearray()
        sys.stdout.flush()
        sys.stderr.flush()
        self.fd, writer = os.pipe()
        self._pid = os.fork()
        if self._pid == 0:
            os.close(self.fd)
            for other in others:
                os.close(other.fd)
            _be_child(func, argument, writer, self._file)
        os.close(writer)

    def read(self) -> bool:
        """Read what has come; False if nothing more will."""
        data = os.read(self.fd, _READ)
        self._answer += data
        return bool(data)

    def result(self) -> Any:
        """What the call returned.

        Raises:
            MulticoreException: It did not.
        """
        os.close(self.fd)
        _, status = os.waitpid(self._pid, 0)
        if not self._answer:
            raise MulticoreException(f"Call {self.index} of a parallel map: {_death(status)}")
        if self._answer[:1] == b"e":
            kind, message, report = pickle.loads(memoryview(self._answer)[1:])
            raise MulticoreException(
                f"Call {self.index} of a parallel map raised {kind}: {message}", kind, report
            )
        if self._file is None:
            return pickle.loads(memoryview(self._answer)[1:])
        with self._file.open("rb") as stream:
            result = pickle.load(stream)
        self._file.unlink()
        return result

    def stop(self) -> None:
        """Kill it."""
        os.close(self.fd)
        with suppress(ProcessLookupError):
            os.kill(self._pid, signal.SIGKILL)
        os.waitpid(self._pid, 0)


def _be_child(func: Callable[[T], Any], argument: T, writer: int, file: Path | None) -> NoReturn:
    """Call the function, hand over what it returns, and end this process, whatever happens."""
    from flowsdk.runtime.child import seed_afresh

    code = 1
    try:
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGALRM):
            signal.signal(number, signal.SIG_DFL)
        seed_afresh()
        with os.fdopen(writer, "wb") as channel:
            try:
                result = func(argument)
                if file is None:
                    answer = pickle.dumps(result, pickle.HIGHEST_PROTOCOL)
                else:
                    answer = b""
                    with file.open("wb") as stream:
                        pickle.dump(result, stream, pickle.HIGHEST_PROTOCOL)
                channel.write(b"r")
                channel.write(answer)
            except BaseException as error:  # noqa: BLE001  # the caller is told of anything
                channel.write(b"e" + pickle.dumps(_described(error)))
        code = 0
    except BaseException:  # noqa: BLE001  # the caller has gone, or there is no memory left
        traceback.print_exc()
    finally:
        for output in (sys.stdout, sys.stderr):
            with suppress(Exception):
                output.flush()
        # Not sys.exit, which would unwind into the code of the caller.
        os._exit(code)


def _described(error: BaseException) -> tuple[str, str, str]:
    from flowsdk.runtime.errors import describe

    info = describe(error)
    return info.type, info.message, info.traceback


def _death(status: int) -> str:
    if os.WIFSIGNALED(status):
        number = os.WTERMSIG(status)
        hint = " It may have run out of memory." if number == signal.SIGKILL else ""
        return f"its process was killed by {signal.Signals(number).name}.{hint}"
    return (
        f"its process ended with exit code {os.WEXITSTATUS(status)} before it returned. Return from "
        f"the function instead of calling os._exit."
    )
