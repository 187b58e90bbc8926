"""Flags for everything in an experiment that is not a setting of Gunicorn."""

from __future__ import annotations

import argparse
import reprlib
from collections.abc import Callable
from typing import Any, NamedTuple

from sim.errors import ExperimentError
from sim.experiment import ARRIVALS, CLIENTS, CONNECTIONS, PROXIES, Experiment
from sim.experiment.distribution import SYNTAX, Distribution
from sim.experiment.document import plain
from sim.experiment.endpoint import ENDPOINTS


class Flag(NamedTuple):
    """A flag, and where its value goes.

    Attributes:
        name: as it is written, ``--rate``.
        table: of the experiment; ``""`` for what stands above the tables.
        field: of that table.
        kind: `int`, `float`, `Distribution`, the choices, or `bool`, which takes no value.
        metavar: what stands for the value in the help; of a `bool`, the flag that says no.
        help: what it means, with the unit.
    """

    name: str
    table: str
    field: str
    kind: type | tuple[str, ...]
    metavar: str | None
    help: str


FLAGS: tuple[Flag, ...] = (
    Flag("--arrivals", "traffic", "arrivals", ARRIVALS, None, "how requests arrive"),
    Flag("--rate", "traffic", "rate", float, "PER_S", "requests / s of an open loop"),
    Flag("--duration", "traffic", "duration", float, "S", "s during which requests arrive"),
    Flag(
        "--requests", "traffic", "requests", int, "N", "number of requests, instead of a duration"
    ),
    Flag("--users", "traffic", "users", int, "N", "clients of a closed loop"),
    Flag(
        "--first-byte",
        "traffic",
        "first_byte",
        Distribution,
        "DIST",
        "s from connecting until the client sends",
    ),
    Flag("--body", "traffic", "body", Distribution, "DIST", "s that the request's body takes"),
    Flag(
        "--reads-body",
        "traffic",
        "reads_body",
        bool,
        "--unread-body",
        "the application reads the body before all else (default)",
    ),
    Flag(
        "--read",
        "traffic",
        "read",
        Distribution,
        "DIST",
        "s that the client takes to read the response",
    ),
    Flag(
        "--think",
        "traffic",
        "think",
        Distribution,
        "DIST",
        "s that a client of a closed loop thinks",
    ),
    Flag(
        "--connection",
        "traffic",
        "connection",
        CONNECTIONS,
        None,
        "a new connection for each request, or a kept one",
    ),
    Flag("--io", "traffic", "io", Distribution, "DIST", f"s that a request waits: {SYNTAX}"),
    Flag(
        "--cpu",
        "traffic",
        "cpu",
        Distribution,
        "DIST",
        "s that a request computes and holds the GIL",
    ),
    Flag(
        "--endpoint",
        "traffic",
        "endpoint",
        ENDPOINTS,
        None,
        "how an ASGI application declares its endpoints: async def, or def, which runs in a thread",
    ),
    Flag(
        "--blocking-io",
        "traffic",
        "blocking_io",
        float,
        "PART",
        "part of the I/O that holds a whole event loop, from 0 to 1: an unpatched driver under "
        "gevent, a blocking call in an async def",
    ),
    Flag(
        "--drain", "traffic", "drain", float, "S", "s to wait for responses after the last arrival"
    ),
    Flag(
        "--client-timeout", "traffic", "timeout", float, "S", "s that clients wait for a response"
    ),
    Flag("--retries", "traffic", "retries", int, "N", "times that a client repeats a lost request"),
    Flag("--retry-delay", "traffic", "retry_delay", float, "S", "s between two attempts"),
    Flag("--cores", "host", "cores", int, "N", "processors of the host"),
    Flag("--somaxconn", "host", "somaxconn", int, "N", "net.core.somaxconn of the host"),
    Flag("--clients", "host", "clients", CLIENTS, None, "on the cores of the server, or on others"),
    Flag(
        "--cpu-limit",
        "host",
        "cpu_limit",
        float,
        "CORES",
        "cores' worth of CPU that the server may use, as docker --cpus",
    ),
    Flag("--cpu-burst", "host", "cpu_burst", float, "S", "s of CPU that it can save up beyond"),
    Flag("--rtt", "host", "rtt", float, "S", "s that a packet takes to remote clients and back"),
    Flag("--proxy", "proxy", "kind", PROXIES, None, "what stands in front of Gunicorn"),
    Flag(
        "--proxy-keepalive",
        "proxy",
        "keepalive",
        int,
        "N",
        "idle connections that the proxy keeps to Gunicorn",
    ),
    Flag(
        "--proxy-idle-timeout",
        "proxy",
        "idle_timeout",
        float,
        "S",
        "s that the proxy keeps an idle connection",
    ),
    Flag(
        "--proxy-connect-timeout",
        "proxy",
        "connect_timeout",
        float,
        "S",
        "s that the proxy tries to connect, then responds 504",
    ),
    Flag(
        "--proxy-read-timeout",
        "proxy",
        "read_timeout",
        float,
        "S",
        "s that the proxy waits for a response, then responds 504",
    ),
    Flag("--hz", "host", "hz", int, "N", "timer ticks / s of the host's kernel, CONFIG_HZ"),
    Flag(
        "--limit-concurrency",
        "server",
        "limit_concurrency",
        int,
        "N",
        "uvicorn's worker: connections or requests of a worker from which on it answers 503",
    ),
    Flag(
        "--launchdarkly",
        "launchdarkly",
        "enabled",
        bool,
        "--no-launchdarkly",
        "whether the service has a LaunchDarkly client",
    ),
    Flag(
        "--launchdarkly-latency",
        "launchdarkly",
        "latency",
        float,
        "S",
        "s to the flag service's first put event",
    ),
    Flag(
        "--launchdarkly-start-wait",
        "launchdarkly",
        "start_wait",
        float,
        "S",
        "longest wait of its start and of postfork(), s",
    ),
    Flag(
        "--launchdarkly-reachable",
        "launchdarkly",
        "reachable",
        bool,
        "--launchdarkly-unreachable",
        "whether the flag service is reachable",
    ),
    Flag(
        "--launchdarkly-postfork",
        "launchdarkly",
        "postfork",
        bool,
        "--no-launchdarkly-postfork",
        "whether post_fork calls postfork()",
    ),
    Flag(
        "--gc-freeze",
        "",
        "gc_freeze",
        bool,
        "--no-gc-freeze",
        "whether a hook or the application calls gc.freeze(), which keeps memory shared",
    ),
    Flag("--seed", "", "seed", int, "N", "seed of every random stream"),
    Flag("--replications", "", "replications", int, "N", "independent repetitions"),
)

