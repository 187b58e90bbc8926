"""Executors of trials: processes of this machine, or the workers of a Dask cluster.

Both are `concurrent.futures` executors, and `sim.study.conduct` knows no more of them.
"""

from __future__ import annotations

import logging
import multiprocessing
import os
import re
import signal
import socket
import sys
import tempfile
from collections.abc import Iterator
from concurrent.futures import (
    BrokenExecutor,
    CancelledError,
    Executor,
    Future,
    ProcessPoolExecutor,
)
from contextlib import contextmanager
from multiprocessing.connection import wait
from threading import Thread, current_thread, main_thread
from typing import Any

from sim.errors import ExperimentError
from sim.experiment import MAX_UNIX_PATH

#: Bytes of the path of a fork server's socket behind the folder for temporary files:
#: ``/pymp-????????/listener-????????``, with some room (`multiprocessing.util.get_temp_dir`).
SOCKET_NAME = 40

#: s that the scheduler may take to answer.
DASK_TIMEOUT = 10

#: s that a process may take to end when it is told to.
END_TIMEOUT = 5.0


def cores() -> int:
    """Processors that this process may use."""
    if sys.platform == "linux":
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


@contextmanager
def processes(number: int) -> Iterator[Executor]:
    """An executor of ``number`` processes; whatever ends the block ends them at once.

    They do not outlive this process either, even if it is killed.
    """
    method = start_method()
    context = multiprocessing.get_context(method)
    if method == "forkserver":
        context.set_forkserver_preload(["sim.study.trial"])
    before = set(multiprocessing.active_children())
    executor = _Processes(number, mp_context=context, initializer=_begin)
    try:
        yield executor
    except BrokenExecutor:
        raise ExperimentError(
            "a process that predicts was ended from outside, perhaps for want of memory; expected "
            "it to live (fewer --jobs take less)"
        ) from None
    finally:
        manager = getattr(executor, "_executor_manager_thread", None)
        executor.shutdown(wait=False, cancel_futures=True)
        started = [p for p in multiprocessing.active_children() if p not in before]
        for process in started:
            process.terminate()
        for process in started:
            process.join(END_TIMEOUT)
        if manager is not None:
            # As Python ends it would write to this thread's pipe, which that is about to close.
            manager.join(END_TIMEOUT)


def start_method() -> str:
    """How processes start here: from a fork server, or each from the beginning, in 0.3 s more.

    A fork of a process with threads, such as the progress bar's, may never run. A fork server has
    a socket in the folder for temporary files. So it takes a folder that can be written to, with a
    path that leaves room for the socket's name.
    """
    if sys.platform == "win32":
        return "spawn"
    try:
        folder = os.fsencode(tempfile.gettempdir())
    except FileNotFoundError:  # None can be written to.
        return "spawn"
    return "forkserver" if len(folder) + SOCKET_NAME <= MAX_UNIX_PATH else "spawn"


class _Processes(ProcessPoolExecutor):
    """Starts its processes as trials come; Ctrl-C waits until one that starts is known.

    It would be left over, and complain that what it shares with us is gone.
    """

    def submit(self, *args: Any, **kwargs: Any) -> Future[Any]:  # noqa: ANN401
        with _uninterrupted():
            return super().submit(*args, **kwargs)


@contextmanager
def _uninterrupted() -> Iterator[None]:
    """Let SIGINT and SIGTERM wait for the end of the block.

    A process that starts in it does not get SIGINT, which Ctrl-C on a terminal sends to all: it is
    blocked there until `_begin` ignores it.
    """
    if current_thread() is not main_thread():  # Which handles all signals.
        yield
        return
    came: list[int] = []
    before = {
        number: signal.signal(number, lambda signum, _: came.append(signum))
        for number in (signal.SIGINT, signal.SIGTERM)
    }
    blocked = None
    if sys.platform != "win32":
        blocked = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        if blocked is not None:
            # What came meanwhile is handled as the call returns.
            signal.pthread_sigmask(signal.SIG_SETMASK, blocked)
        for number, handler in before.items():
            signal.signal(number, handler)
        if came:
            signal.raise_signal(came[0])


def _begin() -> None:
    """Make a process leave Ctrl-C to its parent, and end with it."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    parent = multiprocessing.parent_process()
    if parent is not None:
        Thread(target=_end_with, args=(parent.sentinel,), daemon=True).start()


def _end_with(sentinel: int) -> None:
    wait([sentinel])
    os._exit(1)


@contextmanager
def dask(address: str) -> Iterator[Executor]:
    """An executor of the cluster whose scheduler is at ``address``, such as ``tcp://host:8786``.

    A trial whose worker dies is made by another worker.

    Raises:
        ExperimentError: when the extra ``dask`` is missing, or no scheduler answers.
    """
    try:
        from distributed import Client, KilledWorker  # noqa: PLC0415 - it takes a second, and is an extra
    except ImportError:
        raise ExperimentError(
            "distributed cannot be imported; --dask needs the extra 'dask': "
            "pip install 'gunicorn-sim[dask]'"
        ) from None
    # What it logs about connections is said again by the exceptions that it raises.
    logging.getLogger("distributed").setLevel(logging.CRITICAL)
    _refuse_other_servers(address)
    try:
        client = Client(  # type: ignore[no-untyped-call]
            address, timeout=DASK_TIMEOUT, set_as_default=False
        )
    except (OSError, ValueError, TimeoutError) as error:
        raise _no_scheduler(address, type(error).__name__) from None
    try:
        executor = client.get_executor(pure=False)  # type: ignore[no-untyped-call]
        try:
            yield executor
        except (KilledWorker, CancelledError) as error:
            raise ExperimentError(
                f"--dask {address}: the cluster has given up on a run ({type(error).__name__})"
            ) from None
        finally:
            executor.shutdown(wait=False)
    finally:
        client.close(timeout=END_TIMEOUT)  # type: ignore[no-untyped-call]


def _refuse_other_servers(address: str) -> None:
    """Refuse an ``address`` at which no scheduler is, because a client would wait there for long.

    A scheduler speaks first (`distributed.comm.core.Listener.on_connection`), but with TLS.
    """
    match = re.fullmatch(r"(?P<protocol>tcp|tls)://(?P<host>.+):(?P<port>\d{1,5})", address)
    if match is None:
        raise _no_scheduler(address, "it is no such address")
    try:
        place = (match["host"].strip("[]"), int(match["port"]))
        with socket.create_connection(place, timeout=DASK_TIMEOUT) as connection:
            if match["protocol"] == "tcp" and not connection.recv(1):
                raise _no_scheduler(address, "it hangs up")
    except (OSError, OverflowError) as error:
        raise _no_scheduler(address, str(error) or type(error).__name__) from None


def _no_scheduler(address: str, why: str) -> ExperimentError:
    return ExperimentError(
        f"--dask {address}: no scheduler answers ({why}); expected the address of one, such as "
        "tcp://127.0.0.1:8786"
    )
