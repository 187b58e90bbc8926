"""How many requests the model simulates per CPU second, beside other simulators and in itself.

::

    python tests/benchmarks/benchmark.py [--requests 200000]

The README.md beside this file says what is measured, and how.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import math
import os
import platform
import resource
import signal
import subprocess
import sys
import time
from collections import deque
from collections.abc import Callable, Generator
from heapq import heappop, heappush
from importlib import import_module
from importlib.metadata import version
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

import simpy
from rich.box import MARKDOWN
from rich.console import Console
from rich.table import Table
from scaling import AXES, experiment_at  # in no package, beside this file

from reference_app.rig.processor import processor
from sim import compiled
from sim.analysis.theory import mmc_mean_sojourn
from sim.command import INTERRUPTED
from sim.errors import ExperimentError
from sim.experiment import Experiment, LaunchDarkly, Server, Traffic
from sim.experiment.distribution import Distribution
from sim.model.engine.heap import COMPILED as IS_COMPILED
from sim.model.simulation import predict
from sim.reading.one_line_parser import OneLineParser
from sim.run import Requests
from sim.run.arrivals import schedule
from sim.study.executors import cores

#: Rounds of the first table, of whole processes, and of the second table.
ROUNDS, PROCESS_ROUNDS, SCALING_ROUNDS = 3, 5, 2

#: What can be printed by itself.
TABLES = ("simulators", "processes", "axes")

#: How often a point of an axis and the first of it are run by turns in a round.
TURNS = 3
RATE = 50.0  # requests / s
SERVICE = 0.05  # mean s of a request
SERVERS = 4  # of the textbook's queue; ours has 2 workers x 2 threads


def experiment_of(requests: int) -> Experiment:
    """The experiment that every contender simulates, each as far as it can.

    Raises:
        ExperimentError: when ``requests`` is out of range.
    """
    return Experiment(
        server=Server(worker_class="gthread", workers=2, threads=2),
        traffic=Traffic(rate=RATE, requests=requests, io=Distribution("exp", (SERVICE,))),
        launchdarkly=LaunchDarkly(enabled=True),
    )


def ours(experiment: Experiment) -> float:
    """Gunicorn, as `sim.model` has it, with every cost at its default; it is compiled, or not."""
    return mean_response(predict(experiment).requests)


def textbook_simpy(experiment: Experiment) -> float:
    """One queue, as SimPy's documentation teaches it: a process a request, and a resource."""
    rows = schedule(experiment, 0)
    environment = simpy.Environment()
    servers = simpy.Resource(environment, experiment.server.concurrency)

    def request(row: int) -> Generator[simpy.Event, object, None]:
        with servers.request() as turn:
            yield turn
            rows.started[row] = environment.now
            yield environment.timeout(rows.io[row])
            rows.finished[row] = environment.now

    def arrivals() -> Generator[simpy.Event, object, None]:
        for row, arrival in enumerate(rows.arrival):
            yield environment.timeout(arrival - environment.now)
            environment.process(request(row))

    environment.process(arrivals())
    environment.run()
    return mean_response(rows)


def bare_heap(experiment: Experiment) -> float:
    """One queue as a loop over a heap of events, without an engine: the floor for Python."""
    rows = schedule(experiment, 0)
    arrival, started, finished, service = rows.arrival, rows.started, rows.finished, rows.io
    last = len(rows) - 1
    waiting: deque[int] = deque()
    free = experiment.server.concurrency
    # An event is (time, row, whether the row arrives); it leaves otherwise.
    events = [(arrival[0], 0, True)]
    while events:
        now, row, arrives = heappop(events)
        if arrives:
            waiting.append(row)
            if row < last:
                heappush(events, (arrival[row + 1], row + 1, True))
        else:
            finished[row] = now
            free += 1
        if free and waiting:
            first = waiting.popleft()
            free -= 1
            started[first] = now
            heappush(events, (now + service[first], first, False))
    return mean_response(rows)