#: Flags that one kind of arrivals does not read. To drop them in silence would mislead.
UNREAD: dict[str, tuple[str, ...]] = {
    "poisson": ("users", "think"),
    "constant": ("users", "think"),
    "closed": ("rate",),
    "trace": ("users", "think", "rate", "duration", "requests", "io", "cpu"),
}


def add_flag(group: argparse._ArgumentGroup, flag: Flag, default: int | None) -> None:
    """Add a flag; with a ``default`` of the command, it holds as if it had been given."""
    table = getattr(Experiment(), flag.table) if flag.table else Experiment()
    displayed = plain(getattr(table, flag.field)) if default is None else default
    # The default is only shown, as Gunicorn shows its own: None is how "not given" is known.
    help_ = flag.help if displayed is None else f"{flag.help} [{displayed}]"
    if isinstance(flag.kind, tuple):
        group.add_argument(flag.name, choices=flag.kind, help=help_)
    elif flag.kind is bool and flag.metavar is not None:
        yes = group.add_argument(flag.name, action="store_const", const=True, help=flag.help)
        group.add_argument(
            flag.metavar,
            dest=yes.dest,
            action="store_const",
            const=False,
            help=f"the opposite of {flag.name}",
        )
    else:
        group.add_argument(
            flag.name,
            type=reader(flag.name.removeprefix("--"), flag.kind),
            metavar=flag.metavar,
            default=default,
            help=help_,
        )


def reader(name: str, kind: type) -> Callable[[str], Any]:
    """A reader of one flag's text.

    It raises `argparse.ArgumentError`, because of every other exception argparse makes a message
    of its own.
    """
    expected = {int: "a whole number", float: "a number", Distribution: SYNTAX}[kind]

    def read(text: str) -> Any:  # noqa: ANN401 - of the type `kind`
        try:
            return Distribution.parse(text) if kind is Distribution else kind(text)
        except ExperimentError as error:
            raise argparse.ArgumentError(None, f"{name}: {error}") from None
        except ValueError:
            raise argparse.ArgumentError(
                None, f"{name} is {reprlib.repr(text)}; expected {expected}"
            ) from None

    return read


def dest(flag: Flag) -> str:
    """The attribute that its value is put into."""
    return flag.name.removeprefix("--").replace("-", "_")
