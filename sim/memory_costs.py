"""What the processes of a server take of the memory of one machine."""

from __future__ import annotations

import math
from dataclasses import dataclass, fields

from sim.errors import ExperimentError


@dataclass(frozen=True, slots=True)
class MemoryCosts:
    """Bytes of memory, in the state that lasts: each worker has once collected all its garbage.

    A fork shares its parent's pages until one of the two writes to them. CPython's full garbage
    collection writes into the head of every object that it visits, so the first one in a worker
    copies much of what `preload_app` had saved (`gc.freeze` in the master would prevent it).

    The defaults were measured on 2026-11-24 on a virtual machine with two cores (x86-64, Linux
    6.18, CPython 3.11, Gunicorn 27.0.1, Flask 3.1, LaunchDarkly SDK 9.18) by
    `reference_app.memory.measure_memory`, on the reference service after some requests.

    Attributes:
        shared: pages that several processes share, counted once.
        master: the master's own.
        worker: a worker's own, with one pool thread.
        preloaded_shared: as ``shared``, with `preload_app`.
        preloaded_master: as ``master``, with `preload_app`.
        preloaded_worker: as ``worker``, with `preload_app`.
        thread: of each further pool thread, once it has run.
        flag_client: of each worker's LaunchDarkly client.
        copied: of ``worker``, what its first full collection copies.
        preloaded_copied: the same with `preload_app`.
        preloaded_client_copied: of ``preloaded_copied``, what the start of the LaunchDarkly client
            in the worker has copied before.
    """

    shared: float = 15.4e6
    master: float = 12.1e6
    worker: float = 26.0e6
    preloaded_shared: float = 22.8e6
    preloaded_master: float = 18.7e6
    preloaded_worker: float = 18.9e6
    thread: float = 55e3
    flag_client: float = 0.84e6
    copied: float = 1.8e6
    preloaded_copied: float = 10.9e6
    preloaded_client_copied: float = 1.35e6

    def __post_init__(self) -> None:
        for cost in fields(self):
            value = getattr(self, cost.name)
            if not math.isfinite(value) or value < 0:
                raise ExperimentError(
                    f"memory {cost.name} is {value}; expected a finite number of bytes >= 0"
                )
