"""The classes of workers, each under the name that `worker_class` has for it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from sim.experiment.release import Release
from sim.model.gunicorn.gasgi import ASGIWorker
from sim.model.gunicorn.ggevent import GeventWorker
from sim.model.gunicorn.gthread import ThreadWorker
from sim.model.gunicorn.gthread_old import OldThreadWorker
from sim.model.gunicorn.sync import SyncWorker
from sim.model.gunicorn.uvicorn_worker import UvicornWorker
from sim.model.gunicorn.worker import Parent, Worker
from sim.model.linux.listening_socket import ListeningSocket
from sim.model.wiring import Wiring

NewWorker = Callable[[Wiring, Parent, ListeningSocket], Worker]


def _thread_worker(wiring: Wiring, parent: Parent, listener: ListeningSocket) -> Worker:
    known: Release = wiring.release
    if known.at_limit == "wait for futures":
        return OldThreadWorker(wiring, parent, listener)
    return ThreadWorker(wiring, parent, listener)


def _sync_worker(wiring: Wiring, parent: Parent, listener: ListeningSocket) -> Worker:
    return SyncWorker(wiring, parent, listener)


def _gevent_worker(wiring: Wiring, parent: Parent, listener: ListeningSocket) -> Worker:
    return GeventWorker(wiring, parent, listener)


def _asgi_worker(wiring: Wiring, parent: Parent, listener: ListeningSocket) -> Worker:
    return ASGIWorker(wiring, parent, listener)


def _uvicorn_worker(wiring: Wiring, parent: Parent, listener: ListeningSocket) -> Worker:
    return UvicornWorker(wiring, parent, listener)


#: By worker class: what forks one.
NEW_WORKER: Final[dict[str, NewWorker]] = {
    "sync": _sync_worker,
    "gthread": _thread_worker,
    "gevent": _gevent_worker,
    "asgi": _asgi_worker,
    "uvicorn": _uvicorn_worker,
}
