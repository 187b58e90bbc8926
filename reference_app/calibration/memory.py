"""The memory that the processes of a server take on this machine."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import replace

from reference_app.rig.address import HOST
from reference_app.rig.memory import many_threads, measure_memory
from reference_app.rig.server import Application, RunningServer, running_server
from sim.errors import ExperimentError
from sim.experiment import Experiment
from sim.experiment.memory_costs import MemoryCosts
from sim.experiment.release import NEWEST
from sim.experiment.worker_class import TRAITS, WorkerClass

#: Servers that are measured: one without `preload_app`, and three with it, of which one has frozen
#: it and one has many threads, if its class has any; of our service three with LaunchDarkly too.
SERVERS = 4
OUR_SERVERS = 7

#: Time (s) that silent connections hold pool threads; 25.2 and later free them after 5 s. Beside
#: other work a main thread may take 0.3 s to accept enough of them.
BUSY = 0.8

#: Longest time (s) for requests, and time after which no more of them are sent.
PATIENCE = 30.0
ENOUGH = 4.0


def memory_costs(
    application: Application | None,
    path: str,
    advance: Callable[[], None],
    gunicorn: str = NEWEST,
    worker_class: WorkerClass = "gthread",
) -> MemoryCosts:
    """Measure, on real Gunicorn, what processes and threads take, in bytes.

    Args:
        application: to serve; our service, if None. What a LaunchDarkly client takes is measured
            with ours only, for we cannot know the flags of another.
        path: to ask it for; ours has its own.
        advance: called after each of the `SERVERS`, or `OUR_SERVERS`.
        gunicorn: the release to run.
        worker_class: to run; instead of ``sync`` it is ``gthread``, which takes as much and has
            threads.

    Raises:
        ExperimentError: when a server does not boot or answer, or the kernel does not tell.
    """
    measured = measured_class(worker_class)

    def serve(experiment: Experiment) -> AbstractContextManager[RunningServer]:
        server = replace(experiment.server, gunicorn=gunicorn)
        return running_server(replace(experiment, server=server), application)

    def exercise(server: RunningServer, experiment: Experiment) -> None:
        occupy(server.port, path, experiment)

    if application is None:
        return measure_memory(serve, advance=advance, worker_class=measured)
    return measure_memory(
        serve,
        exercise,
        launchdarkly=False,
        functions=False,
        advance=advance,
        worker_class=measured,
    )


def measured_class(worker_class: WorkerClass) -> WorkerClass:
    """The worker class whose memory is that of ``worker_class``."""
    return worker_class if TRAITS[worker_class].event_loop else "gthread"


def measures_threads(worker_class: WorkerClass, *, ours: bool) -> bool:
    """Whether `memory_costs` measures what a thread takes, of our service or of another."""
    return many_threads(measured_class(worker_class), functions=ours) > 1


def occupy(port: int, path: str, experiment: Experiment) -> None:
    """Let every pool start all its threads, and each worker serve some requests.

    Requests to an application that answers at once would not occupy a second thread. Connections
    that send nothing do, whatever it is.

    Args:
        port: of the server.
        path: to ask for.
        experiment: whose server it is; its traffic says how many connections at the same time,
            and how many requests.

    Raises:
        ExperimentError: when a request gets no answer.
    """
    users, requests = experiment.traffic.users, experiment.traffic.requests
    assert requests is not None, "the experiment that measures memory counts its requests"
    began = time.monotonic()
    wait = BUSY
    for _ in range(0, requests, users):
        try:
            asyncio.run(_ask_all(port, path, users, wait))
        except (OSError, TimeoutError) as error:
            raise ExperimentError(f"GET {path} got no answer ({error!r}); expected one") from None
        if time.monotonic() - began > ENOUGH:
            return
        wait = 0.0


async def _ask_all(port: int, path: str, connections: int, wait: float) -> None:
    """Open so many connections, ask over each of them ``wait`` s later, and read the answers."""
    async with asyncio.timeout(PATIENCE):
        streams = await asyncio.gather(
            *(asyncio.open_connection(HOST, port) for _ in range(connections))
        )
        await asyncio.sleep(wait)
        await asyncio.gather(*(_ask(path, *stream) for stream in streams))


async def _ask(path: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    request = f"GET {path} HTTP/1.1\r\nHost: {HOST}\r\nConnection: close\r\n\r\n"
    writer.write(request.encode("latin-1", "replace"))
    if not await reader.read():
        raise ConnectionResetError("closed without an answer")
    writer.close()
