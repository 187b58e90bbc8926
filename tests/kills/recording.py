"""A recording on real Gunicorn whose master or worker gets a signal while clients send requests.

Of every signal it is demanded that all processes end with their master, that every line is whole,
that no request has two, and that the next server goes on with the file. Requests that were answered
have a line, but for those that a signal cuts off between the answer and the line:

- none after SIGTERM, which lets a worker finish;
- the last of each client after SIGKILL, and after SIGINT, which ends a ``sync`` worker anywhere;
- after SIGKILL also those of the last `DELAY` s of event loops, which write lines together.
"""

from __future__ import annotations

import os
import signal
import tempfile
import threading
import time
import uuid
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.client import HTTPException
from pathlib import Path
from random import Random
from types import MappingProxyType
from typing import Final

import psutil
from own_processes import marked
from plain_gunicorn import PlainGunicorn
from recorded_service import ask, cells, recorded, recording

from sim.errors import ExperimentError
from sim.reading.recording import COLUMNS, HEADER
from sim.reading.recording_buffer import DELAY
from tests.kills.remains import GONE, LOOK, MARK, ended, possessions, remains

#: Clients, each of which sends one request after the other.
CLIENTS: Final = 2

#: Requests to the next server.
FURTHER: Final = 4

#: s of room for a line that is due: a timer of an event loop, beside other load.
ROOM: Final = 0.25

#: Flags of every server. A `sync` worker notices that its master has gone after half the timeout.
SERVER: Final = ("--workers", "2", "--timeout", "4")

#: Further flags by class.
CLASSES: Final[Mapping[str, tuple[str, ...]]] = MappingProxyType(
    {
        "sync": (),
        "gthread": ("--threads", "2"),
        "gevent": ("--worker-class", "gevent"),
        "asgi": ("--worker-class", "asgi"),
    }
)

#: Classes with an event loop.
LOOPS: Final = frozenset({"gevent", "asgi"})

SIGNALS: Final = (signal.SIGTERM, signal.SIGINT, signal.SIGKILL)


class Clients:
    """Clients that send requests until the block ends.

    State: ``answered`` (when each path had its answer, s of the monotonic clock).
    """

    def __init__(self, server: PlainGunicorn) -> None:
        self.answered: dict[str, float] = {}
        self._server = server
        self._over = threading.Event()
        self._threads = [
            threading.Thread(target=self._send, args=(number,), daemon=True)
            for number in range(CLIENTS)
        ]

    def _send(self, client: int) -> None:
        number = 0
        while not self._over.is_set():
            number += 1
            path = f"/{client}-{number}"
            try:
                status, _ = self._server.get(f"{path}?io=0.002", 1.0)
            except (OSError, HTTPException):
                self._over.wait(0.02)
                continue
            if status == 200:
                self.answered[path] = time.monotonic()

    @contextmanager
    def sending(self) -> Iterator[None]:
        """Send requests meanwhile."""
        for thread in self._threads:
            thread.start()
        try:
            yield
        finally:
            self.stop()

    def stop(self) -> None:
        """Send no further request."""
        self._over.set()
        for thread in self._threads:
            thread.join(GONE)


def recorded_troubles(random: Random, longest: float) -> tuple[str, list[str]]:
    """End a recording at random; what was done, and what is wrong with it."""
    name, number = random.choice([*CLASSES]), random.choice(SIGNALS)
    to_master, seconds = random.random() < 0.5, random.uniform(0.0, longest)
    target = "the master" if to_master else "a worker"
    about = f"{number.name} to {target} of {name} after {seconds:.2f} s"
    return about, troubles(name, number, seconds, to_master=to_master)


def troubles(name: str, number: signal.Signals, seconds: float, *, to_master: bool) -> list[str]:
    """What is wrong after the master or a worker of a class got a signal after so many s."""
    mark = uuid.uuid4().hex
    flags, asgi = (*SERVER, *CLASSES[name]), name == "asgi"
    with tempfile.TemporaryDirectory(prefix="kills-") as folder_name, _marked(mark), ended(mark):
        folder = Path(folder_name)
        file = folder / "demand.csv"
        with recording(folder, str(file), server=flags, asgi=asgi) as server:
            clients = Clients(server)
            with clients.sending():
                time.sleep(seconds)
                before = possessions(marked(MARK, mark))
                process = server.master if to_master else server.workers()[0]
                process.send_signal(number)
                sent = time.monotonic()
                _wait(process)
            if not to_master:
                # Not SIGTERM: a worker that boots when it comes may hold up its master for long.
                time.sleep(DELAY + ROOM)
                server.master.send_signal(signal.SIGKILL)
                _wait(server.master)
            found = remains(mark, None, before)
        excused = _excused(clients.answered, name, number, sent)
        found += _lines(file, clients.answered, excused)
        with recording(folder, str(file), server=flags, asgi=asgi) as server:
            ask(server, *(f"/further-{each}" for each in range(FURTHER)))
            further = _further(file)
        if further != FURTHER:
            found.append(f"the next server recorded {further} requests; expected {FURTHER}")
        return found


@contextmanager
def _marked(mark: str) -> Iterator[None]:
    """Mark what this process starts meanwhile."""
    os.environ[MARK] = mark
    try:
        yield
    finally:
        del os.environ[MARK]


def _wait(process: psutil.Process) -> None:
    try:
        process.wait(GONE)
    except psutil.TimeoutExpired:
        process.kill()


def _excused(
    answered: Mapping[str, float], name: str, number: signal.Signals, sent: float
) -> set[str]:
    """Paths whose lines may be missing."""
    if number == signal.SIGTERM:
        return set()
    began = sent
    if number == signal.SIGKILL and name in LOOPS:
        began -= DELAY + ROOM
    excused = {path for path, at in answered.items() if began <= at <= sent}
    for client in range(CLIENTS):
        # Its last answer before the signal, and the one that the signal found under way.
        own = sorted(
            (at, path) for path, at in answered.items() if path[1:].startswith(f"{client}-")
        )
        earlier = [path for at, path in own if at <= sent]
        later = [path for at, path in own if at > sent]
        excused |= {*earlier[-1:], *later[:1]}
    return excused


def _paths(file: Path) -> Counter[str]:
    return Counter(line["path"] for line in cells(file))


def _further(file: Path) -> int:
    """How many requests to the next server have a line, as soon as they all may have one."""
    deadline = time.monotonic() + GONE
    while True:
        number = sum(path.startswith("/further-") for path in _paths(file))
        if number == FURTHER or time.monotonic() > deadline:
            return number
        time.sleep(LOOK)


def _lines(file: Path, answered: Mapping[str, float], excused: set[str]) -> list[str]:
    """What is wrong with the lines of a recording."""
    if not file.exists():
        return [] if set(answered) <= excused else ["there is no recording"]
    lines = file.read_text(encoding="ascii").split("\n")
    broken = [line for line in lines[:-1] if line.count(",") != len(COLUMNS.names) - 1]
    if broken or lines[-1] or lines.count(HEADER) != 1:
        return [f"lines are not whole: {[*broken, lines[-1]]}"]
    try:
        recorded(file)
    except ExperimentError as error:
        return [str(error)]
    paths = _paths(file)
    found = [f"{path} has {times} lines" for path, times in paths.items() if times > 1]
    lost = set(answered) - set(paths) - excused
    if lost:
        found.append(f"{len(lost)} of {len(answered)} requests have no line: {sorted(lost)[:5]}")
    return found
