"""What the processes of a server take of the memory of one machine."""

from __future__ import annotations

import math
from dataclasses import dataclass, fields

from sim.errors import ExperimentError
from sim.experiment.default_costs import DEFAULTS

_DEFAULTS = DEFAULTS["memory"]


@dataclass(frozen=True, slots=True)
class MemoryCosts:
    """Bytes of memory, in the state that lasts: each worker has once collected all its garbage.

    A fork shares its parent's pages until one of the two writes to them. CPython's full garbage
    collection writes into the head of every object that it visits. So the first one in a worker
    copies much of what `preload_app` had saved. `gc.freeze` in the master would prevent it.

    The defaults are those of ``default_costs.toml``: the reference service (Flask 3.1, LaunchDarkly
    SDK 9.20) after some requests, on the machine and the day that the file names.

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

    shared: float = _DEFAULTS["shared"]
    master: float = _DEFAULTS["master"]
    worker: float = _DEFAULTS["worker"]
    preloaded_shared: float = _DEFAULTS["preloaded_shared"]
    preloaded_master: float = _DEFAULTS["preloaded_master"]
    preloaded_worker: float = _DEFAULTS["preloaded_worker"]
    thread: float = _DEFAULTS["thread"]
    flag_client: float = _DEFAULTS["flag_client"]
    copied: float = _DEFAULTS["copied"]
    preloaded_copied: float = _DEFAULTS["preloaded_copied"]
    preloaded_client_copied: float = _DEFAULTS["preloaded_client_copied"]

    def __post_init__(self) -> None:
        for cost in fields(self):
            value = getattr(self, cost.name)
            if not math.isfinite(value) or value < 0:
                raise ExperimentError(
                    f"memory {cost.name} is {value}; expected a finite number of bytes >= 0"
                )
