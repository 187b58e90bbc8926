"""The load generator: sends a source's requests to a real server and notes what became of them.

An ordinary asyncio client, as aiohttp and httpx are underneath. It never waits for one request
before it sends another (no coordinated omission): latency counts from the scheduled arrival,
however late the request was really sent.
"""

from __future__ import annotations

import asyncio
import errno
import gc
import math
import select
import socket
from asyncio import IncompleteReadError, LimitOverrunError, StreamReader, StreamWriter
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from selectors import EpollSelector, SelectorKey
from urllib.parse import quote

from reference_app.paths import PLAIN_WORK, WORK
from reference_app.rig.address import Address
from reference_app.rig.endpoints import Endpoints
from sim.experiment import Experiment, Proxy
from sim.run import (
    BAD_GATEWAY,
    ERROR_5XX,
    GATEWAY_TIMEOUT,
    OK,
    REFUSED,
    RESET,
    TIMEOUT,
    Requests,
)
from sim.run.arrivals import Source, slowness
from sim.run.requests import NO_ROUTE

#: s between the first look at the clock and the first moment of the run.
HEAD_START = 0.25

#: Body of the requests that have one.
BODY = b"?"

#: s between two reports of progress.
REPORT = 0.5

#: EAGAIN is a Unix socket's full accept queue, and ENOENT one that its master has unlinked.
_OUTCOME_OF_ERRNO: Mapping[int | None, int] = {
    errno.EAGAIN: REFUSED,
    errno.ECONNREFUSED: REFUSED,
    errno.ENOENT: REFUSED,
    errno.ETIMEDOUT: TIMEOUT,
}

#: Responses of a proxy's own; the service never sends these.
_OUTCOME_OF_STATUS: Mapping[bytes, int] = {b"502": BAD_GATEWAY, b"504": GATEWAY_TIMEOUT}

#: Whose connections those of a load balancer are.
_BALANCER = 0

#: Outcomes after which a client tries again: any that is no answer.
_RETRIED = (REFUSED, RESET, TIMEOUT)

#: Receives how many requests are answered, how many are sent, and the time of the run in s.
Progress = Callable[[int, int, float], None]


class _PreciseSelector(EpollSelector):
    """Waits to the microsecond: `epoll_wait(2)` counts in ms, and would send requests late."""

    def select(self, timeout: float | None = None) -> list[tuple[SelectorKey, int]]:
        if timeout is None or timeout > 0:
            select.select([self.fileno()], (), (), timeout)
        return super().select(0)


