"""What to say before much work that a compiled model would do in a third of the time."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable

from sim.command import called
from sim.compiled import INTERPRETED, is_clone
from sim.experiment import Experiment
from sim.model.engine.heap import COMPILED

#: CPU s of a request that compiling saves, about: ``python -m sim`` takes 23 us interpreted and
#: 3 us compiled, on the machine of ``tests/benchmarks/README.md``.
GAIN = 20e-6

#: s that compiling has to save, on all processes together, to be worth a line.
WORTH = 60.0


def requests_of(experiments: Iterable[Experiment], runs: int) -> float:
    """Requests of as many ``runs`` of each experiment, as far as they are known beforehand."""
    return sum(runs * (_requests(experiment) or 0.0) for experiment in experiments)


def _requests(experiment: Experiment) -> float | None:
    traffic = experiment.traffic
    if traffic.arrivals == "trace":
        return len(traffic.trace)
    if traffic.arrivals == "closed":
        return traffic.requests  # Without a number, the answers decide.
    return experiment.expected_requests


def compile_hint(requests: float, *, compiled: bool = COMPILED) -> str | None:
    """The line that says what compiling would do, where it would save a minute.

    Args:
        requests: that are to be predicted.
        compiled: whether the model is.

    Returns:
        None where the gain is small, or the model is compiled, cannot be, or is not to be.
    """
    saved = requests * GAIN
    if compiled or saved < WORTH or os.environ.get(INTERPRETED) or not is_clone():
        return None
    return (
        f"{requests:,.0f} requests to predict: a compiled model is about three times as fast and "
        f"saves about {saved / 60:,.0f} min of CPU. To compile it: {called('sim')} compile"
    )


def show_compile_hint(requests: float) -> None:
    """Print it on stderr, if there is one."""
    hint = compile_hint(requests)
    if hint is not None:
        print(f"note: {hint}", file=sys.stderr, flush=True)  # noqa: T201