def ciw(experiment: Experiment) -> float:
    """M/M/4 in Ciw, with Ciw's own random numbers and records."""
    library: Any = import_module("ciw")  # it brings no types
    library.seed(experiment.seed)
    network = library.create_network(
        arrival_distributions=[library.dists.Exponential(rate=RATE)],
        service_distributions=[library.dists.Exponential(rate=1 / SERVICE)],
        number_of_servers=[SERVERS],
    )
    simulation = library.Simulation(network)
    simulation.simulate_until_max_customers(experiment.traffic.requests, method="Finish")
    responses = [record.exit_date - record.arrival_date for record in simulation.get_all_records()]
    return math.fsum(responses) / len(responses)


def salabim(experiment: Experiment) -> float:
    """M/M/4 in salabim, in its form with ``yield``, which needs no package besides."""
    library: Any = import_module("salabim")  # it brings no types
    rows = schedule(experiment, 0)
    environment = library.Environment(yieldless=False)
    servers = library.Resource(capacity=SERVERS)

    class Customer(library.Component):  # type: ignore[misc]
        def process(self, row: int) -> Generator[object, None, None]:
            yield self.request(servers)
            rows.started[row] = environment.now()
            yield self.hold(rows.io[row])
            rows.finished[row] = environment.now()

    class Arrivals(library.Component):  # type: ignore[misc]
        def process(self) -> Generator[object, None, None]:
            for row, arrival in enumerate(rows.arrival):
                yield self.hold(till=arrival)
                Customer(row=row)

    Arrivals()
    environment.run()
    return mean_response(rows)


def mean_response(rows: Requests) -> float:
    """Mean s from a request's arrival until it is finished."""
    return (math.fsum(rows.finished) - math.fsum(rows.arrival)) / len(rows)


OURS, INTERPRETED = "ours", "ours, interpreted"

SIMPY, HEAP = "SimPy M/M/4", "heap M/M/4"

CONTENDERS: dict[str, Callable[[Experiment], float]] = {
    OURS: ours,
    INTERPRETED: ours,
    SIMPY: textbook_simpy,
    HEAP: bare_heap,
    "Ciw M/M/4": ciw,
    "salabim M/M/4": salabim,
}

#: What grows with the experiment too, and what the table calls it: as many servers as threads.
GROWING = {
    OURS: "ours",
    INTERPRETED: "interpreted",
    SIMPY: "SimPy, one queue",
    HEAP: "heap, one queue",
}

#: Requests of the others for one of these, which would take minutes.
SHORTER = {"Ciw M/M/4": 4, "salabim M/M/4": 40}

#: The packages of contenders that need not be there.
OPTIONAL = {"Ciw M/M/4": "ciw", "salabim M/M/4": "salabim"}


class Timing(NamedTuple):
    """One contender, once.

    Attributes:
        rate: requests simulated per CPU s, from drawing the traffic to the mean response.
        response: mean response time that it found, s.
    """

    rate: float
    response: float


