"""What a search for a configuration is asked, and how one configuration does."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import count, takewhile

from sim.analysis.overload import load_of
from sim.experiment import Experiment
from sim.experiment.disturbance import Rate
from sim.study.candidates import Candidate
from sim.study.floor import Floor
from sim.study.objective import Objective
from sim.study.observation import Observation
from sim.study.parameter import Point
from sim.study.sequential import Verdict, judge
from sim.study.trial import Known, Trial


@dataclass(frozen=True, slots=True)
class Limits:
    """Limits of the candidates.

    Attributes:
        cores: processors of the host.
        workers: most worker processes.
        threads: most threads of one worker.
        memory: bytes; None without a limit.
    """

    cores: int
    workers: int
    threads: int
    memory: float | None


@dataclass(frozen=True, slots=True)
class Question:
    """A question: candidates, objectives and limits.

    Attributes:
        base: host, traffic and everything of the server that is not searched.
        objectives: all of them are to be met.
        candidates: the smallest first, at least one.
        limits: that they were kept within.
        stages: replications of each stage; see `sim.study.sequential`.
        floored: objectives that no server can meet; see `sim.study.floor`.
        present: the configuration that there is now; None where nobody said.
    """

    base: Experiment
    objectives: tuple[Objective, ...]
    candidates: tuple[Candidate, ...]
    limits: Limits
    stages: tuple[int, ...]
    floored: tuple[Floor, ...] = ()
    present: Candidate | None = None


@dataclass(frozen=True, slots=True)
class Judged:
    """Observations at one point, and their verdict.

    Attributes:
        point: around the question's base.
        verdict: on the objectives.
        observations: that the verdict rests on, by replication.
        overload: why it cannot keep up whatever the sample says, in sentences; it was not tried
            then.
    """

    point: Point
    verdict: Verdict
    observations: tuple[Observation, ...]
    overload: tuple[str, ...] = ()


def judged(
    question: Question, point: Point, known: Known, stages: Sequence[int] | None = None
) -> Judged:
    """How the question's base does at ``point``, as far as it is known."""
    reasons = overload(question.base, point) if _has_rate(question.base) else ()
    if reasons:
        return Judged(point, Verdict("fails", 0, 0, 0.0), (), reasons)
    observed = tuple(observations(point, known))
    verdict = judge(observed, question.objectives, stages or question.stages)
    return Judged(point, verdict, observed[: verdict.replications])


def trials(judgements: Sequence[Judged]) -> list[Trial]:
    """What brings each of them to its next stage; nothing for those that are decided.

    All first replications come first, so that an interruption leaves something on all of them.
    """
    wanted = [
        Trial(one.point, replication)
        for one in judgements
        if one.verdict.decision is None
        for replication in range(one.verdict.replications, one.verdict.needed)
    ]
    return sorted(wanted, key=lambda trial: trial.replication)


def observations(point: Point, known: Known) -> list[Observation]:
    """What is known of replications 0, 1, ... at ``point``, without a gap."""
    each = (known.get(Trial(point, replication)) for replication in count())
    return [
        observation
        for observation in takewhile(lambda one: one is not None, each)
        if observation is not None
    ]


def excess(question: Question, one: Judged) -> float:
    """How far it is from the objectives: largest measure / limit; infinite if not known.

    A lost request more than there may be is worse than any latency below twice the limit.
    """
    if not one.observations:
        return float("inf")
    worst = 0.0
    for objective in question.objectives:
        values = [objective.of(observation) for observation in one.observations]
        mean = sum(values) / len(values)
        if objective.is_lost:
            worst = max(worst, 2 + mean if mean > objective.limit else 0.0)
        else:
            worst = max(worst, mean / objective.limit)
    return worst


def overload(base: Experiment, point: Point) -> tuple[str, ...]:
    """Why an open loop that lasts asks for more than the whole server has, in sentences."""
    values, traffic = dict(point), base.traffic
    rate = float(values.get("rate", traffic.rate))
    return load_of(
        {
            "server": {
                name: values.get(name, getattr(base.server, name))
                for name in ("worker_class", "workers", "threads", "worker_connections")
            },
            "host": {
                "cores": values.get("cores", base.host.cores),
                "cpu_limit": values.get("cpu_limit", base.host.cpu_limit),
            },
        },
        rate * (traffic.mean_io + traffic.mean_cpu),
        rate * traffic.mean_cpu,
        {1: 1.0},  # One queue for all: the most that they can do.
    ).reasons


def _has_rate(base: Experiment) -> bool:
    """Whether the requests come at one rate for as long as they come."""
    return base.traffic.arrivals in ("poisson", "constant") and not any(
        isinstance(disturbance, Rate) for disturbance in base.disturbances
    )
