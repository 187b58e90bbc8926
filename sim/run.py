"""What an interpreter answers: one row a request, one row a process event.

A `Run` is the same whether `sim.model` predicted it or `reference_app` measured it; everything
after it reads runs and cannot tell which. Times are in s since the start of the run; NaN in a
column means that it did not happen, or that the interpreter cannot see it.
"""

from __future__ import annotations

import json
import math
from array import array
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, get_args

from sim.errors import ExperimentError
from sim.whole_file import whole_file

if TYPE_CHECKING:
    from sim.tally import Tally

SCHEMA = "gunicorn-run/1"

Outcome = Literal["ok", "refused", "reset", "timeout", "error_5xx", "unfinished"]

#: The code of an outcome in `Requests.outcome` is its place here.
OUTCOMES: tuple[Outcome, ...] = ("ok", "refused", "reset", "timeout", "error_5xx", "unfinished")
OK, REFUSED, RESET, TIMEOUT, ERROR_5XX, UNFINISHED = range(len(OUTCOMES))

Source = Literal["sim", "reference_app"]

NAN = math.nan


class Request(NamedTuple):
    """One request.

    Attributes:
        arrival: when the client was to send it, s.
        accepted: when a worker's `accept(2)` took its connection, s; of a reused connection,
            when the worker saw the request.
        started: when the application began to run for it, s.
        finished: when the client knew the outcome, s.
        worker: boot order of the worker that ran it, from 1; 0 for none.
        thread: pool thread in that worker, from 1; 0 for none or not known.
        outcome: one of `OUTCOMES`.
        io: s that it was to wait.
        cpu: s that it was to compute.
    """

    arrival: float
    accepted: float
    started: float
    finished: float
    worker: int
    thread: int
    outcome: Outcome
    io: float
    cpu: float

    @property
    def latency(self) -> float:
        """Sojourn time: from the scheduled arrival to the known outcome, s."""
        return self.finished - self.arrival

    @property
    def wait(self) -> float:
        """From the scheduled arrival to the start of the application, s."""
        return self.started - self.arrival


@dataclass(slots=True)
class Requests:
    """The columns of all requests, in order of arrival; see `Request` for each."""

    arrival: array[float] = field(default_factory=lambda: array("d"))
    accepted: array[float] = field(default_factory=lambda: array("d"))
    started: array[float] = field(default_factory=lambda: array("d"))
    finished: array[float] = field(default_factory=lambda: array("d"))
    worker: array[int] = field(default_factory=lambda: array("i"))
    thread: array[int] = field(default_factory=lambda: array("i"))
    outcome: array[int] = field(default_factory=lambda: array("b"))
    io: array[float] = field(default_factory=lambda: array("d"))
    cpu: array[float] = field(default_factory=lambda: array("d"))

    @classmethod
    def scheduled(cls, arrival: array[float], io: array[float], cpu: array[float]) -> Requests:
        """Rows of requests of which only arrival and demand are known; keeps the arrays."""
        n = len(arrival)
        never = array("d", [NAN]) * n
        none = array("i", [0]) * n
        return cls(
            arrival,
            never,
            never[:],
            never[:],
            none,
            none[:],
            array("b", [UNFINISHED]) * n,
            io,
            cpu,
        )

    def append(self, arrival: float, io: float, cpu: float) -> int:
        """Add a request of which only the arrival is known, and return its row number."""
        self.arrival.append(arrival)
        self.accepted.append(NAN)
        self.started.append(NAN)
        self.finished.append(NAN)
        self.worker.append(0)
        self.thread.append(0)
        self.outcome.append(UNFINISHED)
        self.io.append(io)
        self.cpu.append(cpu)
        return len(self.arrival) - 1

    def renew(self, row: int, arrival: float, io: float, cpu: float) -> None:
        """Put a request of which only the arrival is known in the place of another."""
        self.arrival[row] = arrival
        self.accepted[row] = self.started[row] = self.finished[row] = NAN
        self.worker[row] = self.thread[row] = 0
        self.outcome[row] = UNFINISHED
        self.io[row] = io
        self.cpu[row] = cpu

    def __len__(self) -> int:
        return len(self.arrival)

    def __getitem__(self, row: int) -> Request:
        return Request(
            self.arrival[row],
            self.accepted[row],
            self.started[row],
            self.finished[row],
            self.worker[row],
            self.thread[row],
            OUTCOMES[self.outcome[row]],
            self.io[row],
            self.cpu[row],
        )

    def __iter__(self) -> Iterator[Request]:
        return (self[row] for row in range(len(self)))


