"""How much memory a server takes, for any number of workers and threads."""

from __future__ import annotations

from sim.experiment import Experiment
from sim.experiment.endpoint import TOTAL_TOKENS
from sim.run import Memory


def predict_memory(experiment: Experiment) -> Memory:
    """The memory of the experiment's server once every pool thread has run.

    It is linear in workers and threads: what all processes share, the master's own, and as often
    as there are workers a worker's own, its threads' and its LaunchDarkly client's. Collections do
    not visit objects that `gc.freeze` has frozen, so they copy none of their pages.
    """
    server, costs = experiment.server, experiment.memory
    if server.preload_app:
        shared, master, worker = (
            costs.preloaded_shared,
            costs.preloaded_master,
            costs.preloaded_worker,
        )
        copied = costs.preloaded_copied
        if experiment.launchdarkly.enabled:
            copied = max(0.0, copied - costs.preloaded_client_copied)
    else:
        shared, master, worker = costs.shared, costs.master, costs.worker
        copied = costs.copied
    if experiment.gc_freeze:
        # Where all workers have copied a page, the master is alone with the one that they had.
        shared, master, worker = (
            shared + min(copied, master),
            max(0.0, master - copied),
            max(0.0, worker - copied),
        )
    worker += costs.thread * (_threads(experiment) - 1)
    if experiment.launchdarkly.enabled:
        worker += costs.flag_client
    total = shared + master + server.workers * worker
    at_first = total if server.traits.copies_at_boot else total - server.workers * copied
    return Memory(
        total=round(total),
        shared=round(shared),
        master=round(master),
        worker=round(worker),
        total_at_first=None if experiment.gc_freeze else round(at_first),
    )


def _threads(experiment: Experiment) -> int:
    """Threads of a worker that run requests, once all of them have."""
    traits = experiment.server.traits
    if traits.threads:
        return experiment.server.threads
    if traits.asgi and any(endpoint == "def" for endpoint, _ in experiment.traffic.kinds):
        return TOTAL_TOKENS
    return 1
