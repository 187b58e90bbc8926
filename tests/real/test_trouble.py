"""Holds what the model says of trouble against the real server, on the very same requests.

Every scenario is predicted with other seeds of the server's randomness and with costs drawn from
this hour's calibration, and measured once. A rank test judges all of a run together: how many
requests end in each way, whether at moments at which the model has such ends, when each process
event comes, which processes are left and when capacity is back. A time may be off by the model's
own error of 100 ms or 10 %, whichever is larger. `rank_test` states the rate of false alarms.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import partial

import pytest
from looks import RUNS, Exhibit, Looks
from trouble_looks import AT, criteria

from sim.experiment import Experiment, LaunchDarkly, Server, Traffic
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
from sim.run import Run

GTHREAD = Server(workers=2, threads=2, worker_class="gthread", preload_app=True)
SYNC = Server(workers=2, preload_app=True)
FLAGS = LaunchDarkly(enabled=True, latency=0.2)


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
        Scenario(
            "a pod's stop",
            GTHREAD,
            (
                LONG,
                _master("TERM"),
                Rate(at=1.8, rate=0.0),
                Signal(at=2.5, signal="KILL", to="all"),
            ),
        ),
        Scenario(
            "a pod's stop after its preStop hook",
            BRIEF,
            (LONG, Rate(at=0.8, rate=0.0), _master("TERM")),
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


EXHIBIT = Exhibit(
    RUNS,
    {name: scenario.experiment() for name, scenario in SCENARIOS.items()},
    lambda name: partial(criteria, SCENARIOS[name].experiment()),
    calibrated=True,
)


@pytest.mark.parametrize("name", SCENARIOS)
def test_trouble_is_as_predicted(name: str, looks: Looks[Run]) -> None:
    assert looks.differs(name) is None