class ProcessEvent(NamedTuple):
    """Something that happened to a process, or that the experiment did to it.

    Kinds of a worker's life: ``fork`` (the child runs), ``postfork`` or ``postfork failed``
    (LaunchDarkly), ``boot failed``, ``ready`` (about to accept), ``max_requests`` (about to
    restart), ``crash`` (a request is ending it), ``hang`` and ``hang over`` (one of its requests
    begins and ends to hang), ``timeout`` (the master gives up on it), ``orphaned`` (it has
    noticed that its master died), ``exiting`` (it says so itself), ``exit`` (it was reaped).

    Of a master's: ``listening``, ``signal NAME`` (it handles one), ``halt`` (it stops because a
    worker cannot boot), ``shutdown``, ``promoted`` (the second, once the first is gone).

    What the experiment did: see `sim.disturbance`.

    Attributes:
        time: s since the start of the run; negative during boot, before the first arrival.
        kind: one of the above.
        process: ``master``, ``master 2`` (after USR2), ``worker N`` by boot order; workers of the
            second master are counted on. ``all processes`` is the masters and all workers.
            ``clients`` and ``flag service`` are no processes of Gunicorn's.
    """

    time: float
    kind: str
    process: str


class QueueLength(NamedTuple):
    """How many waited in one place over the run.

    Attributes:
        place: ``accept queue``, or ``worker N``: accepted by that worker, no thread yet.
        time_average: of the number that waited.
        largest: number that ever waited at once.
    """

    place: str
    time_average: float
    largest: int


class Census(NamedTuple):
    """What a living worker has at the end of the traffic.

    Attributes:
        worker: by boot order.
        threads: threads of the operating system, the main thread, idle pool threads and the
            LaunchDarkly client's included.
        flag_connections: TCP connections to the flag service.
    """

    worker: int
    threads: int
    flag_connections: int


class Memory(NamedTuple):
    """Bytes of memory that the server's processes take, each page that they share counted once.

    Linux's proportional set sizes (PSS) would add up to it, if no other process mapped the same
    files. A measurement is of the end of the traffic; a prediction is of the state that lasts,
    see `sim.memory_costs.MemoryCosts`.

    Attributes:
        total: of all processes.
        shared: by two processes or more.
        master: private to the master.
        worker: private to one worker (its unique set size, USS), the mean over all that live.
        total_at_first: as ``total``, until the workers' first full garbage collections; None where
            it was measured, which is in one of the two states or between them.
    """

    total: int
    shared: int
    master: int
    worker: int
    total_at_first: int | None = None


@dataclass(frozen=True, slots=True)
class Run:
    """One experiment, once through one interpreter.

    Attributes:
        source: which interpreter made it.
        experiment: the experiment as `sim.experiment_file.to_dict` writes it.
        replication: which of the experiment's replications, from 0.
        requests: the request rows.
        events: the process events, by time.
        queues: queue lengths, where the interpreter can see them.
        census: one row for each worker that lived at the end of the traffic, by boot order.
        memory: of all processes; None where the interpreter did not look.
        tally: what is left of the requests where their rows were not kept.
        gunicorn: release of Gunicorn that was predicted or measured; None in files that do not say.
    """

    source: Source
    experiment: dict[str, Any]
    replication: int
    requests: Requests
    events: tuple[ProcessEvent, ...] = ()
    queues: tuple[QueueLength, ...] = ()
    census: tuple[Census, ...] = ()
    memory: Memory | None = None
    tally: Tally | None = None
    gunicorn: str | None = None


def _time(value: float) -> float | None:
    return None if math.isnan(value) else value


