"""Gunicorn's worker classes: what each is, and how it is spelled."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Final, Literal

WorkerClass = Literal["sync", "gthread", "gevent"]

#: All that are modelled, Gunicorn's default first.
WORKER_CLASSES: Final[tuple[WorkerClass, ...]] = ("sync", "gthread", "gevent")

#: Those that `size` chooses from unless it is told others: they need no other package.
USUAL_CLASSES: Final[tuple[WorkerClass, ...]] = ("sync", "gthread")


@dataclass(frozen=True, slots=True)
class Traits:
    """What a worker class is, as far as others than its model ask.

    Attributes:
        spellings: what Gunicorn takes for it: an alias, or the path of the class.
        event_loop: whether one thread runs all requests of a worker, each until it waits.
        threads: whether it has a pool of ``threads`` threads.
        keeps: whether it keeps a connection after a response.
        slot: what holds one request that it has begun.
        waits_for: what a request waits for until its code runs.
        extra: our optional extra that brings what it needs; None where Gunicorn suffices.
        packages: top-level modules that it imports, beside Gunicorn's.
    """

    spellings: tuple[str, ...]
    event_loop: bool = False
    threads: bool = False
    keeps: bool = True
    slot: str = "thread"
    waits_for: str = "a thread"
    extra: str | None = None
    packages: tuple[str, ...] = ()


#: By worker class.
TRAITS: Final = MappingProxyType(
    {
        "sync": Traits(("sync", "gunicorn.workers.sync.SyncWorker"), keeps=False),
        "gthread": Traits(("gthread", "gunicorn.workers.gthread.ThreadWorker"), threads=True),
        "gevent": Traits(
            ("gevent", "gunicorn.workers.ggevent.GeventWorker"),
            event_loop=True,
            slot="connection",
            waits_for="the event loop",
            extra="gevent",
            packages=("gevent", "packaging"),
        ),
    }
)

_POSSIBLE: Final = "sync, gthread or gevent, the worker classes modelled"

#: What to use instead of classes that are not modelled, by spelling.
INSTEAD: Final = MappingProxyType(
    {
        "eventlet": "Gunicorn 26 removed it; gevent serves the same applications",
        "tornado": "gthread serves WSGI applications",
        "gevent_pywsgi": "gevent serves the same applications",
        "gevent_wsgi": "gevent serves the same applications",
    }
)


def slots(server: Mapping[str, Any]) -> int:
    """Requests that one worker can have begun at once: its threads, or an event loop's connections.

    Args:
        server: settings, as `sim.experiment.document.to_dict` writes them.
    """
    event_loop = TRAITS[server["worker_class"]].event_loop
    return int(server["worker_connections"] if event_loop else server["threads"])


def expected(spelling: object) -> str:
    """What could stand in place of a worker class that is not modelled."""
    hint = INSTEAD.get(spelling) if isinstance(spelling, str) else None
    return _POSSIBLE if hint is None else f"{_POSSIBLE}: {hint}"
