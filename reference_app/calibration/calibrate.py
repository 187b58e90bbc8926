"""Measures what the model needs to know of this machine and of an application, step by step."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from statistics import fmean

from reference_app.calibration.handover import handover
from reference_app.calibration.life import life_costs
from reference_app.calibration.memory import (
    OUR_SERVERS,
    SERVERS,
    measures_threads,
    memory_costs,
)
from reference_app.calibration.requests import Demand, application_costs, request_costs
from reference_app.calibration.shares import LOADS, accept_shares
from reference_app.rig.server import Application
from sim.experiment.accept_load import Load
from sim.experiment.costs import Costs
from sim.experiment.memory_costs import MemoryCosts
from sim.experiment.release import NEWEST
from sim.experiment.release_defaults import default_costs
from sim.experiment.worker_class import WorkerClass

#: Rounds of everything but the shares and the memory; their mean counts.
ROUNDS = 2

#: Time (s) that a step takes, about.
LIFE_S = 4.0
REQUESTS_S = 12.5
THEIRS_S = 5.0
MEMORY_S = 1.7
SHARES_S = 8.5

#: Reports progress: the present step, the part that is over (0 to 1), and the planned duration (s).
Tell = Callable[[str, float, float], None]


@dataclass(frozen=True, slots=True)
class Calibration:
    """What was measured.

    Attributes:
        costs: fields of `Costs`, by name, s.
        spread: the lowest and the highest round of each, s.
        memory: what the processes take.
        shares: shares of the accepts by boot order, for each load.
        demand: of the application's own code; None where that is our service's, which does what it
            is asked to.
        gunicorn: the release that ran.
        worker_class: that served the requests.
    """

    costs: Mapping[str, float]
    spread: Mapping[str, tuple[float, float]]
    memory: MemoryCosts
    shares: Mapping[Load, tuple[float, ...]]
    demand: Demand | None = None
    gunicorn: str = NEWEST
    worker_class: WorkerClass = "gthread"

    @property
    def measured(self) -> Costs:
        """The costs that were measured; those of the accept race are the defaults."""
        return replace(default_costs(self.gunicorn, self.worker_class), **self.costs)


@dataclass(slots=True)
class _Rounds:
    """Values by name, one for each round."""

    values: dict[str, list[float]] = field(default_factory=dict)

    def add(self, costs: Mapping[str, float]) -> None:
        for name, value in costs.items():
            self.values.setdefault(name, []).append(value)


@dataclass(slots=True)
class _Steps:
    """Reports the present step, and which part of the planned time is over."""

    tell: Tell
    total: float
    over: float = 0.0
    what: str = ""

    def begin(self, what: str) -> None:
        self.what = what
        self.advance(0.0)

    def advance(self, seconds: float) -> None:
        """Count ``seconds`` more of the planned time as over."""
        self.over += seconds
        self.tell(self.what, min(1.0, self.over / self.total), self.total)


def calibrate(
    application: Application | None,
    path: str,
    tell: Tell,
    gunicorn: str = NEWEST,
    worker_class: WorkerClass = "gthread",
) -> Calibration:
    """Measure the costs of a host; it takes little more than a minute.

    Args:
        application: whose import, handling, end and memory to measure; our service, if None. What
            is the client's and the kernel's is measured with our service in any case.
        path: to ask the application for; ours has its own.
        tell: told of each step.
        gunicorn: the release to run. The shares of the accepts are the scheduler's, and measured
            with the newest release that the model knows.
        worker_class: whose steps of a request and of a process's life to measure, and whose memory.
            Shares are measured with ``gthread``.

    Raises:
        ExperimentError: when the application does not boot or answer.
    """
    rounds, demands = _Rounds(), []
    servers = OUR_SERVERS if application is None else SERVERS
    servers -= not measures_threads(worker_class, ours=application is None)
    round_s = LIFE_S + REQUESTS_S + (0.0 if application is None else THEIRS_S)
    steps = _Steps(tell, ROUNDS * round_s + servers * MEMORY_S + len(LOADS) * SHARES_S)
    for number in range(1, ROUNDS + 1):
        steps.begin(f"boots, signals and ends, round {number} of {ROUNDS}")
        # Somebody else's application may start a LaunchDarkly client; we cannot know its flags.
        rounds.add(
            life_costs(
                application,
                launchdarkly=application is None,
                gunicorn=gunicorn,
                worker_class=worker_class,
            )
        )
        steps.advance(LIFE_S)
        steps.begin(f"the steps of a request, round {number} of {ROUNDS}")
        of_requests = request_costs(gunicorn, worker_class) | {"handover": handover()}
        steps.advance(REQUESTS_S)
        if application is not None:
            steps.begin(f"requests to {application.target}, round {number} of {ROUNDS}")
            theirs, demand = application_costs(
                application, path, of_requests, gunicorn, worker_class
            )
            of_requests |= theirs
            demands.append(demand)
            steps.advance(THEIRS_S)
        rounds.add(of_requests)
    steps.begin("what processes and threads take of the memory")
    memory = memory_costs(
        application, path, lambda: steps.advance(MEMORY_S), gunicorn, worker_class
    )
    shares = {}
    for load in LOADS:
        steps.begin(f"which worker accepts: {load}")
        shares[load] = accept_shares(load)
        steps.advance(SHARES_S)
    return Calibration(
        {name: fmean(values) for name, values in rounds.values.items()},
        {name: (min(values), max(values)) for name, values in rounds.values.items()},
        memory,
        shares,
        Demand(fmean(d.cpu for d in demands), fmean(d.io for d in demands)) if demands else None,
        gunicorn,
        worker_class,
    )