def time_here(contender: str, requests: int) -> Timing:
    """Run a contender in this process, which should not have run another.

    Raises:
        ExperimentError: when ``requests`` is out of range, or the model is not the contender's.
    """
    _expect_model(contender)
    requests = max(1, requests // SHORTER.get(contender, 1))
    experiment = experiment_of(requests)
    if contender in OPTIONAL:
        import_module(OPTIONAL[contender])  # Importing is left out.
    before = time.process_time()
    response = CONTENDERS[contender](experiment)
    return Timing(requests / (time.process_time() - before), response)


def time_points(contender: str, axis: str, value: int) -> list[list[float]]:
    """Run a contender at a point of an axis and at the axis's first, by turns, in this process.

    Returns:
        Of each turn: CPU s of a request at the point, from drawing the traffic to the last row; by
        how much that is more than at the first; and how many requests waited for a thread at the
        point, on average over time, where the contender is ours.

    Raises:
        ExperimentError: when the model is not the contender's.
    """
    _expect_model(contender)
    first, point = experiment_at(axis, AXES[axis][0]), experiment_at(axis, value)
    requests = [len(schedule(each, 0)) for each in (first, point)]
    turns: list[list[float]] = []
    for _ in range(TURNS):
        cost = _time_experiment(contender, first)[0] / requests[0]
        seconds, waiting = _time_experiment(contender, point)
        turns.append([seconds / requests[1], seconds / requests[1] / cost, waiting])
    return turns


def _time_experiment(contender: str, experiment: Experiment) -> tuple[float, float]:
    """CPU s of a run, and how many requests waited, where the contender is ours."""
    before = time.process_time()
    if contender in (OURS, INTERPRETED):
        run = predict(experiment)
        seconds = time.process_time() - before
        return seconds, math.fsum(queue.time_average for queue in run.queues)
    CONTENDERS[contender](experiment)
    return time.process_time() - before, math.nan


def _expect_model(contender: str) -> None:
    if contender in (OURS, INTERPRETED) and (contender == OURS) != IS_COMPILED:
        raise ExperimentError(
            f"the model that Python finds is {'' if IS_COMPILED else 'not '}compiled; expected the "
            f"other for {contender!r}"
        )


def run_apart(*arguments: str, interpreted: bool = False) -> Any:  # noqa: ANN401 - JSON
    """Run this file in a process of its own, where nothing has left the memory in disorder.

    Args:
        arguments: for that process.
        interpreted: whether the model is Python there, though it is compiled here.

    Returns:
        What it prints.

    Raises:
        ExperimentError: when the process fails.
    """
    # In a session of its own it does not see Ctrl-C: `run` kills it when this process does.
    done = subprocess.run(
        [sys.executable, str(Path(__file__).resolve()), *arguments],
        stdout=subprocess.PIPE,
        text=True,
        check=False,
        start_new_session=True,
        env={**os.environ, compiled.INTERPRETED: "1" if interpreted else ""},
    )
    if done.returncode != 0:
        raise ExperimentError(
            f"{' '.join(arguments)} ended with status {done.returncode}; expected 0"
        )
    return json.loads(done.stdout)


def compare(requests: int, contenders: list[str]) -> dict[str, list[Timing]]:
    """Time every contender once in each round, so that a slow moment of the machine hits all.

    Args:
        requests: of each run.
        contenders: those that are there.

    Raises:
        ExperimentError: when a contender fails.
    """
    timings: dict[str, list[Timing]] = {contender: [] for contender in contenders}
    with Console(stderr=True).status("") as status:
        for round_ in range(1, ROUNDS + 1):
            for contender in contenders:
                status.update(f"round {round_} of {ROUNDS}: {contender}")
                numbers = run_apart(
                    *("--contender", contender, "--requests", str(requests)),
                    interpreted=contender == INTERPRETED,
                )
                timings[contender].append(Timing(*numbers))
    # Two programs for one queue and the same requests: a difference is a bug in one of them.
    textbook, floor = timings[SIMPY][0].response, timings[HEAP][0].response
    assert math.isclose(textbook, floor, rel_tol=1e-6), (textbook, floor)
    if OURS in timings:
        assert timings[OURS][0].response == timings[INTERPRETED][0].response
    return timings


def table_of(requests: int, timings: dict[str, list[Timing]]) -> Table:
    """Medians of the rounds, and the range of the ratios."""
    table = Table(
        title=f"{requests} requests, {ROUNDS} interleaved rounds: median (lowest-highest)",
        caption=(
            f"{machine()}\nIn theory the mean response of M/M/{SERVERS} is "
            f"{1e3 * mmc_mean_sojourn(RATE, SERVICE, SERVERS):.2f} ms."
        ),
        caption_justify="left",
        box=MARKDOWN,
    )
    table.add_column("simulator")
    models = [model for model in (OURS, INTERPRETED) if model in timings]
    faster = (f"{model.removeprefix('ours, ')} is faster by" for model in models)
    for heading in ("requests / CPU s", *faster, "mean response, ms"):
        table.add_column(heading, justify="right")
    for contender, rounds in timings.items():
        table.add_row(
            contender,
            f"{median(timing.rate for timing in rounds):,.0f}",
            *(_ratio(timings[model], rounds) for model in models),
            f"{1e3 * rounds[0].response:.2f}",
        )
    return table


def _ratio(ours: list[Timing], others: list[Timing]) -> str:
    ratios = [our.rate / its.rate for its, our in zip(others, ours, strict=True)]
    return f"{median(ratios):.2f} ({min(ratios):.2f}-{max(ratios):.2f})"


def whole_processes(requests: int) -> str:
    """What a whole process costs, from its start to its last line, beside a textbook's.

    Ours is ``python -m sim --json`` with a summary of every request; the other is `textbook`. Both
    find their bytecode cached, as an installed program does after its first run.

    Args:
        requests: of each.

    Raises:
        ExperimentError: when a process fails.
    """
    flags = [
        *("--workers", "2", "--threads", "2", "--worker-class", "gthread", "--launchdarkly"),
        *("--rate", f"{RATE:g}", "--io", f"exp:{SERVICE:g}", "--requests", str(requests)),
        *("--replications", "1", "--json"),
    ]
    textbook = str(Path(__file__).with_name("textbook.py"))
    with TemporaryDirectory(prefix="gunicorn-sim-") as bytecode:
        _cpu_of(["-m", "sim", *flags], bytecode)
        _cpu_of([textbook, "1"], bytecode)
        pairs = [
            (_cpu_of(["-m", "sim", *flags], bytecode), _cpu_of([textbook, str(requests)], bytecode))
            for _ in range(PROCESS_ROUNDS)
        ]
    ratios = [its / our for our, its in pairs]
    ours, theirs = (median(column) for column in zip(*pairs, strict=True))
    return (
        f"Whole processes, {requests} requests: python -m sim --json takes {ours:.2f} s of CPU, "
        f"textbook SimPy {theirs:.2f} s; ours is faster by {median(ratios):.2f} "
        f"({min(ratios):.2f}-{max(ratios):.2f})"
    )


def _cpu_of(arguments: list[str], bytecode: str) -> float:
    """CPU s of a Python process with these ``arguments``, user and system.

    Args:
        arguments: of that process.
        bytecode: directory of the cached bytecode.

    Raises:
        ExperimentError: when the process fails.
    """
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run(
        [sys.executable, *arguments],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        check=False,
        env={
            **os.environ,
            compiled.INTERPRETED: "",
            "PYTHONPYCACHEPREFIX": bytecode,
            "PYTHONDONTWRITEBYTECODE": "",
        },
    )
    if done.returncode != 0:
        raise ExperimentError(
            f"{' '.join(arguments)} ended with status {done.returncode}; expected 0"
        )
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime


def scale(contenders: list[str]) -> Table:
    """What a request costs at every point of every axis; see `scaling`.

    Args:
        contenders: those of `GROWING` that are there.

    Raises:
        ExperimentError: when a run fails.
    """
    points = [(axis, value) for axis, values in AXES.items() for value in values]
    # By contender, axis and value: what `time_points` returns, of all rounds.
    found: dict[tuple[str, str, int], list[list[float]]] = {
        (contender, *point): [] for contender in contenders for point in points
    }
    with Console(stderr=True).status("") as status:
        for round_ in range(1, SCALING_ROUNDS + 1):
            for axis, value in points:
                status.update(f"round {round_} of {SCALING_ROUNDS}: {value} {axis}")
                for contender in contenders:
                    found[contender, axis, value] += run_apart(
                        *("--contender", contender, "--point", axis, str(value)),
                        interpreted=contender == INTERPRETED,
                    )
    table = Table(
        title=(
            f"µs of CPU for a request, the least of {SCALING_ROUNDS * TURNS}; "
            "and how many times the axis's first, the median"
        ),
        box=MARKDOWN,
    )
    table.add_column("axis")
    names = [name for contender in contenders for name in (GROWING[contender], "times")]
    for heading in ("value", *names, "waiting, mean"):
        table.add_column(heading, justify="right")
    for axis, value in points:
        cells: list[str] = []
        for contender in contenders:
            costs, ratios, _ = zip(*found[contender, axis, value], strict=True)
            cells += [f"{1e6 * min(costs):.2f}", f"{median(ratios):.2f}"]
        table.add_row(axis, f"{value:,}", *cells, f"{found[contenders[0], axis, value][0][2]:,.1f}")
    return table


def installed(contender: str) -> bool:
    """Whether the contender's package is there, or the compiled model is."""
    if contender == OURS:
        return IS_COMPILED
    package = OPTIONAL.get(contender)
    return package is None or importlib.util.find_spec(package) is not None


def machine() -> str:
    """The processor and the versions that a number of this benchmark is worth nothing without."""
    python = f"{platform.python_implementation()} {platform.python_version()}"
    packages = ["simpy", *(package for name, package in OPTIONAL.items() if installed(name))]
    libraries = ", ".join(f"{package} {version(package)}" for package in packages)
    return f"{processor()}, {cores()} cores; {python}, {libraries}"


def tables(requests: int, only: str | None) -> None:
    """Print both, and what whole processes cost.

    Args:
        requests: of each run of the first.
        only: one of `TABLES`; None for all.

    Raises:
        ExperimentError: when a contender fails.
    """
    contenders = [name for name in CONTENDERS if installed(name)]
    if only in (None, "simulators"):
        Console().print(table_of(requests, compare(requests, contenders)))
    if only in (None, "processes"):
        Console().print(whole_processes(requests))
    if only in (None, "axes"):
        Console().print(scale([name for name in contenders if name in GROWING]))


def arguments() -> argparse.Namespace:
    """What the command line asks for."""
    parser = OneLineParser(
        description="Compare how many requests several simulators manage per CPU second."
    )
    parser.add_argument(
        "--requests", type=int, default=200_000, metavar="N", help="of each run (%(default)s)"
    )
    parser.add_argument(
        "--only",
        choices=TABLES,
        help="print only the table of simulators, the line on whole processes (a minute and a "
        "quarter of one), or the table of axes (ten minutes)",
    )
    parser.add_argument(
        "--contender",
        choices=CONTENDERS,
        help="run only this one, once, in this process; print [requests / CPU s, mean response s]",
    )
    parser.add_argument(
        "--point",
        nargs=2,
        metavar=("AXIS", "VALUE"),
        help="run only this point with the contender, and the first of its axis, in this process; "
        "print of each turn [CPU s / request, times the first, mean waiting]",
    )
    return parser.parse_args()


def main() -> int:
    """Do what the command line asks, and return the exit status."""
    # As an exception, so that the contender at work ends with this process.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    asked = arguments()
    try:
        if asked.point:
            axis, value = asked.point
            if axis not in AXES or not value.isdecimal() or int(value) < 1:
                raise ExperimentError(
                    f"--point is {axis} {value}; expected one of {', '.join(AXES)}, and a number"
                )
            if asked.contender not in GROWING:
                raise ExperimentError(
                    f"--contender is {asked.contender} at --point; expected one of "
                    f"{', '.join(map(repr, GROWING))}"
                )
            turns = time_points(asked.contender, axis, int(value))
            sys.stdout.write(json.dumps(turns) + "\n")
            return 0
        if asked.contender:
            sys.stdout.write(json.dumps(time_here(asked.contender, asked.requests)) + "\n")
            return 0
        experiment_of(asked.requests)  # refuses a wrong number before anything is started
        tables(asked.requests, asked.only)
        if not IS_COMPILED:
            sys.stderr.write(f"not compiled, left out: {OURS}: python -m sim compile\n")
        if missing := [name for name in OPTIONAL if not installed(name)]:
            left_out = ", ".join(missing)
            sys.stderr.write(f"not installed, left out: {left_out}: pip install -e '.[bench]'\n")
    except ExperimentError as error:
        sys.stderr.write(f"error: {error}\n")
        return 2
    except KeyboardInterrupt:
        return INTERRUPTED
    return 0


if __name__ == "__main__":
    sys.exit(main())
