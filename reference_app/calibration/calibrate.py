"""Measures what the model needs to know of this machine and of an application, step by step."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from statistics import median

from reference_app.calibration.life import life_costs
from reference_app.calibration.requests import Demand, application_costs, request_costs
from reference_app.calibration.shares import WORKERS, accept_shares
from reference_app.server import Application

#: Times that everything is measured but the shares; the middle counts.
ROUNDS = 3

#: Called with what is measured next, and how much is done, from 0 to 1.
Tell = Callable[[str, float], None]


@dataclass(frozen=True, slots=True)
class Calibration:
    """What was measured.

    Attributes:
        costs: fields of `Costs`, by name, s.
        spread: the least and the most of each over the rounds, s.
        shares: of the accepts by boot order, by number of gthread workers.
        demand: of the application's own code; None where that is our service's, which does what it
            is asked to.
    """

    costs: Mapping[str, float]
    spread: Mapping[str, tuple[float, float]]
    shares: Mapping[int, tuple[float, ...]]
    demand: Demand | None = None


@dataclass(slots=True)
class _Rounds:
    """Values by name, one for each round."""

    values: dict[str, list[float]] = field(default_factory=dict)

    def add(self, costs: Mapping[str, float]) -> None:
        for name, value in costs.items():
            self.values.setdefault(name, []).append(value)


def calibrate(application: Application | None, path: str, tell: Tell) -> Calibration:
    """Measure for about a minute and a half.

    Args:
        application: whose import, handling and end to measure; our service, if None. What is the
            client's and the kernel's is measured with our service in any case.
        path: to ask the application for; ours has its own.
        tell: told of each step.

    Raises:
        ExperimentError: when the application does not boot or answer.
    """
    rounds, demands = _Rounds(), []
    steps = ROUNDS * (2 if application is None else 3) + len(WORKERS)
    done = 0

    def step(what: str) -> None:
        nonlocal done
        tell(what, done / steps)
        done += 1

    for number in range(1, ROUNDS + 1):
        step(f"boots, signals and ends, round {number} of {ROUNDS}")
        # Somebody else's application may start a LaunchDarkly client; we cannot know its flags.
        rounds.add(life_costs(application, launchdarkly=application is None))
        step(f"the steps of a request, round {number} of {ROUNDS}")
        of_requests = request_costs()
        if application is not None:
            step(f"requests to {application.target}, round {number} of {ROUNDS}")
            theirs, demand = application_costs(application, path)
            of_requests |= theirs
            demands.append(demand)
        rounds.add(of_requests)
    shares = {}
    for workers in WORKERS:
        step(f"who of {workers} workers accepts")
        shares[workers] = accept_shares(workers)
    tell("done", 1.0)
    return Calibration(
        {name: median(values) for name, values in rounds.values.items()},
        {name: (min(values), max(values)) for name, values in rounds.values.items()},
        shares,
        Demand(median(d.cpu for d in demands), median(d.io for d in demands)) if demands else None,
    )
