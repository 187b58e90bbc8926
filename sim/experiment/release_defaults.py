"""The default costs of each release of Gunicorn, and of each worker class."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import cache

from sim.experiment.costs import Costs
from sim.experiment.default_costs import CLASS_MEMORY, CLASSES, RELEASES
from sim.experiment.memory_costs import MemoryCosts
from sim.experiment.release import KNOWN


def alike_since(number: str) -> str:
    """The first release whose default costs are those of release ``number``."""
    place = KNOWN.index(number)
    return next(since for since in reversed(RELEASES) if KNOWN.index(since) <= place)


@cache
def default_costs(number: str, worker_class: str = "gthread") -> Costs:
    """The default costs of a worker class of release ``number``.

    They are those of the newest release's ``gthread`` and ``sync``, times what differs there. An
    event loop's do not depend on the release.
    """
    if worker_class in CLASSES:
        return _costs_of(worker_class)
    return _costs_since(alike_since(number))


@cache
def _costs_of(worker_class: str) -> Costs:
    return _times(CLASSES[worker_class])


@cache
def _costs_since(since: str) -> Costs:
    return _times(RELEASES[since])


def _times(multiples: Mapping[str, float]) -> Costs:
    newest = Costs()
    values = {name: part * getattr(newest, name) for name, part in multiples.items()}
    return replace(newest, **values)


def costs_for(costs: Costs, gunicorn: str, worker_class: str) -> Costs:
    """``costs``, or where they are the defaults of any server, those of this one."""
    return default_costs(gunicorn, worker_class) if are_default(costs) else costs


def are_default(costs: Costs) -> bool:
    """Whether ``costs`` are the defaults of any release or worker class."""
    defaults = (*map(_costs_since, RELEASES), *map(_costs_of, CLASSES))
    return any(costs is known or costs == known for known in defaults)


@cache
def default_memory(worker_class: str = "gthread") -> MemoryCosts:
    """What processes take by default with a worker class, whatever the release."""
    return replace(MemoryCosts(), **CLASS_MEMORY.get(worker_class, {}))


def is_default_memory(memory: MemoryCosts) -> bool:
    """Whether ``memory`` is the default of any worker class."""
    defaults = (MemoryCosts(), *map(default_memory, CLASS_MEMORY))
    return any(memory is known or memory == known for known in defaults)


def memory_for(memory: MemoryCosts, worker_class: str) -> MemoryCosts:
    """``memory``, or where it is the default of any worker class, that of this one."""
    return default_memory(worker_class) if is_default_memory(memory) else memory
