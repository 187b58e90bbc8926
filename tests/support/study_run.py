"""Studies without other processes, for tests."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Executor, Future
from typing import Any

from strategies import FREE

from sim.experiment import Experiment, Host, Server, Traffic
from sim.experiment.distribution import Distribution
from sim.study.candidates import Candidate, candidates
from sim.study.conduct import conduct
from sim.study.floor import floored
from sim.study.objective import complete, parse
from sim.study.parameter import Value
from sim.study.question import Limits, Question
from sim.study.sequential import stages
from sim.study.sizing import plan
from sim.study.trial import Known, submitter


class Here(Executor):
    """Does at once, in this thread, what is submitted."""

    def submit(self, fn: Callable[..., Any], /, *args: object, **kwargs: object) -> Future[Any]:
        """See `concurrent.futures.Executor`."""
        future: Future[Any] = Future()
        future.set_result(fn(*args, **kwargs))
        return future


def free(rate: float, service: str = "exp:0.05", requests: int = 2000) -> Experiment:
    """Requests that wait for ``service`` on a server where nothing else takes time."""
    traffic = Traffic(rate=rate, requests=requests, io=Distribution.parse(service), drain=600.0)
    return Experiment(
        Server(worker_class="gthread"), host=Host(cores=2), traffic=traffic, costs=FREE
    )


def question(
    base: Experiment,
    *objectives: str,
    over: Mapping[str, Sequence[Value]],
    most: int = 24,
    present: Candidate | None = None,
) -> Question:
    """The question for the smallest gthread configuration over some settings."""
    asked = complete(map(parse, objectives))
    chosen: dict[str, Sequence[Value]] = {"worker_class": ("gthread",), "workers": (1,), **over}
    return Question(
        base,
        asked,
        candidates(base, chosen),
        Limits(
            base.host.cores,
            max(map(int, chosen["workers"])),
            max(map(int, chosen["threads"])),
            None,
        ),
        stages(most),
        floored(base, asked),
        present,
    )


def known_of(asked: Question, executor: Executor | None = None) -> Known:
    """Everything that the question's plan asks for."""
    known: Known = {}
    submit = submitter(executor or Here(), asked.base)
    for _ in conduct(lambda so_far: plan(asked, so_far), known, submit):
        pass
    return known
