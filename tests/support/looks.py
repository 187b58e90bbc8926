"""Experiments predicted and measured, and looked at again where a measurement surprises."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import contextmanager
from functools import cache

from host_costs import HostCosts

from reference_app.rig.measure import measure
from reference_app.rig.server import HOST
from sim.experiment import Experiment
from sim.experiment.costs import Costs
from sim.run import Run

#: Says what a measurement has that the predictions have not; None: nothing.
Look = Callable[[list[Run], Run], str | None]

#: The predictions of an experiment, one for each variant of the server's and the kernel's chances.
Predict = Callable[[str, Experiment, Costs], list[Run]]


class Looks:
    """Every experiment predicted and measured; one that surprises is looked at again, alone.

    Args:
        experiments: by name.
        predict: predicts one.
        costs: of this machine; None for the defaults.
        pool: measures so many at the same time.
    """

    def __init__(
        self,
        experiments: Mapping[str, Experiment],
        predict: Predict,
        costs: HostCosts | None,
        pool: ThreadPoolExecutor,
    ) -> None:
        self._experiments = experiments
        self._predict = predict
        self._costs = costs
        # All predictions first: they would take a core from what is measured.
        known = Costs() if costs is None else costs.measured
        self._predicted = {name: predict(name, it, known) for name, it in experiments.items()}
        # The longest first, or one would be measured alone at the end.
        self._measured = {
            name: pool.submit(self._measure, name)
            for name in sorted(experiments, key=lambda name: _longest(experiments[name]))
        }
        self._again = cache(self._looked_at_again)

    def differs(self, name: str, look: Look) -> str | None:
        """What ``look`` finds, twice, to be other than predicted; None: nothing."""
        if look(self._predicted[name], self._measured[name].result()) is None:
            return None
        return look(*self._again(name))

    def _looked_at_again(self, name: str) -> tuple[list[Run], Run]:
        """With the costs of this moment, just before and just after, and the machine to itself."""
        wait(self._measured.values())
        if self._costs is None:
            return self._predicted[name], self._measure(name)
        costs, measured = self._costs.around(lambda: self._measure(name))
        predicted = (self._predict(name, self._experiments[name], each) for each in costs)
        return [run for runs in predicted for run in runs], measured

    def _measure(self, name: str) -> Run:
        _forget_round_trips()
        return measure(self._experiments[name], 0, lambda *_: None)


def _longest(experiment: Experiment) -> float:
    """Orders experiments by the s that they can take, from the most to the least."""
    return -(experiment.traffic.duration + experiment.traffic.drain)


def _forget_round_trips() -> None:
    """Let the kernel forget what earlier connections took, where we may and can.

    It has the server's side of a handshake that took seconds for a long round trip, and the next
    client on this host would wait for as long before it sends a lost request again.
    """
    if ip := shutil.which("ip"):
        subprocess.run([ip, "tcp_metrics", "flush", HOST], check=False, capture_output=True)


@contextmanager
def looks_at(
    experiments: Mapping[str, Experiment],
    predict: Predict,
    at_once: int,
    costs: HostCosts | None = None,
) -> Iterator[Looks]:
    """Begin to measure all ``experiments``, ``at_once`` at a time."""
    with ThreadPoolExecutor(at_once) as pool:
        yield Looks(experiments, predict, costs, pool)
        pool.shutdown(cancel_futures=True)
