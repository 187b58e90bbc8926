"""What processes take of the memory, for the pages: predicted, and as it was measured."""

from __future__ import annotations

from dataclasses import asdict
from types import SimpleNamespace

from sim.errors import ExperimentError
from sim.experiment import Experiment, Server, WorkerClass
from sim.experiment.release_defaults import default_memory
from sim.experiment.worker_class import TRAITS
from sim.model.memory import predict_memory
from site_docs.runs.evidence import evidence

MB = 1e6


def at_first(name: str) -> SimpleNamespace:
    """MB of all processes of a measured server: ``predicted`` and ``measured``.

    Its workers have not collected all their garbage yet, for the measurements are short.

    Raises:
        ExperimentError: when its memory is not known.
    """
    record = evidence(name)
    predicted, measured = record.predicted[0].memory, record.measured[0].memory
    if predicted is None or predicted.total_at_first is None or measured is None:
        raise ExperimentError(f"the memory of {name} is not known; expected a measurement of it")
    return SimpleNamespace(predicted=predicted.total_at_first / MB, measured=measured.total / MB)


def agree(case: str, servers: int, within: float) -> bool:
    """Whether both are near each other for each of the ``servers`` of a case, as a part."""
    sides = [at_first(f"{case}-{number}") for number in range(1, servers + 1)]
    return all(abs(side.predicted / side.measured - 1) <= within for side in sides)


def of_parts(worker_class: WorkerClass) -> SimpleNamespace:
    """`sim.experiment.memory_costs.MemoryCosts` of a worker class, in MB."""
    return SimpleNamespace(
        **{name: value / MB for name, value in asdict(default_memory(worker_class)).items()}
    )


def preloaded_at_first(worker_class: WorkerClass) -> float:
    """MB of a preloaded worker's own, until its first full collection."""
    parts = of_parts(worker_class)
    copied = 0.0 if TRAITS[worker_class].copies_at_boot else parts.preloaded_copied
    return float(parts.preloaded_worker - copied)


def of_gthread(workers: int, threads: int, *, gc_freeze: bool) -> float:
    """MB of all processes of a preloaded server, predicted, once workers have collected garbage."""
    server = Server(workers, threads, "gthread", preload_app=True)
    return predict_memory(Experiment(server, gc_freeze=gc_freeze)).total / MB
