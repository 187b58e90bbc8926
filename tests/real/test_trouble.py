"""Holds what the model says of trouble against the real server, on the very same requests.

Every scenario is predicted several times, with other chances of the server and the costs that the
machine has in this hour, and measured once.
Each measured outcome must be one that the model has for a request of that moment, and each
process event must come when the model says: within 100 ms or 10 %, whichever is larger.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from random import Random

import pytest
from host_costs import HostCosts
from looks import Looks, looks_at

from sim.analysis.recovery import recoveries
from sim.experiment import Experiment, LaunchDarkly, Server, Traffic
from sim.experiment.costs import Costs
from sim.experiment.distribution import Distribution
from sim.experiment.disturbance import (
    BootError,
    Crash,
    Disturbance,
    FlagService,
    Hang,
    Rate,
    Signal,
)
from sim.model.simulation import predict
from sim.run import Request, Run

#: With 24 of them one real run of 12 has its time outside of theirs by chance alone, and a scenario
#: has several such times; each costs a second look.
VARIANTS = 60

#: By how much the steps of a process's life are quicker or slower from one time to the next: six
#: calibrations within half an hour had reloads from 0.5, and kills to 1.6 times their medians.
PACES = (0.5, 1.6)
LIFE = ("import_app", "fork", "boot", "postfork", "finalize", "kill", "reload", "reexec")

#: The same of the steps of a request, all together: single ones had 0.7 to 1.3 times their
#: medians in eleven measurements within 75 minutes. What is next depends on them: a worker that is
#: free a moment later takes another request, and a trap springs half a request's time later.
STEP_PACES = (0.7, 1.3)
STEPS = (
    *("connect", "send", "accept", "request", "first_request"),
    *("respond", "receive", "finish", "sync_finish", "linger"),
)

#: Servers that are measured at the same time: they sleep more than they compute.
AT_ONCE = 3

#: s by which prediction and measurement may differ, or `RELATIVE` of the time since the trouble.
ABSOLUTE = 0.1
RELATIVE = 0.1

GTHREAD = Server(workers=2, threads=2, worker_class="gthread", preload_app=True)
SYNC = Server(workers=2, preload_app=True)
FLAGS = LaunchDarkly(enabled=True, latency=0.2)

#: Requests that may end as the model has for none of that moment: a kill meets whoever runs in
#: that millisecond.
AT_THE_EDGE = 2

#: When trouble begins, s.
AT = 1.0


@dataclass(frozen=True)
class Scenario:
    """Something that goes wrong."""

    name: str
    server: Server
    disturbances: tuple[Disturbance, ...]
    duration: float = 3.0
    rate: float = 40.0
    launchdarkly: LaunchDarkly = field(default_factory=LaunchDarkly)
    drain: float = 2.0
    timeout: float | None = None
    retries: int = 0
    connection: str = "new"
    slow: Mapping[str, str] = field(default_factory=dict)
    reads_body: bool = True

    def experiment(self) -> Experiment:
        """The scenario as an experiment of one replication."""
        return Experiment(
            server=self.server,
            traffic=Traffic(
                rate=self.rate,
                duration=self.duration,
                io=Distribution("exp", (0.05,)),
                drain=self.drain,
                timeout=self.timeout,
                retries=self.retries,
                connection=self.connection,  # type: ignore[arg-type]
                reads_body=self.reads_body,
                **{part: Distribution.parse(text) for part, text in self.slow.items()},  # type: ignore[arg-type]
            ),
            launchdarkly=self.launchdarkly,
            disturbances=self.disturbances,
            seed=3,
            replications=1,
        )


def _master(signal: str, at: float = AT) -> Signal:
    return Signal(at=at, signal=signal, to="master")


#: A request that is in the way of a graceful end of 1 s: it begins early, and takes 4 s longer.
LONG = Hang(at=0.4, worker=1, seconds=4.0)
BRIEF = replace(GTHREAD, graceful_timeout=1)

#: Workers that are soon killed, and what some clients take, s. Their scenarios have rates at which
#: no heartbeat is just as old as `timeout` when the master looks.
IMPATIENT = replace(SYNC, timeout=1)
SOMETIMES = "bimodal:0.8,0,4"

SCENARIOS = {
    scenario.name: scenario
    for scenario in (
        Scenario("worker killed", GTHREAD, (Signal(at=AT, signal="KILL"),)),
        Scenario("sync worker killed", SYNC, (Signal(at=AT, signal="KILL"),), rate=25.0),
        Scenario(
            "worker killed, kept connections",
            GTHREAD,
            (Signal(at=AT, signal="KILL"),),
            connection="keepalive",
        ),
        Scenario(
            "worker killed, a socket each",
            replace(GTHREAD, reuse_port=True),
            (Signal(at=AT, signal="KILL"),),
        ),
        Scenario(
            "worker killed, flags near",
            GTHREAD,
            (Signal(at=AT, signal="KILL"),),
            launchdarkly=FLAGS,
        ),
        Scenario(
            "worker killed, flags unreachable",
            GTHREAD,
            (FlagService(at=0.5, reachable=False), Signal(at=AT, signal="KILL")),
            launchdarkly=replace(FLAGS, start_wait=1.5),
            duration=4.0,
        ),
        Scenario("a request crashes its worker", GTHREAD, (Crash(at=AT),)),
        Scenario("one thread hangs", GTHREAD, (Hang(at=AT, threads=1),)),
        Scenario(
            "a worker hangs, and is never killed",
            replace(GTHREAD, timeout=1),
            (Hang(at=AT, threads=2),),
            duration=4.0,
        ),
        Scenario(
            "all threads hang",
            replace(GTHREAD, timeout=1),
            (Hang(at=AT, threads=2), Hang(at=AT, worker=2, threads=2)),
        ),
        Scenario(
            "all threads hang, and clients try again",
            GTHREAD,
            (Hang(at=AT, threads=2, seconds=2), Hang(at=AT, worker=2, threads=2, seconds=2)),
            duration=4.0,
            timeout=0.5,
            retries=1,
        ),
        Scenario("a sync worker hangs past timeout", replace(SYNC, timeout=1), (Hang(at=AT),), 4.0),
        Scenario(
            "a worker hangs in post_fork, and is never killed",
            replace(GTHREAD, timeout=1),
            (FlagService(at=0.5, reachable=False), Signal(at=AT, signal="KILL")),
            launchdarkly=replace(FLAGS, start_wait=3.5),
            duration=5.0,
        ),
        Scenario("reload", GTHREAD, (_master("HUP"),)),
        Scenario("reload with a long request", BRIEF, (LONG, _master("HUP")), 5.0),
        Scenario(
            "sync reload with a long request",
            replace(SYNC, graceful_timeout=1),
            (LONG, _master("HUP")),
            5.5,
            rate=15.0,
        ),
        Scenario(
            "reload with kept connections", GTHREAD, (_master("HUP"),), 4.0, connection="keepalive"
        ),
        Scenario("scale up", GTHREAD, (_master("TTIN"),)),
        Scenario("scale down", GTHREAD, (_master("TTOU"),)),
        Scenario("scale down with a long request", BRIEF, (LONG, _master("TTOU")), 5.0),
        Scenario("stop", GTHREAD, (_master("TERM"),)),
        Scenario("stop with a long request", BRIEF, (LONG, _master("TERM"))),
        Scenario(
            "stop sync with a long request",
            replace(SYNC, graceful_timeout=1),
            (LONG, _master("TERM")),
        ),
        Scenario("quit", GTHREAD, (_master("QUIT"),)),
        Scenario("max_requests", replace(GTHREAD, max_requests=25), ()),
        Scenario("max_requests of sync", replace(SYNC, max_requests=20), (), rate=25.0),
        Scenario("broken release", GTHREAD, (BootError(at=0.5), _master("HUP"))),
        Scenario("master killed", GTHREAD, (_master("KILL"),)),
        Scenario("sync master killed", SYNC, (_master("KILL"),), rate=15.0),
        Scenario(
            "worker stopped and going on",
            GTHREAD,
            (Signal(at=AT, signal="STOP"), Signal(at=2.0, signal="CONT")),
        ),
        Scenario(
            "worker stopped for longer than timeout",
            replace(GTHREAD, timeout=1),
            (Signal(at=AT, signal="STOP"),),
            duration=4.5,
        ),
        Scenario("worker aborted", GTHREAD, (Signal(at=AT, signal="ABRT"),)),
        Scenario("upgrade", GTHREAD, (_master("USR2"), _master("TERM", at=2.5)), 4.5),
        Scenario(
            "slow clients take threads", GTHREAD, (), rate=12.0, slow={"first_byte": "const:0.5"}
        ),
        Scenario(
            "slow clients take sync workers", SYNC, (), rate=5.0, slow={"first_byte": "const:0.3"}
        ),
        Scenario(
            "clients slower than a thread waits",
            GTHREAD,
            (Signal(at=6.5, signal="CONT"),),
            1.0,
            rate=6.0,
            slow={"first_byte": "const:6"},
        ),
        Scenario(
            "clients slower than anybody waits",
            GTHREAD,
            (Signal(at=6.5, signal="CONT"),),
            1.0,
            rate=3.0,
            slow={"first_byte": "const:9"},
            drain=10.0,
        ),
        Scenario(
            "a client that sends nothing to a sync worker",
            IMPATIENT,
            (),
            rate=2.0,
            slow={"first_byte": SOMETIMES},
            drain=4.5,
        ),
        Scenario(
            "a body that takes longer than timeout, and is read",
            IMPATIENT,
            (),
            rate=4.0,
            slow={"body": SOMETIMES},
            drain=4.5,
        ),
        Scenario(
            "a body that takes longer than timeout, and is not read",
            replace(GTHREAD, workers=1, timeout=1),
            (),
            rate=5.0,
            slow={"body": SOMETIMES},
            reads_body=False,
            drain=4.5,
        ),
        Scenario(
            "a body that takes longer than timeout, and threads",
            replace(GTHREAD, timeout=1),
            (),
            rate=4.0,
            slow={"body": SOMETIMES},
            drain=4.5,
        ),
        Scenario(
            "a client that reads for longer than timeout",
            IMPATIENT,
            (),
            rate=3.0,
            slow={"read": SOMETIMES},
            drain=4.5,
        ),
        Scenario("quit sync with a long request", SYNC, (LONG, _master("QUIT")), rate=15.0),
        Scenario("twice the traffic", GTHREAD, (Rate(at=AT, rate=60.0),)),
    )
}


def _predict(name: str, experiment: Experiment, costs: Costs) -> list[Run]:
    """A scenario's predictions, one for each variant of the server's chances."""
    paces = Random(name)
    runs = []
    for variant in range(VARIANTS):
        life = {step: getattr(costs, step) * paces.uniform(*PACES) for step in LIFE}
        pace = paces.uniform(*STEP_PACES)
        steps = {step: getattr(costs, step) * pace for step in STEPS}
        asked = replace(experiment, costs=replace(costs, **life, **steps))
        runs.append(predict(asked, 0, variant))
    return runs


@pytest.fixture(scope="module")
def looks(host_costs: HostCosts) -> Iterator[Looks]:
    """The looks of this session."""
    experiments = {name: scenario.experiment() for name, scenario in SCENARIOS.items()}
    with looks_at(experiments, _predict, AT_ONCE, host_costs) as looks:
        yield looks


def slack(time: float) -> float:
    """By how much a time may be off, s."""
    return max(ABSOLUTE, RELATIVE * abs(time - AT))


def times_by_kind(run: Run) -> dict[str, list[float]]:
    """When each kind of process event came during the run, whichever worker it was."""
    times: defaultdict[str, list[float]] = defaultdict(list)
    for event in run.events:
        if event.time >= 0:
            times[event.kind].append(event.time)
    return times


def neighbours(runs: Iterable[Run], row: int, arrival: float) -> Iterator[Request]:
    """What the model has for this request, and for those that arrive within `ABSOLUTE` of it."""
    for run in runs:
        rows = run.requests
        first = last = row
        while first > 0 and rows.arrival[first - 1] > arrival - ABSOLUTE:
            first -= 1
        while last + 1 < len(rows) and rows.arrival[last + 1] < arrival + ABSOLUTE:
            last += 1
        yield from (rows[number] for number in range(first, last + 1))


def _outcomes_are_off(name: str, predictions: list[Run], measured: Run) -> str | None:
    surprises = []
    for number, request in enumerate(measured.requests):
        expected = {row.outcome for row in neighbours(predictions, number, request.arrival)}
        if request.outcome not in expected:
            surprises.append((round(request.arrival, 3), request.outcome, sorted(expected)))
    if len(surprises) > AT_THE_EDGE:
        return f"outcomes that the model does not have: {surprises}"
    counts = [Counter(row.outcome for row in run.requests) for run in predictions]
    found = Counter(row.outcome for row in measured.requests)
    # As many again as arrive within the slack of a moment at which outcomes change.
    margin = 2 + ABSOLUTE * SCENARIOS[name].rate
    for outcome in {outcome for count in (*counts, found) for outcome in count}:
        least = min(count[outcome] for count in counts)
        most = max(count[outcome] for count in counts)
        if not least - margin <= found[outcome] <= most + margin:
            return f"{found[outcome]} of {outcome}, predicted {least} to {most}"
    return None


def _events_are_off(_: str, predictions: list[Run], run: Run) -> str | None:
    measured = times_by_kind(run)
    predicted = [times_by_kind(run) for run in predictions]
    if unknown := set(measured) - {kind for run in predicted for kind in run}:
        return f"events that the model does not have: {sorted(unknown)}"
    if missing := set.intersection(*(set(run) for run in predicted)) - set(measured):
        return f"events that did not come: {sorted(missing)}"
    for kind, times in measured.items():
        chances = [run[kind] for run in predicted if len(run[kind]) == len(times)]
        if not chances:
            return f"{len(times)} of {kind!r}"
        for number, time in enumerate(times):
            low = min(run[number] for run in chances)
            high = max(run[number] for run in chances)
            if not low - slack(low) <= time <= high + slack(high):
                return f"{kind!r} at {time:.3f}, predicted {low:.3f} to {high:.3f}"
    return None


def _census_is_off(name: str, predictions: list[Run], run: Run) -> str | None:
    server, predicted = SCENARIOS[name].server, [run.census for run in predictions]
    if len(run.census) not in {len(census) for census in predicted}:
        return f"{len(run.census)} workers live"
    most = max((row.threads for census in predicted for row in census), default=0)
    # A pool starts a thread when it needs one, so one that has just booted may have none yet.
    least = most - (server.threads if server.worker_class == "gthread" else 0)
    connections = {row.flag_connections for census in predicted for row in census}
    for row in run.census:
        if not least <= row.threads <= most or row.flag_connections not in connections:
            return f"{row}, predicted {least} to {most} threads, {sorted(connections)} connections"
    return None


def _recovery_is_off(_: str, predictions: list[Run], run: Run) -> str | None:
    chances = [recoveries(variant) for variant in predictions]
    for number, row in enumerate(recoveries(run)):
        predicted = [chance[number].capacity_restored_after_s for chance in chances]
        found = row.capacity_restored_after_s
        if found is None or None in predicted:
            if found not in predicted:
                return f"capacity after {row.what!r}: {found}, predicted {predicted}"
            continue
        times = [time for time in predicted if time is not None]
        allowed = max(ABSOLUTE, RELATIVE * found)
        if not min(times) - allowed <= found <= max(times) + allowed:
            return f"capacity after {row.what!r}: {found:.3f} s, predicted {sorted(times)}"
    return None


@pytest.mark.parametrize(
    "look", [_outcomes_are_off, _events_are_off, _census_is_off, _recovery_is_off]
)
@pytest.mark.parametrize("name", SCENARIOS)
def test_trouble_is_as_predicted(
    name: str, look: Callable[[str, list[Run], Run], str | None], looks: Looks
) -> None:
    assert looks.differs(name, partial(look, name)) is None
