"""What is asked: which server, on which host, under which traffic.

Two interpreters read an `Experiment`: `sim.model` predicts it and `reference_app` measures it on
real Gunicorn. Everything here is frozen and validated when it is made; times are in seconds
unless a docstring says otherwise.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Literal, NoReturn

from sim.costs import Costs
from sim.distribution import Distribution
from sim.disturbance import Disturbance, FlagService, Rate
from sim.errors import ExperimentError
from sim.memory_costs import MemoryCosts

WorkerClass = Literal["sync", "gthread"]
Arrivals = Literal["poisson", "constant", "closed", "trace"]
Connection = Literal["new", "keepalive"]
Clients = Literal["local", "remote"]

WORKER_CLASSES: tuple[WorkerClass, ...] = ("sync", "gthread")
ARRIVALS: tuple[Arrivals, ...] = ("poisson", "constant", "closed", "trace")
CONNECTIONS: tuple[Connection, ...] = ("new", "keepalive")
CLIENTS: tuple[Clients, ...] = ("local", "remote")

#: Limits that keep a slip of the finger from filling the memory of the machine.
MAX_WORKERS = 1024
MAX_THREADS = 4096
MAX_REQUESTS = 20_000_000
MAX_DISTURBANCES = 1000

#: Begins the address of a Unix socket.
UNIX = "unix:"

#: Bytes of a Unix socket's path: ``sun_path`` of unix(7) has 108, of which the last is a NUL.
MAX_UNIX_PATH = 107


def _number(where: str, value: float, low: float, *, above: bool = False) -> None:
    """Refuse a ``value`` that is not finite, or below ``low`` (at or below, with ``above``)."""
    if not math.isfinite(value) or value < low or (above and value == low):
        sign = ">" if above else ">="
        raise ExperimentError(f"{where} is {value}; expected a finite number {sign} {low:g}")


def _whole(where: str, value: int, low: int, high: int | None = None) -> None:
    """Refuse a ``value`` below ``low`` or above ``high``."""
    if value < low or (high is not None and value > high):
        range_ = f"from {low} to {high}" if high is not None else f">= {low}"
        raise ExperimentError(f"{where} is {value}; expected a whole number {range_}")


def _address(address: str) -> None:
    """Refuse an ``address`` of ``bind`` that Gunicorn cannot listen at (`util.parse_address`)."""
    if address.startswith(UNIX):
        path = address.removeprefix(UNIX).removeprefix("//")
        size = len(path.encode(errors="surrogateescape"))
        if not path or "\0" in path:
            raise ExperimentError(f"bind is {address!r}; expected unix: and the path of a socket")
        if size > MAX_UNIX_PATH:
            raise ExperimentError(
                f"bind is {address!r}, a path of {size} bytes; expected at most {MAX_UNIX_PATH}, "
                "for a Unix socket's address holds no more"
            )
        return
    scheme, _, rest = address.rpartition("://")
    _, colon, port = rest.rpartition(":")
    named = scheme != "fd" and (not colon or rest.endswith("]"))
    if not named and not port.isdecimal():
        raise ExperimentError(
            f"bind is {address!r}; expected HOST, HOST:PORT, unix:PATH or fd://FD"
        )


def _choice(where: str, value: str, choices: tuple[str, ...]) -> None:
    if value not in choices:
        raise ExperimentError(f"{where} is {value!r}; expected one of {', '.join(choices)}")


@dataclass(frozen=True, slots=True)
class Server:
    """Gunicorn's settings, under Gunicorn's names and with Gunicorn's defaults.

    Attributes:
        workers: worker processes.
        threads: pool threads in each worker; more than 1 turns ``sync`` into ``gthread``, as
            `gunicorn.config.Config.worker_class` does.
        worker_class: ``sync`` or ``gthread``.
        worker_connections: connections that one gthread worker holds at most.
        timeout: s without a heartbeat after which the master kills a worker; 0 is never.
        graceful_timeout: s that a stopping worker may take.
        keepalive: s that an idle connection is kept; 0 closes after each response.
        backlog: length of the accept queue that is asked of `listen(2)`.
        max_requests: requests after which a worker restarts; 0 is never.
        max_requests_jitter: most that is added to ``max_requests``, uniform per worker.
        preload_app: import the application in the master, before the first fork.
        reuse_port: one listening socket for each worker (``SO_REUSEPORT``); not of a Unix socket.
        bind: addresses to listen at, parted by commas as Gunicorn takes them: ``HOST:PORT``,
            ``unix:PATH`` or ``fd://FD``. Clients connect to the first.
    """

    workers: int = 1
    threads: int = 1
    worker_class: WorkerClass = "sync"
    worker_connections: int = 1000
    timeout: int = 30
    graceful_timeout: int = 30
    keepalive: int = 2
    backlog: int = 2048
    max_requests: int = 0
    max_requests_jitter: int = 0
    preload_app: bool = False
    reuse_port: bool = False
    bind: str = "127.0.0.1:8000"

    def __post_init__(self) -> None:
        _whole("workers", self.workers, 1, MAX_WORKERS)
        _whole("threads", self.threads, 1, MAX_THREADS)
        _choice("worker_class", self.worker_class, WORKER_CLASSES)
        _whole("worker_connections", self.worker_connections, 1)
        for name in (
            "timeout",
            "graceful_timeout",
            "keepalive",
            "max_requests",
            "max_requests_jitter",
        ):
            _whole(name, getattr(self, name), 0)
        _whole("backlog", self.backlog, 1)
        if not self.addresses:
            raise ExperimentError(f"bind is {self.bind!r}; expected an address to listen at")
        for address in self.addresses:
            _address(address)
        if self.unix and self.reuse_port:
            raise ExperimentError(
                f"reuse_port is on and bind is {self.addresses[0]!r}; expected one of them: Linux "
                "has no SO_REUSEPORT for a Unix socket"
            )
        if self.worker_class == "sync" and self.threads > 1:
            object.__setattr__(self, "worker_class", "gthread")

    @property
    def concurrency(self) -> int:
        """Requests that can run at once: workers x threads."""
        return self.workers * self.threads

    @property
    def addresses(self) -> tuple[str, ...]:
        """Every address of ``bind``, the one that clients connect to first."""
        return tuple(address.strip() for address in self.bind.split(",") if address.strip())

    @property
    def unix(self) -> bool:
        """Whether clients connect to a Unix socket."""
        return self.addresses[0].startswith(UNIX)


@dataclass(frozen=True, slots=True)
class Host:
    """The machine that the server runs on.

    Attributes:
        cores: processors that all processes share.
        somaxconn: ``net.core.somaxconn``, the kernel's own limit of the accept queue.
        clients: ``local`` where the clients are one process on the same cores, as the rig's load
            generator is; ``remote`` where they take none of them.
    """

    cores: int = 2
    somaxconn: int = 4096
    clients: Clients = "local"

    def __post_init__(self) -> None:
        _whole("cores", self.cores, 1, 4096)
        _whole("somaxconn", self.somaxconn, 1)
        _choice("clients", self.clients, CLIENTS)


@dataclass(frozen=True, slots=True)
class TraceRow:
    """One request of a trace: when it comes and what it demands.

    Attributes:
        arrival_s: s since the start of the run.
        io_s: s that the request waits, without the GIL.
        cpu_s: s that it computes, holding the GIL.
    """

    arrival_s: float
    io_s: float
    cpu_s: float


def _refuse(row: TraceRow, row_number: int, before: float) -> NoReturn:
    """Say what is wrong with a row of a trace; ``before`` is the arrival of the one above."""
    _number(f"trace row {row_number}: arrival_s", row.arrival_s, 0)
    _number(f"trace row {row_number}: io_s", row.io_s, 0)
    _number(f"trace row {row_number}: cpu_s", row.cpu_s, 0)
    raise ExperimentError(
        f"trace row {row_number}: arrival_s is {row.arrival_s:g}, before the row above "
        f"({before:g}); expected arrivals in order"
    )


@dataclass(frozen=True, slots=True)
class Traffic:
    """The requests that clients send.

    Attributes:
        arrivals: ``poisson`` and ``constant`` are open loops at ``rate``; ``trace`` replays
            ``trace``; in ``closed``, each of ``users`` sends, waits for the answer, thinks, and
            sends again.
        rate: requests / s (open loops).
        duration: s during which requests arrive; not used where ``requests`` is given.
        requests: number of requests, or None.
        users: clients of the closed loop.
        think: s between an answer and the user's next request.
        connection: ``new`` opens one for each request, ``keepalive`` reuses idle ones.
        io: s that a request waits, without the GIL.
        cpu: s that a request computes, holding the GIL.
        trace: the requests of ``arrivals="trace"``, in order of arrival.
        drain: s that the run goes on after its last arrival, at most; a request without an
            answer by then is ``unfinished``.
        timeout: s that a client waits for an attempt's answer before it closes the connection;
            None is for ever. The server does not notice, and does the work all the same.
        retries: how often a client tries again, on a new connection, when an attempt was
            ``refused``, ``reset`` or ``timeout``. An answer, 5xx too, is final.
        retry_delay: s between the end of an attempt and the next.
        first_byte: s that a slow client takes, once it is connected, until it sends its request;
            neither this nor the next two together with ``timeout``.
        body: s from there until it has sent the body of its request.
        reads_body: whether the application reads that body, before its I/O and computing.
        read: s that it takes to read the response, which fits into the socket's buffers, before it
            closes the connection or uses it again.
    """

    arrivals: Arrivals = "poisson"
    rate: float = 56.0
    duration: float = 30.0
    requests: int | None = None
    users: int = 10
    think: Distribution = field(default_factory=lambda: Distribution("const", (0.0,)))
    connection: Connection = "new"
    io: Distribution = field(default_factory=lambda: Distribution("exp", (0.05,)))
    cpu: Distribution = field(default_factory=lambda: Distribution("const", (0.0,)))
    trace: tuple[TraceRow, ...] = ()
    drain: float = 60.0
    timeout: float | None = None
    retries: int = 0
    retry_delay: float = 0.0
    first_byte: Distribution = field(default_factory=lambda: Distribution("const", (0.0,)))
    body: Distribution = field(default_factory=lambda: Distribution("const", (0.0,)))
    reads_body: bool = True
    read: Distribution = field(default_factory=lambda: Distribution("const", (0.0,)))

    def __post_init__(self) -> None:
        _choice("arrivals", self.arrivals, ARRIVALS)
        _choice("connection", self.connection, CONNECTIONS)
        _number("rate", self.rate, 0, above=True)
        _number("duration", self.duration, 0, above=True)
        _number("drain", self.drain, 0)
        if self.timeout is not None:
            # Not only "timeout", which is Gunicorn's too.
            _number("traffic timeout", self.timeout, 0, above=True)
        _whole("retries", self.retries, 0, 1000)
        _number("retry_delay", self.retry_delay, 0)
        for name in ("first_byte", "body", "read"):
            if self.timeout is not None and getattr(self, name).mean > 0:
                raise ExperimentError(
                    f"traffic has both timeout and {name}; expected one of them: what the server "
                    "does when a client closes the connection in the middle is not modelled"
                )
        _whole("users", self.users, 1, 1_000_000)
        if self.requests is not None:
            _whole("requests", self.requests, 1, MAX_REQUESTS)
        elif self.arrivals in ("poisson", "constant") and self.rate * self.duration > MAX_REQUESTS:
            raise ExperimentError(
                f"rate {self.rate:g} for duration {self.duration:g} is "
                f"{self.rate * self.duration:g} requests; expected at most {MAX_REQUESTS}"
            )
        if self.arrivals == "trace" and not self.trace:
            raise ExperimentError("the trace is empty; expected at least one request")
        if self.trace and self.arrivals != "trace":
            raise ExperimentError(f"arrivals is {self.arrivals!r} beside a trace; expected 'trace'")
        before = 0.0
        for row_number, row in enumerate(self.trace, start=1):
            inf = math.inf
            if not (before <= row.arrival_s < inf and 0 <= row.io_s < inf and 0 <= row.cpu_s < inf):
                _refuse(row, row_number, before)
            before = row.arrival_s


@dataclass(frozen=True, slots=True)
class LaunchDarkly:
    """The flag service, as a forked worker's ``postfork()`` meets it.

    Attributes:
        enabled: whether the service has a LaunchDarkly client.
        latency: s from the connection to the stream's first ``put`` event.
        start_wait: s that the client's start and ``postfork()`` wait for it, at most.
        reachable: whether the service answers at all, until a disturbance says otherwise.
        postfork: whether ``post_fork`` calls ``postfork()``; only with ``preload_app`` is there
            a client that needs it.
    """

    enabled: bool = False
    latency: float = 0.08
    start_wait: float = 5.0
    reachable: bool = True
    postfork: bool = True

    def __post_init__(self) -> None:
        _number("launchdarkly latency", self.latency, 0)
        _number("launchdarkly start_wait", self.start_wait, 0)


@dataclass(frozen=True, slots=True)
class Experiment:
    """Everything that an interpreter needs to know.

    Attributes:
        server: Gunicorn's settings.
        host: the machine.
        traffic: the requests.
        launchdarkly: the flag service.
        costs: what each step costs on this host.
        seed: of every random stream; same experiment and seed, same prediction.
        replications: independent repetitions, each with its own arrivals and demands.
        disturbances: what goes wrong, by time.
        memory: what processes and threads take of the host's memory.
        gc_freeze: whether a hook or the application calls `gc.freeze`, in the master once it has
            what it will share, or in each worker; only memory depends on it.
    """

    server: Server = field(default_factory=Server)
    host: Host = field(default_factory=Host)
    traffic: Traffic = field(default_factory=Traffic)
    launchdarkly: LaunchDarkly = field(default_factory=LaunchDarkly)
    costs: Costs = field(default_factory=Costs)
    seed: int = 1
    replications: int = 10
    disturbances: tuple[Disturbance, ...] = ()
    memory: MemoryCosts = field(default_factory=MemoryCosts)
    gc_freeze: bool = False

    def __post_init__(self) -> None:
        _whole("seed", self.seed, 0)
        _whole("replications", self.replications, 1, 10_000)
        if len(self.disturbances) > MAX_DISTURBANCES:
            raise ExperimentError(
                f"there are {len(self.disturbances)} disturbances; expected at most "
                f"{MAX_DISTURBANCES}"
            )
        # A document may have them in any order; ties stay as they were written.
        in_order = tuple(sorted(self.disturbances, key=lambda disturbance: disturbance.at))
        object.__setattr__(self, "disturbances", in_order)
        for disturbance in in_order:
            if isinstance(disturbance, Rate) and self.traffic.arrivals in ("closed", "trace"):
                raise ExperimentError(
                    f"the disturbance at {disturbance.at:g} s changes the rate of "
                    f"{self.traffic.arrivals} arrivals; expected poisson or constant, which have "
                    "one"
                )
            if isinstance(disturbance, FlagService) and not self.launchdarkly.enabled:
                raise ExperimentError(
                    f"the disturbance at {disturbance.at:g} s changes launchdarkly, which is off; "
                    "expected it enabled"
                )
        if self.traffic.requests is None and len(self.rates) > 1:
            number = self.expected_requests
            if number > MAX_REQUESTS:
                raise ExperimentError(
                    f"the rates of the disturbances make {number:g} requests in "
                    f"{self.traffic.duration:g} s; expected at most {MAX_REQUESTS}"
                )

    @property
    def expected_requests(self) -> float:
        """Requests of an open loop in one replication; on average, where a duration limits them.

        Fewer than `Traffic.requests` where the last rate is 0, and so many do not come before it.
        """
        requests = self.traffic.requests
        if requests is not None and self.rates[-1][1] > 0:
            return requests
        duration = math.inf if requests is not None else self.traffic.duration
        ends = [*(since for since, _ in self.rates[1:]), duration]
        number = sum(
            rate * max(0.0, min(end, duration) - since)
            for (since, rate), end in zip(self.rates, ends, strict=True)
            if rate
        )
        return number if requests is None else min(number, requests)

    @property
    def rates(self) -> tuple[tuple[float, float], ...]:
        """Pairs of a time, s, and the requests / s of an open loop from then on."""
        changes = (
            (disturbance.at, disturbance.rate)
            for disturbance in self.disturbances
            if isinstance(disturbance, Rate)
        )
        return ((0.0, self.traffic.rate), *changes)

    @property
    def offered_load(self) -> float | None:
        """Mean busy threads that the arrivals ask for (erlang); None for a closed loop.

        Of an open loop it is that of `Traffic.rate`, whatever disturbances make of the rate later.
        """
        traffic = self.traffic
        if traffic.arrivals == "closed":
            return None
        if traffic.arrivals == "trace":
            span = traffic.trace[-1].arrival_s - traffic.trace[0].arrival_s
            work = sum(row.io_s + row.cpu_s for row in traffic.trace)
            if span <= 0:
                return math.inf if work > 0 else 0.0
            return work / span
        return traffic.rate * (traffic.io.mean + traffic.cpu.mean)