class LoadGenerator:
    """Replays one source at one server, once.

    Where the experiment has a load balancer in front, this process is the load balancer too. It has
    each request whole before it sends it, keeps one pool of connections, never retries, and answers
    502 and 504.

    Attributes:
        start: CLOCK_MONOTONIC at the first moment of the run, s.
        answers: body of each row's answer; empty where there is none.
    """

    def __init__(
        self,
        experiment: Experiment,
        replication: int,
        source: Source,
        addresses: tuple[Address, ...],
        endpoints: Endpoints | None = None,
    ) -> None:
        """Send to the first of the ``addresses``, or to that of the pod which the Service has."""
        self.start = math.nan
        self.answers: list[bytes] = []
        self._source = source
        self._addresses = addresses
        self._endpoints = endpoints
        self._host = "localhost" if isinstance(addresses[0], str) else addresses[0][0]
        self._balancer = experiment.proxy if experiment.proxy.kind == "alb" else None
        self._keep = experiment.traffic.connection == "keepalive"
        if self._balancer is not None:
            self._keep = self._balancer.kept > 0
        self._traffic = experiment.traffic
        self._first_byte = slowness(experiment, replication, "first_byte")
        self._body = slowness(experiment, replication, "body")
        self._read = slowness(experiment, replication, "read")
        # Of each route, and last of requests without one.
        self._asks = [
            (PLAIN_WORK if endpoint == "def" else WORK, f"&blocking={part!r}" if part else "")
            for endpoint, part in experiment.traffic.kinds
        ]
        # For the server's access log; the service does what `io` and `cpu` say.
        self._routes = [f"&route={quote(name, safe='')}" for name in source.rows.routes]
        self._idle: defaultdict[int, list[tuple[StreamReader, StreamWriter]]] = defaultdict(list)
        self._since: dict[StreamWriter, float] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    def run(self, began: Callable[[float], None], progress: Progress) -> Requests:
        """Send every request, and wait for the answers until the drain is over.

        Args:
            began: called once with `start`, `HEAD_START` s before that moment.
            progress: called every `REPORT` s.

        Returns:
            The source's requests, with ``finished`` and ``outcome`` filled in.
        """
        with (
            _no_garbage_collection(),
            asyncio.Runner(loop_factory=lambda: asyncio.SelectorEventLoop(_PreciseSelector())) as r,
        ):
            r.run(self._replay(began, progress))
        return self._source.rows.requests()

    async def _replay(self, began: Callable[[float], None], progress: Progress) -> None:
        loop = asyncio.get_running_loop()
        self.start = start = loop.time() + HEAD_START
        began(start)
        last_arrival, reported = 0.0, 0.0
        # Something may happen before the next request is due: a closed loop's user is answered.
        self._answered = asyncio.Event()
        while True:
            clock = loop.time() - start
            due = self._source.due()
            if due <= clock:
                last_arrival = due
                task = loop.create_task(self._request(*self._source.take()))
                self._tasks.add(task)
                task.add_done_callback(self._ended)
                await asyncio.sleep(0)
                continue
            give_up = last_arrival + self._traffic.drain if due == math.inf else math.inf
            if due == math.inf and (not self._tasks or clock >= give_up):
                break
            if clock >= reported + REPORT:
                reported = clock
                progress(len(self.answers) - len(self._tasks), len(self.answers), clock)
            await self._sleep(min(due, give_up, clock + REPORT) - clock)
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for connections in self._idle.values():
            for _, writer in connections:
                writer.transport.abort()

    async def _sleep(self, seconds: float) -> None:
        """Sleep, but in a closed loop not longer than until the next answer."""
        if not self._source.closed_loop and self._source.due() < math.inf:
            await asyncio.sleep(seconds)
            return
        self._answered.clear()
        timer = asyncio.get_running_loop().call_later(seconds, self._answered.set)
        await self._answered.wait()
        timer.cancel()

    def _ended(self, task: asyncio.Task[None]) -> None:
        """A request is over; after the last of all, nothing is left to wait for."""
        self._tasks.discard(task)
        if not self._tasks and self._source.due() == math.inf:
            self._answered.set()

    async def _request(self, row: int, client: int) -> None:
        rows = self._source.rows
        while len(self.answers) <= row:
            self.answers.append(b"")
        hold = "keep-alive" if self._keep else "close"
        method, reads, length = "GET", "", ""
        if self._body is not None:
            method, length = "POST", f"Content-Length: {len(BODY)}\r\n"
            reads = "" if self._traffic.reads_body else "&reads_body=0"
        route = ""
        if self._routes and rows.route[row] != NO_ROUTE:
            route = self._routes[rows.route[row]]
        path, blocking = self._asks[rows.route[row] if self._routes else NO_ROUTE]
        query = f"io={rows.io[row]!r}&cpu={rows.cpu[row]!r}{blocking}{reads}{route}"
        request = (
            f"{method} {path}?{query} HTTP/1.1\r\n"
            f"Host: {self._host}\r\nConnection: {hold}\r\n{length}\r\n"
        ).encode()
        outcome = await self._attempt(row, client, request, fresh=False)
        for _ in range(self._traffic.retries):
            if outcome not in _RETRIED:
                break
            await asyncio.sleep(self._traffic.retry_delay)
            outcome = await self._attempt(row, client, request, fresh=True)
        clock = asyncio.get_running_loop().time() - self.start
        rows.finished[row] = clock
        rows.outcome[row] = outcome
        self._source.answered(client, clock)
        self._answered.set()

    async def _attempt(self, row: int, client: int, request: bytes, *, fresh: bool) -> int:
        """Send the request once, on a new connection if it is to be a ``fresh`` one."""
        try:
            if self._traffic.timeout is None:
                return await self._outcome(row, client, request, fresh=fresh)
            async with asyncio.timeout(self._traffic.timeout):
                return await self._outcome(row, client, request, fresh=fresh)
        except (IncompleteReadError, LimitOverrunError):
            return RESET
        except TimeoutError:
            return TIMEOUT
        except OSError as error:
            return _OUTCOME_OF_ERRNO.get(error.errno, RESET)

    async def _outcome(self, row: int, client: int, request: bytes, *, fresh: bool) -> int:
        if self._balancer is None:
            return await self._exchange(row, client, request, fresh=fresh)
        for slow in (self._first_byte, self._body):
            if slow is not None:
                await asyncio.sleep(slow(row))
        outcome = await self._balanced(row, request, self._balancer)
        if self._read is not None:
            await asyncio.sleep(self._read(row))
        return outcome

    async def _balanced(self, row: int, request: bytes, balancer: Proxy) -> int:
        """Pass a request on as a load balancer does."""
        try:
            async with asyncio.timeout(balancer.patience):
                connection = await self._connection(_BALANCER, fresh=False)
            async with asyncio.timeout(balancer.read_timeout):
                outcome, keep = await self._converse(row, *connection, request)
        except TimeoutError:
            return GATEWAY_TIMEOUT
        except (OSError, IncompleteReadError, LimitOverrunError):
            return BAD_GATEWAY
        if keep:
            self._keep_idle(connection, balancer)
        return outcome

    def _keep_idle(self, connection: tuple[StreamReader, StreamWriter], balancer: Proxy) -> None:
        """Put a connection into the pool, until it has been idle for too long."""
        idle = self._idle[_BALANCER]
        idle.append(connection)
        since = self._since[connection[1]] = asyncio.get_running_loop().time()

        def expire() -> None:
            if self._since.get(connection[1]) == since and connection in idle:
                idle.remove(connection)
                connection[1].transport.abort()

        asyncio.get_running_loop().call_later(balancer.idle_timeout, expire)
        if len(idle) > balancer.kept:
            _, writer = idle.pop(0)
            writer.transport.abort()

    async def _exchange(self, row: int, client: int, request: bytes, *, fresh: bool) -> int:
        """Send one request and read its whole answer; return the outcome."""
        reader, writer = await self._connection(client, fresh=fresh)
        outcome, keep = await self._converse(row, reader, writer, request)
        if keep:
            self._idle[client].append((reader, writer))
        return outcome

    async def _converse(
        self, row: int, reader: StreamReader, writer: StreamWriter, request: bytes
    ) -> tuple[int, bool]:
        """Send the request and read its answer: the outcome, and whether the connection is kept."""
        slow = self._balancer is None
        keep = False
        try:
            if slow and self._first_byte is not None:
                await asyncio.sleep(self._first_byte(row))
            writer.write(request)
            if self._body is not None:
                if slow:
                    await asyncio.sleep(self._body(row))
                writer.write(BODY)
            head = (await reader.readuntil(b"\r\n\r\n")).lower()
            _, _, length = head.partition(b"\r\ncontent-length:")
            body = await reader.readexactly(int(length.partition(b"\r\n")[0]))
            if slow and self._read is not None:
                await asyncio.sleep(self._read(row))
            keep = self._keep and b"\r\nconnection: close" not in head
        finally:
            # Not `close()`, which would leave it to a later turn of the event loop: the server's
            # main thread waits for the client to close (`util.close_graceful`).
            if not keep:
                writer.transport.abort()
        outcome = _OUTCOME_OF_STATUS.get(head[9:12], OK if head[9:10] == b"2" else ERROR_5XX)
        if outcome == OK:
            self.answers[row] = body
        return outcome, keep

    async def _connection(self, client: int, *, fresh: bool) -> tuple[StreamReader, StreamWriter]:
        """The client's idle connection that was used last, or a new one."""
        idle = self._idle[client]
        while idle and not fresh:
            reader, writer = idle.pop()
            if not reader.at_eof() and not writer.is_closing():
                return reader, writer
            writer.transport.abort()
        pod = 1 if self._endpoints is None else self._endpoints.pod()
        if pod is None:
            raise ConnectionRefusedError(errno.ECONNREFUSED, "the Service has no ready pod")
        address = self._addresses[pod - 1]
        if isinstance(address, str):
            return await asyncio.open_unix_connection(sock=_unix_connection(address))
        return await asyncio.open_connection(*address)


def _unix_connection(path: str) -> socket.socket:
    """A connection to the Unix socket at ``path``; connecting to one never takes time.

    Not `asyncio.open_unix_connection(path)`, which takes EAGAIN for EINPROGRESS, and a socket that
    was refused for a connected one.

    Raises:
        OSError: EAGAIN when the accept queue is full, ENOENT or ECONNREFUSED when nobody listens.
    """
    connection = socket.socket(socket.AF_UNIX)
    try:
        connection.setblocking(False)
        connection.connect(path)
    except OSError:
        connection.close()
        raise
    return connection


@contextmanager
def _no_garbage_collection() -> Iterator[None]:
    """A collection would stop the clock of every request that is due meanwhile."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()
