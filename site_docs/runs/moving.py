"""The runs that pages let move: a short prediction of a shown experiment, and its telling moment.

The same requests as in the whole experiment, but only the first of them: a page loads all of a
picture's run. Its chart shows the moment at which the picture begins.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from sim.analysis.picture import picture
from sim.analysis.visits import Occupancy, occupancies, visits
from sim.errors import ExperimentError
from sim.model.simulation import predict
from sim.run import Run
from site_docs.runs.build_cache import cached_on_disk
from site_docs.runs.page_experiments import by_name

#: Requests of a picture: five seconds of 56 a second.
REQUESTS = 280

#: s before the telling moment at which a picture begins: time to see how it comes about.
LEAD = 0.25

#: s within which a request that an idle thread can run gets there.
HANDED_OVER = 0.005

#: Decimals of the times that a page loads: microseconds.
DECIMALS = 6

#: Experiments that pages let move.
NAMES = ("gthread-1x4", "gthread-2x2", "gthread-4x1", "gthread-2x2-worker-connections")


@dataclass(frozen=True, slots=True)
class Moving:
    """A run that a page lets move.

    Attributes:
        run: predicted.
        moment: at which the most requests wait that an idle thread could run; where none could, at
            which the most wait. In s.
    """

    run: Run
    moment: float

    def at_moment(self) -> tuple[Run, float]:
        """The run, and the moment."""
        return self.run, self.moment

    def document(self) -> dict[str, Any]:
        """What the page loads."""
        document: dict[str, Any] = _rounded(picture(self.run))
        return document | {"at": round(max(0.0, self.moment - LEAD), 3)}


@cached_on_disk
def moving(name: str) -> Moving:
    """The run of that name.

    Raises:
        ExperimentError: when pages do not let it move.
    """
    if name not in NAMES:
        raise ExperimentError(f"{name!r} does not move; expected one of {', '.join(NAMES)}")
    experiment = by_name()[name].experiment()
    traffic = replace(experiment.traffic, requests=REQUESTS)
    run = predict(replace(experiment, traffic=traffic))
    return Moving(run, telling_moment(run))


def telling_moment(run: Run) -> float:
    """See `Moving`; the middle of the time for which it lasts."""
    threads = int(run.experiment["server"]["threads"])
    workers = range(1, int(run.experiment["server"]["workers"]) + 1)
    states = list(occupancies(visits(run)))

    def rank(place: int) -> tuple[int, int, float]:
        state = states[place]
        lasts = states[place + 1].time - state.time if place + 1 < len(states) else 0.0
        if lasts < HANDED_OVER:
            return 0, 0, 0.0
        waits = state.accept_queue + sum(state.waiting.values())
        return _stranded(state, threads, workers), waits, lasts

    place = max(range(len(states)), key=rank)
    after = states[place + 1] if place + 1 < len(states) else states[place]
    return (states[place].time + after.time) / 2


def _stranded(state: Occupancy, threads: int, workers: range) -> int:
    """Requests in the queue of a worker that idle threads of the others could run."""
    idle = {worker: threads - state.busy.get(worker, 0) for worker in workers}
    return sum(
        min(waiting, sum(free for other, free in idle.items() if other != worker))
        for worker, waiting in state.waiting.items()
    )


def _rounded(value: Any) -> Any:  # noqa: ANN401 - plain values
    if isinstance(value, float):
        return round(value, DECIMALS)
    if isinstance(value, list):
        return [_rounded(item) for item in value]
    if isinstance(value, dict):
        return {key: _rounded(item) for key, item in value.items()}
    return value