def save(runs: Iterable[Run], path: Path) -> None:
    """Write runs as JSON lines: a header, then its events and its requests, for each run.

    The file appears whole or not at all.

    Raises:
        ExperimentError: when it cannot be written.
    """
    with whole_file(path) as file:
        for run in runs:
            header = {
                "schema": SCHEMA,
                "source": run.source,
                "gunicorn": run.gunicorn,
                "replication": run.replication,
                "requests": len(run.requests),
                "experiment": run.experiment,
                "queues": [queue._asdict() for queue in run.queues],
                "census": [row._asdict() for row in run.census],
                "memory": None if run.memory is None else run.memory._asdict(),
            }
            file.write(json.dumps(header) + "\n")
            for event in run.events:
                file.write(json.dumps({"event": list(event)}) + "\n")
            for row in run.requests:
                values = [_time(v) if isinstance(v, float) else v for v in row]
                file.write(json.dumps({"request": values}) + "\n")


def load(path: Path) -> list[Run]:
    """Read what `save` wrote.

    Raises:
        ExperimentError: when the file cannot be read, or is of another schema.
    """
    runs: list[_Unread] = []
    try:
        with path.open(encoding="utf-8") as file:
            for number, line in enumerate(file, start=1):
                _read_line(line, f"{path}: line {number}", runs)
    except (OSError, UnicodeDecodeError) as error:
        raise ExperimentError(f"{path}: cannot be read as a run ({error})") from None
    if not runs or runs[-1].missing:
        missing = runs[-1].missing if runs else 0
        raise ExperimentError(f"{path}: ends {missing} requests early; expected a whole {SCHEMA}")
    return [replace(unread.run, events=tuple(unread.events)) for unread in runs]


@dataclass(slots=True)
class _Unread:
    """A run of which lines are still to come.

    Attributes:
        run: as its header says, with the requests so far.
        expected: number of requests that the header announced.
        events: so far.
    """

    run: Run
    expected: int
    events: list[ProcessEvent] = field(default_factory=list)

    @property
    def missing(self) -> int:
        """Number of requests that are still to come."""
        return self.expected - len(self.run.requests)


def _read_line(line: str, where: str, runs: list[_Unread]) -> None:
    """Take one line into ``runs``."""
    try:
        _read_record(json.loads(line), runs)
    except (ValueError, TypeError, LookupError, OverflowError, RecursionError) as error:
        raise ExperimentError(f"{where} is not of a {SCHEMA} file ({error})") from None


def _read_record(record: dict[str, Any], runs: list[_Unread]) -> None:
    if "schema" in record:
        if record["schema"] != SCHEMA:
            raise ValueError(f"schema is {record['schema']!r}")
        if runs and runs[-1].missing:
            raise ValueError(f"{runs[-1].missing} requests are missing before this run")
        runs.append(_read_header(record))
    elif not runs:
        raise ValueError("no run has begun")
    elif "event" in record:
        time, kind, process = record["event"]
        runs[-1].events.append(ProcessEvent(float(time), str(kind), str(process)))
    elif "request" in record and not runs[-1].missing:
        raise ValueError(f"its run was to have {runs[-1].expected} requests, and this is one more")
    else:
        _read_request(record["request"], runs[-1].run.requests)


def _read_header(header: dict[str, Any]) -> _Unread:
    if header["source"] not in get_args(Source):
        expected = " or ".join(get_args(Source))
        raise ValueError(f"source is {header['source']!r}; expected {expected}")
    return _Unread(
        Run(
            header["source"],
            dict(header["experiment"]),
            int(header["replication"]),
            Requests(),
            queues=tuple(QueueLength(**queue) for queue in header["queues"]),
            census=tuple(Census(**row) for row in header.get("census", ())),
            memory=Memory(**memory) if (memory := header.get("memory")) is not None else None,
            gunicorn=None if (gunicorn := header.get("gunicorn")) is None else str(gunicorn),
        ),
        int(header["requests"]),
    )


def _read_request(values: list[Any], requests: Requests) -> None:
    arrival, accepted, started, finished, worker, thread, outcome, io, cpu = values
    row = requests.append(float(arrival), float(io), float(cpu))
    requests.accepted[row] = NAN if accepted is None else accepted
    requests.started[row] = NAN if started is None else started
    requests.finished[row] = NAN if finished is None else finished
    requests.worker[row] = worker
    requests.thread[row] = thread
    requests.outcome[row] = OUTCOMES.index(outcome)
